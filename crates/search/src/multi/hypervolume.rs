//! Pareto fronts, and the volume they dominate.

/// Whether `a` is nowhere worse than `b` and somewhere better.
pub fn dominates(a: &[f64], b: &[f64]) -> bool {
    let mut better = false;
    for (x, y) in a.iter().zip(b) {
        if x > y {
            return false;
        }
        better |= x < y;
    }
    better
}

/// The places of the points that no other dominates; of equal points, all.
pub fn pareto_front<P: AsRef<[f64]>>(points: &[P]) -> Vec<usize> {
    let free = |at: &usize| !points.iter().any(|p| dominates(p.as_ref(), points[*at].as_ref()));
    (0..points.len()).filter(free).collect()
}

/// The volume between the points and the reference point, which is to be worse than all of them
/// (sweeping the last objective: While, Bradstreet and Barone's idea, 2012, without its tricks).
/// Points that are not better than the reference everywhere count nothing.
pub fn hypervolume<P: AsRef<[f64]>>(points: &[P], reference: &[f64]) -> f64 {
    let inside = |p: &&P| {
        p.as_ref().len() == reference.len() && p.as_ref().iter().zip(reference).all(|(x, r)| x < r)
    };
    let mut inside: Vec<&[f64]> = points.iter().filter(inside).map(AsRef::as_ref).collect();
    volume(&mut inside, reference)
}

fn volume(points: &mut [&[f64]], reference: &[f64]) -> f64 {
    let d = reference.len();
    let Some(last) = d.checked_sub(1) else { return 0.0 };
    if points.is_empty() {
        return 0.0;
    }
    if d == 1 {
        return reference[0] - points.iter().map(|p| p[0]).fold(f64::INFINITY, f64::min);
    }
    points.sort_by(|a, b| a[last].total_cmp(&b[last]));
    if d == 2 {
        let (mut area, mut edge) = (0.0, reference[0]);
        for p in points.iter() {
            if p[0] < edge {
                area += (edge - p[0]) * (reference[1] - p[1]);
                edge = p[0];
            }
        }
        return area;
    }
    // Slices between the levels of the last objective; in each, those below it count.
    let mut total = 0.0;
    let mut front: Vec<&[f64]> = Vec::new();
    let mut area = 0.0;
    let mut level = points[0][last];
    for p in points.iter() {
        total += area * (p[last] - level);
        level = p[last];
        let p = &p[..last];
        if !front.iter().any(|q| *q == p || dominates(q, p)) {
            front.retain(|q| !dominates(p, q));
            front.push(p);
            area = volume(&mut front.clone(), &reference[..last]);
        }
    }
    total + area * (reference[last] - level)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volumes_of_known_sets() {
        assert_eq!(hypervolume(&[[0.0, 0.0]], &[1.0, 1.0]), 1.0);
        assert_eq!(hypervolume::<[f64; 2]>(&[], &[1.0, 1.0]), 0.0);
        assert_eq!(hypervolume(&[[1.0, 0.0]], &[1.0, 1.0]), 0.0);
        let stairs = [[0.0, 0.75], [0.25, 0.5], [0.5, 0.25], [0.75, 0.0], [0.9, 0.9]];
        assert!((hypervolume(&stairs, &[1.0, 1.0]) - 0.625).abs() < 1e-15);
        // Three boxes at the axes: each has 1/2 of the volume, each two share 1/4, all share 1/8.
        let axes = [[0.5, 0.0, 0.0], [0.0, 0.5, 0.0], [0.0, 0.0, 0.5]];
        assert!((hypervolume(&axes, &[1.0; 3]) - 0.875).abs() < 1e-15);
        let four = [[0.5, 0.0, 0.0, 0.0], [0.0, 0.5, 0.0, 0.0], [0.0, 0.0, 0.5, 0.0]];
        assert!((hypervolume(&four, &[1.0; 4]) - 0.875).abs() < 1e-15);
    }

    #[test]
    fn the_front_is_what_nothing_dominates() {
        let points = [[0.0, 1.0], [1.0, 0.0], [1.0, 1.0], [2.0, 2.0], [0.0, 1.0]];
        assert_eq!(pareto_front(&points), [0, 1, 4]);
    }
}
