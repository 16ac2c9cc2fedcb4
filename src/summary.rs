//! A study as people and scripts look at it: status, listings, the best trials. Reads without any
//! lock; JSON uses NePS's names.

use std::fmt::Write;
use std::path::Path;

use serde_json::{Value as Json, json};

use crate::clock::now_s;
use crate::error::StoreError;
use crate::store::{Directory, read_study};
use crate::study::Study;
use crate::trial::{Objective, Report, State, Trial, printable};

/// A study that is looked at.
#[derive(Debug)]
pub struct Summary {
    directory: Directory,
    study: Study,
    problem: Option<StoreError>,
}

impl Summary {
    /// Reads the study of a directory as it is now, changing nothing and making nobody wait.
    ///
    /// # Errors
    /// There is no study, or it cannot be read at all. A damaged journal is read up to the damage;
    /// [`problem`](Self::problem) says so.
    pub fn read(path: &Path) -> Result<Self, StoreError> {
        let directory = Directory::open_read_only(path)?;
        let mut study = Study::new(directory.definition().clone());
        let problem = read_study(&directory, &mut |event| study.apply(event))?;
        Ok(Summary { directory, study, problem })
    }

    /// The study.
    pub fn study(&self) -> &Study {
        &self.study
    }

    /// What is wrong with the journal, where something is.
    pub fn problem(&self) -> Option<&StoreError> {
        self.problem.as_ref()
    }

    /// A trial with NePS's names.
    pub fn trial_json(&self, trial: &Trial) -> Json {
        let meta = &trial.metadata;
        let location = |id| self.directory.trial_path(id).to_string_lossy().into_owned();
        json!({
            "id": trial.id,
            "state": trial.state,
            "config": trial.config,
            "metadata": {
                "id": trial.id,
                "location": location(&trial.id),
                "state": trial.state,
                "previous_trial_id": meta.previous_trial_id,
                "previous_trial_location": meta.previous_trial_id.as_ref().map(location),
                "sampling_worker_id": meta.sampling_worker_id,
                "time_sampled": meta.time_sampled,
                "evaluating_worker_id": meta.evaluating_worker_id,
                "evaluation_duration": meta.evaluation_duration,
                "time_submitted": meta.time_submitted,
                "time_started": meta.time_started,
                "time_end": meta.time_end,
                "attempts": trial.attempts,
            },
            "report": trial.report.as_deref().map(report_json),
        })
    }

    /// The status for scripts.
    pub fn status_json(&self) -> Json {
        let study = &self.study;
        let counts: Json =
            State::ALL.into_iter().map(|s| (s.name().to_string(), json!(study.count(s)))).collect();
        let processes: Vec<Json> = study
            .processes()
            .map(|process| {
                json!({
                    "process": format!("p{}", process.process),
                    "host": process.host,
                    "pid": process.pid,
                    "alive": self.directory.is_alive(process),
                    "evaluating": study.evaluating_by(process.process)
                        .map(|trial| &trial.id).collect::<Vec<_>>(),
                })
            })
            .collect();
        json!({
            "directory": self.directory.path().to_string_lossy(),
            "study_id": study.definition().study_id,
            "optimizer": study.definition().optimizer,
            "seed": study.definition().seed,
            "trials": study.trials().len(),
            "counts": counts,
            "budget": study.policy().budget,
            "spent": study.spent(),
            "best": study.best().map(|best| self.trial_json(best)),
            "front": study.front().iter().map(|trial| &trial.id).collect::<Vec<_>>(),
            "processes": processes,
            "errors": study.errors(),
            "last_error": study.last_error().map(|trial| &trial.id),
            "claims": study.claims(),
            "requeues": study.requeues(),
            "trials_per_second": self.rate(),
            "problem": self.problem.as_ref().map(ToString::to_string),
        })
    }

    /// Finished trials per second: of the last minute where there are some, else of all the time.
    fn rate(&self) -> Option<f64> {
        let now = now_s();
        let ends = || self.study.trials().iter().filter_map(|trial| trial.metadata.time_end);
        // Another machine's clock may be ahead.
        let recent = || ends().filter(|end| (0.0..=60.0).contains(&(now - end)));
        if recent().next().is_some() {
            let first = recent().fold(now, f64::min);
            return Some(recent().count() as f64 / (now - first).max(1.0));
        }
        let (first, last) = ends().fold((f64::MAX, f64::MIN), |(a, b), x| (a.min(x), b.max(x)));
        let all = ends().count();
        (all > 1 && last > first).then(|| all as f64 / (last - first))
    }

