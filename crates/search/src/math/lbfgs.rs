//! Minimises a smooth function inside a box: L-BFGS (Nocedal, 1980) on the coordinates that are
//! free, with a projected line search (Bertsekas, 1982).

use super::linalg::dot;

const MEMORY: usize = 8;

/// When to stop.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stop {
    /// After that many steps.
    pub(crate) steps: usize,
    /// When a step gains less than this, relative to the value.
    pub(crate) gain: f64,
    /// When no free slope is steeper.
    pub(crate) slope: f64,
}

/// Walks from `x` to a place with a lower value, which it returns with the value. `f` gives the
/// value and writes the gradient; a value that is not finite is never accepted.
pub(crate) fn minimise(
    x: &mut Vec<f64>,
    bounds: &[(f64, f64)],
    stop: Stop,
    mut f: impl FnMut(&[f64], &mut [f64]) -> f64,
) -> f64 {
    let n = x.len();
    let clip = |x: f64, i: usize| x.clamp(bounds[i].0, bounds[i].1);
    (0..n).for_each(|i| x[i] = clip(x[i], i));
    let mut gradient = vec![0.0; n];
    let mut value = f(x, &mut gradient);
    if !value.is_finite() {
        return value;
    }
    let mut memory: Vec<(Vec<f64>, Vec<f64>, f64)> = Vec::new();
    let (mut next, mut next_gradient) = (vec![0.0; n], vec![0.0; n]);
    for _ in 0..stop.steps {
        let held = |i: usize, x: &[f64], g: &[f64]| {
            (x[i] <= bounds[i].0 && g[i] > 0.0) || (x[i] >= bounds[i].1 && g[i] < 0.0)
        };
        let free: Vec<bool> = (0..n).map(|i| !held(i, x, &gradient)).collect();
        let steepest = (0..n).filter(|i| free[*i]).map(|i| gradient[i].abs()).fold(0.0, f64::max);
        if steepest <= stop.slope {
            break;
        }
        let mut direction = direction(&gradient, &free, &memory);
        let mut slope = dot(&direction, &gradient);
        if slope.is_nan() || slope >= -1e-16 * steepest * steepest {
            memory.clear();
            direction = (0..n).map(|i| if free[i] { -gradient[i] } else { 0.0 }).collect();
            slope = dot(&direction, &gradient);
        }
        let length = dot(&direction, &direction).sqrt();
        let mut t = if memory.is_empty() { f64::min(1.0, 0.3 / length.max(1e-300)) } else { 1.0 };
        let mut accepted = None;
        for _ in 0..20 {
            (0..n).for_each(|i| next[i] = clip(x[i] + t * direction[i], i));
            let there = f(&next, &mut next_gradient);
            let expected: f64 = (0..n).map(|i| gradient[i] * (next[i] - x[i])).sum();
            if there.is_finite() && there <= value + 1e-4 * expected.min(0.0) {
                accepted = Some(there);
                break;
            }
            // The minimum of the parabola through what is known, kept away from both ends.
            let best = -0.5 * slope * t * t / (there - value - slope * t);
            t = if best.is_finite() { best.clamp(0.1 * t, 0.5 * t) } else { 0.1 * t };
        }
        let Some(there) = accepted else { break };
        let s: Vec<f64> = (0..n).map(|i| next[i] - x[i]).collect();
        let y: Vec<f64> = (0..n).map(|i| next_gradient[i] - gradient[i]).collect();
        let sy = dot(&s, &y);
        if sy > 1e-10 * dot(&s, &s).sqrt() * dot(&y, &y).sqrt() {
            if memory.len() == MEMORY {
                memory.remove(0);
            }
            memory.push((s, y, sy));
        }
        let gain = value - there;
        std::mem::swap(x, &mut next);
        std::mem::swap(&mut gradient, &mut next_gradient);
        value = there;
        if gain <= stop.gain * value.abs().max(1.0) {
            break;
        }
    }
    value
}

/// The two-loop recursion, on the coordinates that are free.
fn direction(gradient: &[f64], free: &[bool], memory: &[(Vec<f64>, Vec<f64>, f64)]) -> Vec<f64> {
    let masked = |v: &[f64]| -> Vec<f64> {
        v.iter().zip(free).map(|(x, free)| if *free { *x } else { 0.0 }).collect()
    };
    let mut q = masked(gradient);
    let mut alphas = Vec::with_capacity(memory.len());
    for (s, y, sy) in memory.iter().rev() {
        let alpha = dot(s, &q) / sy;
        q.iter_mut().zip(y).for_each(|(q, y)| *q -= alpha * y);
        alphas.push(alpha);
    }
    if let Some((_, y, sy)) = memory.last() {
        let scale = sy / dot(y, y);
        for q in &mut q {
            *q *= scale;
        }
    }
    for ((s, y, sy), alpha) in memory.iter().zip(alphas.into_iter().rev()) {
        let beta = dot(y, &q) / sy;
        q.iter_mut().zip(s).for_each(|(q, s)| *q += (alpha - beta) * s);
    }
    for q in &mut q {
        *q = -*q;
    }
    masked(&q)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rosenbrock(x: &[f64], g: &mut [f64]) -> f64 {
        g.fill(0.0);
        (0..x.len() - 1).fold(0.0, |sum, i| {
            let (a, b) = (x[i + 1] - x[i] * x[i], 1.0 - x[i]);
            g[i] += -400.0 * x[i] * a - 2.0 * b;
            g[i + 1] += 200.0 * a;
            sum + 100.0 * a * a + b * b
        })
    }

    #[test]
    fn it_finds_the_minimum_inside_and_at_the_bounds() {
        let stop = Stop { steps: 500, gain: 0.0, slope: 1e-9 };
        let mut x = vec![-1.2, 1.0, -0.5, 0.3];
        let value = minimise(&mut x, &[(-2.0, 2.0); 4], stop, rosenbrock);
        assert!(value < 1e-12, "{value} {x:?}");
        let mut x = vec![-1.2, 1.0];
        minimise(&mut x, &[(-2.0, 0.5), (-2.0, 2.0)], stop, rosenbrock);
        assert!((x[0] - 0.5).abs() < 1e-9 && (x[1] - 0.25).abs() < 1e-6, "{x:?}");
        let mut x = vec![0.5];
        let nan = minimise(&mut x, &[(0.0, 1.0)], stop, |_, _| f64::NAN);
        assert!(nan.is_nan() && x == [0.5]);
    }
}
