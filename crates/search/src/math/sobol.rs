//! Owen-scrambled Sobol points in any number of dimensions.

/// The `at`-th point of the sequence that the seed scrambles. Beyond 2¹⁶ points, and beyond 64
/// dimensions, further sequences follow, independent of the first.
pub(crate) fn point(at: u64, dimensions: usize, seed: u64) -> Vec<f64> {
    const BLOCK: u64 = 1 << 16;
    const SET: usize = 64;
    let fold = seed ^ (seed >> 32) ^ (at / BLOCK).wrapping_mul(0x9e37_79b9);
    let coordinate = |dimension: usize| {
        let set = (dimension / SET) as u32;
        let seed = (fold as u32).wrapping_add(set.wrapping_mul(0x85eb_ca6b));
        let x = sobol_burley::sample((at % BLOCK) as u32, (dimension % SET) as u32, seed);
        f64::from(x)
    };
    (0..dimensions).map(coordinate).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn each_block_of_points_fills_every_stretch() {
        for seed in 0..5 {
            for dimension in 0..10 {
                let mut hit = [0; 64];
                for at in 64..128 {
                    hit[(super::point(at, 10, seed)[dimension] * 64.0) as usize] += 1;
                }
                assert_eq!(hit, [1; 64]);
            }
        }
    }
}
