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
//! let outcome = Study::builder(directory) // created, or gone on with
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
//! | room | what |
//! |---|---|
//! | `space`, `config`, `trial`, `budget`, `event`, `definition` | the words: pure data |
//! | `optimizer` | who proposes |
//! | `study` | what a study knows and decides: pure, no file, clock, thread or actor |
//! | `store` | the study's files: the journal's layout, and the seam for others |
//! | `neps`, `layouts` | NePS's layouts, and the table of all layouts |
//! | `evaluate` | the only code that runs users' code and commands |
//! | `runtime` | the actors; the only code that knows actix |
//! | `view` | what one sees of a study: typed numbers, for printing, exports and dashboards |
//! | `study_file` | what people write |
//! | `clock`, `texts` | times that do not go back; texts that are kept once |
//! | `plain` | opens plain files only: no links, pipes or devices |
//! | `printable` | strings of others, made safe for a terminal |
//! | `cli` | the program's verbs; the only code that prints |
//!
//! `ARCHITECTURE.md` says why.

pub mod budget;
mod clock;
pub mod config;
pub mod definition;
pub mod error;
pub mod evaluate;
pub mod event;
pub mod layouts;
pub mod limits;
mod neps;
pub mod optimizer;
mod plain;
mod printable;
pub mod runtime;
pub mod space;
pub mod store;
pub mod study;
pub mod study_file;
mod texts;
pub mod trial;
pub mod view;

pub use budget::Budget;
pub use config::{Config, Value};
pub use error::{BoxError, Error};
pub use evaluate::{Defaults, RunningTrial, current_trial};
pub use optimizer::{
    GridSearch, Optimizer, OptimizerInfo, Proposal, RandomSearch, Request, Suggestion,
};
pub use runtime::{
    AskOutcome, Client, DirectClient, Hooks, OnError, Outcome, ReportOutcome, RunOptions, Session,
    StudyBuilder, StudyHandle, StudySpec,
};
pub use space::{Confidence, Parameter, SearchSpace};
pub use store::Durability;
pub use study::{StopReason, Study};
pub use study_file::StudyFile;
pub use trial::{Objective, Report, State, Trial, TrialId, Trials};
pub use view::Summary;
