//! `check`: reports whether a study is sound, and what is wrong where; repairs it on request.

use std::path::Path;
use std::process::ExitCode;
use trialmill_layouts::Studies;

use clap::Args;
use serde_json::json;
use trialmill::{DirectClient, Error, StudyState, Trial, TrialId};
use trialmill_core::error::{StoreError, StudyError};
use trialmill_core::event::{Event, EventKind, Process, Reason, check_caller};
use trialmill_core::study::Command;
use trialmill_core::trial::{Worker, printable};
use trialmill_runtime::evaluate::reap_orphans;
use trialmill_store::{
    Directory, Finding, FindingKind, JOURNAL, JournalCheck, JournalEnd, Repair, check_entries,
    check_journal, lock_name,
};

use super::hints::Hinted;
use super::print::{Dir, print, print_json};

/// Reports whether a study is sound, what is wrong, where, and what can be done.
///
/// It takes no lock that a worker would wait for, and changes nothing.
#[derive(Args)]
pub(super) struct Check {
    #[command(flatten)]
    dir: Dir,
    /// Repair whatever loses nothing that was acknowledged: cut a torn end, remove leftovers,
    /// requeue the trials of dead processes. Refused while any process uses the study. The old
    /// journal is kept beside the new one, with .before-repair-<n>
    #[arg(long)]
    pub(super) repair: bool,
    /// With --repair: continue without the damaged bytes. LOSES their content, and those later
    /// records that contradict the rest; all others are kept. The copy contains everything
    #[arg(long, requires = "repair")]
    drop_damaged: bool,
    /// For scripts
    #[arg(long)]
    json: bool,
}

/// The result of one inspection.
struct Inspection {
    study: StudyState,
    journal: Option<JournalCheck>,
    found: Vec<Finding>,
}

impl Check {
    pub(super) fn run(self) -> Result<ExitCode, Error> {
        let dir = &self.dir.dir;
        let mut done = Vec::new();
        // A typo in a path is no damage.
        match Directory::open_read_only(dir) {
            Err(error @ StoreError::NotAStudy { .. }) if !dir.exists() => return Err(error.into()),
            Ok(directory) if directory.layout().is_shared() => {
                return self.run_neps(&directory);
            }
            _ => {}
        }
        let directory = match Directory::open(dir) {
            Ok(directory) => directory,
            Err(error) => {
                return Ok(self.report(dir, None, &[of_error(&error)], &done, Some(error)));
            }
        };
        let mut inspection = inspect_twice(&directory)?;
        if self.repair {
            done = self.repair(&directory)?;
            inspection = inspect(&directory)?;
        }
        Ok(self.report(dir, inspection.journal.as_ref(), &inspection.found, &done, None))
    }

    /// Repairs, under the journal's lock, what was found under it.
    fn repair(&self, directory: &Directory) -> Result<Vec<String>, Error> {
        let mut done = Vec::new();
        let repair = Repair::begin(directory)?;
        let Inspection { mut study, journal, found } = inspect(directory)?;
        if let Some(process) = study.processes().find(|process| directory.is_alive(process)) {
            let who = format!("process p{} (pid {})", process.process, process.pid);
            return Err(StoreError::InUse { path: directory.path().into(), who }.into());
        }
        let Some(journal) = journal else { return Ok(done) };
        match &journal.end {
            JournalEnd::Torn => {
                let (bytes, copy) = (journal.bytes - journal.sound_bytes, repair.cut(&journal)?);
                done.push(format!("cut a torn end of {bytes} bytes; the journal before: {copy}"));
            }
            JournalEnd::Damaged { .. } if self.drop_damaged => {
                // Without its lost reports, a process that left would hold its trials for ever. So do
                // not apply its `left`: it is buried below.
                let mut fits = |event: Event| match &event.kind {
                    EventKind::Left { process, .. }
                        if study.evaluating_by(*process).next().is_some() =>
                    {
                        Err(StudyError::Contradiction("it holds trials".into()))
                    }
                    _ => study.apply(event),
                };
                let (copy, rescued) = repair.drop_damaged(&journal, &mut fits)?;
                let trials: Vec<String> = rescued.trials.iter().map(ToString::to_string).collect();
                done.push(format!(
                    "dropped the damage at byte {}; of the records behind it {} are kept and {} \
                     dropped{}{}; the journal before: {copy}",
                    journal.sound_bytes,
                    rescued.kept,
                    rescued.dropped,
                    if trials.is_empty() { "" } else { ", of trials " },
                    trials.join(" "),
                ));
            }
            // Only the lost records know which processes the remaining lock files belong to.
            JournalEnd::Damaged { .. } => return Ok(done),
            JournalEnd::Whole => {}
        }
        done.extend(repair.remove_leftovers(&found)?.iter().map(|name| format!("removed {name}")));
        drop(repair);
        let gone: Vec<String> = study.processes().map(|p| format!("p{}", p.process)).collect();
        let ended =
            study.leases().filter(|(_, lease)| directory.machine().has_ended(lease)).count();
        let lost = held_by_nobody(&study);
        if !gone.is_empty() || ended > 0 || !lost.is_empty() {
            // As every process does that opens the study.
            let client = DirectClient::open(directory.path())?;
            for (id, attempt) in &lost {
                if reap_orphans(&[(directory.trial_path(id), *attempt)], None) {
                    let (trial, attempt, reason) = (id.clone(), Some(*attempt), Reason::Died);
                    let release = Command::Release { trial, attempt, reason };
                    client.exchange(vec![release])?.into_iter().collect::<Result<Vec<_>, _>>()?;
                }
            }
            let lost = lost.iter().map(|(id, _)| format!("trial {id}"));
            let leases = (ended > 0).then(|| format!("{ended} callers whose time is over"));
            let all: Vec<String> = gone.into_iter().chain(lost).chain(leases).collect();
            done.push(format!("gave back what was held: {}", all.join(", ")));
        }
        Ok(done)
    }

