//! `check` of a directory shared with NePS.

use std::process::ExitCode;
use trialmill_layouts::Studies;

use trialmill::{Error, State, StudyState, Summary, Trial, TrialId};
use trialmill_core::error::StoreError;
use trialmill_core::event::check_caller;
use trialmill_optimizers::of_study;
use trialmill_runtime::StateCore;
use trialmill_store::{Directory, Durability, Finding, FindingKind};

use super::check::{Check, of_dead_processes};

impl Check {
    pub(super) fn run_neps(&self, directory: &Directory) -> Result<ExitCode, Error> {
        let mut done = Vec::new();
        let mut found = inspect(directory)?;
        if self.repair {
            done = repair(directory, &found)?;
            found = inspect(directory)?;
        }
        Ok(self.report(directory.path(), None, &found, &done, None))
    }
}

fn inspect(directory: &Directory) -> Result<Vec<Finding>, Error> {
    let mut found = directory.check()?;
    let summary = Summary::read(directory.path())?;
    let study = summary.study();
    found.extend(of_dead_processes(directory, study));
    // Of those that were set aside there is nothing left to mend.
    let is_there = |trial: &&Trial| directory.trial_path(&trial.id).symlink_metadata().is_ok();
    let corrupted = study.trials().iter().filter(|trial| trial.state == State::Corrupted);
    let corrupted = corrupted.filter(is_there);
    let corrupted: Vec<TrialId> = corrupted.map(|trial| trial.id.clone()).collect();
    if !corrupted.is_empty() {
        let problem = "their files contradict each other, or have no configuration";
        let remedy = "--repair keeps them aside in .trialmill/, and so does the next trialmill worker; \
                      nobody evaluates them again";
        let finding = Finding::damage(FindingKind::CorruptedTrial, "results", problem, remedy);
        found.push(finding.about(corrupted));
    }
    let held = held_by_neps(study);
    if !held.is_empty() {
        let problem = "NePS workers evaluate these trials, or died while they did: NePS leaves no \
                       sign of life, so nobody can know";
        let remedy =
            "if you know that a worker is dead: trialmill release DIR ID gives its trial back";
        found.push(
            Finding::harmless(FindingKind::HeldByNeps, "configs", problem, remedy).about(held),
        );
    }
    Ok(found)
}

fn held_by_neps(study: &StudyState) -> Vec<TrialId> {
    let is_neps = |trial: &&Trial| {
        let worker = trial.metadata.evaluating_worker_id.as_deref().unwrap_or_default();
        let leased = study.leases().any(|(leased, _)| leased.id == trial.id);
        check_caller(worker).is_ok() && !leased
    };
    study.evaluating().filter(is_neps).map(|trial| trial.id.clone()).collect()
}

/// Repairs the directory by opening it; only a cache that is damaged in its middle must be moved away
/// first.
fn repair(directory: &Directory, found: &[Finding]) -> Result<Vec<String>, Error> {
    let mut done = Vec::new();
    let summary = Summary::read(directory.path())?;
    if let Some(process) = summary.study().processes().find(|p| directory.is_alive(p)) {
        let who = format!("process p{} (pid {})", process.process, process.pid);
        return Err(StoreError::InUse { path: directory.path().into(), who }.into());
    }
    let directory = Directory::open(directory.path())?;
    if found.iter().any(|finding| finding.kind == FindingKind::CacheDamaged) {
        let kept = directory.layout().set_damage_aside(&directory)?;
        done.push(format!("moved the damaged cache to {}", kept.display()));
    }
    let optimizer = of_study(directory.definition(), true, false);
    let mut core = StateCore::open(directory, Durability::Synced, optimizer)?;
    // A batch that may sample reads the optimizer's state too.
    core.change_policy(|_| {})?;
    core.recover()?;
    let mendable = |finding: &&Finding| finding.kind.mended_by_repair();
    done.extend(found.iter().filter(mendable).map(|finding| finding.problem.clone()));
    Ok(done)
}
