//! The pruners by their names.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value as Json};
use trialmill_core::pruner::{Pruner, PrunerInfo};
use trialmill_core::words;

use super::halving::{Band, Brackets, Halving, Rungs};
use super::quantile::{Median, Quantile, QuantileSettings};
use super::stagnation::{Patient, PatientSettings, Plateau};
use super::threshold::Threshold;
use super::wilcoxon::Wilcoxon;
use super::{FxHashMap, Rule, Ruled};

/// The pruners that can be named in a study file.
pub const PRUNERS: [&str; 8] = [
    "median",
    "percentile",
    "threshold",
    "patience",
    "plateau",
    "successive_halving",
    "hyperband",
    "wilcoxon",
];

/// Makes a pruner from its name and its arguments.
///
/// # Errors
/// The name or an argument is unknown, of the wrong type, or out of range.
pub fn pruner(info: &PrunerInfo) -> Result<Box<dyn Pruner>, String> {
    let (rule, arguments) = rule(info).map_err(|problem| format!("pruner: {problem}"))?;
    let info = PrunerInfo { name: own_name(&info.name).into(), arguments };
    Ok(Box::new(Ruled { info, rule, tracks: FxHashMap::default() }))
}

/// What others call it.
fn own_name(name: &str) -> &str {
    match name {
        "asha" | "sha" => "successive_halving",
        "patient" => "patience",
        name => name,
    }
}

type Made = (Box<dyn Rule>, Map<String, Json>);

fn rule(info: &PrunerInfo) -> Result<Made, String> {
    let name = own_name(&info.name);
    let known = PRUNERS.contains(&name);
    if !known {
        return Err(words::unknown(&info.name, "a pruner", &PRUNERS));
    }
    made(name, info).map_err(|problem| format!("{name}: {problem}"))
}

fn made(name: &str, info: &PrunerInfo) -> Result<Made, String> {
    Ok(match name {
        "median" => {
            let (median, all): (Median, _) = read(info)?;
            let settings = QuantileSettings::from(median);
            settings.check()?;
            (Box::new(Quantile::new(settings)), all)
        }
        "percentile" => {
            let (settings, all): (QuantileSettings, _) = read(info)?;
            settings.check()?;
            (Box::new(Quantile::new(settings)), all)
        }
        "threshold" => {
            let (threshold, all): (Threshold, _) = read(info)?;
            threshold.check()?;
            (Box::new(threshold), all)
        }
        "patience" => {
            let (settings, mut all): (PatientSettings, _) = read(info)?;
            settings.check()?;
            let other = match &settings.pruner {
                None | Some(Json::Null) => None,
                Some(json) => {
                    let info = info_of(json)?;
                    let (rule, arguments) = rule(&info)?;
                    let mut named = Map::new();
                    named.insert("name".into(), own_name(&info.name).into());
                    named.extend(arguments);
                    all.insert("pruner".into(), Json::Object(named));
                    Some(rule)
                }
            };
            (Box::new(Patient { settings, other }), all)
        }
        "plateau" => {
            let (plateau, all): (Plateau, _) = read(info)?;
            plateau.check()?;
            (Box::new(plateau), all)
        }
        "successive_halving" => {
            let (settings, all): (Halving, _) = read(info)?;
            settings.check()?;
            (Box::new(Rungs::new(settings)), all)
        }
        "hyperband" => {
            let (settings, all): (Band, _) = read(info)?;
            settings.check()?;
            (Box::new(Brackets::new(&settings)), all)
        }
        _ => {
            let (wilcoxon, all): (Wilcoxon, _) = read(info)?;
            wilcoxon.check()?;
            (Box::new(wilcoxon), all)
        }
    })
}

/// The settings, and all of them as they are kept: with the defaults, without those that are none.
fn read<T: Serialize + DeserializeOwned + Default>(
    info: &PrunerInfo,
) -> Result<(T, Map<String, Json>), String> {
    let object = |settings: &T| match serde_json::to_value(settings) {
        Ok(Json::Object(map)) => map,
        _ => Map::new(),
    };
    let defaults = object(&T::default());
    let known: Vec<&str> = defaults.keys().map(String::as_str).collect();
    for (key, json) in &info.arguments {
        if !known.contains(&key.as_str()) {
            return Err(words::unknown(key, "an argument of it", &known));
        }
        // serde does not name the wrong one.
        if let Err(error) = serde_json::from_value::<T>(serde_json::json!({ key: json })) {
            return Err(format!("{key}: {}", words::plain(&error.to_string())));
        }
    }
    let given = Json::Object(info.arguments.clone());
    let settings: T = serde_json::from_value(given).map_err(|error| error.to_string())?;
    let all = object(&settings);
    Ok((settings, all.into_iter().filter(|(_, json)| !json.is_null()).collect()))
}

/// A pruner as a study file names it: `median`, or `{name: median, warmup_steps: 5}`.
///
/// # Errors
/// It has another shape.
pub fn info_of(json: &Json) -> Result<PrunerInfo, String> {
    match json {
        Json::String(name) => Ok(PrunerInfo { name: name.clone(), arguments: Map::new() }),
        Json::Object(map) => {
            let mut arguments = map.clone();
            match arguments.shift_remove("name") {
                Some(Json::String(name)) => Ok(PrunerInfo { name, arguments }),
                _ => Err("it needs a `name`".into()),
            }
        }
        other => Err(format!("a name, or a mapping with a `name`, not {other}")),
    }
}
