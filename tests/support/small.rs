//! A small study whose journal is on a simulated disk, and what was acknowledged of it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use trialmill_layouts::Studies;

use trialmill::{
    Durability, Error, Optimizer, Parameter, RandomSearch, Report, SearchSpace, StudyState, TrialId,
};
use trialmill_core::definition::Definition;
use trialmill_core::event::{Policy, Reason};
use trialmill_core::study::{Answer, Ask, Command};
use trialmill_core::trial::Step;
use trialmill_runtime::StateCore;
use trialmill_store::{Directory, Disk, Machine, SimDisk};

/// What somebody was told, and so relies on.
#[derive(Debug, Clone, Default)]
pub(crate) struct Acked {
    /// The configuration of each trial that was handed out.
    pub(crate) configs: BTreeMap<TrialId, String>,
    /// The value reported for it.
    pub(crate) values: BTreeMap<TrialId, f64>,
    /// The budget that was set.
    pub(crate) budget: Option<u64>,
}

impl Acked {
    /// Every acknowledged word is in this study.
    pub(crate) fn are_in(&self, study: &StudyState, what: &str) {
        for (id, config) in &self.configs {
            let trial = study.trial(id).unwrap_or_else(|| panic!("{what}: trial {id} is lost"));
            assert_eq!(&trial.config.to_string(), config, "{what}: trial {id} is another one");
        }
        for (id, value) in &self.values {
            let report = study.trial(id).and_then(|trial| trial.report.as_ref());
            let found = report.and_then(|report| report.objective_to_minimize.as_ref());
            let found = found.map(ToString::to_string);
            assert_eq!(found, Some(value.to_string()), "{what}: the report of trial {id}");
        }
        assert!(study.policy().budget.evaluations >= self.budget, "{what}: the budget");
    }
}

/// A process of the study that does one turn after another.
pub(crate) struct Process {
    pub(crate) core: StateCore,
    held: Vec<(TrialId, u32, String)>,
    turns: usize,
}

pub(crate) type Ledger = Arc<Mutex<Acked>>;

pub(crate) fn directory(path: &Path) -> Directory {
    let space = SearchSpace::new([
        ("x", Parameter::float(0.0, 1.0)),
        ("kind", Parameter::categorical(["one", "another"])),
    ]);
    let definition = Definition::new(space.unwrap(), RandomSearch::new().info());
    let policy = Policy { max_attempts: 4, ..Policy::default() };
    Directory::create_or_open(path, definition, Some(7), &policy, None).unwrap().0
}

/// The journal of a new study.
pub(crate) fn new_journal(directory: &Directory) -> SimDisk {
    SimDisk::new(std::fs::read(directory.journal_path()).unwrap())
}

pub(crate) fn open(directory: &Directory, disk: impl Disk + 'static) -> Result<StateCore, Error> {
    let search = Box::new(RandomSearch::new());
    StateCore::open_on(Box::new(disk), directory.clone(), Durability::Synced, search)
}

/// Removes what recoveries kept beside the journal.
pub(crate) fn tidy(directory: &Directory) {
    for entry in std::fs::read_dir(directory.path()).unwrap().flatten() {
        if entry.file_name().to_string_lossy().starts_with("torn-") {
            std::fs::remove_file(entry.path()).unwrap();
        }
    }
}

/// Everything a study knows, as text.
pub(crate) fn print(study: &StudyState) -> String {
    let trials: Vec<_> = study.trials().iter().collect();
    let leases: Vec<_> = study.leases().collect();
    let numbers = (study.claims(), study.requeues(), study.sample_count(), study.spent());
    format!("{trials:?} {leases:?} {numbers:?} {:?} {:?}", study.policy(), study.best())
}

impl Process {
    pub(crate) fn open(directory: &Directory, disk: impl Disk + 'static) -> Result<Self, Error> {
        Ok(Process { core: open(directory, disk)?, held: Vec::new(), turns: 0 })
    }

    /// The next turn: now and then a change of the budget, a trial handed back, a large report or
    /// several reports at once, else an ask or a report. What is answered goes into the ledger.
    pub(crate) fn step(&mut self, ledger: &Ledger) -> Result<(), Error> {
        self.turns += 1;
        if self.turns % 7 == 3 {
            let mut now = 0;
            self.core.change_policy(|policy| {
                now = policy.budget.evaluations.unwrap_or(1_000) + 1;
                policy.budget.evaluations = Some(now);
            })?;
            let mut ledger = ledger.lock().unwrap();
            ledger.budget = ledger.budget.max(Some(now));
            return Ok(());
        }
        if self.held.is_empty() {
            return self.ask(1 + self.turns % 3, ledger);
        }
        if self.turns.is_multiple_of(2) {
            let (trial, attempt, _) = self.held[0].clone();
            let number = self.turns as u64;
            let steps = vec![Step::new(number, value(&trial)), Step::new(number + 1, f64::NAN)];
            let attempt = Some(attempt);
            self.core.execute_all(vec![Command::Step { trial, attempt, steps }])?;
        }
        if self.turns % 5 == 4 {
            let (trial, attempt, _) = self.held.remove(0);
            let (attempt, reason) = (Some(attempt), Reason::Released);
            self.core.execute_all(vec![Command::Release { trial, attempt, reason }])?;
            return Ok(());
        }
        let reported: Vec<_> = self.held.drain(..self.held.len().min(1 + self.turns % 2)).collect();
        let mut commands = Vec::new();
        for (trial, attempt, _) in &reported {
            let mut report = Report::objective(value(trial));
            if self.turns.is_multiple_of(3) {
                report = report.extra("note", "x".repeat(700));
            }
            let (trial, attempt) = (trial.clone(), Some(*attempt));
            commands.push(Command::Report { trial, attempt, report: Box::new(report) });
        }
        let answers = self.core.execute_all(commands)?;
        for ((trial, ..), answer) in reported.into_iter().zip(answers) {
            assert_eq!(answer.unwrap(), Answer::Done);
            let value = value(&trial);
            ledger.lock().unwrap().values.insert(trial, value);
        }
        Ok(())
    }

    pub(crate) fn ask(&mut self, n: usize, ledger: &Ledger) -> Result<(), Error> {
        let lease = Some(Machine::here().lease(Duration::from_hours(1)));
        let ask = Ask { worker: "caller".into(), n, lease, evaluation: None };
        let answer = self.core.execute_all(vec![Command::Ask(ask)])?.remove(0)?;
        let Answer::Evaluate(list) = answer else { panic!("{answer:?}") };
        for trial in list {
            let (id, config) = (trial.id, trial.config.to_string());
            let before = ledger.lock().unwrap().configs.insert(id.clone(), config.clone());
            assert!(before.is_none_or(|before| before == config), "id {id} for two configurations");
            self.held.push((id, trial.attempts, config));
        }
        Ok(())
    }
}

/// Known by the id alone, so that a lost report shows and a repeated one does not.
fn value(id: &TrialId) -> f64 {
    id.to_string().parse::<f64>().unwrap_or(0.0) + 0.25
}
