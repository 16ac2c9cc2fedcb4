//! What was spent when, what is left, and when that will be used up.

use serde::Serialize;

use super::thinned;
use crate::live::Live;

/// Points of one line.
const POINTS: usize = 300;
/// The forecast goes by this many of the latest ends, or by a tenth of all where that is more.
const RECENT: usize = 20;

/// The budgets of a study.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BudgetFigure {
    /// Each kind that is limited or spent.
    pub burns: Vec<Burn>,
    /// Seconds from now until the first limit is reached, at the pace of late.
    pub seconds_left: Option<f64>,
    /// Trials that ended per second, of late.
    pub trials_per_second: Option<f64>,
}

/// One kind of budget.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Burn {
    /// `evaluations`, `cost`, `fidelity`, or `evaluation_seconds`.
    pub name: &'static str,
    /// What may be spent.
    pub limit: Option<f64>,
    /// What has been.
    pub spent: f64,
    /// Seconds since the study's first event, and what was spent by then.
    pub line: Vec<(f64, f64)>,
    /// Seconds from the last event until the limit is reached, at the pace of late.
    pub seconds_left: Option<f64>,
}

impl BudgetFigure {
    /// The budgets now; `now` is a wall clock's time, for the forecast.
    pub fn of(live: &Live, now: f64) -> Self {
        let (study, ends) = (live.study(), live.runs().ends());
        let (budget, spent) = (study.policy().budget, study.spent());
        let (first, _) = live.runs().span().unwrap_or((now, now));
        let fidelity = |row: usize| {
            let config = &study.trials().at(ends.trial[row]).config;
            study.definition().space.fidelity_of(config).unwrap_or(0.0)
        };
        type OfRow<'a> = Box<dyn Fn(usize) -> f64 + 'a>;
        let kinds: [(&'static str, Option<f64>, f64, OfRow<'_>); 4] = [
            (
                "evaluations",
                budget.evaluations.map(|n| n as f64),
                spent.evaluations as f64,
                Box::new(|row| f64::from(u8::from(ends.state[row].is_charged()))),
            ),
            ("cost", budget.cost, spent.cost, Box::new(|row| ends.cost[row].max(0.0))),
            ("fidelity", budget.fidelity, spent.fidelity, Box::new(fidelity)),
            (
                "evaluation_seconds",
                budget.evaluation_seconds,
                spent.evaluation_seconds,
                Box::new(|row| Some(ends.duration[row]).filter(|s| *s > 0.0).unwrap_or(0.0)),
            ),
        ];
        let recent = RECENT.max(ends.len() / 10).min(ends.len());
        let since = ends.len() - recent;
        let began = if since == 0 { first } else { ends.time[since - 1] };
        // While it runs, the time since the last end counts too: a run that hangs gets slower.
        let last = ends.time.last().copied().unwrap_or(now);
        let until = if live.is_worked_on() { now.max(last) } else { last };
        let took = (until - began).max(1e-6);
        let mut burns = Vec::new();
        for (name, limit, spent, of_row) in kinds {
            if limit.is_none() && (spent <= 0.0 || name == "fidelity") {
                continue;
            }
            let mut sum = 0.0;
            let sums: Vec<f64> = (0..ends.len())
                .map(|row| {
                    sum += of_row(row);
                    sum
                })
                .collect();
            let mut line = vec![(0.0, 0.0)];
            let kept = thinned(ends.len(), POINTS);
            line.extend(kept.into_iter().map(|row| ((ends.time[row] - first).max(0.0), sums[row])));
            let late: f64 = (since..ends.len()).map(&of_row).sum();
            let left = limit.map(|limit| (limit - spent).max(0.0));
            let seconds_left =
                left.filter(|_| late > 0.0 && recent > 1).map(|left| left * took / late);
            burns.push(Burn { name, limit, spent, line, seconds_left });
        }
        let seconds_left = burns.iter().filter_map(|burn| burn.seconds_left).reduce(f64::min);
        let trials_per_second = (recent > 1).then(|| recent as f64 / took);
        BudgetFigure { burns, seconds_left, trials_per_second }
    }
}
