//! Creates a study. Many processes may do so at once: one creates it, the others open the result.

use std::io;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value as Json};

use super::layout::{Directory, Layout, Layouts, absolute, not_a_study};
use super::liveness::Machine;
use super::lock::FileLock;
use super::open::{StudyJson, own_definition, recognise};
use super::replace::replace;
use crate::plain;
use trialmill_core::definition::Definition;
use trialmill_core::error::StoreError;
use trialmill_core::event::{Event, EventKind, FORMAT, Policy, encode};
use trialmill_core::limits::{LOCK_TIMEOUT, MAX_LINE_BYTES, MAX_STUDY_FILE_BYTES};
use trialmill_core::space::{Domain, Parameter, Scale, SearchSpace};

impl Directory {
    /// Creates a study in a directory that is missing or empty, or opens the one that is there.
    /// Any number of processes may do this at once; one of them creates it. Returns whether we did.
    ///
    /// `seed` is compared with an existing study's only if it is given. `policy` is for a new
    /// study, and is stored before any process can join. `layout` is for a new study, and is
    /// compared with an existing study's if it is given.
    ///
    /// # Errors
    /// The directory holds something else, or a study with another space, optimizer, seed or layout,
    /// or cannot be written.
    pub fn create_or_open_as(
        path: &Path,
        definition: Definition,
        seed: Option<u64>,
        policy: &Policy,
        (layout, layouts): (Option<&'static dyn Layout>, Layouts),
    ) -> Result<(Self, bool), StoreError> {
        let path = &absolute(path);
        if path.is_symlink() && !path.exists() {
            return Err(not_a_study(path, "it is a link that leads nowhere"));
        }
        if recognise(path, layouts)?.is_some() {
            let there = Self::open_read_only_as(path, layouts)?;
            return Ok((there.resume(definition, seed, policy, layout)?, false));
        }
        let definition = seeded(definition, seed);
        supported(layout.unwrap_or(layouts[0]), &definition)?;
        let new = layout.unwrap_or(layouts[0]);
        let created = new.create(path, &definition, policy)?;
        let (path, machine) = (path.clone(), Machine::here());
        let (format, is_own, mount) = (FORMAT, true, None);
        let directory = Directory { path, layout: new, definition, format, is_own, machine, mount };
        if directory.settle_with(policy)? {
            return Ok((directory, created || !new.is_shared()));
        }
        // Another process was faster.
        let there = Self::open_read_only_as(&directory.path, layouts)?;
        Ok((there.resume(directory.definition, seed, policy, layout)?, created))
    }

    /// Opens a study for writing that was opened read-only, so that it is not read a second time.
    /// The arguments are those of [`create_or_open_as`](Self::create_or_open_as).
    ///
    /// # Errors
    /// It is a study with another space, optimizer, seed or layout, a newer version wrote it, or it
    /// cannot be written.
    pub fn resume(
        mut self,
        wanted: Definition,
        seed: Option<u64>,
        policy: &Policy,
        layout: Option<&'static dyn Layout>,
    ) -> Result<Self, StoreError> {
        if let Some(wanted) = layout
            && wanted.family() != self.layout.family()
        {
            let (there, wanted) = (self.layout.to_string(), wanted.to_string());
            return Err(StoreError::Mismatch {
                path: self.path,
                what: "layout".into(),
                there,
                wanted,
            });
        }
        let wanted = seeded(wanted, seed);
        supported(self.layout, &wanted)?;
        // Another process may have made our own files since this directory was read: then they
        // decide, and not what NePS's files say.
        if !self.is_own {
            self.compare(&wanted, None)?;
            let settled = Directory { definition: wanted.clone(), is_own: true, ..self.clone() };
            if settled.settle_with(policy)? {
                return Ok(settled);
            }
            self.reread()?;
        }
        self.prepare_for_writing()?;
        self.compare(&wanted, seed)?;
        if self.definition.space.is_unknown() && !wanted.space.is_unknown() {
            // The caller supplies what NePS's files did not contain.
            self.definition.space = wanted.space;
            self.write_study_json()?;
        }
        Ok(self)
    }

    /// Creates our own files in a directory where only NePS has worked so far.
    pub(super) fn settle(&mut self) -> Result<(), StoreError> {
        let policy = Policy { budget: self.layout.budget(&self.path), ..Policy::default() };
        match self.settle_with(&policy)? {
            true => self.is_own = true,
            false => self.reread()?,
        }
        Ok(())
    }

    fn reread(&mut self) -> Result<(), StoreError> {
        (self.definition, self.format) = own_definition(&self.path, self.layout)?;
        self.is_own = true;
        Ok(())
    }

    /// Creates our own files unless they exist. Returns whether it did.
    fn settle_with(&self, policy: &Policy) -> Result<bool, StoreError> {
        let own = &self.own_path();
        if self.layout.is_shared() {
            plain::create_dir(own, 1).map_err(StoreError::io("create", own))?;
        }
        let mut lock = FileLock::open(&self.journal_lock_path())?;
        lock.lock(LOCK_TIMEOUT)?;
        plain::ask_for_entries(own);
        if own.join("study.json").exists() {
            return Ok(false);
        }
        let workers = self.workers_path();
        plain::create_dir(&workers, 1).map_err(StoreError::io("create", &workers))?;
        let journal = self.journal_path();
        if !is_left_by_a_creator(&journal) {
            return Err(not_a_study(&self.path, "it has a journal.jsonl but no study.json"));
        }
        let mut first = Vec::new();
        let kind = EventKind::Policy(Box::new(policy.clone()));
        encode(0, &Event { time: crate::clock::now_s(), kind }, &mut first);
        replace(&journal, &first).map_err(StoreError::io("write", &journal))?;
        // Last, because this file is what makes the directory a study.
        self.write_study_json()?;
        Ok(true)
    }

    /// Changes what is searched into what `wanted` says. That is asked under the lock of the study, so nothing
    /// is added and nobody joins behind it: it sees whether all trials are in the new space, and whether a
    /// process works in the old one. Who has opened the study and not joined is told at its next batch
    /// ([`StoreError::SpaceChanged`]).
    ///
    /// # Errors
    /// What `wanted` refuses; NePS shares the directory; or the study's description cannot be locked, read or
    /// written.
    pub fn change_space<E: From<StoreError>>(
        &mut self,
        wanted: impl FnOnce(&Directory) -> Result<SearchSpace, E>,
    ) -> Result<(), E> {
        if self.layout.is_shared() {
            let problem = "NePS's workers search the space of their own program; make a copy";
            let layout = self.layout.name().into();
            return Err(StoreError::Unsupported { layout, problem: problem.into() }.into());
        }
        self.prepare_for_writing()?;
        let mut lock = FileLock::open(&self.journal_lock_path())?;
        lock.lock(LOCK_TIMEOUT)?;
        let space = wanted(self)?;
        Ok(self.write_space(space)?)
    }

    fn write_space(&mut self, space: SearchSpace) -> Result<(), StoreError> {
        let study_json = self.own_path().join("study.json");
        let text = plain::read(&study_json, MAX_STUDY_FILE_BYTES)
            .map_err(StoreError::io("read", &study_json))?;
        let changed = serde_json::from_slice(&text).and_then(|mut file: Map<String, Json>| {
            file.insert("space".into(), space.to_json());
            serde_json::to_vec_pretty(&file)
        });
        let written = changed.map_err(io::Error::from).and_then(|text| replace(&study_json, &text));
        written.map_err(StoreError::io("write", &study_json))?;
        self.definition.space = Arc::new(space);
        Ok(())
    }

    fn write_study_json(&self) -> Result<(), StoreError> {
        let study_json = self.own_path().join("study.json");
        let Definition { study_id, space, objectives, optimizer, seed, evaluation, warm_start } =
            self.definition.clone();
        let text = StudyJson {
            format: FORMAT,
            layout: self.layout.name().into(),
            study_id,
            created_by: concat!("trialmill ", env!("CARGO_PKG_VERSION")).into(),
            time_created: crate::clock::now_s(),
            seed,
            optimizer,
            space: space.to_json(),
            objectives: (!objectives.is_unsaid()).then(|| objectives.to_json()),
            constraints: Some(objectives.constraints())
                .filter(|names| !names.is_empty())
                .map(std::convert::Into::into),
            evaluation,
            warm_start: warm_start.to_vec(),
        };
        let text = serde_json::to_vec_pretty(&text).map_err(io::Error::from);
        let written = text.and_then(|text| match text.len() as u64 > MAX_STUDY_FILE_BYTES {
            true => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("the study's description takes more than {MAX_STUDY_FILE_BYTES} bytes"),
            )),
            false => replace(&study_json, &text),
        });
        written.map_err(StoreError::io("write", &study_json))
    }

    fn compare(&self, wanted: &Definition, seed: Option<u64>) -> Result<(), StoreError> {
        let own = &self.definition;
        let mut differing: Vec<(&str, String, String)> = Vec::new();
        let unknown = own.space.is_unknown() || wanted.space.is_unknown();
        if !own.space.has_same(&wanted.space) && !unknown {
            let (there, wanted) = differing_parameters(&own.space, &wanted.space);
            differing.push(("search space", there, wanted));
        }
        if own.objectives != wanted.objectives {
            let (there, wanted) = (own.objectives.to_string(), wanted.objectives.to_string());
            differing.push(("objective", there, wanted));
        }
        // NePS's versions have different arguments for the same optimizer.
        let same = match self.layout.is_shared() {
            false => own.optimizer == wanted.optimizer,
            true => own.optimizer.name == wanted.optimizer.name,
        };
        if !same {
            let (there, wanted) = (own.optimizer.to_string(), wanted.optimizer.to_string());
            differing.push(("optimizer", there, wanted));
        }
        if let Some(seed) = seed.filter(|seed| *seed != own.seed) {
            differing.push(("seed", own.seed.to_string(), seed.to_string()));
        }
        // All of them, so that nobody mends one only to be told of the next.
        let join = |what: &dyn Fn(&(&str, String, String)) -> String, with: &str| {
            differing.iter().map(what).collect::<Vec<_>>().join(with)
        };
        let named = |what: &str, value: &str| match differing.len() {
            1 => value.to_string(),
            _ => format!("{what} {value}"),
        };
        match differing.is_empty() {
            true => Ok(()),
            false => Err(StoreError::Mismatch {
                path: self.path.clone(),
                what: join(&|(what, ..)| (*what).to_string(), " and another "),
                there: join(&|(what, there, _)| named(what, there), "; "),
                wanted: join(&|(what, _, wanted)| named(what, wanted), "; "),
            }),
        }
    }
}

