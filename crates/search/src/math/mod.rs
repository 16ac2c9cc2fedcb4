//! The mathematics that several algorithms share.

pub(crate) mod exp;
pub(crate) mod lbfgs;
pub(crate) mod linalg;
pub(crate) mod normal;
pub(crate) mod sobol;
