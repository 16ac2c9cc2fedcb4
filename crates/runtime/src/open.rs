//! Opening a study: compares its specification with what the directory contains, creates or reads the
//! study, and yields the open state.
//!
//! The order matters. Everything that can be wrong with the settings is checked before an existing
//! study is removed, and a new study gets its policy before another process can join it.

use std::path::Path;
use std::sync::Arc;
use trialmill_layouts::Studies;

use super::core::StateCore;
use super::hooks::{Hooked, PreLoadHook, SamplingHook};
use super::named::named_optimizer;
use super::options::RunOptions;
use super::spec::StudySpec;
use super::warm_start;
use trialmill_core::budget::Budget;
use trialmill_core::definition::{Definition, WarmStart};
use trialmill_core::error::{Error, StoreError};
use trialmill_core::evaluation::Evaluation;
use trialmill_core::event::Policy;
use trialmill_core::objectives::Objectives;
use trialmill_core::optimizer::Optimizer;
use trialmill_core::pruner::Pruner;
use trialmill_core::space::{Domain, Parameter, SearchSpace};
use trialmill_core::study::{Command, StudyState};
use trialmill_optimizers::{default as default_optimizer, of_study};
use trialmill_store::{Directory, Layout, read_study};

/// A study about to be opened.
pub(super) struct Opening<'a> {
    /// `None` for a study in memory.
    pub(super) directory: Option<&'a Path>,
    /// The existing study, if it has been read already.
    pub(super) opened: Option<Directory>,
    pub(super) spec: &'a StudySpec,
    pub(super) options: &'a RunOptions,
    /// An optimizer given as a value; it takes precedence over a named one.
    pub(super) optimizer: Option<Box<dyn Optimizer>>,
    /// A pruner given as a value.
    pub(super) pruner: Option<Box<dyn Pruner>>,
    pub(super) before_sampling: Option<SamplingHook>,
    pub(super) pre_load: Vec<PreLoadHook>,
}

