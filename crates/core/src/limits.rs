//! All bounds of the program in one place: queues, sizes, retries, timeouts.

use std::time::Duration;

/// Parameters a search space may have.
pub const MAX_PARAMETERS: usize = 4_096;
/// Choices a categorical parameter may have.
pub const MAX_CHOICES: usize = 65_536;
/// Bytes of a file of trials that are imported.
pub const MAX_IMPORT_BYTES: u64 = 256 << 20;
/// Objectives that a study may have.
pub const MAX_OBJECTIVES: usize = 64;
/// Bytes of a study file or of `study.json`. A value of two bytes takes about 72 in memory, twice.
pub const MAX_STUDY_FILE_BYTES: u64 = 2 << 20;
/// Bytes of one journal line: a report whose curve and extra values need more is refused.
pub const MAX_LINE_BYTES: usize = 16 << 20;
/// Empty files of attempts that have ended, which are kept for those that begin.
pub const SPARE_FILES: usize = 1_024;
/// Evaluations by a command, each different from the others, that a study may have had.
pub const MAX_EVALUATIONS: usize = 10_000;
/// Bytes of a trial id, and of a worker id.
pub const MAX_ID_BYTES: usize = 128;
/// Results before there is a bound on the regret.
pub const REGRET_MIN_RESULTS: u64 = 20;
/// Results that a bound on the regret is computed from: the best so many.
pub const REGRET_RESULTS: usize = 300;
/// Other studies that a study may begin with.
pub const WARM_START_STUDIES: usize = 8;
/// Trials that are taken of each, and values of parameters of all of them together.
pub const WARM_START_TRIALS: usize = 100;
/// See [`WARM_START_TRIALS`].
pub const WARM_START_VALUES: usize = 30_000;
/// Steps that an attempt may report before its end: about 32 MB.
pub const MAX_STEPS: usize = 1 << 20;
/// Steps in one journal line, where many come at once.
pub const STEPS_OF_A_LINE: usize = 4_096;
/// Bytes of the line of a step that a command writes.
pub const MAX_STEP_LINE_BYTES: usize = 64 << 10;
/// Bytes of such lines that are read at a time.
pub const PROGRESS_CHUNK_BYTES: usize = 256 << 10;
/// How often a command's steps are read while it writes some.
pub const PROGRESS_POLL: Duration = Duration::from_millis(5);
/// How often they are looked for while it writes none.
pub const PROGRESS_POLL_MAX: Duration = Duration::from_millis(100);
/// Bytes of a command's result that are read: the result file, or the end of its stdout.
pub const MAX_RESULT_BYTES: u64 = 4 << 20;
/// Bytes of the end of stderr that a crashed trial's report keeps.
pub const STDERR_TAIL_BYTES: u64 = 64 << 10;
/// Bytes of journal that are read and decoded at a time while catching up.
pub const READ_CHUNK_BYTES: usize = 4 << 20;

/// Bytes of one value in a pickle, or of one frame: a greater length means damage.
pub const MAX_PICKLE_VALUE_BYTES: usize = 1 << 30;
/// How deep a pickle that is written may be nested: deeper than Python's own, whose recursion
/// ends at 1,000.
pub const MAX_PICKLE_DEPTH: usize = 1_000;
/// How often a tuple may contain itself when a pickle is written; each occurrence is written once.
pub const MAX_PICKLE_KNOTS: usize = 16;
/// Items of a pickle for which memory is reserved before they are read.
pub const MAX_PICKLE_RESERVED_ITEMS: usize = 65_536;

/// Bytes of a text file of NePS that are read: a configuration, a report, an optimizer's state.
pub const MAX_NEPS_TEXT_BYTES: usize = 16 << 20;
/// Bytes of memory that the values of one YAML file may take once its aliases are followed.
pub const MAX_NEPS_VALUE_BYTES: usize = 32 << 20;
/// Nesting depth of containers in a file of NePS. A dict takes up to three levels in a journal line,
/// and `serde_json` reads 128.
pub const MAX_NEPS_DEPTH: usize = 40;
/// Decimal digits of an integer in a file of NePS: Python's own limit.
pub const MAX_NEPS_INT_DIGITS: usize = 4_300;
/// Bytes of journal that a process reads while it holds the journal's lock and others wait. Anything
/// beyond that it reads first, without the lock.
pub const READ_UNDER_LOCK_BYTES: u64 = 256 << 10;

