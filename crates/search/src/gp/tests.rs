//! The model against dense computations and finite differences.

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

use super::acquisition::Acquisition;
use super::kernel::{Evidence, Inputs, JITTER, default_theta};
use super::posterior::{Posterior, Scratch};
use super::search::decoded;
use super::trend::Trend;
use crate::history::{Observation, State};
use crate::space::{Dimension, Kind, Point, Prior, Space};
use crate::transfer::{Source, Transfer};

fn space() -> Space {
    let mut space = Space::of([
        Kind::Float,
        Kind::Categorical { choices: 3 },
        Kind::Int { lower: 1, upper: 8, log: false },
    ]);
    let prior = Some(Prior { centre: 0.3, confidence: 0.5 });
    space.dimensions.push(Dimension { kind: Kind::Float, prior });
    space
}

fn random(rng: &mut Xoshiro256PlusPlus) -> Point {
    vec![rng.random(), f64::from(rng.random_range(0..3)), rng.random(), rng.random()]
}

fn data(n: usize) -> (Inputs, Vec<f64>, Vec<f64>) {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(4);
    let mut inputs = Inputs::new(&space(), 0);
    let mut y = Vec::new();
    for _ in 0..n {
        let x = random(&mut rng);
        y.push((3.0 * x[0]).sin() + 0.5 * x[1] - x[2] * x[3]);
        inputs.push(&x);
    }
    let theta =
        default_theta(4).into_iter().map(|t| t + 0.3 * (rng.random::<f64>() - 0.5)).collect();
    (inputs, y, theta)
}

/// The kernel as its formula stands.
fn kernel(theta: &[f64], a: &[f64], b: &[f64]) -> f64 {
    let matern = |r: f64| {
        let t = 5f64.sqrt() * r;
        (1.0 + t + t * t / 3.0) * (-t).exp()
    };
    let distance =
        |g: usize| if g == 1 { f64::from(u8::from(a[g] != b[g])) } else { (a[g] - b[g]).abs() };
    let joint = (0..4).map(|g| (distance(g) / theta[g].exp()).powi(2)).sum::<f64>().sqrt();
    let additive: f64 = (0..4).map(|g| matern(distance(g) / theta[4 + g].exp())).sum();
    theta[8].exp() * matern(joint) + theta[9].exp() / 4.0 * additive
}

/// Solves by elimination, and gives the logarithm of the determinant.
fn solve(mut m: Vec<Vec<f64>>, mut b: Vec<f64>) -> (Vec<f64>, f64) {
    let n = b.len();
    let mut log_det = 0.0;
    for i in 0..n {
        log_det += m[i][i].ln();
        for j in i + 1..n {
            let factor = m[j][i] / m[i][i];
            let above = m[i].clone();
            m[j].iter_mut().zip(above).for_each(|(x, y)| *x -= factor * y);
            b[j] -= factor * b[i];
        }
    }
    for i in (0..n).rev() {
        let rest: f64 = (i + 1..n).map(|j| m[i][j] * b[j]).sum();
        b[i] = (b[i] - rest) / m[i][i];
    }
    (b, log_det)
}

fn covariance(inputs: &Inputs, theta: &[f64], noise: f64) -> Vec<Vec<f64>> {
    let n = inputs.n;
    let at = |i: usize, j: usize| {
        kernel(theta, &inputs.row(i), &inputs.row(j)) + if i == j { noise } else { 0.0 }
    };
    (0..n).map(|i| (0..n).map(|j| at(i, j)).collect()).collect()
}

/// The slopes of the evidence against differences.
fn assert_slopes(evidence: &mut Evidence, theta: &[f64], y: &[f64], slopes: &[f64]) {
    let mut ignored = vec![0.0; theta.len()];
    for at in 0..theta.len() {
        let mut shifted = |by: f64| {
            let mut theta = theta.to_vec();
            theta[at] += by;
            evidence.negative(&theta, y, &mut ignored)
        };
        let difference = (shifted(1e-5) - shifted(-1e-5)) / 2e-5;
        assert!((difference - slopes[at]).abs() < 1e-5 * difference.abs().max(1.0), "{at}");
    }
}

/// The slopes of the acquisition in the numbers, against differences; the second column is categorical.
fn assert_value_slopes(acquisition: &Acquisition<'_>, x: &[f64], slopes: &[f64]) {
    let mut scratch = Scratch::default();
    for g in [0, 2, 3] {
        let mut shifted = |by: f64| {
            let mut x = x.to_vec();
            x[g] += by;
            acquisition.value(&x, &mut scratch)
        };
        let difference = (shifted(1e-6) - shifted(-1e-6)) / 2e-6;
        let error = (difference - slopes[g]).abs();
        assert!(error < 1e-4 * difference.abs().max(1.0), "{g}: {difference} {slopes:?}");
    }
}

