//! The work that the benches measure: one trial's way, and parts of it.

#![allow(dead_code)] // Each bench uses some of it.

use std::path::Path;
use trialmill_layouts::Studies;

use trialmill::{Durability, Parameter, RandomSearch, Report, RunningTrial, SearchSpace, TrialId};
use trialmill_core::definition::Definition;
use trialmill_core::event::Policy;
use trialmill_core::optimizer::Optimizer;
use trialmill_core::study::{Answer, Ask, Command};
use trialmill_core::trial::WorkerId;
use trialmill_runtime::StateCore;
use trialmill_store::Directory;

pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Three parameters: a float on a log scale, an int, a choice.
pub(crate) fn space() -> Result<SearchSpace> {
    Ok(SearchSpace::new([
        ("lr", Parameter::float(1e-5, 1e-1).log()),
        ("layers", Parameter::int(1, 8)),
        ("optimizer", Parameter::categorical(["sgd", "adam", "rmsprop"])),
    ])?)
}

/// Takes no time.
pub(crate) fn objective(trial: &RunningTrial) -> std::result::Result<f64, trialmill::BoxError> {
    let lr = trial.config().float("lr")?;
    Ok(lr * lr)
}

/// The median.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// A study without actors, and what its worker holds.
pub(crate) struct Solo {
    core: StateCore,
    worker: WorkerId,
    held: Vec<TrialId>,
}

impl Solo {
    pub(crate) fn in_memory() -> Result<Self> {
        let definition = Definition::new(space()?, RandomSearch::new().info()).seeded(1);
        Self::joined(StateCore::in_memory(definition, Box::new(RandomSearch::new()))?)
    }

    /// In a directory; a second one on the same directory is another process.
    pub(crate) fn on_disk(dir: &Path, durability: Durability) -> Result<Self> {
        let definition = Definition::new(space()?, RandomSearch::new().info());
        let (directory, _) =
            Directory::create_or_open(dir, definition, Some(1), &Policy::default(), None)?;
        Self::joined(StateCore::open(directory, durability, Box::new(RandomSearch::new()))?)
    }

    fn joined(mut core: StateCore) -> Result<Self> {
        let worker = trialmill_core::event::worker_id(core.join()?, 1);
        Ok(Solo { core, worker, held: Vec::new() })
    }

    /// One turn: reports what is held, and asks for `n` trials.
    pub(crate) fn batch(&mut self, n: usize) -> Result<()> {
        let report = |trial| {
            let report = Report::objective(0.5).evaluation_duration(1e-6);
            Command::Report { trial, attempt: Some(1), report: Box::new(report) }
        };
        let mut commands: Vec<Command> = self.held.drain(..).map(report).collect();
        commands.push(Command::Ask(Ask {
            worker: self.worker.clone(),
            n,
            lease: None,
            evaluation: None,
        }));
        if let Some(Answer::Evaluate(handed)) =
            self.core.execute_all(commands)?.pop().transpose()?
        {
            self.held.extend(handed.into_iter().map(|handed| handed.id));
        }
        Ok(())
    }

    /// Catches up with what others did.
    pub(crate) fn catch_up(&mut self) -> Result<usize> {
        self.core.execute_all(Vec::new())?;
        Ok(self.core.study().trials().len())
    }
}