/// Threads that decode a long journal; each is started only for at least [`DECODE_THREAD_BYTES`].
pub const DECODE_THREADS: usize = 8;
/// See [`DECODE_THREADS`].
pub const DECODE_THREAD_BYTES: usize = 512 << 10;

/// Workers in one process.
pub const MAX_WORKERS: usize = 65_536;
/// Trials a worker may ask for in one message.
pub const MAX_BATCH: usize = 65_536;
/// Messages that may wait for the state actor before a sender waits too.
pub const STATE_MAILBOX: usize = 4_096;
/// Messages that the state actor commits with one write.
pub const MAX_BATCH_MESSAGES: usize = 1_024;
/// The group-commit window, as 1/N of the last commit's duration: how long the state actor waits for
/// the workers that it answered together to report back. Without a sync a commit takes microseconds,
/// and so does the wait.
pub const GROUP_COMMIT_PART: u32 = 4;
/// The longest group-commit window.
pub const GROUP_COMMIT_MAX: Duration = Duration::from_micros(500);

/// How long a process waits for the journal's lock before that is an error.
pub const LOCK_TIMEOUT: Duration = Duration::from_mins(1);
/// The longest pause between two tries for the journal's lock.
pub const LOCK_PAUSE_MAX: Duration = Duration::from_millis(2);
/// How often a process that waits for a lock checks that the lock file is still the one at its path.
pub const LOCK_PATH_CHECK: Duration = Duration::from_secs(1);
/// The longest pause on a network file system, where each try is a request to the server.
pub const NETWORK_LOCK_PAUSE_MAX: Duration = Duration::from_millis(10);
/// On a network file system: how long a process waits for a lock before it takes the holder for a
/// dead machine, and for an unfinished end of the journal before that is an error. Longer than the
/// 90 s after which an NFS 4 server frees a dead machine's locks by itself.
pub const NETWORK_PATIENCE: Duration = Duration::from_secs(150);
/// On a network file system: how often the watcher asks the server whether others wrote.
pub const NETWORK_POLL: Duration = Duration::from_secs(1);

/// How long a process waits for one of NePS's locks: NePS's own default.
pub const NEPS_LOCK_TIMEOUT: Duration = Duration::from_mins(2);
/// Bytes of NePS's trial cache that are read: 300 to 600 for a trial.
pub const MAX_CACHE_BYTES: u64 = 4 << 30;
/// How often a file is read before it counts as damaged, because NePS may be rewriting it in place.
/// Under a fuzzer nobody does.
pub const NEPS_READS: u32 = if cfg!(fuzzing) { 1 } else { 10 };
/// The pause between two such reads.
pub const NEPS_READ_PAUSE: Duration = Duration::from_millis(25);
/// Distinct strings (worker names, choices) that a reader interns.
pub const MAX_INTERNED: usize = 1 << 16;
/// Records in NePS's cache before they are consolidated into one: NePS's own default.
pub const NEPS_MAX_UPDATES: usize = 10;
/// How long a NePS lock file that another process holds open counts as a request for the lock: NePS
/// polls 5 times a second.
pub const NEPS_TURN: Duration = Duration::from_millis(450);
/// How long after its last request a NePS worker counts as present.
pub const NEPS_PRESENT: Duration = Duration::from_secs(1);
/// The least time between two of our samplings while NePS workers are present.
pub const NEPS_PACE: Duration = Duration::from_millis(100);

/// [`NEPS_TURN`] for NePS 0.12, whose oldest release polls once a second. Its workers give up and die
/// after five seconds without the lock.
pub const NEPS_0_12_TURN: Duration = Duration::from_millis(1_200);
/// How long a NePS 0.12 worker may take from sampling a trial to taking its lock.
pub const NEPS_START: Duration = Duration::from_secs(2);
/// How long we wait for the lock of a trial that nobody evaluates: a process that merely probes the
/// lock holds it for a moment.
pub const NEPS_TRIAL_LOCK_TIMEOUT: Duration = Duration::from_millis(500);
/// The resolution of a directory's modification time: two changes closer together may show as one.
pub const NEPS_TIME_GRAIN: Duration = Duration::from_millis(100);