    /// The status for people.
    pub fn status_text(&self) -> String {
        let (study, mut text) = (&self.study, String::new());
        let definition = study.definition();
        let (budget, spent) = (study.policy().budget, study.spent());
        // Writing to a `String` does not fail.
        let _ = writeln!(
            text,
            "{}: {}, seed {}",
            self.directory.path().display(),
            definition.optimizer,
            definition.seed
        );
        let limit = |limit: Option<f64>| limit.map_or_else(String::new, |l| format!(" of {l}"));
        let _ = write!(
            text,
            "spent      {}{} evaluations",
            spent.evaluations,
            limit(budget.evaluations.map(|n| n as f64))
        );
        for (name, spent, budget) in [
            ("cost", spent.cost, budget.cost),
            ("fidelity", spent.fidelity, budget.fidelity),
            ("seconds of evaluation", spent.evaluation_seconds, budget.evaluation_seconds),
        ] {
            if budget.is_some() || spent > 0.0 {
                let _ = write!(text, ", {spent:.6}{} {name}", limit(budget));
            }
        }
        let counts: Vec<String> = State::ALL
            .into_iter()
            .filter(|state| study.count(*state) > 0)
            .map(|state| format!("{} {state}", study.count(state)))
            .collect();
        let counts = if counts.is_empty() { "none".into() } else { counts.join(", ") };
        let _ = writeln!(text, "\ntrials     {counts}");
        if study.requeues() > 0 {
            let _ = writeln!(text, "given back {} times", study.requeues());
        }
        if let Some(rate) = self.rate() {
            let _ = writeln!(text, "rate       {rate:.3} trials a second");
        }
        for process in study.processes() {
            let held: Vec<String> = study
                .evaluating_by(process.process)
                .take(8)
                .map(|trial| {
                    let began = trial.metadata.time_started;
                    let since = began.map_or(0.0, |began| (now_s() - began).max(0.0));
                    format!("{} ({since:.0} s)", trial.id)
                })
                .collect();
            let n = study.evaluating_by(process.process).count();
            let alive = match self.directory.is_alive(process) {
                true => "alive",
                false => "DEAD: the next worker that comes takes its trials back",
            };
            let more = if n > held.len() { ", …" } else { "" };
            let _ = writeln!(
                text,
                "process    p{} on {} (pid {}) {alive}, evaluating {n}: {}{more}",
                process.process,
                process.host,
                process.pid,
                held.join(", "),
            );
        }
        for (trial, lease) in study.leases().take(8) {
            let holder = trial.metadata.evaluating_worker_id.as_deref().unwrap_or("?");
            let _ = writeln!(
                text,
                "asked      trial {} by {holder}, for {:.0} s",
                trial.id, lease.seconds
            );
        }
        if let Some(trial) = study.last_error() {
            let failure = trial.report.as_ref().and_then(|report| report.failure.as_ref());
            let message = failure.map_or("no reason given", |failure| failure.err.as_str());
            let _ = writeln!(
                text,
                "last error trial {}: {}",
                trial.id,
                printable(message.lines().next().unwrap_or(""))
            );
        }
        text += &self.best_text();
        if let Some(problem) = &self.problem {
            let _ = writeln!(text, "PROBLEM    {problem}");
        }
        text
    }

    /// The best trial for people, or all that none is better than in every objective.
    pub fn best_text(&self) -> String {
        let mut text = String::new();
        let front = self.study.front();
        for trial in &front {
            let objective = trial.report.as_ref().and_then(|r| r.objective_to_minimize.as_ref());
            let objective = objective.map(Objective::to_string).unwrap_or_default();
            let _ =
                writeln!(text, "best       {objective} by trial {}: {}", trial.id, trial.config);
        }
        if front.is_empty() {
            text += "best       none yet\n";
        }
        text
    }
}

fn report_json(report: &Report) -> Json {
    let failure = report.failure.as_deref();
    let number = |x: Option<f64>| x.map(Objective::One);
    json!({
        "objective_to_minimize": report.objective_to_minimize,
        "cost": number(report.cost),
        "learning_curve": report.learning_curve,
        "extra": report.extra,
        "err_type": failure.map(|failure| &failure.err_type),
        "err": failure.map(|failure| &failure.err),
        "tb": failure.and_then(|failure| failure.tb.as_ref()),
        "reported_as": report.reported_as,
        "evaluation_duration": number(report.evaluation_duration),
    })
}