    pub(super) fn report(
        &self,
        dir: &Path,
        journal: Option<&JournalCheck>,
        found: &[Finding],
        done: &[String],
        error: Option<StoreError>,
    ) -> ExitCode {
        let sound = found.iter().all(|finding| finding.harmless);
        let code = match error {
            Some(error) => Error::from(error).exit_code(),
            None if sound => 0,
            None => 5,
        };
        let printed = if self.json {
            print_json(&json!({
                "directory": dir.to_string_lossy(),
                "sound": sound,
                "exit_code": code,
                "records": journal.map(|journal| journal.records),
                "sound_bytes": journal.map(|journal| journal.sound_bytes),
                "bytes": journal.map(|journal| journal.bytes),
                "findings": found,
                "repaired": done,
            }))
        } else {
            print(&text(dir, journal, found, done, sound))
        };
        if code == 0 { printed } else { ExitCode::from(code) }
    }
}

fn text(
    dir: &Path,
    journal: Option<&JournalCheck>,
    found: &[Finding],
    done: &[String],
    sound: bool,
) -> String {
    let mut text: String =
        done.iter().map(|done| format!("repaired  {}\n", printable(done))).collect();
    for finding in found {
        let how = if finding.harmless { "harmless" } else { "DAMAGE" };
        let place =
            |name: &str, at: Option<u64>| at.map_or(String::new(), |at| format!(", {name} {at}"));
        let (line, byte) = (place("line", finding.line), place("byte", finding.byte));
        let (file, problem) = (printable(&finding.file), printable(&finding.problem));
        text += &format!("{how:<9} {file}{line}{byte}: {problem}\n");
        let ids: Vec<String> = finding.trials.iter().take(20).map(ToString::to_string).collect();
        if !ids.is_empty() {
            let more = if finding.trials.len() > ids.len() { " …" } else { "" };
            text +=
                &format!("          {} trials: {}{more}\n", finding.trials.len(), ids.join(" "));
        }
        text += &format!("          {}\n", finding.remedy);
    }
    let records = journal.map_or(String::new(), |journal| {
        format!(
            ": {} sound records in {} of {} bytes",
            journal.records, journal.sound_bytes, journal.bytes
        )
    });
    let is = if sound { "sound" } else { "NOT SOUND" };
    text + &format!("{} is {is}{records}\n", dir.display())
}

/// Inspects again if something seems wrong: while others write, one inspection may see a half-written
/// state.
fn inspect_twice(directory: &Directory) -> Result<Inspection, Error> {
    let inspection = inspect(directory)?;
    let is_whole = |journal: &JournalCheck| journal.end == JournalEnd::Whole;
    if inspection.journal.as_ref().is_some_and(is_whole) {
        return Ok(inspection);
    }
    std::thread::sleep(std::time::Duration::from_millis(50));
    inspect(directory)
}

