//! How much the study costs beside its message pattern: `cargo bench --bench baselines`.
//!
//! Measured in turn, in one run: bare actix actors with trialmill's messages and nothing behind
//! them; the same with an append of as many bytes, and a sync, before the answers (the prototype:
//! no state, no sampling, no lock); and trialmill. `TRIALMILL_BENCH_DIR` names the disk,
//! `TRIALMILL_BENCH_SCALE` (1) multiplies the trials.

mod support;

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use actix::{Actor, Addr, AsyncContext, Context, Handler, Message, System};
use crossbeam_channel::{Sender, bounded};
use support::{Result, median, objective, space};
use trialmill::RandomSearch;
use trialmill::{Durability, Study};

/// What a trial takes in the journal: one line when it is sampled, one when it is reported.
const BYTES_PER_TRIAL: usize = 385;
const ROUNDS: usize = 5;

/// Collects until its mailbox is empty, as the state actor does; then one append, and the answers.
struct Bare {
    waiting: Vec<Sender<()>>,
    file: Option<File>,
    sync: bool,
    failed: Option<std::io::Error>,
}

struct Turn(Sender<()>);

impl Message for Turn {
    type Result = ();
}

struct Flush;

impl Message for Flush {
    type Result = ();
}

impl Actor for Bare {
    type Context = Context<Self>;
}

impl Handler<Turn> for Bare {
    type Result = ();
    fn handle(&mut self, Turn(reply): Turn, ctx: &mut Context<Self>) {
        if self.waiting.is_empty() {
            ctx.notify(Flush);
        }
        self.waiting.push(reply);
    }
}

impl Handler<Flush> for Bare {
    type Result = ();
    fn handle(&mut self, _: Flush, _: &mut Context<Self>) {
        if let Some(file) = &mut self.file {
            let written = file.write_all(&vec![b'x'; BYTES_PER_TRIAL * self.waiting.len()]);
            let synced = if self.sync { file.sync_data() } else { Ok(()) };
            self.failed = self.failed.take().or(written.and(synced).err());
        }
        for reply in self.waiting.drain(..) {
            let _ = reply.send(());
        }
    }
}

/// Trials per second of bare actors; each trial is one message there and back.
fn bare(file: Option<&Path>, sync: bool, workers: usize, trials: usize) -> Result<f64> {
    let file = match file {
        Some(path) => Some(OpenOptions::new().create(true).append(true).open(path)?),
        None => None,
    };
    let (started, start) = bounded(1);
    let thread = std::thread::spawn(move || {
        let runner = System::new();
        let actor = Bare { waiting: Vec::new(), file, sync, failed: None };
        let address = runner.block_on(async { actor.start() });
        let system = runner.block_on(async { System::current() });
        let _ = started.send((address, system));
        runner.run()
    });
    let (address, system): (Addr<Bare>, System) = start.recv()?;
    let begin = Instant::now();
    std::thread::scope(|scope| {
        for number in 0..workers {
            let address = address.clone();
            let share = trials / workers + usize::from(number < trials % workers);
            scope.spawn(move || {
                for _ in 0..share {
                    let (reply, answer) = bounded(1);
                    address.do_send(Turn(reply));
                    if answer.recv().is_err() {
                        return;
                    }
                }
            });
        }
    });
    let seconds = begin.elapsed().as_secs_f64();
    system.stop();
    thread.join().map_err(|_| "the actor's thread panicked")??;
    Ok(trials as f64 / seconds)
}

fn ours(dir: &Path, durability: Durability, workers: usize, trials: usize) -> Result<f64> {
    let study = Study::builder(dir).durability(durability).space(space()?).workers(workers);
    let study = study.optimizer(RandomSearch::new());
    let session = study.max_evaluations(trials as u64).ctrl_c(false).open()?;
    let begin = Instant::now();
    session.run(objective)?;
    let seconds = begin.elapsed().as_secs_f64();
    assert_eq!(session.close()?.study().trials().len(), trials);
    Ok(trials as f64 / seconds)
}

fn main() -> Result<()> {
    let base = std::env::var("TRIALMILL_BENCH_DIR").unwrap_or_else(|_| "target".into());
    let base = tempfile::tempdir_in(base)?;
    let scale: f64 = std::env::var("TRIALMILL_BENCH_SCALE").map_or(Ok(1.0), |s| s.parse())?;
    println!(
        "{:<20} {:>7} {:>14} {:>14} {:>14} {:>7}",
        "kept", "workers", "bare actors", "prototype", "trialmill", "ratio"
    );
    for (kept, sync, workers, trials) in [
        ("synced", true, 1, 4_000),
        ("synced", true, 8, 20_000),
        ("synced", true, 64, 40_000),
        ("buffered", false, 1, 20_000),
        ("buffered", false, 8, 40_000),
        ("buffered", false, 64, 40_000),
    ] {
        let trials = (f64::from(trials) * scale) as usize;
        let durability = if sync { Durability::Synced } else { Durability::Buffered };
        let (mut bares, mut prototypes, mut own) = (Vec::new(), Vec::new(), Vec::new());
        let (mut against_bare, mut against_prototype) = (Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            let name = |what: &str| base.path().join(format!("{what}-{kept}-{workers}-{round}"));
            let no_state = bare(None, false, workers, trials)?;
            let prototype = bare(Some(&name("prototype")), sync, workers, trials)?;
            let us = ours(&name("study"), durability, workers, trials)?;
            against_bare.push(us / no_state);
            against_prototype.push(us / prototype);
            bares.push(no_state);
            prototypes.push(prototype);
            own.push(us);
        }
        // Synced, the prototype is the measure (0.8); buffered, the bare actors are (0.5).
        let ratio = median(if sync { against_prototype } else { against_bare });
        println!(
            "{kept:<20} {workers:>7} {:>14.0} {:>14.0} {:>14.0} {ratio:>7.2}",
            median(bares),
            median(prototypes),
            median(own),
        );
    }
    Ok(())
}
