//! `optimizer_state.pkl`: the budget and the workers' ids. Its random state belongs to NePS and is
//! preserved unchanged; we sample from streams of our own.

use std::path::{Path, PathBuf};

use rand::Rng;

use super::pickle::{self, How, Item, Object, Pickle, Ref};
use super::plain_data::{number, string};
use super::unusable::Unusable;
use super::version::Version;
use trialmill_core::budget::Budget;
use trialmill_core::error::StoreError;
use trialmill_core::event::Policy;
use trialmill_core::limits::{MAX_STUDY_FILE_BYTES, NEPS_READ_PAUSE, NEPS_READS};
use trialmill_store::plain;
use trialmill_store::replace;

const OPTIMIZER: &str = "neps.state.optimizer";
/// NePS's names of the limits of a whole study, the newest first.
const EVALUATIONS: [&str; 2] = ["total_evaluations_to_spend", "max_evaluations"];
const COST: [&str; 3] = ["total_cost_to_spend", "cost_to_spend", "max_cost_total"];
const FIDELITY: [&str; 2] = ["total_fidelities_to_spend", "fidelities_to_spend"];

/// Our own policy with the limits that NePS's file has: for them that file is the truth.
pub(super) fn with_limits_of_neps(own: Policy, neps: Budget) -> Policy {
    let budget = Budget {
        evaluations: neps.evaluations.or(own.budget.evaluations),
        cost: neps.cost.or(own.budget.cost),
        fidelity: neps.fidelity.or(own.budget.fidelity),
        ..own.budget
    };
    Policy { budget, ..own }
}

/// The file, and what we last saw of it.
#[derive(Debug)]
pub(super) struct StateFile {
    path: PathBuf,
    stamp: Option<(u64, std::time::SystemTime)>,
}

