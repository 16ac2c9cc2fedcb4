//! Runs the trials of a hyperparameter (black-box) optimisation: many workers in one process, one
//! shared state, on disk at every moment, and other processes may join the same directory.
//!
//! ```
//! use trialmill::{Parameter, RandomSearch, Report, SearchSpace, Study};
//!
//! # let dir = tempfile::tempdir()?;
//! # let directory = dir.path().join("study");
//! let space = SearchSpace::new([
//!     ("x", Parameter::float(-5.0, 5.0)),
//!     ("scale", Parameter::float(1e-3, 1e3).log()),
//! ])?;
//! let outcome = Study::builder(directory) // created, or resumed
//!     .space(space)
//!     .optimizer(RandomSearch::new())
//!     .seed(7)
//!     .workers(4)
//!     .max_evaluations(100)
//!     .run(|trial| {
//!         let x = trial.config().float("x")?;
//!         let scale = trial.config().float("scale")?;
//!         Ok(Report::objective(x * x + scale.ln().abs()).cost(1.0))
//!     })?;
//! assert_eq!(outcome.study().trials().len(), 100);
//! println!("{outcome}");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Start at [`Study::builder`]. While a study runs, [`Session::handle`] gives everything that NePS's
//! state lets one do. An optimizer of your own implements [`Optimizer`].
//!
//! # Where things are
//! This library is a facade: it re-exports the names that you need from the crates that do the work.
//! Those crates have no stable interface of their own.
//!
//! | crate | what |
//! |---|---|
//! | `trialmill-core` | the words, and what a study knows and decides: pure, no file, clock, thread or actor |
//! | `trialmill-search` | the search algorithms, on the unit cube |
//! | `trialmill-optimizers` | the algorithms as [`Optimizer`]s, and their names |
//! | `trialmill-store` | the study's files: the journal's layout, and the seam for others |
//! | `trialmill-neps`, `trialmill-layouts` | NePS's layouts, and the table of all layouts |
//! | `trialmill-runtime` | the actors, and what runs users' code and commands |
//! | `trialmill-view` | what one sees of a study: typed numbers, for printing, exports and dashboards |
//! | `trialmill-plot`, `trialmill-watch`, `trialmill-dashboard` | pictures, the terminal, the browser |
//! | `trialmill-export` | other tools' files |
//! | `trialmill-cli` | the program |
//!
//! `ARCHITECTURE.md` says why.

use std::path::PathBuf;

pub use trialmill_core::budget::{Budget, Limit};
pub use trialmill_core::config::{Config, Value};
pub use trialmill_core::definition::OptimizerInfo;
pub use trialmill_core::error::{BoxError, Error, SpaceError, StoreError, StudyError};
pub use trialmill_core::event::{Event, EventKind};
pub use trialmill_core::optimizer::{Optimizer, Proposal, SamplingRequest, Suggestion};
pub use trialmill_core::pruner::{Pruner, PrunerInfo, Reached};
pub use trialmill_core::space::{Confidence, Parameter, SearchSpace};
pub use trialmill_core::stopping::{RegretBound, StopEarly};
pub use trialmill_core::study::{StopReason, StudyState};
pub use trialmill_core::trial::{Objective, Report, State, Trial, TrialId, Trials};
pub use trialmill_layouts::by_name as layout;
pub use trialmill_optimizers::{GridSearch, RandomSearch};
pub use trialmill_runtime::actor;
pub use trialmill_runtime::evaluate::{ReportDefaults, RunningTrial, current_trial};
pub use trialmill_runtime::{
    AskOutcome, Client, DirectClient, Hooks, OnError, Outcome, ReportOutcome, RunOptions, Session,
    StepOutcome, StudyBuilder, StudyHandle, StudySpec,
};
pub use trialmill_store::{Durability, Layout};
pub use trialmill_view::Summary;

/// Where everything starts: [`Study::builder`].
#[derive(Debug)]
pub enum Study {}

impl Study {
    /// Runs a study in a directory: creates it there, or resumes the one that is there.
    pub fn builder(directory: impl Into<PathBuf>) -> StudyBuilder {
        StudyBuilder::in_directory(directory)
    }

    /// Runs a study in memory alone; it ends with the process.
    pub fn in_memory() -> StudyBuilder {
        StudyBuilder::in_memory()
    }
}
