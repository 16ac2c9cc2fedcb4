//! The studies that are shown: each is opened once and read on from then, and forgotten when nobody has
//! asked for a while.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde::Serialize;
use trialmill_core::objectives::Direction;
use trialmill_core::study::StudyState;
use trialmill_layouts::LAYOUTS;
use trialmill_runtime::DirectClient;
use trialmill_store::clock::now_s;
use trialmill_view::Live;
use trialmill_view::figures::{BudgetFigure, objectives};

/// Studies that are listed.
const MOST: usize = 2_000;
/// Folders that are looked into for studies.
const FOLDERS: usize = 20_000;
/// How deep.
const DEPTH: usize = 4;
/// How long the list of studies is taken to be current.
const LISTED: Duration = Duration::from_secs(3);
/// A study that cannot be read is tried again after this many times as long as the attempt took.
const PART: u32 = 20;
/// How long a study is kept in memory after somebody asked for it.
const KEPT: Duration = Duration::from_mins(10);

/// All studies that are shown.
pub(crate) struct Studies {
    roots: Vec<PathBuf>,
    found: Mutex<Found>,
}

/// The studies by their keys, and when the folders were last looked through.
type Found = (Option<Instant>, BTreeMap<String, Arc<Shown>>);

/// One of them.
pub(crate) struct Shown {
    pub(crate) key: String,
    pub(crate) path: PathBuf,
    open: Mutex<Open>,
    pub(crate) client: Mutex<Option<DirectClient>>,
    asked: Mutex<Instant>,
    pub(crate) sorted: Mutex<Option<super::page_of_trials::Sorted>>,
}

/// Whether a study is in memory.
#[derive(Default)]
enum Open {
    #[default]
    No,
    Read(Box<Live>),
    /// It cannot be read, and is tried again then.
    Not {
        why: String,
        again: Instant,
    },
}

/// What the list of studies says of one.
#[derive(Debug, Serialize)]
pub(crate) struct Overview {
    pub(crate) key: String,
    path: String,
    optimizer: String,
    trials: usize,
    counts: BTreeMap<&'static str, u64>,
    objective: String,
    direction: Direction,
    best: Option<f64>,
    front: usize,
    paused: bool,
    trials_per_second: Option<f64>,
    alive: usize,
    evaluating: usize,
    share: Option<f64>,
    seconds_left: Option<f64>,
    last_event: Option<f64>,
    problem: Option<String>,
}

impl Studies {
    pub(crate) fn new(roots: Vec<PathBuf>) -> Self {
        Studies { roots, found: Mutex::default() }
    }

    /// The studies at and below the given folders, by their key: the path as a person writes it.
    pub(crate) fn list(&self) -> Vec<Arc<Shown>> {
        let mut found = self.found.lock();
        if found.0.is_none_or(|at| at.elapsed() >= LISTED) {
            let mut paths: Vec<(String, PathBuf)> = Vec::new();
            let mut left = FOLDERS;
            for root in &self.roots {
                let name = root.file_name().map_or("study".into(), |name| name.to_string_lossy());
                collect(root, &name, DEPTH, &mut left, &mut paths);
            }
            let mut old = std::mem::take(&mut found.1);
            for (key, path) in paths {
                let key = unused(key, &found.1);
                let known = old.remove(&key).filter(|shown| shown.path == path);
                found
                    .1
                    .insert(key.clone(), known.unwrap_or_else(|| Arc::new(Shown::new(key, path))));
            }
            found.1.values().for_each(|shown| shown.forget_if_idle());
            found.0 = Some(Instant::now());
        }
        found.1.values().cloned().collect()
    }

    /// The study of a key.
    pub(crate) fn get(&self, key: &str) -> Option<Arc<Shown>> {
        if let Some(shown) = self.found.lock().1.get(key) {
            return Some(Arc::clone(shown));
        }
        self.list().into_iter().find(|shown| shown.key == key)
    }
}

fn unused(key: String, taken: &BTreeMap<String, Arc<Shown>>) -> String {
    let mut unused = key.clone();
    let mut n = 2;
    while taken.contains_key(&unused) {
        unused = format!("{key}~{n}");
        n += 1;
    }
    unused
}

/// Whether a directory holds a study. No link is followed.
fn is_study(path: &Path) -> bool {
    LAYOUTS.iter().any(|layout| layout.recognises(path))
}

