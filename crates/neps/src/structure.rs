//! Structured spaces of NePS 0.17: operations, choices among them, repetitions. A configuration there says what was
//! drawn at each place (`SAMPLING__Resolvable.block.kwargs.mapping_value{k}::categorical__2: 0`), and NePS's
//! `resolve` walks the space to find what that makes. This does the same on the pickled space, as inert data.
//!
//! An operation becomes `{"operator": …, "args": […], "kwargs": {…}}`, because only NePS's process can call it, and
//! where it has a name and no arguments, that name. Classes and functions become their names.

use rustc_hash::FxHashMap;

use super::pickle::{Item, Pickle, Ref};
use super::plain_data::{elements, from_config, plain, string, to_config};
use super::value::Value;
use trialmill_core::config::Value as ConfigValue;

const MODULE: &str = "neps.space.neps_spaces.parameters";
/// How deep a space may be nested, and how many of its places one configuration may visit.
const MAX_DEPTH: usize = 200;
const MAX_VISITS: u32 = 100_000;
const SAMPLING: &str = "SAMPLING__";
const ENVIRONMENT: &str = "ENVIRONMENT__";

/// A structured space: its attributes, in the order in which NePS resolves them.
#[derive(Debug)]
pub(super) struct Structure {
    pickle: Pickle<'static>,
    attributes: Vec<(String, Ref)>,
}

/// What an object stands for: a value, or an object that is not looked into yet.
#[derive(Clone)]
enum Found {
    Value(Value),
    Object(Ref),
}

/// One configuration on its way through the space.
struct Resolution<'a> {
    space: &'a Structure,
    drawn: FxHashMap<&'a str, &'a ConfigValue>,
    path: Vec<String>,
    /// What was resolved already: an object that is used twice has one value.
    known: FxHashMap<Ref, Found>,
    visits: u32,
}

impl Structure {
    /// The structure of a `PipelineSpace`.
    pub(super) fn of(from: &Pickle<'_>) -> Option<Self> {
        let mut pickle = Pickle::new();
        let root = pickle.copy_from(from, from.root());
        let Item::Object(object) = pickle.get(root) else { return None };
        let [_, _, attributes] = elements(&pickle, object.args)?[..] else { return None };
        let Item::Dict(pairs) = pickle.get(attributes) else { return None };
        let attributes: Option<Vec<_>> =
            pairs.iter().map(|(name, at)| Some((string(&pickle, *name)?, *at))).collect();
        let attributes = attributes?;
        Some(Structure { pickle, attributes })
    }

    /// A configuration of NePS as NePS's `resolve` gives it, by the names of the space's attributes. None if
    /// that cannot be said without NePS's code.
    pub(super) fn resolve(
        &self,
        pairs: &[(String, ConfigValue)],
    ) -> Option<Vec<(String, ConfigValue)>> {
        let drawn = pairs.iter().map(|(name, value)| (name.as_str(), value)).collect();
        let (path, known) = (vec!["Resolvable".to_string()], FxHashMap::default());
        let mut resolution = Resolution { space: self, drawn, path, known, visits: 0 };
        let attribute = |(name, at): &(String, Ref)| {
            let found = resolution.at(*at, name, false)?;
            Some((name.clone(), to_config(&resolution.value(found)?)))
        };
        self.attributes.iter().map(attribute).collect()
    }

    fn attribute(&self, name: &str) -> Option<Ref> {
        self.attributes.iter().find(|(own, _)| own == name).map(|(_, at)| *at)
    }

    /// The name of the class of an object of a space, if it is one.
    fn kind(&self, at: Ref) -> Option<&str> {
        match (self.pickle.get(at), self.pickle.class(at)) {
            (Item::Object(_), Some((MODULE, name))) => Some(name),
            _ => None,
        }
    }

    fn fields(&self, at: Ref) -> Option<Vec<(String, Ref)>> {
        let Item::Object(object) = self.pickle.get(at) else { return None };
        let Item::Dict(pairs) = self.pickle.get(object.state?) else { return None };
        pairs
            .iter()
            .map(|(name, at)| {
                Some((string(&self.pickle, *name)?.trim_start_matches('_').into(), *at))
            })
            .collect()
    }
}

