//! Actors that train epoch by epoch, tell the value of each, and end early where the pruner says so: all on one
//! thread, which is free while an epoch is trained elsewhere.
//!
//! ```text
//! cargo run --release --example actor_steps [-- DIRECTORY]
//! ```
//!
//! The study that is in the directory, if any, is replaced.

#![allow(clippy::wildcard_imports)] // Both preludes go together.

use actix::prelude::*;
use trialmill::actor::{Ask, OwnWorker, TellSteps};
use trialmill::*;

const EPOCHS: u64 = 27;

struct Trainer {
    worker: OwnWorker,
}

impl Actor for Trainer {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        self.ask(ctx);
    }
}

impl Trainer {
    fn ask(&self, ctx: &mut Context<Self>) {
        let asked = self.worker.state().send(Ask::of(&self.worker, 1));
        ctx.spawn(asked.into_actor(self).map(|outcome, _, ctx| match outcome {
            Ok(Ok(AskOutcome::Trials(mut trials))) => {
                trials.drain(..).for_each(|trial| ctx.notify(Epoch { trial, number: 1 }));
            }
            // Nothing more to do, or the study is closed.
            _ => ctx.stop(),
        }));
    }

    fn tell(&self, trial: &Trial, report: Report, ctx: &mut Context<Self>) {
        self.worker.state().do_send(actor::Tell::of(trial, report));
        self.ask(ctx);
    }
}

/// To a trainer, from itself: train this epoch of the trial.
#[derive(Message)]
#[rtype(result = "()")]
struct Epoch {
    trial: Trial,
    number: u64,
}

impl Handler<Epoch> for Trainer {
    type Result = ();

    fn handle(&mut self, Epoch { trial, number }: Epoch, ctx: &mut Context<Self>) {
        let state = self.worker.state();
        let step = async move {
            let told = async {
                let loss = trained(&trial.config, number).await?;
                Ok((loss, state.send(TellSteps::of(&trial, [(number, loss)])).await??))
            };
            let told: Result<_, BoxError> = told.await;
            (trial, told)
        };
        ctx.spawn(step.into_actor(self).map(move |(trial, told), trainer, ctx| match told {
            Ok((loss, StepOutcome::Continue)) if number == EPOCHS => {
                trainer.tell(&trial, Report::objective(loss), ctx);
            }
            Ok((_, StepOutcome::Continue)) => ctx.notify(Epoch { trial, number: number + 1 }),
            // Others were better at this epoch: the curve stays, without a result.
            Ok((_, StepOutcome::Prune)) => trainer.tell(&trial, Report::pruned(), ctx),
            // Another attempt has taken over.
            Ok((_, StepOutcome::Superseded { .. })) => trainer.ask(ctx),
            Err(error) => trainer.tell(&trial, Report::crashed("epoch", error.to_string()), ctx),
        }));
    }
}

/// An epoch of training, as if on another machine.
async fn trained(config: &Config, epoch: u64) -> Result<f64, BoxError> {
    actix::clock::sleep(std::time::Duration::from_millis(1)).await;
    let (rate, width) = (config.float("rate")?, config.int("width")? as f64);
    let away = (rate.log10() + 2.5).powi(2) + (width.log2() - 6.0).powi(2) / 9.0;
    Ok(0.05 + 0.05 * away + 1.0 / (1.0 + epoch as f64 * rate.sqrt() * 10.0))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = std::env::args().nth(1).unwrap_or_else(|| "runs/actor_steps".into());
    let session = Study::builder(directory)
        .overwrite(true)
        .space(SearchSpace::new([
            ("rate", Parameter::float(1e-4, 1.0).log()),
            ("width", Parameter::int(8, 512).log()),
        ])?)
        .optimizer(RandomSearch::new())
        .pruner(PrunerInfo::new("successive_halving", [("reduction_factor", 3)]))
        .seed(7)
        .max_evaluations(60)
        .open()?;
    let workers: Vec<OwnWorker> = (0..8).map(|_| session.enlist()).collect();
    let system = System::new();
    system.block_on(async {
        let trainers: Vec<_> =
            workers.into_iter().map(|worker| Trainer { worker }.start()).collect();
        for trainer in &trainers {
            while trainer.connected() {
                actix::clock::sleep(std::time::Duration::from_millis(5)).await;
            }
        }
    });
    let outcome = session.close()?;
    let study = outcome.study();
    let (pruned, steps) = (study.count(State::Pruned), study.spent().steps);
    println!("{pruned} of 60 pruned; {steps} epochs, where {} were possible", 60 * EPOCHS);
    assert_eq!(study.finished(), 60);
    assert!(pruned > 0 && study.count(State::Success) > 0 && steps < 60 * EPOCHS / 2);
    for trial in study.trials().iter().filter(|trial| trial.state == State::Pruned) {
        assert!(trial.steps.as_ref().is_some_and(|steps| !steps.is_empty()), "{trial:?}");
    }
    println!("{outcome}");
    Ok(())
}
