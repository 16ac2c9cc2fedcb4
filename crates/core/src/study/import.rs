//! Trials that were evaluated elsewhere.

use std::collections::HashSet;

use super::StudyState;
use super::decide::Decision;
use crate::config::Config;
use crate::error::StudyError;
use crate::event::EventKind;
use crate::trial::{MetaData, Report, State, Trial, TrialId, WorkerId};

impl StudyState {
    /// Takes them in, all or none.
    pub(super) fn import(
        &self,
        worker: &WorkerId,
        trials: Vec<(Config, Report)>,
        time: f64,
    ) -> Result<Decision, StudyError> {
        let key = |config: &Config, report: Option<&Report>| {
            let objective = report.and_then(|report| report.objective_to_minimize.as_ref());
            format!("{config:?} {objective:?}")
        };
        let external = self.trials.iter().filter(|trial| trial.state == State::External);
        let mut here: HashSet<String> =
            external.map(|trial| key(&trial.config, trial.report.as_deref())).collect();
        let mut decision = Decision::of_trials();
        let mut number = self.trials.next_number();
        let mut wanted = self.objectives_of_each();
        for (at, (config, report)) in trials.into_iter().enumerate() {
            let wrong = |problem| StudyError::Imported { at, problem };
            self.definition.space.check(&config).map_err(|error| wrong(error.to_string()))?;
            let report = self.judged_by(Box::new(report), wanted);
            if let Some(failure) = report.failure.as_deref().filter(|_| !report.is_success()) {
                return Err(wrong(failure.err.clone()));
            }
            // Those behind it must have as many.
            wanted =
                wanted.or_else(|| Some(report.objective_to_minimize.as_ref()?.as_slice().len()));
            // What it cost was spent elsewhere: kept, and not added up.
            let report = match report.cost {
                Some(cost) => {
                    let report = Report { cost: None, account_for_cost: true, ..*report };
                    Box::new(report.extra("cost", cost))
                }
                None => report,
            };
            if !here.insert(key(&config, Some(&report))) {
                continue;
            }
            let id = TrialId::Number(number);
            number = number.saturating_add(1);
            let metadata = MetaData {
                sampling_worker_id: Some(worker.clone()),
                time_sampled: time,
                time_end: Some(time),
                ..MetaData::default()
            };
            let mut trial = Trial::pending(id, config, metadata);
            trial.state = State::External;
            trial.report = Some(Box::new(Report { reported_as: State::External, ..*report }));
            decision.hand(trial.id.clone(), EventKind::Put(Box::new(trial)));
        }
        Ok(decision)
    }
}
