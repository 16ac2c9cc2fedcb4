//! The attempts of a study, a lane for each worker, and the ends of trials in the order in which they
//! came: what the state of a study does not keep, because no decision needs it.

use std::collections::HashMap;

use trialmill_core::event::{Event, EventKind, ProcessId, Reason, process_of};
use trialmill_core::limits::{MAX_LANES, MAX_SHOWN_OBJECTIVES};
use trialmill_core::study::StudyState;
use trialmill_core::trial::{State, Trial, TrialId};

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ending {
    /// It has not ended.
    Running,
    /// With a report, in this state.
    Reported(State),
    /// Without a report.
    Requeued(Reason),
}

impl Ending {
    /// One word for it.
    pub fn name(self) -> &'static str {
        match self {
            Ending::Running => "running",
            Ending::Reported(state) => state.name(),
            Ending::Requeued(Reason::Died) => "died",
            Ending::Requeued(Reason::Released) => "released",
            Ending::Requeued(Reason::Expired) => "expired",
            Ending::Requeued(Reason::Retry) => "retry",
            Ending::Requeued(Reason::Crashed) => "crashed",
        }
    }
}

/// One attempt of a trial, as a stretch of its worker's time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Attempt {
    /// The position of its trial.
    pub trial: u32,
    /// Its number, from 1.
    pub number: u32,
    /// When it began.
    pub start: f64,
    /// When it ended; infinity while it runs.
    pub end: f64,
    /// How it ended.
    pub ending: Ending,
    /// The number of the evaluation that it ran, where that was a command.
    pub evaluation: Option<u32>,
}

/// What one worker did, in order.
#[derive(Debug, Clone, PartialEq)]
pub struct Lane {
    /// The worker.
    pub worker: String,
    /// The process that it is a worker of; callers from outside have none.
    pub process: Option<ProcessId>,
    /// Its attempts, by their beginning.
    pub attempts: Vec<Attempt>,
}

/// A process of the study, for as long as it took part.
#[derive(Debug, Clone, PartialEq)]
pub struct Stay {
    /// Its number.
    pub process: ProcessId,
    /// Its machine.
    pub host: String,
    /// The batch system's job that it runs in.
    pub job: Option<String>,
    /// The worker id that it was given.
    pub worker_id: Option<String>,
    /// When it joined.
    pub joined: f64,
    /// When it left or was buried.
    pub left: Option<f64>,
}

/// The ends of trials, as columns: row `i` is the `i`-th report. Rows are only ever added.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ends {
    /// The position of the trial.
    pub trial: Vec<u32>,
    /// When.
    pub time: Vec<f64>,
    /// In which state.
    pub state: Vec<State>,
    /// Each objective; not a number where there is none.
    pub objectives: Vec<Vec<f64>>,
    /// The reported cost, 0 where there is none.
    pub cost: Vec<f64>,
    /// The duration of the evaluation; not a number where it is not known.
    pub duration: Vec<f64>,
}

/// The attempts of a study, a lane for each worker, and the ends of trials in the order in which they came.
#[derive(Debug, Default)]
pub struct Runs {
    ends: Ends,
    lanes: Vec<Lane>,
    lane_of: HashMap<String, usize>,
    stays: Vec<Stay>,
    /// Where the attempts that run are: lane, and place in it.
    running: HashMap<u32, (usize, usize)>,
    first: Option<f64>,
    last: f64,
}

/// What an event will do, taken before it is applied.
pub(super) enum Step {
    Begin { id: TrialId, worker: String, time: f64 },
    End { id: TrialId, time: f64, ending: Ending },
    Put(TrialId),
    Joined(Stay),
    Left(ProcessId, f64),
    Nothing(f64),
}

impl Runs {
    /// The ends of trials.
    pub fn ends(&self) -> &Ends {
        &self.ends
    }

    /// A lane for each worker, in the order in which they first evaluated something.
    pub fn lanes(&self) -> &[Lane] {
        &self.lanes
    }

    /// The processes that took part, in the order in which they joined.
    pub fn stays(&self) -> &[Stay] {
        &self.stays
    }

    /// When the first event and the last one happened.
    pub fn span(&self) -> Option<(f64, f64)> {
        self.first.map(|first| (first, self.last.max(first)))
    }