/// NePS's workers read the same directory, and would take the worst for the best.
fn supported(layout: &dyn Layout, definition: &Definition) -> Result<(), StoreError> {
    if !layout.is_shared() {
        return Ok(());
    }
    let objectives = &definition.objectives;
    let problem = match (objectives.maximises(), objectives.constraints()) {
        (true, _) => Some("NePS only minimises; report the negative and minimise it".to_string()),
        (false, [name, ..]) => Some(format!("NePS has no constraints, and '{name}' is one")),
        (false, []) => definition.space.iter().find_map(|(name, parameter)| {
            let what = beyond_neps(parameter)?;
            Some(format!("parameter '{name}' {what}, and NePS's workers would draw others"))
        }),
    };
    match problem {
        None => Ok(()),
        Some(problem) => Err(StoreError::Unsupported { layout: layout.name().into(), problem }),
    }
}

/// What a parameter has that those of NePS do not.
fn beyond_neps(parameter: &Parameter) -> Option<&'static str> {
    match parameter.domain() {
        _ if !parameter.conditions().is_empty() => Some("is there only under conditions"),
        Domain::Float { step: Some(_), .. } => Some("has a step"),
        Domain::Int { step, .. } if *step > 1 => Some("has a step"),
        Domain::Categorical { ordered: true, .. } => Some("has ordered choices"),
        Domain::Float { scale, .. } | Domain::Int { scale, .. } => match scale {
            Scale::Normal { .. } | Scale::LogNormal { .. } => Some("has a distribution"),
            Scale::Linear | Scale::Log => None,
        },
        Domain::Categorical { .. } | Domain::Constant { .. } => None,
    }
}

