//! A study in an actix system of your own: async actors that ask, wait for a server, and report, all
//! on one thread; and an actor that subscribes to what happens.
//!
//! ```text
//! cargo run --release --example own_system [-- DIRECTORY]
//! ```
//!
//! The study that is in the directory, if any, is replaced.

#![allow(clippy::wildcard_imports)] // Both preludes go together.

use std::time::Duration;

use actix::prelude::*;
use trialmill::actor::{Ask, OwnWorker, Query, Stored, Subscribe, Tell};
use trialmill::*;

/// A worker that waits: a hundred of them cost no thread.
struct Caller {
    worker: OwnWorker,
    watch: Addr<Watch>,
}

impl Actor for Caller {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        self.ask(ctx);
    }

    fn stopped(&mut self, _: &mut Context<Self>) {
        self.watch.do_send(Left);
    }
}

impl Caller {
    fn ask(&self, ctx: &mut Context<Self>) {
        let asked = self.worker.state().send(Ask::of(&self.worker, 1));
        ctx.spawn(asked.into_actor(self).map(|outcome, caller, ctx| match outcome {
            Ok(Ok(AskOutcome::Trials(trials))) => {
                trials.into_iter().for_each(|trial| caller.evaluate(trial, ctx));
            }
            // Nothing more to do, or the study is closed.
            _ => ctx.stop(),
        }));
    }

    fn evaluate(&self, trial: Trial, ctx: &mut Context<Self>) {
        let answer = the_server(trial.config.clone());
        ctx.spawn(answer.into_actor(self).map(move |loss, caller, ctx| {
            let report = match loss {
                Ok(loss) => Report::objective(loss),
                Err(error) => Report::crashed("server", error.to_string()),
            };
            // Both arrive together, and share a commit.
            caller.worker.state().do_send(Tell::of(&trial, report));
            caller.ask(ctx);
        }));
    }
}

/// Here would be an HTTP call.
async fn the_server(config: Config) -> Result<f64, BoxError> {
    let temperature = config.float("temperature")?;
    actix::clock::sleep(Duration::from_millis(5)).await;
    Ok((temperature - 0.7).abs())
}

/// Hears of everything that is stored, and ends the system when the last worker has left.
struct Watch {
    workers: usize,
    reports: usize,
    missed: u64,
}

#[derive(Message)]
#[rtype(result = "()")]
struct Left;

impl Actor for Watch {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.set_mailbox_capacity(1000);
    }
}

impl Handler<Stored> for Watch {
    type Result = ();

    fn handle(&mut self, stored: Stored, _: &mut Context<Self>) {
        let is_report = |event: &&Event| matches!(event.kind, EventKind::Reported { .. });
        self.reports += stored.events.iter().filter(is_report).count();
        self.missed += stored.missed;
    }
}

impl Handler<Left> for Watch {
    type Result = ();

    fn handle(&mut self, _: Left, _: &mut Context<Self>) {
        self.workers -= 1;
        if self.workers == 0 {
            println!("reports heard of: {}, events missed: {}", self.reports, self.missed);
            System::current().stop();
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = std::env::args().nth(1).unwrap_or_else(|| "runs/own_system".into());
    let session = Study::builder(directory)
        .overwrite(true)
        .space(SearchSpace::new([("temperature", Parameter::float(0.0, 2.0))])?)
        .seed(7)
        .max_evaluations(500)
        .open()?;
    let state = session.handle().address();
    let system = System::new();
    system.block_on(async {
        let watch = Watch { workers: 100, reports: 0, missed: 0 }.start();
        state.send(Subscribe(watch.clone().recipient())).await?;
        for _ in 0..100 {
            Caller { worker: session.enlist(), watch: watch.clone() }.start();
        }
        Ok::<(), MailboxError>(())
    })?;
    system.run()?;
    let best = System::new().block_on(state.send(Query::new(|study| study.best().cloned())))??;
    println!("best: {:?}", best.map(|best| (best.id, best.report)));
    println!("{}", session.close()?);
    Ok(())
}