    /// The attempts of one trial, with the workers that made them. Looks at all attempts.
    pub fn of_trial(&self, trial: u32) -> Vec<(&str, Attempt)> {
        let of_lane = |lane: &'_ Lane| -> Vec<Attempt> {
            lane.attempts.iter().copied().filter(|attempt| attempt.trial == trial).collect()
        };
        let mut found: Vec<(&str, Attempt)> = self
            .lanes
            .iter()
            .flat_map(|lane| of_lane(lane).into_iter().map(|own| (lane.worker.as_str(), own)))
            .collect();
        found.sort_by_key(|(_, attempt)| attempt.number);
        found
    }

    pub(super) fn before(event: &Event) -> Step {
        let time = event.time;
        match &event.kind {
            EventKind::Sampled { trial, worker, claimed: true, .. }
            | EventKind::Claimed { trial, worker, .. } => {
                Step::Begin { id: trial.clone(), worker: worker.to_string(), time }
            }
            EventKind::Reported { trial, report, .. } => {
                let ending = Ending::Reported(report.reported_as);
                Step::End { id: trial.clone(), time, ending }
            }
            EventKind::Requeued { trial, reason, .. } => {
                Step::End { id: trial.clone(), time, ending: Ending::Requeued(*reason) }
            }
            EventKind::Put(trial) => Step::Put(trial.id.clone()),
            EventKind::Joined(process) => Step::Joined(Stay {
                process: process.process,
                host: process.host.to_string(),
                job: process.job.as_deref().map(str::to_string),
                worker_id: process.worker_id.as_deref().map(str::to_string),
                joined: time,
                left: None,
            }),
            EventKind::Left { process, .. } => Step::Left(*process, time),
            _ => Step::Nothing(time),
        }
    }

    pub(super) fn after(&mut self, step: Step, study: &StudyState) {
        let position = |id: &TrialId| study.trials().position(id);
        let time = match step {
            Step::Begin { id, worker, time } => {
                if let Some(at) = position(&id) {
                    self.begin(at, study.trials().at(at), &worker, time);
                }
                time
            }
            Step::End { id, time, ending } => {
                if let Some(at) = position(&id) {
                    self.end(at, time, ending);
                    if let Ending::Reported(_) = ending {
                        self.ended(at, study.trials().at(at), time);
                    }
                }
                time
            }
            Step::Put(id) => {
                let Some(at) = position(&id) else { return };
                self.put(at, study.trials().at(at))
            }
            Step::Joined(stay) => {
                let time = stay.joined;
                self.stays.push(stay);
                time
            }
            Step::Left(process, time) => {
                let stay = self.stays.iter_mut().rev().find(|stay| stay.process == process);
                if let Some(stay) = stay {
                    stay.left = Some(time);
                }
                time
            }
            Step::Nothing(time) => time,
        };
        self.first = Some(self.first.map_or(time, |first| first.min(time)));
        self.last = self.last.max(time);
    }

    fn lane(&mut self, worker: &str) -> usize {
        if let Some(lane) = self.lane_of.get(worker) {
            return *lane;
        }
        if self.lanes.len() == MAX_LANES {
            // Callers choose their names; a million of them are no picture.
            return MAX_LANES - 1;
        }
        let process = process_of(worker);
        self.lanes.push(Lane { worker: worker.into(), process, attempts: Vec::new() });
        self.lane_of.insert(worker.into(), self.lanes.len() - 1);
        self.lanes.len() - 1
    }

    fn begin(&mut self, at: u32, trial: &Trial, worker: &str, start: f64) {
        let lane = self.lane(worker);
        let attempts = &mut self.lanes[lane].attempts;
        let (end, ending) = (f64::INFINITY, Ending::Running);
        let (number, evaluation) = (trial.attempts.max(1), trial.metadata.evaluation);
        attempts.push(Attempt { trial: at, number, start, end, ending, evaluation });
        self.running.insert(at, (lane, attempts.len() - 1));
    }

    fn end(&mut self, trial: u32, time: f64, ending: Ending) {
        let Some((lane, place)) = self.running.remove(&trial) else { return };
        let attempt = &mut self.lanes[lane].attempts[place];
        attempt.end = time.max(attempt.start);
        attempt.ending = ending;
    }

    fn ended(&mut self, at: u32, trial: &Trial, time: f64) {
        let ends = &mut self.ends;
        let row = ends.trial.len();
        let objectives = trial.objectives();
        for (k, x) in objectives.iter().enumerate().take(MAX_SHOWN_OBJECTIVES) {
            if ends.objectives.len() <= k {
                ends.objectives.push(vec![f64::NAN; row]);
            }
            ends.objectives[k].push(*x);
        }
        for column in ends.objectives.iter_mut().skip(objectives.len()) {
            column.push(f64::NAN);
        }
        let report = trial.report.as_deref();
        ends.trial.push(at);
        ends.time.push(time);
        ends.state.push(trial.state);
        ends.cost.push(report.and_then(|report| report.cost).unwrap_or(0.0));
        ends.duration.push(trial.metadata.evaluation_duration.unwrap_or(f64::NAN));
    }

    /// A trial that was set as a whole says by itself when it ran; returns its last moment.
    fn put(&mut self, at: u32, trial: &Trial) -> f64 {
        let meta = &trial.metadata;
        let end = meta.time_end.or_else(|| Some(meta.time_started? + meta.evaluation_duration?));
        let begin = meta.time_started.or(end);
        if !self.running.contains_key(&at)
            && let (Some(worker), Some(begin)) = (&meta.evaluating_worker_id, begin)
        {
            self.begin(at, trial, worker, begin);
        }
        let last = end.or(meta.time_started).unwrap_or(meta.time_sampled);
        if trial.state.is_finished() {
            self.end(at, last, Ending::Reported(trial.state));
            self.ended(at, trial, last);
        } else if trial.state != State::Evaluating {
            self.end(at, last, Ending::Requeued(Reason::Released));
        }
        last
    }
}

impl Ends {
    /// How many.
    pub fn len(&self) -> usize {
        self.trial.len()
    }

    /// Whether nothing has ended.
    pub fn is_empty(&self) -> bool {
        self.trial.is_empty()
    }

    /// Objective `k` of a row, where it is a number.
    pub fn objective(&self, row: usize, k: usize) -> Option<f64> {
        self.objectives.get(k).map(|column| column[row]).filter(|x| !x.is_nan())
    }
}