fn seeded(definition: Definition, seed: Option<u64>) -> Definition {
    match seed {
        Some(seed) => definition.seeded(seed),
        None => definition,
    }
}

/// Whether a journal without a `study.json` contains only what an interrupted creation writes first.
fn is_left_by_a_creator(journal: &Path) -> bool {
    match plain::read(journal, MAX_LINE_BYTES as u64) {
        Err(error) => error.kind() == io::ErrorKind::NotFound,
        Ok(bytes) => {
            let lines = memchr::memchr_iter(b'\n', &bytes).count();
            bytes.is_empty() || (lines == 1 && find(&bytes, b"\"event\":\"policy\""))
        }
    }
}

fn find(bytes: &[u8], what: &[u8]) -> bool {
    memchr::memmem::find(bytes, what).is_some()
}

fn differing_parameters(there: &SearchSpace, wanted: &SearchSpace) -> (String, String) {
    let side = |own: &SearchSpace, other: &SearchSpace| {
        let list: Vec<String> = own
            .iter()
            .filter(|(name, parameter)| {
                !other.get(name).is_some_and(|other| other.has_same(parameter))
            })
            .map(|(name, parameter)| format!("{name}: {parameter}"))
            .collect();
        match (list.is_empty(), own.names() == other.names()) {
            (false, _) => list.join("; "),
            (true, true) => "nothing else".into(),
            (true, false) => format!("the parameters {}", own.names().join(", ")),
        }
    };
    (side(there, wanted), side(wanted, there))
}
