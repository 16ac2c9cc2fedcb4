//! What the end of a command means while this process is told to stop, or soon after.

use std::fs::File;

use super::*;
use crate::StudyBuilder;
use crate::evaluate::StopSignal;
use crate::slots::Slots;
use trialmill_core::space::{Parameter, SearchSpace};
use trialmill_core::trial::{Trial, TrialId};
use trialmill_store::Stream;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Told {
    No,
    Before,
    Meanwhile,
}

/// How a command ended, as waitpid(2) has it.
fn code(code: i32) -> ExitStatus {
    ExitStatus::from_raw(code << 8)
}

fn signal(signal: Signal) -> ExitStatus {
    ExitStatus::from_raw(signal as i32)
}

/// What a batch system stops is handed back, and what ended by itself is not: a stopped trial was recorded as crashed
/// for good, and a crash as nothing.
#[test]
fn a_stop_takes_back_what_ended_with_it_and_nothing_else() {
    const RELEASED: &str = "released";
    let (x, objectives) = (Parameter::float(0.0, 1.0), Objectives::default());
    let space = SearchSpace::new([("x", x)]).unwrap();
    let session = StudyBuilder::in_memory().space(space.clone()).ctrl_c(false).open().unwrap();
    let shares = Shares::of(&Slots::default(), 1).unwrap();
    let evaluator = ProcessEvaluator::new(Arc::new(space), objectives, shares);
    let trial = session.handle().sample(1).unwrap().into_trials().remove(0);
    assert_eq!(trial.id, TrialId::Number(1));
    // How it ended, what it printed, whether we were told to stop, whether it wrote a result then.
    let table = [
        (code(0), "0.5", Told::No, false, "success"),
        (code(0), "", Told::No, false, "result"),
        (code(0), "0.5", Told::Before, false, RELEASED),
        (code(0), "0.5", Told::Before, true, "success"),
        (code(3), "0.5", Told::No, false, "exit"),
        (code(3), "0.5", Told::Before, false, RELEASED),
        // Its crash is stored at once; if a stop follows, it is taken back (`lately.rs`).
        (code(3), "0.5", Told::Meanwhile, false, "exit"),
        (signal(Signal::SIGSEGV), "", Told::No, false, "signal"),
        (signal(Signal::SIGSEGV), "", Told::Meanwhile, false, "signal"),
        (signal(Signal::SIGSEGV), "", Told::Before, false, RELEASED),
        (signal(Signal::SIGTERM), "", Told::No, false, "signal"),
        (signal(Signal::SIGTERM), "", Told::Meanwhile, false, RELEASED),
        (signal(Signal::SIGTERM), "", Told::Before, false, RELEASED),
        (signal(Signal::SIGKILL), "", Told::Meanwhile, false, RELEASED),
    ];
    for (status, printed, told, writes, expected) in table {
        let home = tempfile::tempdir().unwrap();
        let files = AttemptFiles::of(home.path(), 1);
        std::fs::create_dir(files.own()).unwrap();
        let log = files.log(Stream::Stdout);
        std::fs::write(&log, printed).unwrap();
        let output = Output::new(files, File::open(&log).unwrap());
        let running = running(trial.clone(), &session.handle());
        let stop = running.stop_signal().clone();
        if told == Told::Before {
            stop.stop();
        }
        if writes {
            std::fs::write(output.files().result(), "0.25").unwrap();
            let file = File::options().write(true).open(output.files().result()).unwrap();
            file.set_modified(stop.since()).unwrap();
        }
        let end = evaluator.ended_by_itself(Ok(status), &running, &output);
        let meanwhile = async {
            if told == Told::Meanwhile {
                stop.stop();
            }
        };
        let (ended, ()) =
            actix::System::new().block_on(async { tokio::join!(biased; end, meanwhile) });
        let found = match &ended {
            Ended::Released => RELEASED.into(),
            Ended::Report(report) => {
                report.failure.as_ref().map_or("success".into(), |failure| failure.err_type.clone())
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(*found, *expected, "{status}, {printed:?}, told {told:?}, writes {writes}");
    }
}

fn running(trial: Trial, handle: &crate::StudyHandle) -> RunningTrial {
    let stop = Arc::new(StopSignal::default());
    RunningTrial::begin(trial, 0, None, None, None, stop, handle.clone())
}
