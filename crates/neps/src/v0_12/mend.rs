//! Repairs, once when a directory is opened, what crashes left behind: files of ours that a power cut
//! destroyed, and the half-written files of a killed NePS worker, which stop all other NePS workers.

use super::open::total_cost;
use super::store::Neps012Store;
use crate::files::free_name;
use trialmill_core::error::StoreError;
use trialmill_core::trial::{State, Trials};

impl Neps012Store {
    pub(super) fn mend(&self, trials: &Trials) -> Result<(), StoreError> {
        for trial in trials.iter().filter(|trial| trial.state != State::Corrupted) {
            if self.mend_one(trial)? {
                let directory = self.files.directory(&trial.id);
                tracing::warn!("{}: missing files were written again", directory.display());
            }
        }
        self.mend_spending(total_cost(trials))?;
        self.mend_seeds()
    }

    /// Repairs the optimizer's state: every NePS worker stops at one that it cannot read. `used` is
    /// the cost that it should contain.
    pub(super) fn mend_spending(&self, used: f64) -> Result<(), StoreError> {
        let path = self.spending.path();
        match self.spending.read() {
            Ok(Some(_)) => return Ok(()),
            Ok(None) => {}
            Err(problem) => {
                let problem = problem.damage(path)?;
                tracing::warn!("{}: {problem}; it is rebuilt", path.display());
                let kept = free_name(&self.own, "optimizer_state.yaml.damaged");
                std::fs::rename(path, &kept).map_err(StoreError::io("set aside", path))?;
            }
        }
        if used == 0.0 {
            return Ok(());
        }
        self.spending.write(None, used, None).map_err(StoreError::io("write", path))
    }

    /// Repairs the directory of seeds: without it NePS draws new seeds, but an incomplete one stops
    /// it.
    fn mend_seeds(&self) -> Result<(), StoreError> {
        let seeds = self.root.join(".seed_state");
        let is_empty = |name: &str| {
            seeds.join(name).metadata().is_ok_and(|data| data.is_file() && data.len() == 0)
        };
        if ["seed_info.json", "py_rng.npy", "np_rng_state.npy"].into_iter().any(is_empty) {
            let kept = free_name(&self.own, "seed_state.damaged");
            let (there, is) = (seeds.display(), kept.display());
            tracing::warn!("{there} was left half written; it is kept as {is}");
            std::fs::rename(&seeds, &kept).map_err(StoreError::io("set aside", &seeds))?;
        }
        Ok(())
    }
}
