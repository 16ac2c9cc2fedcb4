//! What a study begins with of other studies (`warm_start`): their trials, taken when the study is created
//! and kept in its description. So whatever becomes of the others, its optimizer proposes the same.
//!
//! A parameter is in both studies if it has the same name, and at least one trial of the other has a value
//! that belongs to it here. A trial is taken if it succeeded, keeps to its constraints, has finite
//! objectives, as many as are wanted here, and was evaluated at a fidelity that this study has or at its
//! highest; and if all values that it has of the parameters in both belong to them here. Of more than
//! [`WARM_START_TRIALS`], the better half are taken, and of the others some of each rank.

use crate::config::{Config, Value};
use crate::definition::{KnownTrial, WarmStart};
use crate::limits::{WARM_START_TRIALS, WARM_START_VALUES};
use crate::objectives::Objectives;
use crate::space::{Domain, SearchSpace};
use crate::trial::{State, Trial, Trials};

/// Another study, as it was read.
#[derive(Debug, Clone, Copy)]
pub struct Other<'a> {
    /// Its directory, as it was named.
    pub directory: &'a str,
    /// Its own name.
    pub study_id: &'a str,
    /// What it searches; unknown in some directories of NePS.
    pub space: &'a SearchSpace,
    /// Its objectives.
    pub objectives: &'a Objectives,
    /// Its trials.
    pub trials: &'a Trials,
}

/// What a study of this space and these objectives takes of another one; `sources` is how many there
/// are in all.
///
/// # Errors
/// Nothing can be taken; says why.
pub fn taken(
    other: Other<'_>,
    space: &SearchSpace,
    objectives: &Objectives,
    sources: usize,
) -> Result<WarmStart, String> {
    let order = order_of(other.objectives, objectives)?;
    let succeeded: Vec<&Trial> = other.trials.iter().filter(|trial| is_result(trial)).collect();
    if succeeded.is_empty() {
        return Err("none of its trials has succeeded".into());
    }
    // Parameters that are in both.
    let fits = |name: &str, domain: &Domain| {
        let value = |trial: &&Trial| belonging(domain, trial.config.get(name)?);
        !matches!(domain, Domain::Constant { .. }) && succeeded.iter().any(|t| value(t).is_some())
    };
    let shared: Vec<(&str, &Domain)> = space
        .iter()
        .map(|(name, parameter)| (name, parameter.domain()))
        .filter(|(name, domain)| fits(name, domain))
        .collect();
    let fidelity = space.fidelity().map(|(name, _)| name);
    if shared.iter().all(|(name, _)| Some(*name) == fidelity) {
        return Err("no parameter of it has the name and a value of one of this study's".into());
    }
    let wanted = objectives.count().or(order.as_ref().map(Vec::len));
    let wanted = wanted.unwrap_or_else(|| succeeded[0].objectives().len());
    let known = |trial: &&Trial| {
        let given = other.objectives.minimised(trial.objectives()).into_owned();
        let objectives: Vec<f64> = match &order {
            Some(order) => order.iter().filter_map(|at| given.get(*at).copied()).collect(),
            None => given,
        };
        let is_whole = objectives.len() == wanted && objectives.iter().all(|x| x.is_finite());
        let config = config_of(trial, &shared).filter(|_| is_whole)?;
        is_comparable(&other, trial, fidelity).then_some(KnownTrial { config, objectives })
    };
    let all: Vec<KnownTrial> = succeeded.iter().filter_map(known).collect();
    if all.is_empty() {
        let names: Vec<&str> = shared.iter().map(|(name, _)| *name).collect();
        return Err(format!(
            "none of its {} successes can be used: they have other values of {}, another number of \
             objectives, or another fidelity",
            succeeded.len(),
            names.join(", ")
        ));
    }
    let most = WARM_START_VALUES / (space.iter().len().max(1) * sources.max(1));
    Ok(WarmStart {
        directory: other.directory.into(),
        study_id: other.study_id.into(),
        of: succeeded.len() as u64,
        trials: thinned(all, most.clamp(1, WARM_START_TRIALS)),
    })
}

