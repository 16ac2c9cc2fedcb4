//! Optimizers by the name and arguments that a study stores: those that are built in, and processes.

use super::evaluate::SamplerProcess;
use trialmill_core::error::Error;
use trialmill_core::optimizer::{Optimizer, OptimizerInfo};
use trialmill_optimizers::from_info;
use trialmill_store::Directory;

/// Makes an optimizer from its name and arguments.
///
/// # Errors
/// There is none of that name, or an argument is unknown or out of range.
pub fn named_optimizer(info: &OptimizerInfo) -> Result<Box<dyn Optimizer>, Error> {
    let made = match info.name.as_str() {
        SamplerProcess::NAME => SamplerProcess::from_info(info).map(|o| Box::new(o) as Box<_>),
        _ => from_info(info),
    };
    made.map_err(|error| Error::Setting(error.to_string()))
}

/// The optimizer of a directory's study, or a placeholder that says why it is not available here; with
/// `waits`, workers wait for what is sampled elsewhere.
pub fn optimizer_of(directory: &Directory, waits: bool) -> Box<dyn Optimizer> {
    let (definition, is_shared) = (directory.definition(), directory.layout().is_shared());
    if definition.optimizer.name == SamplerProcess::NAME
        && let Ok(process) = named_optimizer(&definition.optimizer)
    {
        return process;
    }
    trialmill_optimizers::of_study(definition, is_shared, waits)
}
