//! What a page needs to have a configuration written: each parameter with what it may be, and the values
//! of a trial to begin with.

use serde::Serialize;
use trialmill_core::config::Value;
use trialmill_core::space::{Domain, Parameter};
use trialmill_core::trial::TrialId;
use trialmill_view::Live;

/// Parameters that get a field of their own; more are written as JSON.
const FIELDS: usize = 40;
/// Choices that are listed.
const CHOICES: usize = 500;

/// What a page needs to have a configuration written.
#[derive(Debug, Serialize)]
pub(crate) struct Form {
    /// Whether the directory says what the space is. Some of NePS's do not.
    known: bool,
    /// The trial whose values are the first ones.
    from: Option<TrialId>,
    /// A field for each parameter, if there are not too many.
    fields: Option<Vec<Field>>,
    /// The whole configuration of that trial, as JSON.
    text: String,
}

#[derive(Debug, Serialize)]
struct Field {
    name: String,
    domain: String,
    /// The choices: as a text to read, and as JSON to send.
    choices: Option<Vec<[String; 2]>>,
    /// The value of the trial, in the same two ways.
    value: Option<[String; 2]>,
    /// Whether it may be left empty.
    optional: bool,
}

/// A text to read, and JSON that a page sends back as it is: in JavaScript a large number would lose digits.
fn both(value: &Value) -> [String; 2] {
    [value.to_string(), serde_json::to_string(value).unwrap_or_default()]
}

/// The form of a study, with the values of a trial; without one, of the best.
pub(crate) fn form(live: &Live, id: Option<&TrialId>) -> Form {
    let study = live.study();
    let space = &study.definition().space;
    let trial = id.and_then(|id| study.trial(id)).or_else(|| study.best());
    let field = |(name, parameter): (&str, &Parameter)| {
        let is_constant = matches!(parameter.domain(), Domain::Constant { .. });
        let choices = match parameter.domain() {
            Domain::Categorical { choices, .. } => {
                Some(choices.iter().take(CHOICES).map(both).collect())
            }
            _ => None,
        };
        let optional = parameter.is_fidelity() || !parameter.conditions().is_empty();
        (!is_constant).then(|| Field {
            name: name.into(),
            domain: parameter.domain().to_string(),
            choices,
            value: trial.and_then(|trial| trial.config.get(name)).map(both),
            optional,
        })
    };
    let fields: Vec<Field> = space.iter().filter_map(field).take(FIELDS + 1).collect();
    Form {
        known: !space.is_unknown(),
        from: trial.map(|trial| trial.id.clone()),
        fields: Some(fields).filter(|fields| fields.len() <= FIELDS),
        text: trial
            .and_then(|trial| serde_json::to_string_pretty(&trial.config).ok())
            .unwrap_or_else(|| "{}".into()),
    }
}
