//! Several objectives.

mod boxes;
mod ehvi;
mod fronts;
mod hypervolume;
mod mo_tpe;
mod models;
mod nsga2;
mod parego;

pub(crate) use boxes::MOST_OBJECTIVES;
pub use ehvi::HypervolumeImprovement;
pub use hypervolume::{dominates, hypervolume, pareto_front};
pub use mo_tpe::MoTpe;
pub use nsga2::Nsga2;
pub use parego::ParEgo;
