//! What other studies found, as a trend of the objective: its mean is a weighted sum of the means of a
//! model of each of them, and a constant. The Gaussian process models what is left, and the weights are
//! the likeliest together with its kernel: so a study that says nothing of this one soon weighs nothing.
//! (After Golovin et al., "Google Vizier: A Service for Black-Box Optimization", 2017, whose models stand
//! on each other, but at full weight; how the weights are found is in `basis.rs`.)

use std::sync::{Arc, OnceLock};

use super::basis::Basis;
use super::fit::Fitter;
use super::kernel::Inputs;
use super::posterior::{Posterior, Scratch};
use super::search::encoded;
use super::warp::warped;
use crate::history::Observation;
use crate::space::{Point, Space};
use crate::transfer::{Source, Transfer};

/// How many trials a source has at least.
const LEAST: usize = 5;
/// The means of the sources' models.
pub(crate) struct Trend {
    models: Vec<Model>,
}

struct Model {
    /// Which of the study's coordinates the source has, those behind the parameters included.
    known: Vec<usize>,
    posterior: Posterior,
}

impl Trend {
    /// Models of those sources that have enough usable trials; none if no source has. `tail` is what
    /// stands behind the parameters.
    pub(crate) fn basis(
        space: &Space,
        extra: usize,
        transfer: &Transfer,
        value: &dyn Fn(&Observation) -> Option<f64>,
        tail: &dyn Fn(&Observation) -> Vec<f64>,
    ) -> Option<Arc<dyn Basis>> {
        let model = |source: &Source| Model::new(space, extra, source, value, tail);
        let models: Vec<Model> = transfer.sources.iter().filter_map(model).collect();
        (!models.is_empty()).then(|| Arc::new(Trend { models }) as Arc<dyn Basis>)
    }
}

impl Basis for Trend {
    fn len(&self) -> usize {
        self.models.len() + 1
    }

    fn at(&self, x: &[f64], out: &mut Vec<f64>) {
        let (mut known, mut scratch) = (Vec::new(), Scratch::default());
        out.clear();
        out.push(1.0);
        for model in &self.models {
            known.clear();
            known.extend(model.known.iter().map(|g| x[*g]));
            out.push(model.posterior.mean_at(&known, &mut scratch));
        }
    }

    fn add_slopes(&self, x: &[f64], weights: &[f64], times: f64, out: &mut [f64]) {
        let mut scratch = Scratch::default();
        for (model, weight) in self.models.iter().zip(&weights[1..]) {
            if *weight == 0.0 {
                continue;
            }
            let known: Point = model.known.iter().map(|g| x[*g]).collect();
            model.posterior.mean_at(&known, &mut scratch);
            let mut own = vec![0.0; known.len()];
            model.posterior.slopes(&known, (&[weight * times], 0.0, 1.0), &mut scratch, &mut own);
            for (g, slope) in model.known.iter().zip(own) {
                if let Some(out) = out.get_mut(*g) {
                    *out += slope;
                }
            }
        }
    }
}

impl Model {
    fn new(
        space: &Space,
        extra: usize,
        source: &Source,
        value: &dyn Fn(&Observation) -> Option<f64>,
        tail: &dyn Fn(&Observation) -> Vec<f64>,
    ) -> Option<Self> {
        let usable: Vec<&Observation> =
            source.trials.iter().filter(|t| value(t).is_some()).collect();
        let is_known =
            |g: &usize| usable.iter().all(|t| t.point.get(*g).is_some_and(|x| !x.is_nan()));
        let dimensions: Vec<usize> = (0..space.len()).filter(is_known).collect();
        if usable.len() < LEAST || dimensions.is_empty() {
            return None;
        }
        let own = space.part(&dimensions);
        let mut inputs = Inputs::new(&own, extra);
        for trial in &usable {
            let point: Point = dimensions.iter().map(|g| trial.point[*g]).collect();
            inputs.push(&encoded(&own, &point, &tail(trial)));
        }
        let values: Vec<f64> = usable.iter().filter_map(|trial| value(trial)).collect();
        let fitted = Fitter::default().alone(&inputs, &values);
        let (z, ..) = warped(&values, fitted.warp);
        let posterior = Posterior::new(inputs, &fitted.theta(own.len() + extra), &z)?;
        let known = dimensions.into_iter().chain(space.len()..space.len() + extra).collect();
        Some(Model { known, posterior })
    }
}

/// A trend that is made at the first need.
#[derive(Clone, Default)]
pub(crate) struct Lazy(OnceLock<Option<Arc<dyn Basis>>>);

impl std::fmt::Debug for Lazy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Lazy").field(&self.0.get().is_some()).finish()
    }
}

impl Lazy {
    /// The trend, as `make` makes it.
    pub(crate) fn get(
        &self,
        make: impl FnOnce() -> Option<Arc<dyn Basis>>,
    ) -> Option<Arc<dyn Basis>> {
        self.0.get_or_init(make).clone()
    }
}
