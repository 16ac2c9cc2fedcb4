//! What a person does to a study from a page or a terminal. Each action is one of the client's methods, an
//! event in the journal, and says in a sentence what came of it.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value as Json};
use trialmill_core::budget::Budget;
use trialmill_core::error::{Error, StudyError};
use trialmill_core::event::{Process, check_caller};
use trialmill_core::notation;
use trialmill_core::trial::{State, TrialId};

use super::client::{Client, ReportOutcome};
use super::direct::Direct;

/// Something that is done to a study after a person's yes.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum Action {
    /// Requeues a trial that a caller holds.
    Release {
        /// The trial.
        trial: TrialId,
    },
    /// Requeues trials that failed or crashed.
    Retry {
        /// The trial; all of them, if none is named.
        trial: Option<TrialId>,
    },
    /// Adds to limits that the study has.
    Budget(More),
    /// Hands out nothing more until it is resumed.
    Pause,
    /// Goes on after a pause.
    Resume,
    /// Asks the processes that take part to end.
    Stop {
        /// With their evaluations, instead of after them.
        #[serde(default)]
        now: bool,
    },
    /// Adds a configuration that is evaluated next.
    Enqueue {
        /// The values, or texts of them.
        #[serde(deserialize_with = "object")]
        config: Map<String, Json>,
    },
}

/// What is added to a budget.
#[derive(Debug, Clone, Copy, PartialEq, Default, Deserialize)]
#[expect(missing_docs, reason = "as in the budget")]
pub struct More {
    pub evaluations: Option<u64>,
    pub cost: Option<f64>,
    pub fidelity: Option<f64>,
    pub evaluation_seconds: Option<f64>,
    pub steps: Option<u64>,
}

impl std::fmt::Display for Action {
    /// The action after "Really ".
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Action::Release { trial } => {
                write!(f, "release trial {trial}, so that it is handed out again")
            }
            Action::Retry { trial: Some(trial) } => write!(f, "retry trial {trial}"),
            Action::Retry { trial: None } => f.write_str("retry all trials that failed or crashed"),
            Action::Budget(more) => {
                let given = more.given().into_iter().filter_map(|(name, x)| Some((name, x?)));
                let words: Vec<String> =
                    given.map(|(name, x)| format!("{x} more {}", name.replace('_', " "))).collect();
                write!(f, "allow {}", words.join(" and "))
            }
            Action::Pause => f.write_str("pause, so that no trial is handed out until it is resumed"),
            Action::Resume => f.write_str("go on, so that trials are handed out again"),
            Action::Stop { now: false } => {
                f.write_str("ask all processes of this study to end after their evaluations")
            }
            Action::Stop { now: true } => f.write_str(
                "end all processes of this study now, with their evaluations (those trials wait then)",
            ),
            Action::Enqueue { config } => {
                let word = |(name, json): (&String, &Json)| match json {
                    Json::String(text) => format!("{name}={text}"),
                    json => format!("{name}={json}"),
                };
                let words: Vec<String> = config.iter().map(word).collect();
                write!(f, "enqueue {}", words.join(" "))
            }
        }
    }
}