#[test]
fn the_evidence_is_the_dense_one_and_its_slopes_are_those_of_differences() {
    let (inputs, y, theta) = data(17);
    let mut evidence = Evidence::new(&inputs);
    let mut slopes = vec![0.0; theta.len()];
    let value = evidence.negative(&theta, &y, &mut slopes);
    let noise = theta[10].exp() + JITTER;
    let (alpha, log_det) = solve(covariance(&inputs, &theta, noise), y.clone());
    let fit: f64 = y.iter().zip(&alpha).map(|(y, a)| y * a).sum();
    let dense = -0.5 * fit - 0.5 * log_det - 8.5 * (2.0 * std::f64::consts::PI).ln();
    let belief = |at: usize, mean: f64, sigma: f64| -0.5 * ((theta[at] - mean) / sigma).powi(2);
    let joint = 0.5f64.ln() + 0.25 * 4f64.ln();
    let prior: f64 =
        (0..4).map(|g| belief(g, joint, 1.0) + belief(4 + g, 0.5f64.ln(), 1.0)).sum::<f64>()
            + belief(8, 0.5f64.ln(), 1.5)
            + belief(9, 0.5f64.ln(), 1.5)
            + belief(10, 1e-4f64.ln(), 3.0);
    assert!((value + dense + prior).abs() < 1e-8, "{value} {dense} {prior}");
    assert_slopes(&mut evidence, &theta, &y, &slopes);
}

#[test]
fn the_posterior_is_the_dense_one() {
    let (inputs, y, theta) = data(15);
    let noise = theta[10].exp() + JITTER;
    let posterior = Posterior::new(inputs.clone(), &theta, &y).unwrap();
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(9);
    let (alpha, _) = solve(covariance(&inputs, &theta, noise), y.clone());
    for at in 0..20 {
        let x = if at < 15 { inputs.row(at) } else { random(&mut rng) };
        let k: Vec<f64> = (0..15).map(|i| kernel(&theta, &x, &inputs.row(i))).collect();
        let (w, _) = solve(covariance(&inputs, &theta, noise), k.clone());
        let mean: f64 = k.iter().zip(&alpha).map(|(k, a)| k * a).sum();
        let variance = kernel(&theta, &x, &x) - k.iter().zip(&w).map(|(k, w)| k * w).sum::<f64>();
        let mut scratch = Scratch::default();
        let spread = posterior.spread(&x, &mut scratch);
        assert!((posterior.mean(0, &scratch) - mean).abs() < 1e-8);
        assert!((spread * spread - variance).abs() < 1e-8);
        if at < 15 {
            let (m, s) = posterior.at_data(&y)[at];
            assert!((m - mean).abs() < 1e-8 && (s * s - variance).abs() < 1e-8);
        }
    }
}

#[test]
fn fantasies_have_the_posterior_as_their_mean() {
    let (inputs, y, theta) = data(12);
    let mut posterior = Posterior::new(inputs, &theta, &y).unwrap();
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(5);
    let points: Vec<Point> = (0..3).map(|_| random(&mut rng)).collect();
    let mut scratch = Scratch::default();
    let mut before = |x: &Point| (posterior.spread(x, &mut scratch), posterior.mean(0, &scratch));
    let beliefs: Vec<(f64, f64)> = points.iter().map(&mut before).collect();
    posterior.imagine(&points, &y, 512, 3);
    for (at, (spread, mean)) in beliefs.into_iter().enumerate() {
        let values: Vec<f64> = posterior.fantasies.iter().map(|values| values[at]).collect();
        let average = values.iter().sum::<f64>() / 512.0;
        let variance = values.iter().map(|v| (v - average).powi(2)).sum::<f64>() / 512.0;
        assert!((average - mean).abs() < 0.02, "{average} {mean}");
        assert!((variance.sqrt() / spread - 1.0).abs() < 0.05, "{} {spread}", variance.sqrt());
        // In each fantasy the model knows the value there.
        let after = posterior.spread(&points[at], &mut scratch);
        assert!(after < 0.01 * spread.max(0.1), "{after}");
        assert!((posterior.mean(7, &scratch) - values[7]).abs() < 1e-3);
    }
}

#[test]
fn the_slopes_of_the_acquisition_are_those_of_differences() {
    let (inputs, y, theta) = data(14);
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(6);
    let space = space();
    let limit: Vec<f64> = y.iter().map(|y| 0.4 - y).collect();
    let limit = Posterior::new(inputs.clone(), &theta, &limit).unwrap();
    for pending in [0, 2] {
        for noise in [0.0, 0.05] {
            let mut posterior = Posterior::new(inputs.clone(), &theta, &y).unwrap();
            let points: Vec<Point> = (0..pending).map(|_| random(&mut rng)).collect();
            posterior.imagine(&points, &y, 16, 1);
            let mut acquisition = Acquisition::new(&posterior, -0.5);
            acquisition.noise = noise;
            acquisition.prior = Some((&space, 0.7));
            acquisition.limit = Some(&limit).filter(|_| noise == 0.0);
            let mut scratch = Scratch::default();
            for _ in 0..10 {
                let x = random(&mut rng);
                let mut slopes = vec![0.0; 4];
                let value = acquisition.slopes(&x, &mut scratch, &mut slopes);
                assert!((value - acquisition.value(&x, &mut scratch)).abs() < 1e-10);
                assert_value_slopes(&acquisition, &x, &slopes);
            }
        }
    }
}

