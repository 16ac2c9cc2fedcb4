//! The normal distribution, far into its tails.

use std::f64::consts::{FRAC_1_SQRT_2, SQRT_2};

const LN_SQRT_2PI: f64 = 0.918_938_533_204_672_7;

/// Its density.
pub(crate) fn pdf(z: f64) -> f64 {
    libm::exp(-0.5 * z * z - LN_SQRT_2PI)
}

/// Its distribution function.
pub(crate) fn cdf(z: f64) -> f64 {
    0.5 * libm::erfc(-z * FRAC_1_SQRT_2)
}

/// Its quantile (Wichura's AS 241: 16 digits). `p` is taken to lie inside (0, 1).
pub(crate) fn quantile(p: f64) -> f64 {
    let p = p.clamp(1e-300, 1.0 - 1e-16);
    let q = p - 0.5;
    let poly = |c: &[f64; 8], x: f64| c.iter().rev().fold(0.0, |sum, c| sum * x + c);
    if q.abs() <= 0.425 {
        let r = 0.180625 - q * q;
        return q * poly(&A, r) / poly(&B, r);
    }
    let r = (-libm::log(if q < 0.0 { p } else { 1.0 - p })).sqrt();
    let z = if r <= 5.0 {
        poly(&C, r - 1.6) / poly(&D, r - 1.6)
    } else {
        poly(&E, r - 5.0) / poly(&F, r - 5.0)
    };
    if q < 0.0 { -z } else { z }
}

/// A draw from a normal distribution cut to [0, 1]; `u` is uniform.
pub(crate) fn sample_truncated(mu: f64, sigma: f64, u: f64) -> f64 {
    let (a, b) = (cdf(-mu / sigma), cdf((1.0 - mu) / sigma));
    (mu + sigma * quantile(a + u * (b - a))).clamp(0.0, 1.0)
}

/// The logarithm of what of a normal distribution lies in [0, 1].
pub(crate) fn log_mass(mu: f64, sigma: f64) -> f64 {
    let (a, b) = (-mu / sigma, (1.0 - mu) / sigma);
    if a < -9.0 && b > 9.0 {
        return 0.0;
    }
    (cdf(b) - cdf(a)).max(1e-300).ln()
}

/// The logarithm of the density of a normal distribution cut to [0, 1].
pub(crate) fn log_pdf_truncated(x: f64, mu: f64, sigma: f64) -> f64 {
    let z = (x - mu) / sigma;
    -0.5 * z * z - LN_SQRT_2PI - sigma.ln() - log_mass(mu, sigma)
}

/// The expected improvement of a standard normal variable, h(z) = φ(z) + z Φ(z): its logarithm, and
/// Φ/h and φ/h (Ament et al., "Unexpected Improvements to Expected Improvement", 2023).
pub(crate) fn log_improvement(z: f64) -> (f64, f64, f64) {
    if z > -1.0 {
        let (density, mass) = (pdf(z), cdf(z));
        let h = density + z * mass;
        return (h.ln(), mass / h, density / h);
    }
    // h = φ(z) (1 + z R), where R = Φ(z)/φ(z) is Mills's ratio.
    let (ratio, tail) = if z > -22.0 {
        let ratio = (0.5 * std::f64::consts::PI).sqrt() * erfcx(-z / SQRT_2);
        (ratio, 1.0 + z * ratio)
    } else {
        let w = 1.0 / (z * z);
        let series = |c: [f64; 5]| c.iter().rev().fold(0.0, |sum, c| sum * w + c);
        let tail = w * series([1.0, -3.0, 15.0, -105.0, 945.0]);
        ((tail - 1.0) / z, tail)
    };
    (-0.5 * z * z - LN_SQRT_2PI + tail.ln(), ratio / tail, 1.0 / tail)
}

/// The logarithm of its distribution function, and the density over that function.
pub(crate) fn log_cdf(z: f64) -> (f64, f64) {
    if z > -1.0 {
        let mass = cdf(z);
        return (mass.ln(), pdf(z) / mass);
    }
    let x = -z * std::f64::consts::FRAC_1_SQRT_2;
    let scaled =
        if x < 25.0 { erfcx(x) } else { (1.0 - 0.5 / (x * x)) / (x * std::f64::consts::PI.sqrt()) };
    let ratio = (2.0 / std::f64::consts::PI).sqrt() / scaled;
    ((0.5 * scaled).ln() - x * x, ratio)
}

/// exp(x²) erfc(x), for 0 < x < 26.
fn erfcx(x: f64) -> f64 {
    libm::exp(x * x) * libm::erfc(x)
}