impl Opening<'_> {
    /// Creates the study or opens the existing one, and sets its policy.
    pub(super) fn open(mut self) -> Result<StateCore, Error> {
        self.options.check()?;
        self.spec.check()?;
        let (spec, own) = (self.spec, self.pruner.take());
        if let (None, Some(info)) = (&own, spec.named_pruner()) {
            trialmill_optimizers::pruners::pruner(info).map_err(Error::Setting)?;
        }
        let mut core = match self.directory {
            Some(path) => self.open_directory(path)?,
            None => self.open_in_memory()?,
        };
        core.give_pruner(own);
        let mut before = Budget::default();
        core.change_policy(|policy| {
            before = std::mem::replace(policy, spec.policy(policy)).budget;
        })?;
        // Somebody may have enlarged it (`set`), and starts the study as ever.
        let changes = core.study().policy().budget.unlike(&before);
        if !changes.is_empty() {
            tracing::warn!(
                "the study had another budget, and has from now on the one that is named here\n  {}",
                changes.join("\n  ")
            );
        }
        if let Some(evaluation) = &spec.evaluation
            && !evaluation.command.is_empty()
        {
            change_evaluation(&mut core, evaluation)?;
        }
        Ok(core)
    }

    fn open_in_memory(mut self) -> Result<StateCore, Error> {
        let space = self.spec.space.clone().ok_or_else(no_space)?;
        let optimizer = self.given_optimizer()?.unwrap_or_else(|| default_optimizer(false));
        let mut definition = Definition::new(space, optimizer.info());
        definition.seed = self.spec.seed.unwrap_or(definition.seed);
        definition.objectives = self.spec.objectives()?.unwrap_or_default();
        definition.warm_start = self.warm_start(&definition, &*optimizer)?;
        StateCore::in_memory(definition, self.hooked(optimizer))
    }

    fn open_directory(mut self, path: &Path) -> Result<StateCore, Error> {
        let existing = self.existing(path)?;
        let given = self.given_optimizer()?;
        let is_given = given.is_some();
        let optimizer = match (given, &existing) {
            (Some(optimizer), _) => optimizer,
            (None, Some(directory)) => self.optimizer_of(directory)?,
            (None, None) => default_optimizer(self.spec.layout.is_some_and(Layout::is_shared)),
        };
        let space = match (&self.spec.space, &existing) {
            (Some(space), _) => space.clone(),
            (None, Some(directory)) => (*directory.definition().space).clone(),
            (None, None) => return Err(no_space()),
        };
        optimizer.check(&space).map_err(|error| Error::Setting(error.to_string()))?;
        // NePS describes its optimizers with names and arguments of its own, and of one that only another
        // program has we know no more.
        let info = match &existing {
            Some(directory)
                if !is_given
                    && (directory.layout().is_shared()
                        || optimizer.is_elsewhere()
                        || self.options.drain) =>
            {
                directory.definition().optimizer.clone()
            }
            _ => optimizer.info(),
        };
        let mut definition = Definition::new(space, info);
        definition.objectives = match (self.spec.objectives()?, &existing) {
            (Some(objectives), _) => objectives,
            (None, Some(directory)) => directory.definition().objectives.clone(),
            (None, None) => Objectives::default(),
        };
        definition.warm_start = match &existing {
            Some(directory) => self.began_with(directory)?,
            None => self.warm_start(&definition, &*optimizer)?,
        };
        if let (Some(there), Some(space)) = (&existing, &self.spec.space)
            && there.layout().is_shared()
            && there.definition().space.is_unknown()
        {
            check_names(there, space)?;
        }
        // Only now: nothing can be wrong with the replacement any more.
        if self.options.overwrite {
            tracing::info!("the study that is in {}, if any, is removed", path.display());
            Directory::remove(path)?;
        }
        // A new study has its policy before any process can join it.
        let policy = self.spec.policy(&Policy::default());
        let (seed, layout) = (self.spec.seed, self.spec.layout);
        let directory = match existing {
            Some(there) => there.resume(definition, seed, &policy, layout)?,
            None => Directory::create_or_open(path, definition, seed, &policy, layout)?.0,
        };
        let durability = self.options.durability;
        StateCore::open(directory, durability, self.hooked(optimizer))
    }

    /// The directory's study, unless it is to be created or replaced.
    fn existing(&mut self, path: &Path) -> Result<Option<Directory>, Error> {
        let can_be_created = self.spec.space.is_some();
        if can_be_created && self.options.overwrite {
            return Ok(None);
        }
        match self.opened.take().map_or_else(|| Directory::open_read_only(path), Ok) {
            Ok(directory) => Ok(Some(directory)),
            Err(StoreError::NotAStudy { .. }) if can_be_created => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// What a new study takes of others.
    fn warm_start(
        &self,
        definition: &Definition,
        optimizer: &dyn Optimizer,
    ) -> Result<Arc<[WarmStart]>, Error> {
        let directories = self.spec.warm_start.as_deref().unwrap_or_default();
        if !directories.is_empty() && !optimizer.transfers() {
            return Err(Error::Setting(format!(
                "warm_start: {} learns nothing from other studies; take `auto` or another optimizer with a \
                 model (docs/optimizers.md), or leave warm_start out",
                optimizer.info().name
            )));
        }
        warm_start::taken(directories, definition)
    }

    /// What an existing study began with, if that is what is wanted.
    fn began_with(&self, directory: &Directory) -> Result<Arc<[WarmStart]>, Error> {
        let there = &directory.definition().warm_start;
        let names: Vec<&str> = there.iter().map(|other| &*other.directory).collect();
        let wanted: Option<Vec<_>> = self
            .spec
            .warm_start
            .as_ref()
            .map(|list| list.iter().map(|path| path.to_string_lossy().into_owned()).collect());
        match wanted {
            Some(wanted) if !wanted.iter().eq(&names) => {
                let list = |names: &[&str]| match names {
                    [] => "nothing".to_string(),
                    names => names.join(", "),
                };
                let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
                let (path, what) = (directory.path().into(), "warm start".into());
                let (there, wanted) = (list(&names), list(&wanted));
                Err(StoreError::Mismatch { path, what, there, wanted }.into())
            }
            _ => Ok(there.clone()),
        }
    }

    fn given_optimizer(&mut self) -> Result<Option<Box<dyn Optimizer>>, Error> {
        match (self.optimizer.take(), &self.spec.optimizer) {
            (Some(optimizer), _) => Ok(Some(optimizer)),
            (None, Some(info)) => named_optimizer(info).map(Some),
            (None, None) => Ok(None),
        }
    }

    /// The optimizer of an existing study. A NePS study may name one that only NePS has. Its pending
    /// trials can still be handed out, so that is an error only once something must be sampled.
    fn optimizer_of(&self, directory: &Directory) -> Result<Box<dyn Optimizer>, Error> {
        let mut definition = directory.definition().clone();
        let is_shared = directory.layout().is_shared();
        if !is_shared {
            match named_optimizer(&definition.optimizer) {
                Err(_) if self.options.wait_for_trials || self.options.drain => {}
                made => return made,
            }
        }
        if let Some(space) = &self.spec.space {
            definition.space = Arc::new(space.clone());
        }
        let optimizer = of_study(&definition, is_shared, self.options.wait_for_trials);
        if optimizer.is_elsewhere() {
            let why = match definition.space.is_unknown() {
                true => "the space is not one that is known here".to_string(),
                false => format!("optimizer '{}' is not built in", definition.optimizer.name),
            };
            tracing::warn!("{why}: this process evaluates what others sample, and waits for more");
        }
        Ok(optimizer)
    }

    fn hooked(&mut self, inner: Box<dyn Optimizer>) -> Box<dyn Optimizer> {
        let (pre_load, hook) = (std::mem::take(&mut self.pre_load), self.before_sampling.take());
        match pre_load.is_empty() && hook.is_none() {
            true => inner,
            false => Box::new(Hooked::new(inner, pre_load, hook)),
        }
    }
}

/// A space for a directory whose own is not known here: its names are to be those of the trials. With others their
/// values would be nobody's.
fn check_names(directory: &Directory, space: &SearchSpace) -> Result<(), Error> {
    let mut study = StudyState::new(directory.definition().clone());
    read_study(directory, &mut |event| study.apply(event))?;
    let trial = study.pending().next().or_else(|| study.trials().iter().next());
    let Some(trial) = trial else { return Ok(()) };
    let is_always = |parameter: &Parameter| {
        parameter.conditions().is_empty() && !matches!(parameter.domain(), Domain::Constant { .. })
    };
    let mut always = space.iter().filter(|(_, parameter)| is_always(parameter));
    match always.find(|(name, _)| trial.config.get(name).is_none()) {
        None => Ok(()),
        Some((name, _)) => {
            let there: Vec<&str> = trial.config.iter().map(|(name, _)| name).collect();
            Err(Error::Setting(format!(
                "the given space is not that of {}: it has '{name}', and trial {} has {}",
                directory.path().display(),
                trial.id,
                there.join(", ")
            )))
        }
    }
}

/// Makes this the study's evaluation; all its workers use it from their next trial on, so another one is
/// said aloud.
fn change_evaluation(core: &mut StateCore, evaluation: &Evaluation) -> Result<(), Error> {
    let before = core.study().evaluation().map(|(_, before)| before.clone());
    let command = Command::SetEvaluation { evaluation: Box::new(evaluation.clone()), own: false };
    for answer in core.execute_all(vec![command])? {
        answer.map_err(|error| Error::Setting(error.to_string()))?;
    }
    let changes = before.map_or_else(Vec::new, |before| before.changes(evaluation));
    if !changes.is_empty() {
        tracing::warn!(
            "the study's evaluation changes, for all its workers from their next trials on\n  {}",
            changes.join("\n  ")
        );
    }
    Ok(())
}

/// The space that a study has or will have.
pub(super) fn space_to_be(
    spec: &StudySpec,
    directory: Option<&Path>,
    opened: &mut Option<Directory>,
) -> Result<SearchSpace, Error> {
    if let Some(space) = &spec.space {
        return Ok(space.clone());
    }
    let path = directory.ok_or_else(no_space)?;
    let there = match opened.take() {
        Some(there) => there,
        None => Directory::open(path)?,
    };
    Ok((*opened.insert(there).definition().space).clone())
}

fn no_space() -> Error {
    Error::Setting("a new study needs a search space: set one with `space`".into())
}
