//! The pictures, one function each, from the figures of `trialmill_view`.

mod lanes;
mod lines;
mod options;
mod parameters;

use std::fmt;
use std::str::FromStr;

use trialmill_view::Live;

pub use options::Options;

use super::scene::Scene;

/// What can be drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plot {
    /// Objectives in the order in which they came, and the best so far.
    History,
    /// Parallel coordinates.
    Parallel,
    /// The objective over each parameter.
    Slice,
    /// Which parameters matter.
    Importance,
    /// Two objectives against each other.
    Pareto,
    /// A lane for each worker over time.
    Timeline,
    /// Learning curves of the best trials and of those that run.
    Curves,
    /// Which share of the trials is as good as a value.
    Ecdf,
    /// What was spent when, and the limits.
    Budget,
}

impl Plot {
    /// All of them, in the order in which a report shows them.
    pub const ALL: [Plot; 9] = [
        Plot::History,
        Plot::Timeline,
        Plot::Importance,
        Plot::Parallel,
        Plot::Slice,
        Plot::Curves,
        Plot::Pareto,
        Plot::Ecdf,
        Plot::Budget,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Plot::History => "history",
            Plot::Parallel => "parallel",
            Plot::Slice => "slice",
            Plot::Importance => "importance",
            Plot::Pareto => "pareto",
            Plot::Timeline => "timeline",
            Plot::Curves => "curves",
            Plot::Ecdf => "ecdf",
            Plot::Budget => "budget",
        }
    }

    /// Draws it.
    ///
    /// # Errors
    /// The study has nothing to draw; the message says what is missing.
    pub fn draw(self, live: &Live, options: &Options) -> Result<Scene, String> {
        match self {
            Plot::History => lines::history(live, options),
            Plot::Parallel => parameters::parallel(live, options),
            Plot::Slice => parameters::slice(live, options),
            Plot::Importance => parameters::importance(live, options),
            Plot::Pareto => lines::pareto(live, options),
            Plot::Timeline => lanes::timeline(live, options),
            Plot::Curves => lines::curves(live, options),
            Plot::Ecdf => lines::ecdf(live, options),
            Plot::Budget => lines::budget(live, options),
        }
    }
}

impl fmt::Display for Plot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Plot {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|plot| plot.name() == text).ok_or_else(|| {
            let names: Vec<&str> = Self::ALL.iter().map(|plot| plot.name()).collect();
            format!("'{text}' is not a picture; there are {}", names.join(", "))
        })
    }
}