/// The place in the other study's objectives of each of this one's, where they are told apart by names.
fn order_of(other: &Objectives, own: &Objectives) -> Result<Option<Vec<usize>>, String> {
    let (Some(theirs), Some(ours)) = (other.count(), own.count()) else { return Ok(None) };
    if theirs == 1 && ours == 1 {
        return Ok(None);
    }
    let place = |at: usize| own.name(at).and_then(|name| other.position(name));
    let order: Option<Vec<usize>> = (0..ours).map(place).collect();
    order.map(Some).ok_or_else(|| format!("its objectives are {other}, and this study's are {own}"))
}

fn is_result(trial: &Trial) -> bool {
    matches!(trial.state, State::Success | State::External)
        && trial.is_feasible()
        && !trial.objectives().is_empty()
}

/// Whether its fidelity is one that this study has too, or the highest.
fn is_comparable(other: &Other<'_>, trial: &Trial, fidelity: Option<&str>) -> bool {
    let Some((name, parameter)) = other.space.fidelity() else { return true };
    let upper = parameter.domain().from_unit(1.0);
    fidelity == Some(name) || trial.config.get(name).is_none_or(|value| *value == upper)
}

/// The values of the parameters in both; none if one of them does not belong here.
fn config_of(trial: &Trial, shared: &[(&str, &Domain)]) -> Option<Config> {
    let (mut names, mut values) = (Vec::new(), Vec::new());
    for (name, domain) in shared {
        if let Some(value) = trial.config.get(name) {
            names.push((*name).into());
            values.push(belonging(domain, value)?);
        }
    }
    Some(Config::new(names.into(), values))
}

/// The value as one of this domain; none if it is not in it.
fn belonging(domain: &Domain, value: &Value) -> Option<Value> {
    let value = match (domain, value) {
        (Domain::Float { .. }, value) => Value::Float(value.as_f64()?),
        (Domain::Int { .. }, Value::Float(x)) if x.fract() == 0.0 && x.abs() < 9e15 => {
            Value::Int(*x as i64)
        }
        (_, value) => value.clone(),
    };
    domain.contains(&value).then_some(value)
}

/// The better half, and of the others as many more, evenly over the ranks; in the order of the ranks.
fn thinned(mut all: Vec<KnownTrial>, most: usize) -> Vec<KnownTrial> {
    let order = |a: &KnownTrial, b: &KnownTrial| {
        let pairs = a.objectives.iter().zip(&b.objectives);
        pairs.map(|(a, b)| a.total_cmp(b)).fold(std::cmp::Ordering::Equal, std::cmp::Ordering::then)
    };
    all.sort_by(order);
    if all.len() <= most {
        return all;
    }
    let best = most.div_ceil(2);
    let (rest, wanted) = (all.len() - best, most - best);
    let is_kept =
        |at: usize| at < best || (at - best) * wanted / rest != (at - best + 1) * wanted / rest;
    let mut at = 0;
    all.retain(|_| {
        at += 1;
        is_kept(at - 1)
    });
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_better_half_is_taken_and_some_of_each_rank_behind() {
        for (len, most) in [(5, 100), (100, 100), (101, 100), (250, 100), (7, 3), (4, 1), (9, 2)] {
            let trial = |at: usize| KnownTrial {
                config: Config::new(["x".into()].into(), vec![0.5.into()]),
                objectives: vec![(at * 11 % len) as f64],
            };
            let kept = thinned((0..len).map(trial).collect(), most);
            assert_eq!(kept.len(), len.min(most), "{most} of {len}");
            let ranks: Vec<usize> = kept.iter().map(|trial| trial.objectives[0] as usize).collect();
            assert!(ranks.is_sorted());
            assert!(ranks.iter().take(most.div_ceil(2)).copied().eq(0..len.min(most.div_ceil(2))));
            let widest = ranks.windows(2).map(|w| w[1] - w[0]).max().unwrap_or(1);
            assert!(widest <= 1 + 2 * len / most, "{ranks:?}");
        }
    }
}