impl Resolution<'_> {
    /// Resolves an object at the next place of the path. `fresh` says that it is a copy of the object, whose value
    /// is its own.
    fn at(&mut self, at: Ref, name: &str, fresh: bool) -> Option<Found> {
        self.visits += 1;
        if self.path.len() > MAX_DEPTH || self.visits > MAX_VISITS {
            return None;
        }
        self.path.push(name.to_string());
        let found = self.dispatch(at, fresh);
        self.path.pop();
        found
    }

    fn value_at(&mut self, at: Ref, name: &str) -> Option<Value> {
        let found = self.at(at, name, false)?;
        self.value(found)
    }

    fn value(&self, found: Found) -> Option<Value> {
        match found {
            Found::Value(value) => Some(value),
            Found::Object(at) => plain(&self.space.pickle, at, 0),
        }
    }

    fn dispatch(&mut self, at: Ref, fresh: bool) -> Option<Found> {
        let space = self.space;
        let Some(kind) = space.kind(at) else { return self.of_plain(at).map(Found::Value) };
        if let Some(known) = self.known.get(&at).filter(|_| !fresh) {
            // A fidelity is used once.
            return (!kind.ends_with("Fidelity")).then(|| known.clone());
        }
        let found = match kind {
            "Float" | "Integer" => Found::Value(self.number(at, &kind.to_lowercase())?),
            "Categorical" => self.categorical(at, false)?,
            "Operation" => Found::Value(self.operation(at)?),
            "Repeated" => Found::Value(self.repeated(at)?),
            "Fidelity" | "IntegerFidelity" | "FloatFidelity" => {
                let (name, _) = space.attributes.iter().find(|(_, own)| *own == at)?;
                Found::Value(self.drawn_at(&format!("{ENVIRONMENT}{name}"))?)
            }
            "ByName" => {
                let name = string(&space.pickle, space.pickle.field(at, "_name")?)?;
                self.at(space.attribute(&name)?, &name, false)?
            }
            // Each use of it is drawn anew.
            "Resample" => {
                let (source, kind) = self.source(at)?;
                return self.at(source, &format!("resampled_{}", kind.to_lowercase()), true);
            }
            "Lazy" => return space.pickle.field(at, "_content").map(Found::Object),
            "_get_unset_singleton" => return Some(Found::Value(Value::None)),
            _ => return None,
        };
        if !fresh {
            self.known.insert(at, found.clone());
        }
        Some(found)
    }

    /// What a `Resample` draws anew, and the name of its class.
    fn source(&self, at: Ref) -> Option<(Ref, &str)> {
        let space = self.space;
        let source = space.pickle.field(at, "_source")?;
        let source = match space.kind(source)? {
            "ByName" => {
                let name = string(&space.pickle, space.pickle.field(source, "_name")?)?;
                space.attribute(&name)?
            }
            _ => source,
        };
        let kind = space.kind(source)?;
        (!matches!(kind, "Resample" | "ByName" | "Lazy")).then_some((source, kind))
    }

    /// What is no object of a space; but there may be such in it.
    fn of_plain(&mut self, at: Ref) -> Option<Value> {
        let space = self.space;
        match space.pickle.get(at) {
            Item::List(items) | Item::Tuple(items) => {
                let items = items.iter().enumerate();
                let items = items.map(|(n, at)| self.value_at(*at, &format!("sequence[{n}]")));
                items.collect::<Option<_>>().map(Value::List)
            }
            Item::Dict(pairs) => {
                let pairs = pairs.iter().map(|(key, at)| {
                    let key = plain(&space.pickle, *key, 0)?;
                    let name = key.as_str().map_or_else(|| key.repr(), str::to_string);
                    Some((key, self.value_at(*at, &format!("mapping_value{{{name}}}"))?))
                });
                pairs.collect::<Option<_>>().map(Value::Map)
            }
            Item::Global { module, name } => Some(Value::Str(format!("{module}.{name}"))),
            _ => plain(&space.pickle, at, 0),
        }
    }

    /// What was drawn at the current place from a domain that is described so.
    fn drawn_here(&self, domain: &str) -> Option<Value> {
        self.drawn_at(&format!("{SAMPLING}{}::{domain}", self.path.join(".")))
    }

    fn drawn_at(&self, key: &str) -> Option<Value> {
        self.drawn.get(key).map(|value| from_config(value))
    }

    fn number(&mut self, at: Ref, kind: &str) -> Option<Value> {
        let (mut lower, mut upper, mut log) = (None, None, None);
        for (name, at) in self.space.fields(at)? {
            let place = match &*name {
                "lower" => &mut lower,
                "upper" => &mut upper,
                "log" => &mut log,
                _ if self.is_resolved_for_its_path(at) => &mut None,
                _ => continue,
            };
            *place = Some(self.value_at(at, &name)?);
        }
        let (lower, upper, log) = (lower?.repr(), upper?.repr(), log?.repr());
        self.drawn_here(&format!("{kind}__{lower}_{upper}_{log}"))
    }

    /// A prior may be drawn, too, and its draws have places.
    fn is_resolved_for_its_path(&self, at: Ref) -> bool {
        self.space
            .kind(at)
            .is_some_and(|kind| !matches!(kind, "_get_unset_singleton" | "ConfidenceLevel"))
    }

    /// `lazy`: its choice is handed on as it is, for another to choose from.
    fn categorical(&mut self, at: Ref, lazy: bool) -> Option<Found> {
        let space = self.space;
        let (mut choices, mut is_given) = (None, false);
        for (name, at) in space.fields(at)? {
            if name != "choices" {
                if self.is_resolved_for_its_path(at) {
                    self.at(at, &name, false)?;
                }
                continue;
            }
            let provider = match space.kind(at) {
                None => None,
                Some("Categorical") => Some(at),
                Some("Resample") => Some(self.source(at)?.0),
                Some(_) => return None,
            };
            is_given = provider.is_none();
            choices = Some(match (provider, self.known.get(&at)) {
                (None, _) => Found::Object(at),
                (Some(_), Some(known)) => known.clone(),
                (Some(provider), None) => {
                    if space.kind(provider) != Some("Categorical") {
                        return None;
                    }
                    self.path.push("choice_provider".into());
                    let chosen = self.categorical(provider, true);
                    self.path.pop();
                    let chosen = chosen?;
                    if provider == at {
                        self.known.insert(at, chosen.clone());
                    }
                    chosen
                }
            });
        }
        let count = match choices.as_ref()? {
            Found::Object(at) => elements(&space.pickle, *at)?.len(),
            Found::Value(Value::List(list)) => list.len(),
            Found::Value(_) => return None,
        };
        let Value::Int(index) = self.drawn_here(&format!("categorical__{count}"))? else {
            return None;
        };
        let index = usize::try_from(index).ok()?;
        match choices? {
            Found::Object(at) => {
                let chosen = *elements(&space.pickle, at)?.get(index)?;
                match lazy && is_given {
                    true => Some(Found::Object(chosen)),
                    false => self.at(chosen, "sampled_value", false),
                }
            }
            Found::Value(Value::List(list)) => list.get(index).cloned().map(Found::Value),
            Found::Value(_) => None,
        }
    }

    fn operation(&mut self, at: Ref) -> Option<Value> {
        let (mut operator, mut args, mut kwargs) = (Value::None, Value::None, Value::None);
        for (name, at) in self.space.fields(at)? {
            let place = match &*name {
                "operator" => &mut operator,
                "args" => &mut args,
                "kwargs" => &mut kwargs,
                _ => return None,
            };
            *place = self.value_at(at, &name)?;
        }
        let args = match args {
            Value::List(list) => list,
            one => vec![one],
        };
        let Value::Map(kwargs) = kwargs else { return None };
        if args.is_empty() && kwargs.is_empty() {
            return Some(operator);
        }
        let parts =
            [("operator", operator), ("args", Value::List(args)), ("kwargs", Value::Map(kwargs))];
        Some(Value::map(parts))
    }

    fn repeated(&mut self, at: Ref) -> Option<Value> {
        let pickle = &self.space.pickle;
        let (count, content) = (pickle.field(at, "_count")?, pickle.field(at, "_content")?);
        let Value::Int(count) = self.value_at(count, "repeat_count")? else { return None };
        let items = (0..count).map(|n| self.value_at(content, &format!("repeated_item[{n}]")));
        items.collect::<Option<_>>().map(Value::List)
    }
}
