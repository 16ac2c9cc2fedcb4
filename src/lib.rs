//! trialmill
pub mod budget;
pub mod clock;
pub mod config;
pub mod definition;
pub mod error;
pub mod event;
pub mod limits;
pub mod optimizer;
pub mod space;
pub mod store;
pub mod study;
pub mod trial;
pub use config::Value;
pub use error::*;
pub use space::{Parameter, SearchSpace};
pub use trial::Report;
