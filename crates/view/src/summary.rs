//! A study as it was when it was read, and the best of it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use trialmill_layouts::Studies;

use serde::Serialize;

use super::row::TrialRow;
use trialmill_core::error::{StoreError, StudyError};
use trialmill_core::event::{Event, EventKind, ProcessId, process_of};
use trialmill_core::study::StudyState;
use trialmill_core::trial::Trial;
use trialmill_store::{Directory, read_study};

/// A study as it was when it was read.
#[derive(Debug)]
pub struct Summary {
    directory: Directory,
    study: StudyState,
    /// The machine of each process that ever took part.
    hosts: BTreeMap<ProcessId, Arc<str>>,
    /// The processes that gave up, with how many errors in a row, and when.
    pub(super) gave_up: Vec<(ProcessId, u64, f64)>,
    pub(super) problem: Option<StoreError>,
}

/// The best of a study. Serialised: a trial, a list of trials, or null.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum Best<'a> {
    /// The trial with the best objective.
    One(Box<TrialRow<'a>>),
    /// Of several objectives: the trials that no other is better than in every one.
    Front(Vec<TrialRow<'a>>),
    /// None has succeeded yet.
    Nothing,
}

impl Summary {
    /// Reads the current study of a directory, without changing anything or making any process wait.
    ///
    /// # Errors
    /// There is no study, or it cannot be read at all. A damaged journal is read up to the damage;
    /// [`problem`](Self::problem) says so.
    pub fn read(path: &Path) -> Result<Self, StoreError> {
        let mut summary = Self::empty(Directory::open_read_only(path)?);
        let directory = summary.directory.clone();
        summary.problem = read_study(&directory, &mut |event| summary.apply(event))?;
        Ok(summary)
    }

    /// The study before anything has happened.
    pub(super) fn empty(directory: Directory) -> Self {
        let study = StudyState::new(directory.definition().clone());
        Summary { directory, study, hosts: BTreeMap::new(), gave_up: Vec::new(), problem: None }
    }

    /// Follows an event.
    pub(super) fn apply(&mut self, event: Event) -> Result<(), StudyError> {
        match &event.kind {
            EventKind::Joined(process) => {
                self.hosts.insert(process.process, process.host.clone());
            }
            EventKind::Left { process, errors_in_a_row: Some(errors) } => {
                self.gave_up.push((*process, *errors, event.time));
            }
            _ => {}
        }
        self.study.apply(event)
    }

    /// The machine of a worker of the study.
    pub fn host_of(&self, worker: &str) -> Option<&str> {
        self.host(process_of(worker)?)
    }

    /// The machine of a process of the study.
    pub(super) fn host(&self, process: ProcessId) -> Option<&str> {
        self.hosts.get(&process).map(|host| &**host)
    }

    /// The study.
    pub fn study(&self) -> &StudyState {
        &self.study
    }

    /// Its directory.
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// What is wrong with the journal, if anything.
    pub fn problem(&self) -> Option<&StoreError> {
        self.problem.as_ref()
    }

    /// One trial.
    pub fn row<'a>(&'a self, trial: &'a Trial) -> TrialRow<'a> {
        let worker = trial.metadata.evaluating_worker_id.as_deref();
        let host = worker.and_then(|worker| self.host_of(worker));
        TrialRow::of(trial, host, &self.directory)
    }

    /// The best trial, or the best trials of several objectives.
    pub fn best(&self) -> Best<'_> {
        match (self.study.best(), self.study.front()) {
            (Some(best), _) => Best::One(Box::new(self.row(best))),
            (None, front) if front.is_empty() => Best::Nothing,
            (None, front) => Best::Front(front.into_iter().map(|trial| self.row(trial)).collect()),
        }
    }
}

impl<'a> Best<'a> {
    /// The trials, one or several or none.
    pub fn rows(&self) -> &[TrialRow<'a>] {
        match self {
            Best::One(row) => std::slice::from_ref(&**row),
            Best::Front(rows) => rows,
            Best::Nothing => &[],
        }
    }
}