impl More {
    fn given(&self) -> [(&'static str, Option<f64>); 5] {
        [
            ("evaluations", self.evaluations.map(|n| n as f64)),
            ("cost", self.cost),
            ("fidelity", self.fidelity),
            ("evaluation_seconds", self.evaluation_seconds),
            ("steps", self.steps.map(|n| n as f64)),
        ]
    }

    /// A larger budget, and what is allowed then.
    fn over(self, budget: Budget) -> Result<(Budget, String), String> {
        let mut new = budget;
        let mut said = Vec::new();
        let whole = |name: &str, limit: &mut Option<u64>, more: Option<u64>| match (*limit, more) {
            (_, None) => Ok(None),
            (None, Some(_)) => Err(format!("this study has no limit of {name}")),
            (Some(_), Some(0)) => Err("0 more is no more".into()),
            (Some(old), Some(more)) => {
                let sum = old.saturating_add(more);
                *limit = Some(sum);
                Ok(Some(format!("{sum} {name}")))
            }
        };
        let real = |name: &str, limit: &mut Option<f64>, more: Option<f64>| match (*limit, more) {
            (_, None) => Ok(None),
            (None, Some(_)) => Err(format!("this study has no limit of {name}")),
            (Some(_), Some(more)) if !(more.is_finite() && more > 0.0) => {
                Err(format!("{more} more {name} is no larger budget"))
            }
            (Some(old), Some(more)) => {
                *limit = Some(old + more);
                Ok(Some(format!("{} {name}", old + more)))
            }
        };
        said.extend(whole("evaluations", &mut new.evaluations, self.evaluations)?);
        said.extend(real("cost", &mut new.cost, self.cost)?);
        said.extend(real("fidelity", &mut new.fidelity, self.fidelity)?);
        let seconds = ("seconds of evaluation", &mut new.evaluation_seconds);
        said.extend(real(seconds.0, seconds.1, self.evaluation_seconds)?);
        said.extend(whole("steps", &mut new.steps, self.steps)?);
        match said.is_empty() {
            true => Err("it has to be said how much more of what".into()),
            false => Ok((new, format!("{} are allowed now", said.join(", ")))),
        }
    }
}

fn object<'de, D: Deserializer<'de>>(input: D) -> Result<Map<String, Json>, D::Error> {
    let json = Json::deserialize(input)?;
    notation::as_object(&json).ok_or_else(|| D::Error::custom("a configuration is an object"))
}

fn trials(n: usize) -> String {
    if n == 1 { "1 trial".into() } else { format!("{n} trials") }
}

impl Client<Direct> {
    /// Does what a person asked for; returns a sentence that says what was done.
    ///
    /// # Errors
    /// It is refused, with the reason; then nothing was changed. Or the state is gone.
    pub fn act(&self, action: Action) -> Result<String, Error> {
        match action {
            Action::Release { trial } => self.release_of_caller(&trial),
            Action::Retry { trial: Some(trial) } => {
                self.retry_trials(std::slice::from_ref(&trial))?;
                Ok(format!("trial {trial} waits again"))
            }
            Action::Retry { trial: None } => {
                Ok(match self.retry(&[State::Failed, State::Crashed])?.len() {
                    0 => "no trial has failed or crashed".into(),
                    1 => "1 trial waits again".into(),
                    n => format!("{n} trials wait again"),
                })
            }
            Action::Budget(more) => {
                let mut said = Ok(String::new());
                self.change_policy(|policy| {
                    said = more.over(policy.budget).map(|(budget, said)| {
                        policy.budget = budget;
                        said
                    });
                })?;
                said.map_err(Error::Setting)
            }
            Action::Pause => {
                let was = self.with_study(|study| study.policy().paused)?;
                self.pause()?;
                Ok(match was {
                    true => "it was paused already".into(),
                    false => {
                        let goes_on = trials(self.evaluating()?.len());
                        self.of_ours(format!("paused; {goes_on} in progress"))
                    }
                })
            }
            Action::Resume => {
                let was = self.with_study(|study| study.policy().paused)?;
                self.resume()?;
                Ok(match was {
                    true => "trials are handed out again".into(),
                    false => "it was not paused".into(),
                })
            }
            Action::Stop { now } => self.stop_all(now),
            Action::Enqueue { config } => {
                let space = self.with_study(|study| study.definition().space.clone())?;
                if space.is_unknown() {
                    let problem = "this directory does not say what the search space is (that NePS \
                                   version keeps it in its program), so nothing can be enqueued";
                    return Err(StudyError::Contradiction(problem.into()).into());
                }
                let added = self.enqueue(vec![space.given(&config)?])?;
                let ids: Vec<String> = added.iter().map(|trial| trial.id.to_string()).collect();
                Ok(format!("trial {} waits, and is evaluated next", ids.join(" ")))
            }
        }
    }

    /// Releases a trial that a caller of `ask` holds. A worker's command still runs: the next attempt would
    /// run beside it.
    fn release_of_caller(&self, trial: &TrialId) -> Result<String, Error> {
        let found = self.trial(trial)?;
        let holder = found.metadata.evaluating_worker_id.as_deref();
        let holder = holder.filter(|_| found.state == State::Evaluating);
        if let Some(worker) = holder.filter(|holder| check_caller(holder).is_err()) {
            let problem = format!(
                "worker {worker} is evaluating trial {trial}, and only it can hand it back (stop its \
                 process)"
            );
            return Err(StudyError::Contradiction(problem).into());
        }
        match self.release(trial, None)? {
            ReportOutcome::Accepted => Ok(format!("trial {trial} waits again")),
            ReportOutcome::Superseded { state, .. } => {
                let problem = format!("trial {trial} is {state}, and nobody holds it");
                Err(StudyError::Contradiction(problem).into())
            }
        }
    }

    fn stop_all(&self, now: bool) -> Result<String, Error> {
        let own = std::process::id();
        let asked = self.with_study(move |study| {
            let others = study.processes().filter(|process| process.pid != own);
            let name = |p: &Process| format!("p{} on {} (pid {})", p.process, p.host, p.pid);
            others.map(name).collect::<Vec<_>>()
        })?;
        self.stop_processes(now)?;
        let asked = match (asked.is_empty(), now) {
            (true, _) => "no process works on this study".to_string(),
            (false, true) => format!("asked to end now: {}", asked.join(", ")),
            (false, false) => format!(
                "asked to end: {}; {} in progress first",
                asked.join(", "),
                trials(self.evaluating()?.len())
            ),
        };
        Ok(self.of_ours(asked))
    }

    /// NePS's own workers read nothing of ours.
    fn of_ours(&self, said: String) -> String {
        match self.directory().is_some_and(|directory| directory.layout().is_shared()) {
            true => format!("{said}; NePS's own workers know of no such thing, and go on"),
            false => said,
        }
    }
}
