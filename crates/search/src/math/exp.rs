//! `exp` of many numbers at once, in plain arithmetic: the same on every platform, and the compiler
//! makes vector instructions of it.

const LOG2_E: f64 = std::f64::consts::LOG2_E;
const LN2_HIGH: f64 = 6.931_471_803_691_238e-1;
const LN2_LOW: f64 = 1.908_214_929_270_587_7e-10;
/// Adding it moves a number's whole part into the low bits.
const MAGIC: f64 = 6_755_399_441_055_744.0;

/// `exp(x)` to about 2e-16 relative; 0 below -700, and `exp(700)` above.
// In the innermost loop over a kernel, where a call costs more than it computes.
#[allow(clippy::inline_always)]
#[inline(always)]
pub(crate) fn exp(x: f64) -> f64 {
    let x = if x < -700.0 { -700.0 } else { x };
    let x = if x > 700.0 { 700.0 } else { x };
    let shifted = x * LOG2_E + MAGIC;
    let n = shifted - MAGIC;
    let r = (x - n * LN2_HIGH) - n * LN2_LOW;
    // Taylor to the 12th power on |r| <= ln 2 / 2, in pairs so that the chain is short.
    let r2 = r * r;
    let r4 = r2 * r2;
    let p0 = 1.0 + r + r2 * (0.5 + r * (1.0 / 6.0));
    let p1 = (1.0 / 24.0 + r * (1.0 / 120.0)) + r2 * (1.0 / 720.0 + r * (1.0 / 5040.0));
    let p2 = (1.0 / 40320.0 + r * (1.0 / 362_880.0))
        + r2 * (1.0 / 3_628_800.0 + r * (1.0 / 39_916_800.0));
    let p = p0 + r4 * (p1 + r4 * (p2 + r4 * (1.0 / 479_001_600.0)));
    let scale = f64::from_bits((shifted.to_bits() << 52).wrapping_add(1023 << 52));
    p * scale
}

/// The logarithm of the sum of the exponentials.
pub(crate) fn log_sum_exp(list: &[f64]) -> f64 {
    let max = list.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if !max.is_finite() {
        return max;
    }
    let mut sums = [0.0; 4];
    let chunks = list.chunks_exact(4);
    let rest: f64 = chunks.remainder().iter().map(|x| exp(x - max)).sum();
    for chunk in chunks {
        for (sum, x) in sums.iter_mut().zip(chunk) {
            *sum += exp(x - max);
        }
    }
    max + (sums.iter().sum::<f64>() + rest).ln()
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_is_the_exponential() {
        for i in -6990..6990 {
            let x = f64::from(i) * 0.1 + 0.0123;
            let (ours, theirs) = (super::exp(x), x.exp());
            assert!((ours / theirs - 1.0).abs() < 1e-15, "{x}: {ours} {theirs}");
        }
        assert!(super::exp(-1e300) < 1e-300);
        assert!(super::exp(f64::NEG_INFINITY) < 1e-300);
    }
}
