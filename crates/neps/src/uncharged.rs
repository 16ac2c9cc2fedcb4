//! A cost that is not charged, in NePS's words. NePS from 0.13 on adds up all costs, so it is told of none,
//! and an extra value keeps it, as for an import; it is taken off again when the trial is read.

use trialmill_core::notation;
use trialmill_core::trial::{Report, Trial};

/// The name of the extra value.
const MARK: &str = "trialmill_uncharged_cost";

/// Whether NePS would charge what is not to be charged.
pub(super) fn is_uncharged(trial: &Trial) -> bool {
    trial.report.as_ref().is_some_and(|report| !report.account_for_cost && report.cost.is_some())
}

/// The report as NePS is told of it.
pub(super) fn hide(report: &mut Report) {
    if let Some(cost) = report.cost.take() {
        report.extra.get_or_insert_default().insert(MARK.into(), notation::real(cost));
    }
    report.account_for_cost = true;
}

/// The trial as it was.
pub(super) fn read_back(mut trial: Trial) -> Trial {
    let Some(report) = &mut trial.report else { return trial };
    let Some(extra) = report.extra.as_mut().filter(|extra| extra.contains_key(MARK)) else {
        return trial;
    };
    report.cost = extra.shift_remove(MARK).as_ref().and_then(notation::as_f64);
    report.account_for_cost = false;
    if extra.is_empty() {
        report.extra = None;
    }
    trial
}
