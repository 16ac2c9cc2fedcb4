//! The search space as NePS 0.15 and later store it in `pipeline_space.pkl`.
//!
//! A `SearchSpace` has plain names. A `PipelineSpace` that NePS did not convert has configurations
//! like `SAMPLING__Resolvable.lr::float__1e-06_0.1_True: 0.01`, and a categorical's value is the
//! index of its choice; a [`Translation`] converts between those and plain names and values. Of a space with operations
//! or nested choices only that is known: see [`Structure`].

use std::path::Path;
use std::sync::Arc;

use super::pickle::{Item, Pickle, Ref, read};
use super::plain_data::{elements, nearest, number, plain, string, to_config};
use super::structure::Structure;
use super::value::{Value, python_float};
use trialmill_core::config::{Config, Value as ConfigValue};
use trialmill_core::limits::MAX_STUDY_FILE_BYTES;
use trialmill_core::space::{Confidence, Domain, Parameter, SearchSpace};
use trialmill_store::plain as plain_file;

const SEARCH_SPACE: (&str, &str) = ("neps.space.search_space", "SearchSpace");
const PIPELINE_SPACE: (&str, &str) =
    ("neps.space.neps_spaces.parameters", "_reconstruct_pipeline_space_with_class");

/// Converts between NePS's names and values and plain ones.
#[derive(Debug, Clone, Default)]
pub(super) struct Translation {
    parameters: Vec<Translated>,
    structure: Option<Arc<Structure>>,
}

#[derive(Debug, Clone, PartialEq)]
struct Translated {
    name: String,
    /// Its key in NePS's configurations; `None` for a constant, which NePS leaves out.
    key: Option<String>,
    choices: Vec<ConfigValue>,
    constant: Option<ConfigValue>,
}

impl Translation {
    pub(super) fn is_empty(&self) -> bool {
        self.parameters.is_empty()
    }

    /// Whether NePS's configurations cannot be made from plain ones again.
    pub(super) fn is_one_way(&self) -> bool {
        self.structure.is_some()
    }

    /// Converts to plain names and values. A configuration with other names stays unchanged.
    pub(super) fn to_plain(&self, pairs: Vec<(String, ConfigValue)>) -> Vec<(String, ConfigValue)> {
        if let Some(structure) = &self.structure {
            return structure.resolve(&pairs).unwrap_or(pairs);
        }
        let find = |key: &str| pairs.iter().find(|(own, _)| own == key).map(|(_, value)| value);
        let plain = |of: &Translated| {
            let value = match (&of.key, &of.constant) {
                (Some(key), _) => find(key)?.clone(),
                (None, constant) => constant.clone()?,
            };
            let index = match &value {
                ConfigValue::Int(index) => usize::try_from(*index).ok(),
                _ => None,
            };
            let choice = match of.choices.is_empty() {
                true => value,
                false => of.choices.get(index?)?.clone(),
            };
            Some((of.name.clone(), choice))
        };
        let keys = self.parameters.iter().filter(|of| of.key.is_some()).count();
        if self.is_empty() || keys != pairs.len() {
            return pairs;
        }
        self.parameters.iter().map(plain).collect::<Option<_>>().unwrap_or(pairs)
    }

    /// Converts to NePS's names and values.
    pub(super) fn to_neps(&self, config: &Config) -> Vec<(String, ConfigValue)> {
        let neps = |of: &Translated| {
            let value = config.get(&of.name)?;
            let value = match of.choices.is_empty() {
                true => value.clone(),
                false => {
                    let index = of.choices.iter().position(|choice| choice == value)?;
                    ConfigValue::Int(index as i64)
                }
            };
            Some((of.key.clone()?, value))
        };
        let keyed = self.parameters.iter().filter(|of| of.key.is_some());
        let plain = || config.iter().map(|(name, value)| (name.to_string(), value.clone()));
        match self.is_empty() {
            true => plain().collect(),
            false => keyed.map(neps).collect::<Option<_>>().unwrap_or_else(|| plain().collect()),
        }
    }
}

