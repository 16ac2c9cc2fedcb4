//! Evaluations by an async closure of this program: tasks, of which thousands share one thread.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use super::closure::{as_current, ended};
use super::task::{Evaluate, Evaluating};
use super::{Ended, RunningTrial};
use trialmill_core::error::BoxError;
use trialmill_core::trial::Report;

/// Evaluates with an async closure. At any of its awaits it can be stopped: at its time limit, and
/// at the end of the run.
pub(crate) struct AsyncClosure<F>(pub(crate) F);

impl<F, R, E> Evaluate for AsyncClosure<F>
where
    F: Fn(RunningTrial) -> E + Send + Sync,
    E: Future<Output = Result<R, BoxError>>,
    R: Into<Report>,
{
    fn evaluate<'a>(&'a self, trial: &'a RunningTrial) -> Evaluating<'a> {
        Box::pin(async move { Ok(self.run(trial).await) })
    }
}

impl<F, R, E> AsyncClosure<F>
where
    F: Fn(RunningTrial) -> E,
    E: Future<Output = Result<R, BoxError>>,
    R: Into<Report>,
{
    async fn run(&self, trial: &RunningTrial) -> Ended {
        tokio::select! {
            // A result that is ready counts, even if the run stops at the same moment.
            biased;
            result = fenced(trial, async { Ok((self.0)(trial.clone()).await?.into()) }) => {
                ended(result, trial)
            }
            () = trial.stop_signal().stopped() => Ended::Released,
            limit = time_is_up(trial) => {
                let message = format!("stopped at its limit of {} s", limit.as_secs_f64());
                Ended::Report(Box::new(Report::crashed("timeout", message)))
            }
        }
    }
}

async fn time_is_up(trial: &RunningTrial) -> Duration {
    match trial.timeout() {
        Some(limit) => {
            tokio::time::sleep(limit).await;
            limit
        }
        None => std::future::pending().await,
    }
}

/// Polls an evaluation. During each poll the trial is the current one, and a panic is caught.
async fn fenced<R>(
    trial: &RunningTrial,
    evaluation: impl Future<Output = R>,
) -> std::thread::Result<R> {
    let mut evaluation = pin!(evaluation);
    poll_fn(|task| {
        let poll = || as_current(trial, || evaluation.as_mut().poll(task));
        match catch_unwind(AssertUnwindSafe(poll)) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(result)) => Poll::Ready(Ok(result)),
            Err(panic) => Poll::Ready(Err(panic)),
        }
    })
    .await
}
