//! Sources for `--transfer`: what TPE found in 100 evaluations of a problem near the one that is run, or
//! of one that misleads.

use serde_json::Value as Json;
use trialmill_search::{Answer, Driver, Observation, Point, Source, Space, State, by_name};

use crate::problems::Problem;

const TRIALS: u64 = 100;
/// How far the near problem is shifted, in parts of each parameter's range.
const SHIFT: f64 = 0.1;
/// Its objective is on another scale.
const SCALE: (f64, f64) = (7.0, 300.0);

/// What the other problem is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    /// The same, with other units of the objective.
    Same,
    /// Every number is shifted by a tenth of its range, up and down in turns.
    Shifted,
    /// What is best is worst.
    Negated,
    /// Every number, and the order of choices, is turned around.
    Mirrored,
}

impl Kind {
    pub(crate) fn read(text: &str) -> Result<Option<Self>, String> {
        Ok(Some(match text {
            "" => return Ok(None),
            "same" => Kind::Same,
            "shifted" => Kind::Shifted,
            "negated" => Kind::Negated,
            "mirrored" => Kind::Mirrored,
            _ => return Err(format!("--transfer {text}: same, shifted, negated or mirrored")),
        }))
    }

    fn moved(self, space: &Space, point: &Point) -> Point {
        let place = |(g, (dimension, x)): (usize, (&trialmill_search::Dimension, &f64))| match self
        {
            Kind::Mirrored => dimension.snap(1.0 - x),
            Kind::Shifted if !dimension.is_categorical() => {
                let x = x + if g % 2 == 0 { SHIFT } else { -SHIFT };
                dimension.snap(if x > 1.0 { 2.0 - x } else { x.abs() })
            }
            _ => *x,
        };
        space.dimensions.iter().zip(point).enumerate().map(place).collect()
    }
}

/// The other study's trials.
pub(crate) fn source(problem: &Problem, kind: Kind, seed: u64) -> Result<Source, String> {
    let space = problem.space();
    let mut driver = Driver::new(space.clone(), by_name("tpe", &Json::Null)?, 1000 + seed)?;
    let mut trials = Vec::new();
    for number in 0..TRIALS {
        let Answer::Evaluate(list) = driver.ask(1, number) else { break };
        for suggestion in list {
            let moved = kind.moved(&space, &suggestion.point);
            let (y, _) = problem.evaluate(&problem.values(&moved), 81.0);
            let sign = if kind == Kind::Negated { -1.0 } else { 1.0 };
            let y: Vec<f64> = y.iter().map(|y| SCALE.0 + SCALE.1 * sign * y).collect();
            let mut trial = Observation::pending(suggestion.point);
            trial.fidelity = space.fidelity.map(|fidelity| fidelity.upper);
            let at = driver.observe(trial.clone());
            driver.end(at, State::Finished, y.clone());
            (trial.state, trial.objectives) = (State::Finished, y);
            trials.push(trial);
        }
    }
    Ok(Source { trials })
}