/// Reads the space of a directory, if NePS stored one that we understand, and how its configurations are written.
pub(super) fn read_space(root: &Path) -> (Option<SearchSpace>, Translation) {
    let read = || {
        let path = root.join("pipeline_space.pkl");
        let bytes = plain_file::read(&path, MAX_STUDY_FILE_BYTES).ok()?;
        let (pickle, _) = read(&bytes).ok()?;
        Some(match pickle.class(pickle.root())? {
            SEARCH_SPACE => (classic(&pickle), Translation::default()),
            PIPELINE_SPACE => match pipeline(&pickle) {
                Some((space, translation)) => (Some(space), translation),
                None => {
                    let structure = Structure::of(&pickle).map(Arc::new);
                    (None, Translation { structure, ..Translation::default() })
                }
            },
            _ => return None,
        })
    };
    read().unwrap_or_default()
}

fn classic(from: &Pickle<'_>) -> Option<SearchSpace> {
    let mut parameters = Vec::new();
    for (name, at) in fields(from, from.field(from.root(), "elements")?)? {
        let (_, class) = from.class(at)?;
        let parameter = match class {
            "HPOFloat" | "HPOInteger" | "Float" | "Integer" => {
                let parameter = numeric(from, at, "", class.ends_with("Integer"))?;
                match from.field(at, "is_fidelity").map(|at| from.get(at)) {
                    Some(Item::Bool(true)) => parameter.fidelity(),
                    _ => prior(from, at, "", parameter),
                }
            }
            "HPOCategorical" | "Categorical" => {
                let choices = values(from, from.field(at, "choices")?)?;
                prior(from, at, "", Parameter::categorical(choices))
            }
            "HPOConstant" | "Constant" => {
                let value = plain(from, from.field(at, "value")?, 0)?;
                Parameter::constant(to_config(&value))
            }
            _ => return None,
        };
        parameters.push((name, parameter));
    }
    if let Some(constants) = from.field(from.root(), "constants") {
        for (name, at) in fields(from, constants)? {
            if parameters.iter().any(|(own, _)| *own == name) {
                continue;
            }
            let value = plain(from, from.field(at, "value").unwrap_or(at), 0)?;
            parameters.push((name, Parameter::constant(to_config(&value))));
        }
    }
    SearchSpace::new(parameters).ok()
}

fn pipeline(from: &Pickle<'_>) -> Option<(SearchSpace, Translation)> {
    let Item::Object(object) = from.get(from.root()) else { return None };
    let [_, _, attributes] = elements(from, object.args)?[..] else { return None };
    let (mut parameters, mut translation) = (Vec::new(), Vec::new());
    for (name, at) in fields(from, attributes)? {
        let class = from.class(at).map(|(_, name)| name);
        let (mut choices, mut constant) = (Vec::new(), None);
        let (parameter, key) = match class {
            Some(kind @ ("Float" | "Integer")) => {
                let parameter = numeric(from, at, "_", kind == "Integer")?;
                let key = sampling(from, at, &name)?;
                (prior(from, at, "_", parameter), Some(key))
            }
            Some(kind @ ("FloatFidelity" | "IntegerFidelity" | "Fidelity")) => {
                let domain = from.field(at, "domain").or_else(|| from.field(at, "_domain"))?;
                let is_int = match from.class(domain)?.1 {
                    "Integer" => true,
                    "Float" => false,
                    _ => kind == "IntegerFidelity",
                };
                let parameter = numeric(from, domain, "_", is_int)?.fidelity();
                (parameter, Some(format!("ENVIRONMENT__{name}")))
            }
            Some("Categorical") => {
                choices = values(from, from.field(at, "_choices")?)?;
                let key = format!("SAMPLING__Resolvable.{name}::categorical__{}", choices.len());
                let parameter = Parameter::categorical(choices.clone());
                // NePS stores the prior as the index of a choice.
                let index = from.field(at, "_prior").map(|at| from.get(at));
                let prior = match index {
                    Some(Item::Int(index)) => usize::try_from(*index).ok(),
                    _ => None,
                };
                let parameter = match prior.and_then(|index| choices.get(index)) {
                    Some(prior) => confidence(from, at, "_", parameter.prior(prior.clone())),
                    None => parameter,
                };
                (parameter, Some(key))
            }
            _ => {
                let value = to_config(&plain(from, at, 0)?);
                constant = Some(value.clone());
                (Parameter::constant(value), None)
            }
        };
        translation.push(Translated { name: name.clone(), key, choices, constant });
        parameters.push((name, parameter));
    }
    let translation = Translation { parameters: translation, ..Translation::default() };
    Some((SearchSpace::new(parameters).ok()?, translation))
}

