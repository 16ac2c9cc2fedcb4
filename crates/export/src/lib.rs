//! A study in the formats of other tools. Each is written from what `trialmill-view` reads, so an export may
//! follow a study while it runs.

mod optuna;
mod optuna_import;
mod protobuf;
#[cfg(feature = "parquet")]
mod table;
mod tensorboard;
mod time;

pub use optuna::Optuna;
pub use optuna_import::{Imported, read_optuna};
#[cfg(feature = "parquet")]
pub use table::parquet;
pub use tensorboard::tensorboard;
