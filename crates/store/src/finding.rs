//! What a check finds in the files of a study.

use serde::Serialize;

use trialmill_core::trial::TrialId;

/// What was found. The names in snake case are those in the JSON of `trialmill check`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// The journal's last append did not end.
    TornTail,
    /// The journal is damaged where records were acknowledged.
    Damage,
    /// The journal cannot be read at all.
    JournalUnreadable,
    /// A process died; its trials may still be evaluating.
    DeadProcess,
    /// Trials are evaluating by processes that take no part.
    HeldByNobody,
    /// A caller's lease on a trial has expired.
    ExpiredLease,
    /// A later version wrote the directory.
    NewerFormat,
    /// The directory holds something else.
    NotAStudy,
    /// `study.json` cannot be read.
    StudyUnreadable,
    /// A temporary file of a process that died.
    Leftover,
    /// The lock file of a process that is no longer a member.
    LeftoverLock,
    /// Bytes that were cut off the journal, kept.
    TornBytesKept,
    /// A copy of the journal from before a repair.
    CopyKept,
    /// A file that is not the study's.
    ForeignFile,
    /// A link, a pipe or a device where a file or directory should be.
    WrongKind,
    /// Directories of no trial.
    UnknownTrialDirectory,
    /// NePS's trial cache is missing, and there are trials.
    CacheMissing,
    /// The last record of NePS's cache is cut off.
    TornCache,
    /// NePS's cache is damaged in its middle.
    CacheDamaged,
    /// Trials have directories but are not in the cache.
    VanishedFromCache,
    /// Directories of no trial, too incomplete to be one.
    OrphanDirectory,
    /// Directories whose files make no sense.
    UnreadableDirectory,
    /// Reports that the cache does not know.
    LostReport,
    /// Files of trials are missing or empty.
    MissingFiles,
    /// Files of trials are there, and make no sense.
    TornFiles,
    /// Reports that NePS cannot read back from their files.
    UnreadableReport,
    /// Exceptions of classes that not every Python has.
    ForeignException,
    /// Trials whose files contradict each other.
    CorruptedTrial,
    /// Trials that NePS workers evaluate, or died with.
    HeldByNeps,
    /// Names that no trial can have.
    StrangeName,
    /// The state of NePS's optimizer cannot be read.
    OptimizerState,
    /// The description of NePS's optimizer is missing.
    OptimizerInfo,
    /// A file of NePS's random state is empty.
    SeedState,
    /// NePS's shared errors stop its workers.
    SharedErrors,
}

impl FindingKind {
    /// Whether `trialmill check --repair` repairs it without losing anything.
    pub fn mended_by_repair(self) -> bool {
        matches!(
            self,
            FindingKind::Leftover
                | FindingKind::LeftoverLock
                | FindingKind::TornTail
                | FindingKind::DeadProcess
                | FindingKind::HeldByNobody
                | FindingKind::ExpiredLease
                | FindingKind::CacheMissing
                | FindingKind::TornCache
                | FindingKind::CacheDamaged
                | FindingKind::VanishedFromCache
                | FindingKind::OrphanDirectory
                | FindingKind::LostReport
                | FindingKind::MissingFiles
                | FindingKind::OptimizerState
                | FindingKind::SeedState
                | FindingKind::CorruptedTrial
        )
    }
}

/// Something that was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// What it is; in JSON `torn_tail`, `damage`, `dead_process`, …
    pub kind: FindingKind,
    /// Whether the study is nevertheless sound.
    pub harmless: bool,
    /// The file, relative to the study's directory.
    pub file: String,
    /// The line of the file, from 1.
    pub line: Option<u64>,
    /// The byte of the file, from 0.
    pub byte: Option<u64>,
    /// The trials that it is about.
    pub trials: Vec<TrialId>,
    /// What is wrong.
    pub problem: String,
    /// What can be done.
    pub remedy: &'static str,
}

impl Finding {
    /// Something harmless about a file.
    pub fn harmless(
        kind: FindingKind,
        file: impl Into<String>,
        problem: impl Into<String>,
        remedy: &'static str,
    ) -> Self {
        let (file, problem) = (file.into(), problem.into());
        let (line, byte, trials) = (None, None, Vec::new());
        Finding { kind, harmless: true, file, line, byte, trials, problem, remedy }
    }

    /// Damage of a file.
    pub fn damage(
        kind: FindingKind,
        file: impl Into<String>,
        problem: impl Into<String>,
        remedy: &'static str,
    ) -> Self {
        Finding { harmless: false, ..Self::harmless(kind, file, problem, remedy) }
    }

    /// With its place in the file.
    pub fn at(self, line: u64, byte: u64) -> Self {
        Finding { line: Some(line), byte: Some(byte), ..self }
    }

    /// With the trials that it is about.
    pub fn about(self, trials: impl IntoIterator<Item = TrialId>) -> Self {
        Finding { trials: trials.into_iter().collect(), ..self }
    }
}
