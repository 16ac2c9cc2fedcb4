//! A process that samples for others, and evaluates nothing.

use trialmill_core::budget::Limit;
use trialmill_core::error::Error;
use trialmill_core::limits::WATCH_POLL;
use trialmill_core::study::{StopReason, StudyState};
use trialmill_core::trial::State;

use super::client::AskOutcome;
use super::session::Session;

impl Session {
    /// Keeps this many trials waiting for whoever evaluates, until the budget is used, the study ends early
    /// or is asked to stop, or Ctrl-C. Returns how many it sampled, and why it ended.
    ///
    /// # Errors
    /// The state is lost, or the optimizer fails.
    pub fn sample_ahead(&self, ahead: u64) -> Result<(usize, StopReason), Error> {
        let _signals = self.mind_signals();
        let (handle, process, stop) = (self.handle(), self.process(), self.stop_signal());
        let mut sampled = 0;
        loop {
            if stop.is_stopped() {
                return Ok((sampled, StopReason::Interrupted));
            }
            let look = move |study: &StudyState| {
                let (budget, spent) = (&study.policy().budget, study.spent());
                let waiting = study.count(State::Pending);
                let left = budget.evaluations_left(&spent);
                let wanted = ahead.min(left).saturating_sub(waiting);
                let asked_to_stop = study.policy().stops(process).map(|_| StopReason::Stopped);
                let early = study.ended_early().map(StopReason::Early);
                let used = budget.reached(&spent).map(StopReason::Budget);
                // Nothing more is to be sampled, unless the budget grows.
                let enough = || StopReason::Budget(Limit::Evaluations);
                let used = used.or_else(|| (wanted == 0 && left <= waiting).then(enough));
                (wanted, asked_to_stop.or(early).or(used))
            };
            let (wanted, reason) = handle.with_study(look)?;
            if let Some(reason) = reason {
                return Ok((sampled, reason));
            }
            if wanted > 0 {
                match handle.sample(usize::try_from(wanted).unwrap_or(usize::MAX))? {
                    AskOutcome::Trials(trials) => {
                        sampled += trials.len();
                        continue;
                    }
                    AskOutcome::Stop(reason) => return Ok((sampled, reason)),
                    AskOutcome::Wait => {}
                }
            }
            std::thread::sleep(WATCH_POLL);
        }
    }
}
