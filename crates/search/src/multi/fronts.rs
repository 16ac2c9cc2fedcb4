//! Who is good when there are several objectives.

use super::hypervolume::dominates;

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
}
