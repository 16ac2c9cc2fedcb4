//! Real trainings, as tables: what a forest or a network on handwritten digits gets wrong, for each point of a
//! grid (`cargo bench --bench digits -- tables`).

use serde::Deserialize;

/// One table.
#[derive(Debug, Deserialize)]
pub(crate) struct Table {
    /// How many values each parameter has.
    sizes: Vec<usize>,
    /// After which epochs the model was looked at.
    epochs: Vec<u32>,
    /// How many digits it was shown.
    of: f64,
    /// How many of them were wrong after each of the epochs; the last parameter changes fastest.
    wrong: Vec<Vec<u16>>,
}

impl Table {
    /// Per cent of the digits, after at most so many epochs; after all of them if that is not a number.
    pub(crate) fn percent_wrong(&self, places: &[f64], epochs: f64) -> f64 {
        let place = |row: usize, (place, size): (&f64, &usize)| row * size + *place as usize;
        let row = &self.wrong[places.iter().zip(&self.sizes).fold(0, place)];
        let looks =
            self.epochs.iter().take_while(|at| epochs.is_nan() || f64::from(**at) <= epochs);
        100.0 * f64::from(row[looks.count().max(1) - 1]) / self.of
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_parameter_changes_fastest_and_a_look_is_the_last_before() {
        let wrong = (0..6).map(|row| vec![100 + row, 50 + row, row]).collect();
        let table = Table { sizes: vec![2, 3], epochs: vec![1, 3, 9], of: 200.0, wrong };
        for (places, epochs, expected) in [
            ([0.0, 0.0], 1.0, 50.0),
            ([0.0, 2.0], 2.0, 51.0),
            ([1.0, 0.0], 3.0, 26.5),
            ([1.0, 2.0], 81.0, 2.5),
            ([1.0, 1.0], f64::NAN, 2.0),
        ] {
            assert_eq!(table.percent_wrong(&places, epochs), expected, "{places:?} {epochs}");
        }
    }
}