const A: [f64; 8] = [
    3.387_132_872_796_366_5,
    133.141_667_891_784_38,
    1_971.590_950_306_551_3,
    13_731.693_765_509_46,
    45_921.953_931_549_87,
    67_265.770_927_008_7,
    33_430.575_583_588_13,
    2_509.080_928_730_122_7,
];
const B: [f64; 8] = [
    1.0,
    42.313_330_701_600_91,
    687.187_007_492_057_9,
    5_394.196_021_424_751,
    21_213.794_301_586_597,
    39_307.895_800_092_71,
    28_729.085_735_721_943,
    5_226.495_278_852_545,
];
const C: [f64; 8] = [
    1.423_437_110_749_683_5,
    4.630_337_846_156_546,
    5.769_497_221_460_691,
    3.647_848_324_763_204_5,
    1.270_458_252_452_368_4,
    0.241_780_725_177_450_6,
    0.022_723_844_989_269_184,
    7.745_450_142_783_414e-4,
];
const D: [f64; 8] = [
    1.0,
    2.053_191_626_637_759,
    1.676_384_830_183_803_8,
    0.689_767_334_985_1,
    0.148_103_976_427_480_08,
    0.015_198_666_563_616_457,
    5.475_938_084_995_345e-4,
    1.050_750_071_644_416_9e-9,
];
const E: [f64; 8] = [
    6.657_904_643_501_103,
    5.463_784_911_164_114,
    1.784_826_539_917_291_3,
    0.296_560_571_828_504_87,
    0.026_532_189_526_576_124,
    0.001_242_660_947_388_078_4,
    2.711_555_568_743_487_6e-5,
    2.010_334_399_292_288_1e-7,
];
const F: [f64; 8] = [
    1.0,
    0.599_832_206_555_888,
    0.136_929_880_922_735_8,
    0.014_875_361_290_850_615,
    7.868_691_311_456_133e-4,
    1.846_318_317_510_054_7e-5,
    1.421_511_758_316_446e-7,
    2.044_263_103_389_939_8e-15,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quantile_inverts_the_distribution() {
        for p in [1e-12, 1e-6, 0.01, 0.1, 0.3, 0.5, 0.7, 0.99, 1.0 - 1e-6] {
            assert!((cdf(quantile(p)) / p - 1.0).abs() < 1e-10, "{p}: {}", cdf(quantile(p)));
        }
        assert!((quantile(0.975) - 1.959_963_984_540_054).abs() < 1e-13);
    }

    #[test]
    fn the_log_improvement_holds_far_into_the_tail_and_its_slope_is_right() {
        // From Python's statistics.NormalDist.
        for (z, expected) in [
            (2.0, 0.697_383_545_788_228_4),
            (0.0, -0.918_938_533_204_672_7),
            (-3.0, -7.869_686_059_603_098),
        ] {
            assert!((log_improvement(z).0 - expected).abs() < 1e-9, "{z} {}", log_improvement(z).0);
        }
        for z in [3.0, 0.5, -0.9, -1.1, -5.0, -21.9, -22.1, -60.0, -1e4] {
            let h = 1e-5 * f64::max(1.0, f64::abs(z));
            let slope = (log_improvement(z + h).0 - log_improvement(z - h).0) / (2.0 * h);
            let (_, ours, _) = log_improvement(z);
            assert!((slope / ours - 1.0).abs() < 1e-4, "{z}: {slope} {ours}");
        }
        // Continuous where the formulas meet.
        for z in [-1.0, -22.0] {
            let jump = log_improvement(z + 1e-9).0 - log_improvement(z - 1e-9).0;
            assert!(jump.abs() < 1e-6, "{z}: {jump}");
        }
    }

    #[test]
    fn the_logarithm_of_the_distribution_holds_far_into_the_tail_and_its_slope_is_right() {
        for (z, log) in [
            (-5.0, -15.064_998_393_988_725),
            (-20.0, -203.917_155_371_0),
            (0.0, -std::f64::consts::LN_2),
        ] {
            assert!((log_cdf(z).0 - log).abs() < 1e-9 * log.abs(), "{z}: {}", log_cdf(z).0);
        }
        let mut z = -60.0;
        while z < 8.0 {
            let slope = (log_cdf(z + 1e-5).0 - log_cdf(z - 1e-5).0) / 2e-5;
            assert!((slope - log_cdf(z).1).abs() < 1e-5 * slope.abs().max(1e-3), "{z}");
            z += 0.37;
        }
    }
}
