//! The k smallest of the numbers so far, where k grows with their count: for quantiles and rungs.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

/// A number that can be sorted; none is NaN.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Sorted(f64);

impl Eq for Sorted {}

impl PartialOrd for Sorted {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Sorted {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

/// Numbers, split into the k smallest and the others. Adding one takes logarithmic time.
#[derive(Debug, Default)]
pub(super) struct Smallest {
    low: BinaryHeap<Sorted>,
    high: BinaryHeap<Reverse<Sorted>>,
}

impl Smallest {
    /// How many numbers there are.
    pub(super) fn len(&self) -> usize {
        self.low.len() + self.high.len()
    }

    /// Adds a number, and keeps the `k` smallest apart, where `k` never becomes less. NaN is left out.
    pub(super) fn add(&mut self, x: f64, k: impl Fn(usize) -> usize) {
        if x.is_nan() {
            return;
        }
        self.low.push(Sorted(x));
        if let Some(greatest) = self.low.pop() {
            self.high.push(Reverse(greatest));
        }
        let k = k(self.len());
        while self.low.len() < k
            && let Some(Reverse(next)) = self.high.pop()
        {
            self.low.push(next);
        }
    }

    /// The greatest of the k smallest.
    pub(super) fn kth(&self) -> Option<f64> {
        self.low.peek().map(|x| x.0)
    }

    /// The smallest of the others.
    pub(super) fn next(&self) -> Option<f64> {
        self.high.peek().map(|x| x.0.0)
    }

    /// How many are kept apart: k.
    pub(super) fn k(&self) -> usize {
        self.low.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_k_smallest_are_those_that_a_sort_gives(
            numbers in prop::collection::vec(-50i32..50, 1..80), part in 1usize..5,
        ) {
            let (mut smallest, mut all) = (Smallest::default(), Vec::new());
            for x in numbers {
                let x = f64::from(x);
                smallest.add(x, |n| (n / part).max(1));
                all.push(x);
                let mut sorted = all.clone();
                sorted.sort_by(f64::total_cmp);
                let k = (all.len() / part).max(1);
                prop_assert_eq!((smallest.len(), smallest.k()), (all.len(), k));
                prop_assert_eq!(smallest.kth(), Some(sorted[k - 1]));
                prop_assert_eq!(smallest.next(), sorted.get(k).copied());
            }
            smallest.add(f64::NAN, |n| n);
            prop_assert_eq!(smallest.len(), all.len());
        }
    }
}