fn inspect(directory: &Directory) -> Result<Inspection, Error> {
    let mut study = StudyState::new(directory.definition().clone());
    let mut found = Vec::new();
    let journal = match check_journal(directory, &mut |event| study.apply(event)) {
        Ok(journal) => {
            found.extend(of_journal(&journal));
            Some(journal)
        }
        Err(error) => {
            let remedy = "put it back from a backup; without it nothing is known of the trials";
            found.push(Finding::damage(
                FindingKind::JournalUnreadable,
                JOURNAL,
                Hinted(&error).to_string(),
                remedy,
            ));
            None
        }
    };
    found.extend(of_dead_processes(directory, &study));
    let lost: Vec<TrialId> = held_by_nobody(&study).into_iter().map(|(id, _)| id).collect();
    if !lost.is_empty() {
        let problem = "trials are evaluating by processes that take no part";
        let remedy = "--repair gives them back";
        found.push(
            Finding::harmless(FindingKind::HeldByNobody, JOURNAL, problem, remedy).about(lost),
        );
    }
    for (trial, lease) in study.leases().filter(|(_, lease)| directory.machine().has_ended(lease)) {
        let holder = trial.metadata.evaluating_worker_id.as_deref().unwrap_or("?");
        let problem = format!("the {} s for which {holder} asked for it are over", lease.seconds);
        let remedy = "the next worker that comes gives it back, or --repair";
        let finding = Finding::harmless(FindingKind::ExpiredLease, JOURNAL, problem, remedy);
        found.push(finding.about([trial.id.clone()]));
    }
    let whole = journal.as_ref().is_some_and(|j| !matches!(j.end, JournalEnd::Damaged { .. }));
    // Whatever a damaged journal does not mention may be in its lost part.
    found.extend(check_entries(
        directory,
        &|id| !whole || study.trial(id).is_some(),
        &|process| !whole || study.is_member(process),
    )?);
    Ok(Inspection { study, journal, found })
}

/// Processes that died, with the trials they hold.
pub(super) fn of_dead_processes(directory: &Directory, study: &StudyState) -> Vec<Finding> {
    let dead = study.processes().filter(|process| !directory.is_alive(process));
    let finding = |process: &Process| {
        let held = study.evaluating_by(process.process).map(|trial| trial.id.clone());
        let held: Vec<TrialId> = held.collect();
        let problem = format!(
            "process p{} (pid {} on {}) is dead, and {} trials are still evaluating",
            process.process,
            process.pid,
            process.host,
            held.len()
        );
        let remedy = "the next worker of trialmill that comes gives them back, or --repair";
        let file = lock_name(process.process);
        Finding::harmless(FindingKind::DeadProcess, file, problem, remedy).about(held)
    };
    dead.map(finding).collect()
}

/// Trials of workers whose process takes no part: only where a record was lost.
fn held_by_nobody(study: &StudyState) -> Vec<(TrialId, u32)> {
    let is_lost = |trial: &&Trial| {
        let worker = trial.metadata.evaluating_worker_id.as_deref().unwrap_or_default();
        let process = Worker::named(worker).process();
        check_caller(worker).is_err() && !process.is_some_and(|process| study.is_member(process))
    };
    study.evaluating().filter(is_lost).map(|trial| (trial.id.clone(), trial.attempts)).collect()
}

fn of_journal(journal: &JournalCheck) -> Option<Finding> {
    let at = |finding: Finding| finding.at(journal.records + 1, journal.sound_bytes);
    match &journal.end {
        JournalEnd::Torn => {
            let bytes = journal.bytes - journal.sound_bytes;
            let problem = format!("its last {bytes} bytes are of an append that did not end");
            let remedy = "nothing needs to be done: they were never acknowledged, and the next \
                          writer cuts them off; or --repair";
            Some(at(Finding::harmless(FindingKind::TornTail, JOURNAL, problem, remedy)))
        }
        JournalEnd::Damaged { problem, records, trials } => {
            let problem = format!("{problem}; {records} sound records follow it");
            let remedy = "put the file back from a backup. Or `trialmill trials --json` exports \
                          what stands before. Or --repair --drop-damaged goes on without the \
                          damaged bytes: that loses what stood in them, and those records behind \
                          them that do not fit without";
            let finding = Finding::damage(FindingKind::Damage, JOURNAL, problem, remedy);
            Some(at(finding.about(trials.iter().cloned())))
        }
        JournalEnd::Whole => None,
    }
}

fn of_error(error: &StoreError) -> Finding {
    let (kind, remedy) = match error {
        StoreError::Newer { .. } => (FindingKind::NewerFormat, "use the newer trialmill"),
        StoreError::NotAStudy { .. } => (
            FindingKind::NotAStudy,
            "if it was one: put its study.json back from a backup; the journal is not touched",
        ),
        _ => (FindingKind::StudyUnreadable, "mend the cause, then check again"),
    };
    Finding::damage(kind, "study.json", Hinted(error).to_string(), remedy)
}
