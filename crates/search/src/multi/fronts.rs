//! Who is good when there are several objectives.

use super::boxes::{MOST_OBJECTIVES, dominated, undominated};
use super::hypervolume::dominates;

/// Of a front, so many are compared by volume.
const MOST_COMPARED: usize = 200;

/// The best `count` of the points, the best first: front by front, and inside a front those first
/// that stand alone (the crowding distance of Deb et al., "A Fast and Elitist Multiobjective Genetic
/// Algorithm: NSGA-II", 2002). With each comes its front's number.
pub(crate) fn best(points: &[&[f64]], count: usize) -> Vec<(usize, usize)> {
    let mut left: Vec<usize> = (0..points.len()).collect();
    let mut chosen = Vec::new();
    let mut front = 0;
    while chosen.len() < count && !left.is_empty() {
        let members = peel(points, &mut left);
        chosen.extend(by_crowding(points, members).into_iter().map(|at| (at, front)));
        front += 1;
    }
    chosen.truncate(count);
    chosen
}

/// The best `count` of the points, the best first: front by front, and inside a front the one that adds most to the
/// volume that those before it dominate (greedily, after Guerreiro, Fonseca and Paquete, "Greedy Hypervolume Subset
/// Selection in Low Dimensions", 2016). Where there are too many objectives for that, those come first that stand alone.
pub(crate) fn largest(points: &[&[f64]], count: usize) -> Vec<usize> {
    let mut left: Vec<usize> = (0..points.len()).collect();
    let mut chosen = Vec::new();
    while chosen.len() < count && !left.is_empty() {
        let mut members = by_crowding(points, peel(points, &mut left));
        if points[members[0]].len() <= MOST_OBJECTIVES {
            members.truncate(MOST_COMPARED);
            members = by_volume(points, members, count - chosen.len());
        }
        chosen.extend(members);
    }
    chosen.truncate(count);
    chosen
}

/// The first `count` members, each the one that adds most to those before it.
fn by_volume(points: &[&[f64]], mut members: Vec<usize>, count: usize) -> Vec<usize> {
    let objectives = points[members[0]].len();
    let range = |m: usize| {
        let values = members.iter().map(|at| points[*at][m]);
        let ends =
            values.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), y| (a.min(y), b.max(y)));
        (ends.0, if ends.1 > ends.0 { ends.1 - ends.0 } else { 1.0 })
    };
    let ranges: Vec<(f64, f64)> = (0..objectives).map(range).collect();
    let scaled = |at: usize| -> Vec<f64> {
        points[at].iter().zip(&ranges).map(|(y, (low, span))| (y - low) / span).collect()
    };
    let (mut chosen, mut front) = (Vec::new(), Vec::new());
    while chosen.len() < count && !members.is_empty() {
        let boxes = undominated(&front, &vec![1.1; objectives]);
        let added = |at: usize| -> f64 {
            let y = scaled(at);
            boxes.iter().map(|part| dominated(&y, part)).sum()
        };
        let volumes: Vec<f64> = members.iter().map(|at| added(*at)).collect();
        let order = |a: &usize, b: &usize| volumes[*a].total_cmp(&volumes[*b]).then(b.cmp(a));
        let Some(most) = (0..members.len()).max_by(order) else { break };
        let at = members.remove(most);
        front.push(scaled(at));
        chosen.push(at);
    }
    chosen
}

/// Takes the points that no other dominates out of the list.
fn peel(points: &[&[f64]], left: &mut Vec<usize>) -> Vec<usize> {
    // In the order of the first objective, then the others, nobody is dominated by a later one.
    let order = |a: &usize, b: &usize| {
        let pairs = points[*a].iter().zip(points[*b]);
        pairs.map(|(x, y)| x.total_cmp(y)).find(|o| o.is_ne()).unwrap_or(a.cmp(b))
    };
    left.sort_by(order);
    let mut front: Vec<usize> = Vec::new();
    left.retain(|&at| {
        let is_free = !front.iter().any(|other| dominates(points[*other], points[at]));
        if is_free {
            front.push(at);
        }
        !is_free
    });
    front
}

fn by_crowding(points: &[&[f64]], members: Vec<usize>) -> Vec<usize> {
    let n = members.len();
    let mut distance = vec![0.0f64; n];
    let of = |objective: usize| -> Vec<f64> {
        members.iter().filter_map(|at| points[*at].get(objective).copied()).collect()
    };
    let columns = (0..).map(of).take_while(|values| n > 0 && values.len() == n);
    for values in columns {
        let value = |i: usize| values[i];
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_by(|a, b| value(*a).total_cmp(&value(*b)).then(a.cmp(b)));
        let span = (value(order[n - 1]) - value(order[0])).max(1e-300);
        distance[order[0]] = f64::INFINITY;
        distance[order[n - 1]] = f64::INFINITY;
        for w in order.windows(3) {
            distance[w[1]] += (value(w[2]) - value(w[0])) / span;
        }
    }
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|a, b| distance[*b].total_cmp(&distance[*a]).then(members[*a].cmp(&members[*b])));
    order.into_iter().map(|i| members[i]).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn fronts_come_in_order_and_the_lonely_first() {
        let points = [[0.0, 1.0], [1.0, 0.0], [0.1, 0.9], [0.5, 0.5], [1.0, 1.0], [2.0, 2.0]];
        let points: Vec<&[f64]> = points.iter().map(|p| &p[..]).collect();
        let best = super::best(&points, 6);
        assert_eq!(best, [(0, 0), (1, 0), (3, 0), (2, 0), (4, 1), (5, 2)]);
        assert_eq!(super::best(&points, 2).len(), 2);
        assert!(super::best(&[], 3).is_empty());
    }

    /// Of points on an arc the one in the middle dominates most; what is far away in one objective, and hardly better in
    /// another, comes last of its front; then comes the next front.
    #[test]
    fn who_dominates_most_comes_first() {
        let arc = |angle: f64| vec![2.0 - angle.to_radians().cos(), 2.0 - angle.to_radians().sin()];
        let mut points: Vec<Vec<f64>> = [1.0, 20.0, 45.0, 70.0, 89.0].map(arc).into();
        points.push(vec![0.999, 9.0]);
        points.push(vec![3.0, 3.0]);
        let points: Vec<&[f64]> = points.iter().map(|p| &p[..]).collect();
        assert_eq!(super::largest(&points[..5], 1), [2]);
        assert_eq!(super::largest(&points, 7)[5..], [5, 6]);
        assert_eq!(super::largest(&points, 2).len(), 2);
        assert!(super::largest(&[], 3).is_empty());
        // With one objective, or four, there is an order too.
        assert_eq!(super::largest(&[&[2.0], &[1.0], &[1.0]], 3), [1, 2, 0]);
        assert_eq!(super::largest(&[&[0.0; 4], &[1.0; 4]], 3), [0, 1]);
    }
}