/// The key of a number in NePS's configurations: `SAMPLING__Resolvable.lr::float__1e-06_0.1_True`.
fn sampling(from: &Pickle<'_>, at: Ref, name: &str) -> Option<String> {
    let text = |key: &str| match plain(from, from.field(at, key)?, 0)? {
        Value::Int(x) => Some(x.to_string()),
        Value::BigInt(digits) => Some(digits),
        Value::Float(x) => Some(python_float(x)),
        Value::Bool(x) => Some(if x { "True" } else { "False" }.to_string()),
        _ => None,
    };
    let kind = if from.class(at)?.1 == "Integer" { "integer" } else { "float" };
    let (lower, upper, log) = (text("_lower")?, text("_upper")?, text("_log")?);
    Some(format!("SAMPLING__Resolvable.{name}::{kind}__{lower}_{upper}_{log}"))
}

fn numeric(from: &Pickle<'_>, at: Ref, prefix: &str, is_int: bool) -> Option<Parameter> {
    let bound = |key: &str| from.field(at, &format!("{prefix}{key}"));
    let (lower, upper) = (bound("lower")?, bound("upper")?);
    let log = from.field(at, &format!("{prefix}log")).map(|at| from.get(at));
    let parameter = match is_int {
        true => Parameter::int(whole(from, lower)?, whole(from, upper)?),
        false => Parameter::float(number(from, lower)?, number(from, upper)?),
    };
    Some(if matches!(log, Some(Item::Bool(true))) { parameter.log() } else { parameter })
}

/// An integer, exactly. (As a float, 2^53 + 11 would become 2^53 + 12.)
fn whole(from: &Pickle<'_>, at: Ref) -> Option<i64> {
    match nearest(from, at, 0) {
        Value::Int(x) => Some(x),
        Value::Bool(x) => Some(x.into()),
        Value::Float(x) if x.fract() == 0.0 && x.abs() < 9e15 => Some(x as i64),
        _ => None,
    }
}

fn prior(from: &Pickle<'_>, at: Ref, prefix: &str, parameter: Parameter) -> Parameter {
    let field = from.field(at, &format!("{prefix}prior")).map(|at| nearest(from, at, 0));
    let prior = match (field, parameter.domain()) {
        (None | Some(Value::None), _) => return parameter,
        // NePS represents an unset prior by an object.
        (Some(Value::Str(_) | Value::Map(_)), Domain::Float { .. } | Domain::Int { .. }) => {
            return parameter;
        }
        (Some(Value::Float(x)), Domain::Int { .. }) if x.fract() == 0.0 && x.abs() < 9e15 => {
            ConfigValue::Int(x as i64)
        }
        (Some(prior), _) => to_config(&prior),
    };
    confidence(from, at, prefix, parameter.prior(prior))
}

/// Adds the confidence in a prior. NePS stores it as a string or a member of its `ConfidenceLevel`,
/// with the same names as ours.
fn confidence(from: &Pickle<'_>, at: Ref, prefix: &str, parameter: Parameter) -> Parameter {
    let word = from.field(at, &format!("{prefix}prior_confidence")).and_then(|at| {
        let args = match from.get(at) {
            Item::Object(object) => elements(from, object.args)?,
            _ => vec![at],
        };
        string(from, *args.first()?)
    });
    parameter.prior_confidence(match word.as_deref() {
        Some("medium") => Confidence::Medium,
        Some("high") => Confidence::High,
        _ => Confidence::Low,
    })
}

fn fields(from: &Pickle<'_>, at: Ref) -> Option<Vec<(String, Ref)>> {
    let Item::Dict(pairs) = from.get(at) else { return None };
    pairs.iter().map(|(key, value)| Some((string(from, *key)?, *value))).collect()
}

fn values(from: &Pickle<'_>, at: Ref) -> Option<Vec<ConfigValue>> {
    elements(from, at)?.iter().map(|at| plain(from, *at, 0).map(|v| to_config(&v))).collect()
}