fn collect(
    path: &Path,
    key: &str,
    depth: usize,
    left: &mut usize,
    found: &mut Vec<(String, PathBuf)>,
) {
    if *left == 0 || found.len() >= MOST {
        return;
    }
    *left -= 1;
    if is_study(path) {
        found.push((key.to_string(), path.to_path_buf()));
        return;
    }
    if depth == 0 {
        return;
    }
    let Ok(entries) = std::fs::read_dir(path) else { return };
    let mut inner: Vec<PathBuf> = entries
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .filter(|path| {
            path.file_name().is_some_and(|name| !name.to_string_lossy().starts_with('.'))
        })
        .take(*left)
        .collect();
    inner.sort();
    for path in inner {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        collect(&path, &format!("{key}/{name}"), depth - 1, left, found);
    }
}

impl Shown {
    fn new(key: String, path: PathBuf) -> Self {
        Shown {
            key,
            path,
            open: Mutex::default(),
            client: Mutex::default(),
            asked: Mutex::new(Instant::now()),
            sorted: Mutex::default(),
        }
    }

    /// Looks at the study as it is now, or says why it cannot be read. What cannot be read is tried again
    /// only after a time, and a longer one where that takes long: a page that is open asks twice a second.
    pub(crate) fn look<R>(&self, look: impl FnOnce(&Live) -> R) -> Result<R, String> {
        *self.asked.lock() = Instant::now();
        let mut open = self.open.lock();
        if let Open::Not { why, again } = &*open
            && Instant::now() < *again
        {
            return Err(why.clone());
        }
        let began = Instant::now();
        let live = match std::mem::take(&mut *open) {
            Open::Read(mut live) => live.catch_up().map(|_| live),
            Open::No | Open::Not { .. } => Live::open(&self.path).map(Box::new),
        };
        match live {
            Ok(live) => {
                let seen = look(&live);
                *open = Open::Read(live);
                Ok(seen)
            }
            Err(error) => {
                let why = error.to_string();
                let again = Instant::now() + began.elapsed() * PART;
                *open = Open::Not { why: why.clone(), again };
                Err(why)
            }
        }
    }

    fn forget_if_idle(&self) {
        let idle = self.asked.lock().elapsed() >= KEPT;
        if idle && let Some(mut open) = self.open.try_lock() {
            *open = Open::No;
            *self.client.lock() = None;
            *self.sorted.lock() = None;
        }
    }

    /// What the list says of it.
    pub(crate) fn overview(&self) -> Overview {
        let of_live = |live: &Live| overview(self, live);
        self.look(of_live).unwrap_or_else(|error| Overview {
            key: self.key.clone(),
            path: self.path.to_string_lossy().into_owned(),
            optimizer: String::new(),
            trials: 0,
            counts: BTreeMap::new(),
            objective: String::new(),
            direction: Direction::Minimize,
            best: None,
            front: 0,
            paused: false,
            trials_per_second: None,
            alive: 0,
            evaluating: 0,
            share: None,
            seconds_left: None,
            last_event: None,
            problem: Some(error),
        })
    }
}

fn overview(shown: &Shown, live: &Live) -> Overview {
    let study = live.study();
    let budget = BudgetFigure::of(live, now_s());
    let objective = objectives(live).swap_remove(0);
    let alive = study.processes().filter(|process| live.directory().is_alive(process)).count();
    let share = |burn: &trialmill_view::figures::Burn| {
        burn.limit.map(|limit| burn.spent / limit.max(1e-300))
    };
    Overview {
        key: shown.key.clone(),
        path: shown.path.to_string_lossy().into_owned(),
        optimizer: study.definition().optimizer.name.clone(),
        trials: study.trials().len(),
        counts: counts(study),
        objective: objective.name,
        direction: objective.direction,
        best: study
            .best()
            .and_then(trialmill_core::trial::Trial::objective)
            .filter(|x| x.is_finite()),
        front: study.front().len(),
        paused: study.policy().paused,
        trials_per_second: budget.trials_per_second.filter(|_| alive > 0),
        alive,
        evaluating: study.evaluating().count(),
        share: budget.burns.iter().filter_map(share).reduce(f64::max),
        seconds_left: budget.seconds_left.filter(|_| alive > 0),
        last_event: live.runs().span().map(|(_, last)| last),
        problem: live.summary().problem().map(ToString::to_string),
    }
}

/// How many trials are in each state, those that there are.
pub(crate) fn counts(study: &StudyState) -> BTreeMap<&'static str, u64> {
    use trialmill_core::trial::State;
    State::ALL
        .into_iter()
        .map(|state| (state.name(), study.count(state)))
        .filter(|(_, n)| *n > 0)
        .collect()
}
