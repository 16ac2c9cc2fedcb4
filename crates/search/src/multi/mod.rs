//! Several objectives.

mod fronts;
mod hypervolume;
mod mo_tpe;
mod nsga2;
mod parego;

pub use hypervolume::{dominates, hypervolume, pareto_front};
pub use mo_tpe::MoTpe;
pub use nsga2::Nsga2;
pub use parego::ParEgo;
