//! The job of a batch system that a process runs in.

use std::env;

/// The variables in which batch systems name a job to its processes.
const JOBS: [&str; 5] = ["SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID", "JOB_ID", "OAR_JOB_ID"];

/// The job that an environment names, as `SLURM_JOB_ID=17`.
pub fn job_of(get: impl Fn(&str) -> Option<String>) -> Option<String> {
    JOBS.into_iter().find_map(|name| Some(format!("{name}={}", get(name)?)))
}

/// The job of this process.
pub fn own_job() -> Option<String> {
    job_of(|name| env::var(name).ok())
}