impl StateFile {
    pub(super) fn new(root: &Path) -> Self {
        StateFile { path: root.join("optimizer_state.pkl"), stamp: None }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether another process wrote it since the last call.
    pub(super) fn has_changed(&mut self) -> bool {
        // Opens the file, because on a network file system only that asks the server.
        let data = plain::open(&self.path).and_then(|file| file.metadata()).ok();
        let stamp = data.and_then(|data| Some((data.len(), data.modified().ok()?)));
        let changed = stamp.is_none() || stamp != self.stamp;
        self.stamp = stamp;
        changed
    }

    fn bytes(&self) -> Result<Vec<u8>, Unusable> {
        Ok(plain::read(&self.path, MAX_STUDY_FILE_BYTES)?)
    }

    /// The limits of the whole study.
    ///
    /// # Errors
    /// It is missing, empty, or makes no sense; or it cannot be read.
    pub(super) fn budget(&self) -> Result<Budget, Unusable> {
        let mut budget = self.budget_once();
        for _ in 1..NEPS_READS {
            if budget.is_ok() {
                break;
            }
            std::thread::sleep(NEPS_READ_PAUSE);
            budget = self.budget_once();
        }
        budget
    }

    fn budget_once(&self) -> Result<Budget, Unusable> {
        let bytes = self.bytes()?;
        let pickle = sound(&bytes)?;
        let info = pickle.field(pickle.root(), "budget");
        let limit = |names: &[&str]| {
            let found = names.iter().find_map(|name| pickle.field(info?, name));
            number(&pickle, found?).filter(|x| x.is_finite() && *x >= 0.0)
        };
        Ok(Budget {
            evaluations: limit(&EVALUATIONS).map(|n| n as u64),
            cost: limit(&COST),
            fidelity: limit(&FIDELITY),
            ..Budget::default()
        })
    }

    /// Writes the limits into the fields that this version of NePS has for them.
    pub(super) fn set_budget(&self, budget: &Budget) -> Result<(), StoreError> {
        self.edit(|pickle| {
            let Some(info) = pickle.field(pickle.root(), "budget") else { return };
            for (names, value) in [
                (&EVALUATIONS[..], budget.evaluations.map(|n| Item::Int(n as i64))),
                (&COST[..], budget.cost.map(Item::Float)),
                (&FIDELITY[..], budget.fidelity.map(Item::Float)),
            ] {
                let found = names.iter().find(|name| pickle.field(info, name).is_some());
                if let (Some(name), Some(value)) = (found, value) {
                    let value = pickle.add(value);
                    pickle.set_field(info, name, value);
                }
            }
        })
    }

    /// Adds a worker's id, as NePS 0.14 and later do before anything else.
    pub(super) fn register(&self, worker: &str) -> Result<(), StoreError> {
        self.edit(|pickle| {
            let root = pickle.root();
            let Some(ids) = pickle.field(root, "worker_ids") else { return };
            let mut list = match pickle.get(ids) {
                Item::List(list) => list.clone(),
                _ => Vec::new(),
            };
            if !list.iter().any(|at| string(pickle, *at).as_deref() == Some(worker)) {
                list.push(pickle.str(worker.to_string()));
                let ids = pickle.add(Item::List(list));
                pickle.set_field(root, "worker_ids", ids);
            }
        })
    }

    /// Edits the pickle and replaces the file with it. Everything that we do not understand in it,
    /// such as NePS's random state, is preserved.
    fn edit(&self, change: impl FnOnce(&mut Pickle<'_>)) -> Result<(), StoreError> {
        let failed = |problem: Unusable| problem.into_error(&self.path);
        let bytes = self.bytes().map_err(failed)?;
        let mut pickle = sound(&bytes).map_err(|problem| failed(problem.into()))?;
        change(&mut pickle);
        let mut edited = Vec::with_capacity(bytes.len() + 256);
        pickle::write(&pickle, &mut edited).map_err(|error| failed(error.to_string().into()))?;
        replace(&self.path, &edited).map_err(StoreError::io("write", &self.path))
    }

    /// Creates the file with these limits and a fresh random state.
    pub(super) fn create(&self, version: Version, budget: &Budget) -> Result<(), StoreError> {
        let mut bytes = Vec::new();
        pickle::write(&fresh(version, budget), &mut bytes).map_err(|error| {
            StoreError::Damaged { path: self.path.clone(), offset: 0, problem: error.to_string() }
        })?;
        replace(&self.path, &bytes).map_err(StoreError::io("write", &self.path))
    }
}

fn sound(bytes: &[u8]) -> Result<Pickle<'_>, String> {
    if bytes.is_empty() {
        return Err("it is empty".into());
    }
    let (pickle, _) = pickle::read(bytes).map_err(|error| error.to_string())?;
    match pickle.class(pickle.root()) {
        Some((OPTIMIZER, "OptimizationState")) => Ok(pickle),
        Some((module, name)) => Err(format!("it names '{module}.{name}'")),
        None => Err("it is no state of an optimizer".into()),
    }
}

/// A new optimizer state. Its random state consists of plain numbers, which Python and numpy
/// accept: a file that names numpy's own classes could be read only by about half of numpy's
/// versions.
fn fresh(version: Version, budget: &Budget) -> Pickle<'static> {
    let mut p = Pickle::new();
    let none = p.none();
    let evaluations = budget.evaluations.map_or(none, |n| p.int(n as i64));
    let cost = budget.cost.map_or(none, |x| p.float(x));
    let fidelity = budget.fidelity.map_or(none, |x| p.float(x));
    let (zero, zero_cost) = (p.int(0), p.float(0.0));
    let info: Vec<(&'static str, Ref)> = match version {
        Version::V0_13 => vec![
            ("max_cost_total", cost),
            ("used_cost_budget", zero_cost),
            ("max_evaluations", evaluations),
            ("used_evaluations", zero),
        ],
        Version::V0_14 => vec![
            ("cost_to_spend", cost),
            ("used_cost_budget", zero_cost),
            ("max_evaluations", evaluations),
            ("used_evaluations", zero),
            ("fidelities_to_spend", fidelity),
        ],
        _ => vec![
            ("worker_cost_to_spend", none),
            ("used_cost_budget", zero_cost),
            ("worker_evaluations_to_spend", none),
            ("used_evaluations", zero),
            ("worker_fidelities_to_spend", none),
            ("total_evaluations_to_spend", evaluations),
            ("total_cost_to_spend", cost),
            ("total_fidelities_to_spend", fidelity),
        ],
    };
    let info = object(&mut p, OPTIMIZER, "BudgetInfo", info);
    let mut rng = rand::rng();
    let mut words = |p: &mut Pickle<'static>, position: bool| {
        let mut words: Vec<Ref> = (0..624).map(|_| p.int(rng.next_u32().into())).collect();
        if position {
            words.push(p.int(624));
        }
        p.add(Item::Tuple(words))
    };
    let (kind, position) = (p.str("MT19937"), p.int(624));
    let keys = words(&mut p, false);
    let np_rng = p.add(Item::Tuple(vec![kind, keys, position, zero, zero_cost]));
    let (format, words) = (p.int(3), words(&mut p, true));
    let py_rng = p.add(Item::Tuple(vec![format, words, none]));
    let seeds =
        vec![("np_rng", np_rng), ("py_rng", py_rng), ("torch_rng", none), ("torch_cuda_rng", none)];
    let seeds = object(&mut p, "neps.state.seed_snapshot", "SeedSnapshot", seeds);
    let mut state = vec![("budget", info), ("seed_snapshot", seeds), ("shared_state", none)];
    if version != Version::V0_13 {
        state.push(("worker_ids", none));
    }
    let root = object(&mut p, OPTIMIZER, "OptimizationState", state);
    p.set_root(root);
    p
}

fn object(
    p: &mut Pickle<'static>,
    module: &'static str,
    name: &'static str,
    fields: Vec<(&'static str, Ref)>,
) -> Ref {
    let (class, args) = (p.global(module, name), p.add(Item::Tuple(Vec::new())));
    let pairs = fields.into_iter().map(|(key, value)| (p.str(key), value)).collect();
    let state = Some(p.add(Item::Dict(pairs)));
    p.add(Item::Object(Box::new(Object { state, ..Object::new(How::New, class, args) })))
}
