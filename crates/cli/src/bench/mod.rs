//! `bench`: what this node and this file system can do.

mod parts;
mod plan;
mod processes;
mod table;

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;
use trialmill_layouts::Studies;

use trialmill::{AskOutcome, Durability, Error, RandomSearch, RunningTrial};
use trialmill_runtime::StateCore;
use trialmill_store::{Directory, Layout};

use crate::print::{print, print_json};

pub(super) use plan::Bench;
use plan::{Measured, Removed, Row, builder, io, objective, quantiles, resident_bytes};

impl Bench {
    pub(super) fn run(self) -> Result<ExitCode, Error> {
        if self.join {
            let builder = builder(self.layout[0], &self.durability[0], &self.dir);
            let session = self.session(builder, self.workers[0])?;
            session.run(|trial: &RunningTrial| objective(trial, self.steps))?;
            session.close()?;
            return Ok(ExitCode::SUCCESS);
        }
        let name = format!("trialmill-bench-{}", std::process::id());
        let base = Removed(self.dir.join(name));
        std::fs::create_dir_all(&base.0).map_err(io("create", &base.0))?;
        let mut measured = Measured::default();
        for layout in self.layout.iter().copied() {
            for kept in &self.durability {
                for workers in &self.workers {
                    let dir = base.0.join(format!("{}-{kept}-{workers}", layout.name()));
                    let fresh = measured.rows.is_empty();
                    let row = match self.processes {
                        1 => self.one_process(layout, kept, *workers, &dir, fresh)?,
                        _ => self.several_processes(layout, kept, *workers, &dir)?,
                    };
                    measured.rows.push(row);
                }
            }
        }
        if self.processes == 1 && !self.quick {
            measured.parts = self.parts(&base.0)?;
            measured.evaluation_shares = Some(self.evaluation_shares(&base.0)?);
        }
        Ok(match self.json {
            true => print_json(&table::as_json(&measured)),
            false => print(&table::as_text(&measured)),
        })
    }

    /// `fresh`: nothing was measured in this process before, so its memory is the study's.
    fn one_process(
        &self,
        layout: &'static dyn Layout,
        kept: &str,
        workers: usize,
        dir: &Path,
        fresh: bool,
    ) -> Result<Row, Error> {
        let before = resident_bytes();
        let session = self.session(builder(layout, kept, dir), workers)?;
        let begin = Instant::now();
        let reason = session.run(|trial: &RunningTrial| objective(trial, self.steps))?;
        let seconds = begin.elapsed().as_secs_f64();
        let outcome = session.close()?;
        let ended = outcome.study().trials().len() as u64;
        if ended != self.trials {
            let problem = format!("the measurement ended after {ended} trials: {reason}");
            return Err(Error::Setting(problem));
        }
        let mut row = Row::new(layout, kept, workers, self.trials as f64 / seconds);
        if self.quick {
            return Ok(row);
        }
        // With few trials, what the allocator keeps in reserve hides them.
        if fresh && self.trials >= 10_000 {
            row.memory_per_trial = resident_bytes().zip(before).map(|(after, before)| {
                after.saturating_sub(before) / outcome.study().trials().len().max(1) as u64
            });
        }
        drop(outcome);
        if kept != "memory" {
            let begin = Instant::now();
            let directory = Directory::open(dir)?;
            let path = directory.journal_path();
            let optimizer = Box::new(RandomSearch::new());
            StateCore::open(directory, Durability::Buffered, optimizer)?;
            row.open_s = Some(begin.elapsed().as_secs_f64());
            let size = path.metadata().ok().filter(|_| !layout.is_shared());
            row.bytes_per_trial = size.map(|data| data.len() / self.trials);
        }
        let dir = dir.with_extension("latency");
        let (ask_us, report_us) = self.latencies(layout, kept, workers, &dir)?;
        (row.ask_us, row.report_us) = (Some(ask_us), Some(report_us));
        Ok(row)
    }

    /// Asks and reports in messages of their own, from as many threads as there are workers.
    fn latencies(
        &self,
        layout: &'static dyn Layout,
        kept: &str,
        workers: usize,
        dir: &Path,
    ) -> Result<([f64; 2], [f64; 2]), Error> {
        let session = self.session(builder(layout, kept, dir), workers)?;
        let each = (self.trials / 4 / workers as u64).clamp(1, 5_000);
        let one = || -> Result<(Vec<f64>, Vec<f64>), Error> {
            let (mut asks, mut reports) = (Vec::new(), Vec::new());
            let worker = session.enlist();
            for _ in 0..each {
                let begin = Instant::now();
                let outcome = worker.ask(1)?;
                asks.push(begin.elapsed().as_secs_f64() * 1e6);
                let AskOutcome::Trials(handed) = outcome else { break };
                let begin = Instant::now();
                let _ = worker.tell(&handed[0], 0.5)?;
                reports.push(begin.elapsed().as_secs_f64() * 1e6);
            }
            Ok((asks, reports))
        };
        let results: Vec<_> = std::thread::scope(|scope| {
            let one = &one;
            let threads: Vec<_> = (0..workers).map(|_| scope.spawn(one)).collect();
            threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
        });
        let (mut asks, mut reports) = (Vec::new(), Vec::new());
        for result in results {
            let (more_asks, more_reports) = result?;
            asks.extend(more_asks);
            reports.extend(more_reports);
        }
        session.close()?;
        Ok((quantiles(asks), quantiles(reports)))
    }
}