/// Two other studies: one of nearly the same function, that knows nothing of the third parameter, and one
/// of its opposite.
fn other_studies() -> Transfer {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(8);
    let mut source = |sign: f64, unknown: Option<usize>| {
        let mut trial = || {
            let x = random(&mut rng);
            let y = 40.0 + sign * 9.0 * ((3.0 * x[0]).sin() + 0.5 * x[1] - 0.5 * x[3]);
            let mut trial = Observation::pending(decoded(&space(), &x));
            (trial.state, trial.objectives) = (State::Finished, vec![y]);
            unknown.into_iter().for_each(|g| trial.point[g] = f64::NAN);
            trial
        };
        Source { trials: (0..30).map(|_| trial()).collect() }
    };
    let sources = vec![source(1.0, Some(2)), source(-1.0, None)];
    Transfer::new(&space(), sources)
}

fn with_trend(inputs: &Inputs) -> Inputs {
    let transfer = other_studies();
    let trend = Trend::basis(&space(), 0, &transfer, &Observation::objective, &|_| Vec::new());
    let mut with = Inputs::new(&space(), 0).with_trend(trend);
    (0..inputs.n).for_each(|i| with.push(&inputs.row(i)));
    with
}

/// The mean with a trend against the one of a Gaussian process whose kernel has the features in it.
#[test]
fn a_trend_is_the_one_of_a_dense_computation_and_a_contrary_study_weighs_nothing() {
    let (inputs, y, theta) = data(25);
    let inputs = with_trend(&inputs);
    let (n, noise) = (inputs.n, theta[10].exp() + JITTER);
    let posterior = Posterior::new(inputs.clone(), &theta, &y).unwrap();
    let trend = inputs.trend.as_ref().unwrap();
    let at = |x: &Point| {
        let mut features = Vec::new();
        trend.at(x, &mut features);
        features
    };
    // A weight with mean m and variance v adds m f to the mean, and v f f' to the kernel; the second study
    // has none.
    let used = [(0.0, 4.0), (0.25, 0.25)];
    let mean = |f: &[f64]| used.iter().zip(f).map(|((m, _), f)| m * f).sum::<f64>();
    let more = |f: &[f64], g: &[f64]| -> f64 {
        used.iter().zip(f.iter().zip(g)).map(|((_, v), (f, g))| v * f * g).sum()
    };
    let rows: Vec<Vec<f64>> = (0..n).map(|i| at(&inputs.row(i))).collect();
    let mut matrix = covariance(&inputs, &theta, noise);
    for i in 0..n {
        (0..n).for_each(|j| matrix[i][j] += more(&rows[i], &rows[j]));
    }
    let left: Vec<f64> = y.iter().zip(&rows).map(|(y, f)| y - mean(f)).collect();
    let (alpha, _) = solve(matrix, left);
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(9);
    for _ in 0..20 {
        let x = random(&mut rng);
        let f = at(&x);
        let k = |i: usize| kernel(&theta, &x, &inputs.row(i)) + more(&f, &rows[i]);
        let dense = mean(&f) + (0..n).map(|i| k(i) * alpha[i]).sum::<f64>();
        let mut scratch = Scratch::default();
        posterior.spread(&x, &mut scratch);
        assert!((posterior.mean(0, &scratch) - dense).abs() < 1e-7);
        assert!((posterior.mean_at(&x, &mut scratch) - dense).abs() < 1e-7);
    }
}

#[test]
fn slopes_with_a_trend_are_those_of_differences() {
    let (inputs, y, theta) = data(17);
    let inputs = with_trend(&inputs);
    let mut evidence = Evidence::new(&inputs);
    let mut slopes = vec![0.0; theta.len()];
    evidence.negative(&theta, &y, &mut slopes);
    assert_slopes(&mut evidence, &theta, &y, &slopes);
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(6);
    let mut posterior = Posterior::new(inputs, &theta, &y).unwrap();
    let pending: Vec<Point> = (0..2).map(|_| random(&mut rng)).collect();
    posterior.imagine(&pending, &y, 16, 1);
    let acquisition = Acquisition::new(&posterior, -0.5);
    let mut scratch = Scratch::default();
    // In each fantasy the model knows the value there, the trend included.
    posterior.spread(&pending[0], &mut scratch);
    assert!((posterior.mean(7, &scratch) - posterior.fantasies[7][0]).abs() < 1e-3);
    for _ in 0..10 {
        let x = random(&mut rng);
        let mut slopes = vec![0.0; 4];
        acquisition.slopes(&x, &mut scratch, &mut slopes);
        assert_value_slopes(&acquisition, &x, &slopes);
    }
}
