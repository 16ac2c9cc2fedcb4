//! Straightens the objective: as it is, or its logarithm above the best, with two offsets. What the
//! data make likeliest is taken (Snelson et al., "Warped Gaussian Processes", 2003).

/// How many ways there are.
pub(crate) const WARPS: usize = 3;

/// A way, and what it needs to go there and back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Warp {
    is_log: bool,
    low: f64,
    offset: f64,
    mean: f64,
    spread: f64,
}

impl Warp {
    /// The value that stands at a place, on the scale of [`tamed`] values: the straight one.
    pub(crate) fn back(&self, z: f64) -> f64 {
        let x = self.mean + self.spread * z;
        if self.is_log { x.min(300.0).exp() + self.low - self.offset } else { x }
    }
}

/// The values in that way, with mean 0 and spread 1, and the logarithm of the slope of it all, which
/// makes the evidence of different ways comparable.
pub(crate) fn warped(y: &[f64], way: usize) -> (Vec<f64>, f64, Warp) {
    let n = y.len() as f64;
    let y = tamed(y);
    let low = y.iter().copied().fold(f64::INFINITY, f64::min);
    let gap = (median(&y) - low).max(1e-12);
    let offset = gap * if way == 1 { 1.0 } else { 0.05 } + 1e-12;
    let (mut list, mut log_slope) = (y.clone(), 0.0);
    if way > 0 {
        for (x, y) in list.iter_mut().zip(&y) {
            *x = (y - low + offset).ln();
            log_slope -= *x;
        }
    }
    let mean = list.iter().sum::<f64>() / n;
    let variance = list.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n;
    let spread = variance.sqrt().max(1e-12);
    for x in &mut list {
        *x = (*x - mean) / spread;
    }
    let warp = Warp { is_log: way > 0, low, offset, mean, spread };
    (list, log_slope - n * spread.ln(), warp)
}

/// The values on a scale of their own, the wildest brought near: a value of 1e300 would leave nothing
/// of the others, on either side.
fn tamed(y: &[f64]) -> Vec<f64> {
    let middle = median(y);
    let mut gaps: Vec<f64> = y.iter().map(|y| (0.5 * y - 0.5 * middle).abs()).collect();
    gaps.sort_by(f64::total_cmp);
    let usual = gaps[gaps.len() * 3 / 4];
    let usual = if usual > 0.0 { usual } else { gaps[gaps.len() - 1] };
    if usual <= 0.0 {
        return vec![0.0; y.len()];
    }
    y.iter().map(|y| ((0.5 * y - 0.5 * middle) / usual).clamp(-1e3, 1e3)).collect()
}

fn median(y: &[f64]) -> f64 {
    let mut sorted = y.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len();
    match n {
        0 => 0.0,
        _ if n % 2 == 1 => sorted[n / 2],
        _ => 0.5 * sorted[n / 2 - 1] + 0.5 * sorted[n / 2],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_is_increasing_and_standardised() {
        let y = [3.0, 0.5, 100.0, 7.0, 0.1, 0.2];
        for way in 0..WARPS {
            let (z, _, warp) = warped(&y, way);
            let back: Vec<f64> = z.iter().map(|z| warp.back(*z)).collect();
            let straight = tamed(&y);
            back.iter().zip(&straight).for_each(|(a, b)| assert!((a - b).abs() < 1e-9));
            assert!(z.iter().sum::<f64>().abs() < 1e-9);
            for i in 0..6 {
                for j in 0..6 {
                    assert_eq!(y[i] < y[j], z[i] < z[j]);
                }
            }
        }
        for odd in [vec![1.0; 5], vec![1e300, -1e300, 0.0], vec![1.0], vec![1e-300, 2e-300]] {
            for way in 0..WARPS {
                let (z, slope, _) = warped(&odd, way);
                assert!(z.iter().all(|z| z.is_finite()) && slope.is_finite(), "{odd:?}");
            }
        }
    }
}
