//! Several processes on one directory.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;

use trialmill::{Error, Summary};
use trialmill_store::Layout;

use super::plan::{Bench, Row, builder, median};

impl Bench {
    /// `processes` processes against one with as many workers as each of them has, in turn.
    pub(super) fn several_processes(
        &self,
        layout: &'static dyn Layout,
        kept: &str,
        workers: usize,
        dir: &Path,
    ) -> Result<Row, Error> {
        if kept == "memory" {
            return Err(Error::Setting("several processes need a directory, not memory".into()));
        }
        let (mut rates, mut shares, mut against_one) = (Vec::new(), Vec::new(), Vec::new());
        for number in 0..3 {
            let one = dir.with_extension(format!("one-{number}"));
            let (rate_of_one, _) = self.together(layout, kept, 1, workers, &one)?;
            let many = dir.with_extension(format!("many-{number}"));
            let (rate, share) = self.together(layout, kept, self.processes, workers, &many)?;
            rates.push(rate);
            shares.push(share);
            against_one.push(rate / rate_of_one);
        }
        Ok(Row {
            least_share: Some(shares.into_iter().fold(f64::MAX, f64::min)),
            against_one_process: Some(median(against_one)),
            ..Row::new(layout, &format!("{kept} x{}", self.processes), workers, median(rates))
        })
    }

    /// Trials per second of so many processes, and the part of its fair share that the process got
    /// which got least.
    fn together(
        &self,
        layout: &'static dyn Layout,
        kept: &str,
        processes: u32,
        workers: usize,
        dir: &Path,
    ) -> Result<(f64, f64), Error> {
        // Creates the study, so that all processes find the same budget.
        self.session(builder(layout, kept, dir), workers)?.close()?;
        let program = std::env::current_exe()
            .map_err(super::plan::io("find", Path::new("/proc/self/exe")))?;
        let started: Result<Vec<_>, _> = (0..processes)
            .map(|_| {
                std::process::Command::new(&program)
                    .args(["bench", "--join", "--layout", layout.name(), "--durability", kept])
                    .args(["--workers", &workers.to_string()])
                    .args(["--batch", &self.batch.to_string()])
                    .args(["--trials", &self.trials.to_string()])
                    .arg(dir)
                    .stdout(Stdio::null())
                    .spawn()
            })
            .collect();
        let mut failed = started.is_err();
        for mut child in started.into_iter().flatten() {
            failed |= !child.wait().is_ok_and(|status| status.success());
        }
        if failed {
            return Err(Error::Setting("one of the processes failed".into()));
        }
        let summary = Summary::read(dir)?;
        let trials = summary.study().trials();
        let times =
            trials.iter().flat_map(|t| [Some(t.metadata.time_sampled), t.metadata.time_end]);
        let (first, last) =
            times.flatten().fold((f64::MAX, 0.0_f64), |(a, b), t| (a.min(t), b.max(t)));
        let mut done = BTreeMap::<&str, u64>::new();
        for worker in trials.iter().filter_map(|t| t.metadata.evaluating_worker_id.as_deref()) {
            *done.entry(worker.split('-').next().unwrap_or(worker)).or_default() += 1;
        }
        let all_took_part = done.len() >= processes as usize;
        let least = done.values().copied().min().filter(|_| all_took_part).unwrap_or(0);
        let count = trials.len() as f64;
        Ok((count / (last - first), least as f64 * f64::from(processes) / count))
    }
}
