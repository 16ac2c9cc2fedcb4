//! A study that is watched while it runs: what is appended is read, and nothing twice.

use std::path::Path;

use trialmill_core::error::StoreError;
use trialmill_core::study::StudyState;
use trialmill_layouts::Studies;
use trialmill_store::{Directory, Follower, News};

use super::runs::Runs;
use super::summary::Summary;

/// A study that is watched. [`catch_up`](Self::catch_up) reads what has happened since.
#[derive(Debug)]
pub struct Live {
    follower: Follower,
    summary: Summary,
    runs: Runs,
    epoch: u64,
    version: u64,
}

impl Live {
    /// Opens the study of a directory and reads it.
    ///
    /// # Errors
    /// There is no study, or it cannot be read at all.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let directory = Directory::open_read_only(path)?;
        let follower = Follower::new(directory.clone());
        let mut live = Live {
            follower,
            summary: Summary::empty(directory),
            runs: Runs::default(),
            epoch: 0,
            version: 0,
        };
        live.catch_up()?;
        Ok(live)
    }

    /// Reads what has happened since the last time; returns whether anything has.
    ///
    /// # Errors
    /// The files cannot be read at all.
    pub fn catch_up(&mut self) -> Result<bool, StoreError> {
        if !self.follower.is_due() {
            return Ok(false);
        }
        if self.follower.begins_anew() {
            // The definition may be another one, where a study was replaced.
            let path = self.follower.directory().path().to_path_buf();
            let directory = Directory::open_read_only(&path)?;
            if directory.definition() != self.summary.study().definition() {
                self.follower = Follower::new(directory.clone());
            }
            self.summary = Summary::empty(directory);
            self.runs = Runs::default();
            self.epoch += 1;
        }
        let (summary, runs) = (&mut self.summary, &mut self.runs);
        let news = self.follower.look(&mut |event| {
            let step = Runs::before(&event);
            summary.apply(event)?;
            runs.after(step, summary.study());
            Ok(())
        })?;
        Ok(match news {
            News::Nothing => false,
            News::More(problem) => {
                self.summary.problem = problem;
                self.version += 1;
                true
            }
        })
    }

    /// The study as it was when it was last read.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// The study's state.
    pub fn study(&self) -> &StudyState {
        self.summary.study()
    }

    /// The directory.
    pub fn directory(&self) -> &Directory {
        self.summary.directory()
    }

    /// Whether a process that takes part lives, or a caller holds a trial.
    pub fn is_worked_on(&self) -> bool {
        let study = self.study();
        study.leases().next().is_some()
            || study.processes().any(|process| self.directory().is_alive(process))
    }

    /// The attempts and the ends, in the order in which they came.
    pub fn runs(&self) -> &Runs {
        &self.runs
    }

    /// Changes when what was read before is no longer a part of what is read now.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Changes whenever anything has happened.
    pub fn version(&self) -> u64 {
        self.version
    }
}
