//! A model of the constraints: of the largest of them, each in its own unit. Where it is 0 or less all are
//! kept.

use super::fit::Fitter;
use super::model::Data;
use super::posterior::Posterior;
use crate::driver::Ask;
use crate::history::Observation;

/// Beyond so many times its usual size a value says no more.
const FAR: f64 = 3.0;

/// The model; none if no trial has constraints.
pub(crate) fn of(ask: &Ask<'_>, fitter: &mut Fitter) -> Option<Posterior> {
    let ended = || ask.history.ended().filter(|trial| !trial.constraints.is_empty());
    let count = ended().map(|trial| trial.constraints.len()).max()?;
    let data = |upto: usize| {
        let units: Vec<f64> = (0..count).map(|m| unit(ended().take(upto), m)).collect();
        let largest = |trial: &Observation| {
            let scaled = trial
                .constraints
                .iter()
                .zip(&units)
                .map(|(x, unit)| if x.is_nan() { FAR } else { (x / unit).clamp(-FAR, FAR) });
            scaled.reduce(f64::max)
        };
        Data::new(ask.space, ended().take(upto), largest, |_| Vec::new()).thinned()
    };
    let for_fit = |upto: usize| {
        let data = data(upto);
        (data.inputs(ask.space, 0, None), data.values)
    };
    let n = ended().count();
    let fitted = fitter.fitted(ask.history.rewritten(), n, &for_fit);
    let (inputs, values) = for_fit(n);
    Posterior::new(inputs, &fitted.theta(ask.space.len()), &values)
}

/// The usual size of a constraint.
fn unit<'a>(trials: impl Iterator<Item = &'a Observation>, m: usize) -> f64 {
    let size = |trial: &Observation| trial.constraints.get(m).map(|x| x.abs());
    let mut sizes: Vec<f64> =
        trials.filter_map(size).filter(|x| x.is_finite() && *x > 0.0).collect();
    sizes.sort_by(f64::total_cmp);
    sizes.get(sizes.len() / 2).copied().unwrap_or(1.0)
}
