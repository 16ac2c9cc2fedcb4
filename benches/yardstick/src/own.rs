//! Problems of our own, beside those of the file that all implementations share: functions that are not
//! additive, and a space with conditions. Their numbers are in `own.json`.

use crate::problems::{A6, P6, hartmann, levy, rosenbrock};

/// Whether it is one of them.
pub(crate) fn is_one(name: &str) -> bool {
    [
        "rotated-rastrigin4",
        "rotated-ellipsoid8",
        "schaffer6",
        "mixed-rotated6",
        "conditional9",
        "constrained5",
        "shifted-levy8",
        "rotated-rosenbrock5",
        "rotated-hartmann6",
    ]
    .contains(&name)
}

/// Its value.
pub(crate) fn value(name: &str, x: &[f64]) -> f64 {
    match name {
        "rotated-rastrigin4" => {
            let z = rotated(&shifted(x, &[0.9, -1.3, 0.4, 1.7]));
            10.0 * 4.0 + z.iter().map(|v| v * v - 10.0 * (2.0 * PI * v).cos()).sum::<f64>()
        }
        "rotated-ellipsoid8" => {
            let z = rotated(&shifted(x, &[1.1, -0.4, 2.2, -1.9, 0.3, 1.6, -2.4, 0.8]));
            z.iter().enumerate().map(|(i, v)| 10f64.powf(3.0 * i as f64 / 7.0) * v * v).sum()
        }
        // Rings around the optimum: each pair of neighbours by its distance from it.
        "schaffer6" => shifted(x, &[0.7, -2.1, 1.4, 2.9, -0.6, -1.8])
            .windows(2)
            .map(|w| {
                let r = w[0].hypot(w[1]);
                r.sqrt() * (1.0 + (3.0 * r).sin().powi(2))
            })
            .sum(),
        // Which valley is the narrow one is said by the choices.
        "mixed-rotated6" => {
            let (kind, mode, count) = (x[3] as usize, x[4] as usize, x[5]);
            let z = rotated(&shifted(&x[..3], &[0.2 * kind as f64, 0.5, -0.3 * mode as f64]));
            let bowl: f64 =
                z.iter().enumerate().map(|(i, v)| [1.0, 8.0, 30.0][(i + kind) % 3] * v * v).sum();
            bowl + [0.6, 0.0, 0.3, 0.9][kind] * [1.0, 0.4, 0.7][mode]
                + [0.2, 0.5, 0.0][mode]
                + 0.05 * (count - 3.0 - kind as f64).powi(2)
        }
        // Those of the file, but somewhere else, and turned.
        "shifted-levy8" => levy(&shifted(x, &[5.5, -3.9, 2.7, -6.3, 4.4, -2.2, 6.8, -5.1])),
        "rotated-rosenbrock5" => rosenbrock(&rotated(&shifted(x, &[0.3, -0.5, 0.2, 0.6, -0.4]))),
        "rotated-hartmann6" => {
            let z = rotated(&shifted(x, &[0.5; 6]));
            hartmann(&z.iter().map(|v| v + 0.5).collect::<Vec<_>>(), &A6, &P6)
        }
        "conditional9" => conditional(x),
        "constrained5" => {
            let z = rotated(&shifted(x, &LIMITED));
            z.iter().enumerate().map(|(i, v)| 3f64.powi(i as i32) * v * v).sum()
        }
        _ => f64::NAN,
    }
}

/// What must be 0 or less, in units of their own; the optimum is where both are 0, on the border.
pub(crate) fn constraints(name: &str, x: &[f64]) -> Vec<f64> {
    if name != "constrained5" {
        return Vec::new();
    }
    let z = shifted(x, &LIMITED);
    let ring = z[1..].iter().map(|v| (v - 1.5) * (v - 1.5)).sum::<f64>() - 9.0;
    vec![100.0 * z.iter().sum::<f64>(), ring]
}

const LIMITED: [f64; 5] = [1.4, -2.2, 0.9, 2.6, -1.1];

/// A model is chosen, and each has parameters of its own.
fn conditional(x: &[f64]) -> f64 {
    let square = |a: f64| a * a;
    let common = 0.05 * square(x[8].log10() + 3.0);
    common
        + match x[0] as usize {
            // Linear: simple, and never very good.
            0 => 0.30 + 0.02 * square(x[1].log10() + 2.0),
            // A forest.
            1 => {
                0.15 + 0.1 * square((x[2] / 180.0).ln())
                    + 0.02 * square(x[3] - 9.0)
                    + 0.2 * square(x[4] - 0.4)
            }
            // A network: the best, but only where its parameters fit each other.
            _ => {
                let ideal = -2.0 - 0.4 * (x[6] - 3.0);
                0.05 + 0.25 * square(x[5].log10() - ideal).min(2.0)
                    + 0.03 * square(x[6] - 5.0)
                    + 0.8 * square(x[7] - 0.25)
            }
        }
}

const PI: f64 = std::f64::consts::PI;

fn shifted(x: &[f64], by: &[f64]) -> Vec<f64> {
    x.iter().zip(by).map(|(x, s)| x - s).collect()
}

/// Turned by an angle in each plane of two coordinates, one after the other.
fn rotated(x: &[f64]) -> Vec<f64> {
    let mut z = x.to_vec();
    for i in 0..z.len() {
        for j in i + 1..z.len() {
            let (sin, cos) = (0.5 + 0.37 * (i + 2 * j) as f64).sin_cos();
            (z[i], z[j]) = (cos * z[i] - sin * z[j], sin * z[i] + cos * z[j]);
        }
    }
    z
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values are those of `own_reference.py`.
    #[test]
    fn the_problems_are_those_that_optuna_has_searched() {
        for (name, x, expected) in [
            ("rotated-rastrigin4", &[0.0; 4][..], 44.379_431_947_343_4),
            ("rotated-ellipsoid8", &[0.0; 8], 9_485.437_703_674_823),
            ("schaffer6", &[0.0; 6], 10.598_495_602_206_192),
            ("mixed-rotated6", &[0.0, 0.0, 0.0, 1.0, 2.0, 4.0], 4.864_193_000_394_95),
        ] {
            let ours = value(name, x);
            assert!((ours - expected).abs() < 1e-9 * expected, "{name}: {ours}");
        }
        for (name, best) in [
            ("shifted-levy8", &[6.5, -2.9, 3.7, -5.3, 5.4, -1.2, 7.8, -4.1][..]),
            ("rotated-hartmann6", &[0.5; 6]),
        ] {
            let (moved, kept) = match name {
                "shifted-levy8" => (value(name, best), 0.0),
                _ => (value(name, best), hartmann(best, &A6, &P6)),
            };
            assert!((moved - kept).abs() < 1e-9, "{name}: {moved}");
        }
        assert!((value("rotated-rosenbrock5", &[0.3, -0.5, 0.2, 0.6, -0.4]) - 4.0).abs() < 1e-9);
        assert!(constraints("constrained5", &LIMITED).iter().all(|x| x.abs() < 1e-9));
        assert!(value("constrained5", &LIMITED).abs() < 1e-9);
    }
}
