//! Workers of your own: a pool of blocking actors, each on a thread, that ask and report by
//! themselves. One of them dies on the way; the others take over its trial.
//!
//! ```text
//! cargo run --release --example actor_worker [-- DIRECTORY]
//! ```
//!
//! The study that is in the directory, if any, is replaced.

// Both preludes go together.
#![allow(clippy::wildcard_imports)]
#![allow(clippy::panic, clippy::expect_used)] // The accident; and what cannot be.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use actix::prelude::*;
use trialmill::actor::OwnWorker;
use trialmill::*;

/// Owns the worker: when this actor is gone, so is the worker, and its trial is free again.
struct Trainer {
    worker: OwnWorker,
    accident: Arc<AtomicBool>,
}

impl Actor for Trainer {
    type Context = SyncContext<Self>;
}

/// Evaluate until there is nothing more to evaluate.
#[derive(Message)]
#[rtype(result = "Result<u32, Error>")]
struct Work;

impl Handler<Work> for Trainer {
    type Result = Result<u32, Error>;

    fn handle(&mut self, _: Work, _: &mut SyncContext<Self>) -> Self::Result {
        let mut evaluated = 0;
        while let AskOutcome::Trials(trials) = self.worker.ask(1)? {
            for trial in trials {
                let number = trial.id.number();
                let running = self.worker.begin(trial);
                let is_accident = number == Some(7) && !self.accident.swap(true, Ordering::SeqCst);
                assert!(!is_accident, "an accident with trial 7");
                let x = running.config().float("x")?;
                let outcome = self.worker.tell(running.trial(), (x - 0.3).powi(2))?;
                assert_eq!(outcome, ReportOutcome::Accepted);
                evaluated += 1;
            }
        }
        Ok(evaluated)
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = std::env::args().nth(1).unwrap_or_else(|| "runs/actor_worker".into());
    let session = Study::builder(directory)
        .overwrite(true)
        .space(SearchSpace::new([("x", Parameter::float(-1.0, 1.0))])?)
        .seed(7)
        .max_evaluations(40)
        .open()?;
    let accident = Arc::new(AtomicBool::new(false));
    let trainers = [(); 4].map(|()| (session.enlist(), accident.clone()));
    let trainers = Mutex::new(trainers.into_iter().collect::<Vec<_>>());
    let ended = System::new().block_on(async {
        let pool = SyncArbiter::start(4, move || {
            let trainer = trainers.lock().ok().and_then(|mut trainers| trainers.pop());
            let (worker, accident) = trainer.expect("there is one for each thread");
            Trainer { worker, accident }
        });
        let mut ended = Vec::new();
        for work in [(); 4].map(|()| pool.send(Work)) {
            ended.push(work.await);
        }
        ended
    });
    for (worker, ended) in ended.into_iter().enumerate() {
        match ended {
            Ok(evaluated) => println!("actor {worker}: {} trials", evaluated?),
            Err(_) => println!("actor {worker}: died"),
        }
    }
    let trial = session.handle().trial(&TrialId::Number(7))?;
    println!("trial 7: {}, attempt {}", trial.state, trial.attempts);
    assert_eq!((trial.state, trial.attempts), (State::Success, 2));
    println!("{}", session.close()?);
    Ok(())
}
