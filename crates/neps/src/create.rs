//! Creates a directory that NePS can share, and reads the definition of one that NePS created.

use std::path::Path;

use serde_json::{Map, Value as Json};

use super::space::read_space;
use super::state::StateFile;
use super::v0_12::Spending;
use super::value::Value;
use super::version::Version;
use super::yaml;
use trialmill_core::budget::Budget;
use trialmill_core::definition::Definition;
use trialmill_core::error::StoreError;
use trialmill_core::event::Policy;
use trialmill_core::limits::MAX_STUDY_FILE_BYTES;
use trialmill_core::optimizer::OptimizerInfo;
use trialmill_core::space::SearchSpace;
use trialmill_store::Layout;
use trialmill_store::plain;
use trialmill_store::{replace, sync_parent};

/// The definition of a study, as far as NePS's files contain it.
///
/// # Errors
/// They cannot be read.
pub(crate) fn definition(path: &Path, version: Version) -> Result<Definition, StoreError> {
    let space = read_space(path).0.unwrap_or_else(SearchSpace::unknown);
    let file = path.join(info_name(version));
    let optimizer = match plain::read(&file, MAX_STUDY_FILE_BYTES) {
        Ok(bytes) => {
            let value = yaml::read(&bytes).map_err(|error| error.to_string());
            let info = value.and_then(|value| optimizer_info(&value, version));
            info.map_err(|problem| StoreError::NotAStudy {
                path: path.into(),
                problem: format!("it looks like NePS's, but its {}: {problem}", info_name(version)),
            })?
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            OptimizerInfo { name: "unknown".into(), arguments: Map::new() }
        }
        Err(error) => return Err(StoreError::io("read", &file)(error)),
    };
    Ok(Definition::new(space, optimizer))
}

fn info_name(version: Version) -> &'static str {
    if version == Version::V0_12 { ".optimizer_info.yaml" } else { "optimizer_info.yaml" }
}

fn optimizer_info(value: &Value, version: Version) -> Result<OptimizerInfo, String> {
    let (name, arguments) = match version {
        Version::V0_12 => ("searcher_alg", "searcher_args"),
        _ => ("name", "info"),
    };
    let name = value.get(name).and_then(Value::as_str).ok_or("it does not name the optimizer")?;
    let arguments = match value.get(arguments).map(Value::to_json) {
        Some(Json::Object(map)) => map,
        _ => Map::new(),
    };
    Ok(OptimizerInfo { name: name.into(), arguments })
}

/// What all workers together may spend, from NePS's files.
pub(crate) fn budget(path: &Path, version: Version) -> Budget {
    match version {
        Version::V0_12 => Spending::new(path).budget(),
        _ => StateFile::new(path).budget().unwrap_or_default(),
    }
}

/// Creates the directory of a study under a temporary name and then renames it, because NePS workers
/// that start at the same moment read whatever they find. Returns whether we created it; if another
/// process was faster, its directory stays.
///
/// # Errors
/// It cannot be written.
pub(crate) fn create(
    path: &Path,
    version: Version,
    definition: &Definition,
    policy: &Policy,
) -> Result<bool, StoreError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = path.with_file_name(format!(".{name}.tmp-{:08x}", rand::random::<u32>()));
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(StoreError::io("create", parent))?;
    }
    let made = write_all(&temporary, version, definition, policy).and_then(|()| {
        // The rename replaces an empty directory, but never one with content.
        match std::fs::rename(&temporary, path) {
            Ok(()) => Ok(true),
            Err(_) if Version::of(path).is_some() => Ok(false),
            Err(error) => Err(StoreError::io("create", path)(error)),
        }
    });
    if !matches!(made, Ok(true)) {
        let _ = std::fs::remove_dir_all(&temporary);
    }
    let _ = sync_parent(path);
    made
}

fn write_all(
    temporary: &Path,
    version: Version,
    definition: &Definition,
    policy: &Policy,
) -> Result<(), StoreError> {
    let trials = version.trials_path(temporary);
    std::fs::create_dir_all(&trials).map_err(StoreError::io("create", &trials))?;
    let file = temporary.join(info_name(version));
    let info = info(version, &definition.optimizer);
    let text = match version {
        Version::V0_12 => yaml::write_pure_unsorted(&info),
        _ => yaml::write(&info),
    };
    replace(&file, text.as_bytes()).map_err(StoreError::io("write", &file))?;
    // NePS 0.12 creates its own, and 0.12.0 cannot read one without its random state.
    if version != Version::V0_12 {
        StateFile::new(temporary).create(version, &policy.budget)?;
    }
    Ok(())
}

/// The optimizer's description as this version of NePS writes it: NePS compares it when a worker
/// joins.
fn info(version: Version, optimizer: &OptimizerInfo) -> Value {
    let flag = |key: &str| optimizer.arguments.get(key).and_then(Json::as_bool).unwrap_or(false);
    let text = |text: &str| Value::Str(text.into());
    let (name, use_priors) = (optimizer.name.as_str(), Value::Bool(flag("use_priors")));
    let map = |pairs: Vec<(&str, Value)>| {
        Value::Map(pairs.into_iter().map(|(key, value)| (text(key), value)).collect())
    };
    let old = matches!(version, Version::V0_12 | Version::V0_13);
    let ignore_fidelity = Value::Bool(flag("ignore_fidelity") || old);
    let arguments = match (name, version) {
        ("random_search", _) => {
            vec![("use_priors", use_priors), ("ignore_fidelity", ignore_fidelity)]
        }
        ("grid_search", Version::V0_14) => vec![("ignore_fidelity", ignore_fidelity)],
        ("grid_search", Version::V0_15) => {
            let points = optimizer.arguments.get("points").and_then(Json::as_i64).unwrap_or(5);
            vec![
                ("ignore_fidelity", ignore_fidelity),
                ("size_per_numerical_dimension", Value::Int(points)),
            ]
        }
        _ => Vec::new(),
    };
    match version {
        Version::V0_12 => map(vec![
            ("searcher_name", text(name)),
            ("searcher_alg", text(name)),
            ("searcher_selection", text("neps-default")),
            ("neps_decision_tree", Value::Bool(false)),
            ("searcher_args", map(arguments)),
        ]),
        _ => map(vec![("info", map(arguments)), ("name", text(name))]),
    }
}