/// How often the watcher polls: for dead processes, a longer journal, Ctrl-C.
pub const WATCH_POLL: Duration = Duration::from_millis(50);
/// How long at least the files about a run rest (NePS: `summary/`) before they are written anew.
pub const SUMMARY_PAUSE: Duration = Duration::from_secs(1);
/// How many times as long as they took to be read and written.
pub const SUMMARY_REST: u32 = 50;
/// How many polls a short-lived verb waits until the killed commands of dead processes are gone.
pub const RECOVER_POLLS: u32 = 20;
/// How often a process writes its heartbeat, for watchers on other hosts.
pub const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(5);
/// Without a new heartbeat for this long, on the watcher's own monotonic clock, a process on another
/// host counts as dead even while its lock looks held.
pub const HEARTBEAT_TIMEOUT: Duration = Duration::from_mins(1);

/// Bytes of JSON that the notes of one trial may take together.
pub const MAX_NOTES_BYTES: usize = 64 << 10;
/// How often a trial may be started before it counts as crashed, unless the study says otherwise.
pub const MAX_ATTEMPTS: u32 = 3;
/// After SIGTERM, how long a command may take to end before SIGKILL.
pub const KILL_GRACE: Duration = Duration::from_secs(5);
/// After SIGKILL, how long a command's end is waited for: a hung driver or mount may keep it for ever.
pub const KILL_WAIT: Duration = Duration::from_secs(3);
/// How long a stop of ours may come after a command's bad end for the two to be one: a batch system
/// signals all processes of a job, in any order.
pub const STOP_FOLLOWS: Duration = Duration::from_millis(300);
/// For how long a command that cannot be started is tried again, where commands did start before.
pub const SET_UP_PATIENCE: Duration = Duration::from_secs(30);
/// The same in a process in which none has started yet.
pub const SET_UP_FIRST_PATIENCE: Duration = Duration::from_secs(2);
/// How often the process that runs commands looks after what it adopted and counts its running time.
pub const HOUSEKEEPING: Duration = Duration::from_millis(200);
/// A longer time without such a look was none in which this process ran: it was suspended.
pub const SUSPENDED: Duration = Duration::from_secs(1);
/// How often a running command's logs are looked at.
pub const LOG_CHECK: Duration = Duration::from_secs(5);
/// Bytes that a command's log keeps from its beginning.
pub const LOG_HEAD_BYTES: u64 = 1 << 20;
/// Bytes that it keeps from its end.
pub const LOG_TAIL_BYTES: u64 = 5 << 20;
/// Bytes of one argument or one variable, with its name: Linux takes no longer ones.
pub const MAX_ARGUMENT_BYTES: usize = (128 << 10) - 1;
/// Characters of a number that is written out for a command without an exponent.
pub const MAX_PLAIN_DIGITS: usize = 32;
/// Descriptors that a process of workers must have beside those that are open when it starts.
pub const MIN_FREE_DESCRIPTORS: u64 = 24;
/// Descriptors that must be free before another command is started.
pub const SPARE_DESCRIPTORS: usize = 10;
/// When nothing at all has succeeded since a run began, this many errors in a row stop it.
pub const GIVE_UP_AFTER_ERRORS: u64 = 20;

/// The interval of progress output: on a terminal, and elsewhere.
pub const PROGRESS_EVERY: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(10)];

/// How often a directory shared with NePS is read anew for those who watch it: it has no end to read on
/// from.
pub const FOLLOW_SHARED_POLL: Duration = Duration::from_secs(2);
/// And at the most this part of the time: reading takes longer the more trials there are.
pub const FOLLOW_SHARED_PART: u32 = 10;
/// Workers that have a lane of their own in the timeline; those that come later share the last one.
pub const MAX_LANES: usize = 4_096;
/// Objectives of one trial that figures show.
pub const MAX_SHOWN_OBJECTIVES: usize = 8;
