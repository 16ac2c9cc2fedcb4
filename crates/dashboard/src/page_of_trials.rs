//! A page of the table of trials: sorted and filtered here, because a browser should not hold a million
//! rows.

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use trialmill_core::config::ShownConfig;
use trialmill_core::trial::{State, Trial};
use trialmill_view::Live;
use trialmill_view::figures::objectives;

/// Rows of one answer.
const MOST: usize = 500;
/// Bytes of a text that is looked for.
const TEXT: usize = 200;

/// What is asked for.
#[derive(Debug, Deserialize)]
pub(crate) struct Asked {
    /// `id`, `state`, `objective`, `cost`, `duration`, `attempts`, `ended`, or `config.` and a name.
    #[serde(default)]
    sort: String,
    #[serde(default)]
    desc: bool,
    /// Only trials in this state.
    #[serde(default)]
    state: String,
    /// Only trials whose id, configuration, worker or error has this text in it.
    #[serde(default)]
    text: String,
    #[serde(default)]
    offset: usize,
    #[serde(default)]
    limit: usize,
    #[serde(default)]
    objective: usize,
}

/// The trials in an order that was asked for before.
pub(crate) struct Sorted {
    key: (u64, u64, String, bool, String, String, usize),
    trials: Vec<u32>,
}

/// A page.
#[derive(Debug, Serialize)]
pub(crate) struct Page {
    total: usize,
    offset: usize,
    rows: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    id: String,
    state: &'static str,
    objectives: Vec<Option<f64>>,
    cost: Option<f64>,
    duration: Option<f64>,
    attempts: u32,
    worker: Option<String>,
    ended: Option<f64>,
    error: Option<String>,
    config: Json,
}

/// One page of the table.
pub(crate) fn page(kept: &Mutex<Option<Sorted>>, live: &Live, asked: &Asked) -> Page {
    let trials = live.study().trials();
    let text: String = asked.text.to_lowercase().chars().take(TEXT).collect();
    let state = asked.state.clone();
    let key = (
        live.epoch(),
        live.version(),
        asked.sort.clone(),
        asked.desc,
        state,
        text,
        asked.objective,
    );
    let mut sorted = kept.lock();
    if sorted.as_ref().is_none_or(|sorted| sorted.key != key) {
        let trials = order(live, asked, &key.5);
        *sorted = Some(Sorted { key, trials });
    }
    let empty: &[u32] = &[];
    let found = sorted.as_ref().map_or(empty, |sorted| &sorted.trials);
    let offset = asked.offset.min(found.len());
    let limit = asked.limit.clamp(1, MOST);
    let rows = found[offset..].iter().take(limit).map(|at| row(trials.at(*at))).collect();
    Page { total: found.len(), offset, rows }
}

fn order(live: &Live, asked: &Asked, text: &str) -> Vec<u32> {
    let trials = live.study().trials();
    let info = objectives(live).into_iter().nth(asked.objective);
    let state: Option<State> = asked.state.parse().ok();
    let wanted = |at: &u32| {
        let trial = trials.at(*at);
        state.is_none_or(|state| trial.state == state) && (text.is_empty() || has_text(trial, text))
    };
    let mut found: Vec<u32> = (0..trials.len() as u32).filter(wanted).collect();
    let number = |at: u32| -> Option<f64> {
        let trial = trials.at(at);
        match asked.sort.as_str() {
            "objective" => {
                let x = trial.objectives().get(asked.objective).copied().filter(|x| !x.is_nan())?;
                Some(info.as_ref().map_or(x, |info| info.minimised(x)))
            }
            "cost" => trial.report.as_ref()?.cost,
            "duration" => trial.metadata.evaluation_duration,
            "attempts" => Some(f64::from(trial.attempts)),
            "ended" => trial.metadata.time_end,
            "state" => Some(f64::from(trial.state as u8)),
            sort => trial.config.get(sort.strip_prefix("config.")?)?.as_f64(),
        }
    };
    if asked.sort.is_empty() || asked.sort == "id" {
        if asked.desc {
            found.reverse();
        }
        return found;
    }
    let mut keys: Vec<(Option<f64>, String, u32)> = found
        .into_iter()
        .map(|at| {
            let x = number(at);
            let name = asked.sort.strip_prefix("config.").filter(|_| x.is_none());
            let word = name.and_then(|name| trials.at(at).config.get(name));
            (x, word.map(ToString::to_string).unwrap_or_default(), at)
        })
        .collect();
    // What has no value comes last, in both directions.
    keys.sort_by(|a, b| match (&a.0, &b.0) {
        (Some(x), Some(y)) if asked.desc => y.total_cmp(x),
        (Some(x), Some(y)) => x.total_cmp(y),
        (Some(_), None) => std::cmp::Ordering::Less,
        (None, Some(_)) => std::cmp::Ordering::Greater,
        (None, None) if asked.desc => b.1.cmp(&a.1),
        (None, None) => a.1.cmp(&b.1),
    });
    keys.into_iter().map(|(.., at)| at).collect()
}

fn has_text(trial: &Trial, text: &str) -> bool {
    let has = |hay: &str| hay.to_lowercase().contains(text);
    let failure = trial.report.as_ref().and_then(|report| report.failure.as_ref());
    has(&trial.id.to_string())
        || trial.metadata.evaluating_worker_id.as_deref().is_some_and(has)
        || trial.config.iter().any(|(name, value)| has(&format!("{name}={value}")))
        || failure.is_some_and(|failure| has(&failure.err) || has(&failure.err_type))
}

fn row(trial: &Trial) -> Row {
    let report = trial.report.as_deref();
    let failure = report.and_then(|report| report.failure.as_deref());
    let finite = |x: f64| Some(x).filter(|x| x.is_finite());
    let message = |failure: &trialmill_core::trial::Failure| -> String {
        let line = failure.err.lines().next().unwrap_or("");
        format!("{}: {line}", failure.err_type).chars().take(160).collect()
    };
    Row {
        id: trial.id.to_string(),
        state: trial.state.name(),
        objectives: trial.objectives().iter().map(|x| finite(*x)).collect(),
        cost: report.and_then(|report| report.cost).and_then(finite),
        duration: trial.metadata.evaluation_duration.and_then(finite),
        attempts: trial.attempts,
        worker: trial.metadata.evaluating_worker_id.as_deref().map(str::to_string),
        ended: trial.metadata.time_end,
        error: failure.map(message),
        config: serde_json::to_value(ShownConfig(&trial.config)).unwrap_or_default(),
    }
}
