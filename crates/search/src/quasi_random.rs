//! Points that fill the space more evenly than random ones.
//!
//! - [`Sobol`]: Sobol's sequence, Owen-scrambled by hashing (Burley, "Practical Hash-based Owen
//!   Scrambling", JCGT 2020).
//! - [`LatinHypercube`]: `McKay`, Beckman and Conover, "A Comparison of Three Methods for Selecting
//!   Values of Input Variables in the Analysis of Output from a Computer Code", 1979.

use rand::RngExt;
use rand::rngs::Xoshiro256PlusPlus;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::driver::{Algorithm, Ask, Proposal, stream};
use crate::math::sobol;
use crate::space::{Dimension, Point};

/// Owen-scrambled Sobol points, the first of them the prior's middle if there is one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sobol {}

impl Algorithm for Sobol {
    fn name(&self) -> &'static str {
        "sobol"
    }

    fn arguments(&self) -> Json {
        crate::arguments::arguments(self)
    }

    fn propose(&mut self, ask: &Ask<'_>, _: &mut Xoshiro256PlusPlus) -> Proposal {
        Proposal::Evaluate(sobol_point(ask).into())
    }
}

/// The point of a first design that is the request's: first what was best in other studies, then the
/// user's guess. Then all numbers are in the middle, as bounds are mostly drawn around what is thought to
/// be good, and a guess may be wrong; a choice has no middle.
pub(crate) fn start_point(ask: &Ask<'_>) -> Point {
    let starts = &ask.transfer.starts;
    if let Some(start) = usize::try_from(ask.place).ok().and_then(|place| starts.get(place)) {
        return start.clone();
    }
    let place = ask.place - starts.len() as u64;
    let point = sobol_point(&Ask { place, ..*ask });
    let guesses = ask.space.has_priors();
    if place != u64::from(guesses) {
        return point;
    }
    let coordinate = |(x, dimension): (&f64, &Dimension)| {
        if dimension.is_categorical() { *x } else { dimension.snap(0.5) }
    };
    let middle: Point = point.iter().zip(&ask.space.dimensions).map(coordinate).collect();
    // Not twice, where the guess is the middle.
    if guesses && middle == ask.space.default_point() { point } else { middle }
}

fn sobol_point(ask: &Ask<'_>) -> Point {
    match ask.space.has_priors() && ask.place == 0 {
        true => ask.space.default_point(),
        false => {
            let mut point = sobol::point(ask.place, ask.space.len(), ask.seed);
            ask.space.snap(&mut point);
            point
        }
    }
}

/// Latin hypercubes of `size` points each, one after the other: of `size` equal stretches of each
/// parameter, each is visited once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LatinHypercube {
    /// How many points a hypercube has: as many as will be evaluated is best.
    pub size: usize,
}

impl Default for LatinHypercube {
    fn default() -> Self {
        LatinHypercube { size: 32 }
    }
}

impl Algorithm for LatinHypercube {
    fn name(&self) -> &'static str {
        "latin_hypercube"
    }

    fn arguments(&self) -> Json {
        crate::arguments::arguments(self)
    }

    fn propose(&mut self, ask: &Ask<'_>, rng: &mut Xoshiro256PlusPlus) -> Proposal {
        let size = self.size.clamp(1, 1 << 20) as u64;
        let (cube, row) = (ask.place / size, ask.place % size);
        // The permutations belong to the cube, the place inside a stretch to the sample.
        let mut shuffles = stream(ask.seed ^ 0x6c61_7469_6e00_0000, cube);
        let mut place = |_| {
            let stretch = permuted(row, size, shuffles.random());
            (stretch as f64 + rng.random::<f64>()) / size as f64
        };
        let mut point: Point = (0..ask.space.len()).map(&mut place).collect();
        ask.space.snap(&mut point);
        Proposal::Evaluate(point.into())
    }
}

/// Where a permutation of `0..size` that the key chooses takes `at`, without making all of it: a
/// Feistel network on the next power of four, walked until it falls inside.
fn permuted(at: u64, size: u64, key: u64) -> u64 {
    let half = (64 - (size.max(2) - 1).leading_zeros()).div_ceil(2);
    let mask = (1u64 << half) - 1;
    let mut x = at;
    loop {
        let (mut left, mut right) = (x >> half, x & mask);
        for round in 0..6u64 {
            let mut z = (right ^ key.rotate_left(round as u32 * 10)).wrapping_add(round + 1);
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            (left, right) = (right, left ^ ((z ^ (z >> 31)) & mask));
        }
        x = (left << half) | right;
        if x < size {
            return x;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::History;
    use crate::space::{Kind, Space};

    /// Numbers begin in the middle; a guess comes before that, and choices and all other points are Sobol's.
    #[test]
    fn a_first_design_begins_with_the_guess_and_in_the_middle() {
        let kinds = [Kind::Float, Kind::Int { lower: 1, upper: 9, log: false }];
        let mut space = Space::of(kinds.into_iter().chain([Kind::Categorical { choices: 3 }]));
        let (history, transfer) = (History::new(), crate::transfer::Transfer::default());
        let (mut firsts, mut guessed) = (Vec::new(), Vec::new());
        for with_guess in [false, true] {
            let prior = crate::space::Prior { centre: 0.9, confidence: 0.5 };
            space.dimensions[0].prior = with_guess.then_some(prior);
            for seed in 0..20 {
                let at = |place| Ask {
                    space: &space,
                    history: &history,
                    transfer: &transfer,
                    seed,
                    number: place,
                    place,
                };
                let list = if with_guess { &mut guessed } else { &mut firsts };
                list.push(start_point(&at(0)));
                let middle = start_point(&at(u64::from(with_guess)));
                assert_eq!((middle[0], middle[1]), (0.5, 0.5));
                let after = u64::from(with_guess) + 1;
                assert_eq!(start_point(&at(after)), sobol_point(&at(after)));
            }
        }
        assert!(firsts.iter().any(|x| x[2] != firsts[0][2]), "{firsts:?}");
        assert!(guessed.iter().all(|x| x[0] == 0.9), "{guessed:?}");
    }

    #[test]
    fn a_latin_hypercube_visits_every_stretch_once() {
        for size in [1, 2, 7, 32, 100] {
            let mut seen: Vec<u64> = (0..size).map(|at| permuted(at, size, 12345)).collect();
            seen.sort_unstable();
            assert!(seen.into_iter().eq(0..size));
        }
        let space = Space::of([Kind::Float, Kind::Float, Kind::Float]);
        let (history, mut cube) = (History::new(), LatinHypercube { size: 20 });
        let mut stretches = vec![Vec::new(); 3];
        for number in 20..40 {
            let transfer = &crate::transfer::Transfer::default();
            let (space, history, place) = (&space, &history, number);
            let ask = Ask { space, history, transfer, seed: 5, number, place };
            let Proposal::Evaluate(s) = cube.propose(&ask, &mut stream(5, number)) else {
                panic!()
            };
            s.point.iter().zip(&mut stretches).for_each(|(x, s)| s.push((x * 20.0) as u64));
        }
        for mut list in stretches {
            list.sort_unstable();
            assert!(list.into_iter().eq(0..20));
        }
    }
}
