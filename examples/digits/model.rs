//! A random forest on the handwritten digits in `examples/data`. The digits are loaded once; any
//! number of threads may then call [`train`], which gives the same score for the same parameters.

use std::fs;
use std::path::Path;

use smartcore::ensemble::random_forest_classifier::{
    RandomForestClassifier, RandomForestClassifierParameters,
};
use smartcore::linalg::basic::matrix::DenseMatrix;
use smartcore::tree::decision_tree_classifier::SplitCriterion;
use trialmill::{BoxError, Config, Parameter, SearchSpace, SpaceError};

const PIXELS: usize = 64;
const CLASSES: usize = 10;

/// The digits, split into a training and a validation part.
pub(crate) struct Digits {
    training: Part,
    validation: Part,
}

/// Images, one per row, and the digits they show.
struct Part {
    x: DenseMatrix<f32>,
    y: Vec<u32>,
}

impl Digits {
    /// Reads a CSV file without header: 64 pixels, then the label. Of each five digits with the
    /// same label, three go to training and two to validation.
    pub(crate) fn load(path: impl AsRef<Path>) -> Result<Self, BoxError> {
        let path = path.as_ref();
        let text = fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
        let mut parts = [(vec![], vec![]), (vec![], vec![])];
        let mut seen = [0; CLASSES];
        for (index, line) in text.lines().enumerate() {
            let values: Result<Vec<u8>, _> = line.split(',').map(str::parse).collect();
            let mut pixels = values.map_err(|e| format!("line {}: {e}", index + 1))?;
            let label = pixels.pop().map_or(CLASSES, usize::from);
            if pixels.len() != PIXELS || label >= CLASSES {
                return Err(format!("line {}: not 64 pixels and a label", index + 1).into());
            }
            let (x, y) = &mut parts[usize::from(seen[label] % 5 >= 3)];
            seen[label] += 1;
            x.push(pixels.into_iter().map(f32::from).collect());
            y.push(label as u32);
        }
        let [training, validation] = parts;
        Ok(Self { training: Part::new(training)?, validation: Part::new(validation)? })
    }
}

impl Part {
    fn new((x, y): (Vec<Vec<f32>>, Vec<u32>)) -> Result<Self, BoxError> {
        let x = DenseMatrix::from_2d_vec(&x).map_err(|e| format!("too few digits: {e}"))?;
        Ok(Self { x, y })
    }
}

/// The hyperparameters. The default is a small, cautious forest.
#[derive(Clone, Debug)]
pub(crate) struct Params {
    /// Number of trees, at least 1; the training time is proportional to it.
    pub(crate) trees: u16,
    /// Levels of a tree, counting the root: at least 2.
    pub(crate) max_depth: u16,
    /// Training digits that each leaf must hold, at least 1.
    pub(crate) min_leaf: usize,
    /// Share of the pixels that each split may choose from, in (0, 1].
    pub(crate) max_features: f64,
    /// How a split is judged.
    pub(crate) criterion: SplitCriterion,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            trees: 10,
            max_depth: 8,
            min_leaf: 8,
            max_features: 0.5,
            criterion: SplitCriterion::Gini,
        }
    }
}

/// The forests that are tried.
pub(crate) fn space() -> Result<SearchSpace, SpaceError> {
    SearchSpace::new([
        ("trees", Parameter::int(8, 48).log()),
        ("max_depth", Parameter::int(3, 16)),
        ("min_leaf", Parameter::int(1, 32).log()),
        ("max_features", Parameter::float(0.02, 0.5).log()),
        ("criterion", Parameter::categorical(["gini", "entropy", "classification_error"])),
    ])
}

impl Params {
    /// Those of a configuration of the [`space`].
    pub(crate) fn of(config: &Config) -> Result<Self, BoxError> {
        Ok(Self {
            trees: config.int("trees")?.try_into()?,
            max_depth: config.int("max_depth")?.try_into()?,
            min_leaf: config.int("min_leaf")?.try_into()?,
            max_features: config.float("max_features")?,
            criterion: match config.str("criterion")? {
                "gini" => SplitCriterion::Gini,
                "entropy" => SplitCriterion::Entropy,
                _ => SplitCriterion::ClassificationError,
            },
        })
    }
}

/// How well a trained forest does.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Score {
    /// Share of the validation digits that are classified wrongly.
    pub(crate) error: f64,
    /// The same for the digits that the forest was trained on.
    pub(crate) training_error: f64,
}

/// Trains a forest on the training digits and scores it on the validation digits.
pub(crate) fn train(data: &Digits, params: &Params) -> Result<Score, BoxError> {
    let share = params.max_features;
    let sizes_fit = params.trees >= 1 && params.max_depth >= 2 && params.min_leaf >= 1;
    if !(sizes_fit && share > 0.0 && share <= 1.0) {
        return Err(format!("out of range: {params:?}").into());
    }
    let settings = RandomForestClassifierParameters::default()
        .with_n_trees(params.trees)
        .with_max_depth(params.max_depth)
        .with_min_samples_leaf(params.min_leaf)
        .with_m((share * PIXELS as f64).ceil() as usize)
        .with_criterion(params.criterion.clone())
        .with_seed(1);
    let forest = RandomForestClassifier::fit(&data.training.x, &data.training.y, settings)?;
    let error = |part: &Part| -> Result<f64, BoxError> {
        let predicted = forest.predict(&part.x)?;
        let wrong = predicted.iter().zip(&part.y).filter(|(p, y)| p != y);
        Ok(wrong.count() as f64 / part.y.len() as f64)
    };
    Ok(Score { error: error(&data.validation)?, training_error: error(&data.training)? })
}
