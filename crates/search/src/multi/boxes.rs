//! The region that a Pareto front does not dominate, as boxes that do not overlap: Lacour, Klamroth and Fonseca, "A Box
//! Decomposition Algorithm to Compute the Hypervolume Indicator", 2017, applied to the front, and then to its local upper
//! bounds upside down (Daulton, Balandat and Bakshy, "Parallel Bayesian Optimization of Multiple Noisy Objectives with
//! Expected Hypervolume Improvement", 2021).

/// With more objectives there are too many boxes.
pub(crate) const MOST_OBJECTIVES: usize = 3;
/// As low as no objective is.
const BOTTOM: f64 = -1e12;

/// A local upper bound: no point of the front is below it everywhere. Its coordinate `j` is that of the point
/// `points[j]`.
struct Bound {
    upper: Vec<f64>,
    points: Vec<Vec<f64>>,
}

/// The lower and the upper corner of each box between the front and the reference point. With `n` points there are
/// `n + 1` boxes for two objectives and about `2 n` for three.
pub(super) fn undominated(front: &[Vec<f64>], reference: &[f64]) -> Vec<(Vec<f64>, Vec<f64>)> {
    let negated = |x: &[f64]| x.iter().map(|x| -x).collect::<Vec<f64>>();
    let uppers: Vec<Vec<f64>> =
        bounds(front, reference).iter().map(|bound| negated(&bound.upper)).collect();
    let bottom = vec![-BOTTOM; reference.len()];
    let boxes = bounds(&uppers, &bottom).into_iter().filter_map(|bound| {
        // From the highest of the points of the coordinates before to the bound; in the first, from it to the end.
        let highest =
            |j: usize| (0..j).map(|k| bound.points[k][j]).fold(f64::NEG_INFINITY, f64::max);
        let first = (bound.upper[0], bottom[0]);
        let others = (1..bottom.len()).map(|j| (highest(j), bound.upper[j]));
        let sides: Vec<(f64, f64)> = std::iter::once(first).chain(others).collect();
        let is_some = sides.iter().all(|(start, end)| start < end);
        is_some.then(|| sides.into_iter().map(|(start, end)| (-end, -start)).unzip())
    });
    boxes.collect()
}

/// How much of a box a point dominates.
pub(super) fn dominated(x: &[f64], (low, high): &(Vec<f64>, Vec<f64>)) -> f64 {
    let sides = x.iter().zip(low).zip(high);
    sides.map(|((x, low), high)| (high - x.max(*low)).max(0.0)).product()
}

/// The local upper bounds of the points, below the reference point.
fn bounds(points: &[Vec<f64>], reference: &[f64]) -> Vec<Bound> {
    let d = reference.len();
    let at_reference = |j: usize| {
        let mut point = vec![f64::NEG_INFINITY; d];
        point[j] = reference[j];
        point
    };
    let points_of = (0..d).map(at_reference).collect();
    let mut bounds = vec![Bound { upper: reference.to_vec(), points: points_of }];
    for point in points {
        let is_below = |bound: &Bound| point.iter().zip(&bound.upper).all(|(x, u)| x < u);
        let (split, mut kept): (Vec<Bound>, Vec<Bound>) = bounds.into_iter().partition(is_below);
        for bound in split {
            for j in 0..d {
                let others = (0..d).filter(|k| *k != j).map(|k| bound.points[k][j]);
                if others.fold(f64::NEG_INFINITY, f64::max) <= point[j] {
                    let (mut upper, mut points) = (bound.upper.clone(), bound.points.clone());
                    upper[j] = point[j];
                    points[j].clone_from(point);
                    kept.push(Bound { upper, points });
                }
            }
        }
        bounds = kept;
    }
    bounds
}

#[cfg(test)]
mod tests {
    use rand::rngs::Xoshiro256PlusPlus;
    use rand::{RngExt, SeedableRng};

    use super::super::hypervolume::hypervolume;
    use super::*;

    /// What a point adds to the volume of a front is its part of the boxes, whatever the front: random ones, with equal
    /// coordinates, dominated points and points beyond the reference.
    #[test]
    fn the_boxes_hold_what_a_point_adds() {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(7);
        for round in 0..300 {
            let d = 2 + round % 3;
            let n = rng.random_range(0..14);
            let steps = if round % 2 == 0 { 5.0 } else { 1e9 };
            let mut point = || -> Vec<f64> {
                (0..d).map(|_| (1.2 * rng.random::<f64>() * steps).floor() / steps).collect()
            };
            let mut front: Vec<Vec<f64>> = (0..n).map(|_| point()).collect();
            let reference = vec![1.0; d];
            let boxes = undominated(&front, &reference);
            let before = hypervolume(&front, &reference);
            for _ in 0..10 {
                let new = point();
                let inside: f64 = boxes.iter().map(|part| dominated(&new, part)).sum();
                front.push(new.clone());
                let added = hypervolume(&front, &reference) - before;
                front.pop();
                assert!((inside - added).abs() < 1e-9, "{front:?} and {new:?}: {inside}, {added}");
            }
        }
    }

    #[test]
    fn there_are_few_boxes() {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(8);
        for n in [1, 10, 60] {
            let sphere = |rng: &mut Xoshiro256PlusPlus| -> Vec<f64> {
                let x: Vec<f64> = (0..3).map(|_| 0.01 + rng.random::<f64>()).collect();
                let length = x.iter().map(|x| x * x).sum::<f64>().sqrt();
                x.into_iter().map(|x| 1.0 - x / length).collect()
            };
            let front: Vec<Vec<f64>> = (0..n).map(|_| sphere(&mut rng)).collect();
            let flat: Vec<Vec<f64>> = front.iter().map(|p| vec![p[0], -p[0]]).collect();
            assert_eq!(undominated(&flat, &[2.0, 2.0]).len(), n + 1);
            let boxes = undominated(&front, &[2.0; 3]).len();
            assert!(boxes <= 5 * n + 1, "{n} points, {boxes} boxes");
        }
    }
}
