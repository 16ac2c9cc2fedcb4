//! Pictures of a study, as SVG and PNG, and its report as one page. The numbers are those of
//! `trialmill_view::figures`; here they are only drawn.

mod frame;
mod pictures;
#[cfg(feature = "png")]
mod png;
mod report;
mod scene;
mod svg;

pub use pictures::{Options, Plot};
#[cfg(feature = "png")]
pub use png::png;
pub use report::report;
pub use scene::{Ink, Scene};
pub use svg::{plain as svg, themed as svg_for_page};
