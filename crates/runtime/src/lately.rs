//! Commands that ended badly a moment ago. A batch system, `docker stop` or systemd signals all processes of
//! a job, one after another: a command may have ended by that before our own signal comes. Its crash is
//! stored at once, because nobody is to wait for a signal that mostly does not come; if one comes, the trial
//! is handed back.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::handle::StudyHandle;
use trialmill_core::limits::STOP_FOLLOWS;
use trialmill_core::study::Command;
use trialmill_core::trial::{Report, State, TrialId};

/// What commands end by that are told to end, and what stands for it in a report.
const KINDS: [&str; 2] = ["exit", "result"];

/// Longer than a signal may take: it is noticed a while after it has come.
const KEPT: Duration = STOP_FOLLOWS.saturating_mul(2);

/// Trials whose commands ended badly, the earliest first.
#[derive(Debug, Default)]
pub(crate) struct Lately(Mutex<VecDeque<Ended>>);

#[derive(Debug)]
struct Ended {
    when: Instant,
    trial: TrialId,
    attempt: u32,
}

impl Lately {
    /// Takes the report of a command.
    pub(crate) fn note(&self, trial: &TrialId, attempt: u32, report: &Report) {
        let kind = report.failure.as_ref().map(|failure| &*failure.err_type);
        if report.reported_as != State::Crashed || !kind.is_some_and(|kind| KINDS.contains(&kind)) {
            return;
        }
        let mut ended = self.0.lock();
        let is_over = |ended: &Ended| ended.when.elapsed() > KEPT;
        while ended.front().is_some_and(is_over) {
            ended.pop_front();
        }
        ended.push_back(Ended { when: Instant::now(), trial: trial.clone(), attempt });
    }

    /// How long it takes until no signal can belong to the latest any more.
    pub(crate) fn settles_in(&self) -> Option<Duration> {
        STOP_FOLLOWS.checked_sub(self.0.lock().back()?.when.elapsed())
    }

    /// A signal has just come: hands back what ended with it.
    pub(crate) fn hand_back(&self, handle: &StudyHandle) {
        self.hand_back_within(KEPT, handle);
    }

    fn hand_back_within(&self, time: Duration, handle: &StudyHandle) {
        let ended: Vec<Ended> = self.0.lock().drain(..).collect();
        let ended = ended.into_iter().filter(|it| it.when.elapsed() <= time);
        let ours: Vec<(TrialId, u32)> = ended.map(|it| (it.trial, it.attempt)).collect();
        if ours.is_empty() {
            return;
        }
        let still_crashed = handle.with_study(move |study| {
            let is_it = |(id, attempt): &(TrialId, u32)| {
                let trial = study.trial(id);
                trial.is_some_and(|it| it.state == State::Crashed && it.attempts == *attempt)
            };
            ours.into_iter().filter(is_it).map(|(id, _)| Command::RetryOne(id)).collect::<Vec<_>>()
        });
        // If the state is lost, everybody hears of it elsewhere.
        if let Ok(commands) = still_crashed
            && !commands.is_empty()
        {
            let n = commands.len();
            tracing::info!(
                "{n} commands ended with the signal that stops this process: handed back"
            );
            let _ = handle.exchange(commands);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StudyBuilder;
    use trialmill_core::space::{Parameter, SearchSpace};

    /// Each command that ended with code 1 held its worker for 0.3 s: a study of failing ones crawled.
    #[test]
    fn a_crash_that_was_stored_is_taken_back_if_it_is_still_the_trial_s_last_word() {
        let space = SearchSpace::new([("x", Parameter::float(0.0, 1.0))]).unwrap();
        let session = StudyBuilder::in_memory().space(space).open().unwrap();
        let (handle, minute) = (session.handle(), Duration::from_mins(1));
        let trials = handle.ask("me", 3, minute).unwrap().into_trials();
        let lately = Lately::default();
        for trial in &trials {
            let report = Report::crashed("exit", "code 1");
            lately.note(&trial.id, 1, &report);
            let _ = handle.report(&trial.id, Some(1), report).unwrap();
        }
        // Somebody else tries the second again; the third was corrected by hand.
        handle.retry_trials(&[trials[1].id.clone()]).unwrap();
        handle.ask("me", 1, minute).unwrap();
        let mut third = handle.trial(&trials[2].id).unwrap();
        third.state = State::Success;
        third.report = Some(Box::new(Report::objective(1.0)));
        handle.put(third).unwrap();
        lately.hand_back_within(Duration::MAX, &handle);
        let states = handle.trials().unwrap().iter().map(|trial| trial.state).collect::<Vec<_>>();
        assert_eq!(states, [State::Pending, State::Evaluating, State::Success]);
        assert!(lately.0.lock().is_empty());
    }

    #[test]
    fn only_what_a_told_command_ends_by_may_be_taken_back() {
        let lately = Lately::default();
        let id = TrialId::Number(1);
        for (report, counts) in [
            (Report::crashed("exit", "code 1"), true),
            (Report::crashed("result", "none"), true),
            (Report::crashed("timeout", "killed"), false),
            (Report::failed("diverged"), false),
            (Report::objective(1.0), false),
        ] {
            lately.note(&id, 1, &report);
            assert_eq!(lately.0.lock().drain(..).count() == 1, counts, "{report:?}");
        }
        assert_eq!(lately.settles_in(), None);
        lately.note(&id, 1, &Report::crashed("exit", "code 1"));
        assert!(lately.settles_in().is_some());
    }
}
