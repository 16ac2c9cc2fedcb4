//! What attempts report before their ends: the values of the objective, step by step.

use std::fmt;

use serde::de::{Error as _, SeqAccess, Visitor};
use serde::ser::SerializeSeq;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::report::{Objective, Real};

/// One value, or one for each objective, before the end of an attempt: an epoch, a fold, an instance.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Its number. An attempt need not begin at a certain one, nor leave none out.
    pub step: u64,
    /// The value that is minimised, as it was then.
    pub value: Objective,
}

impl Step {
    /// A step with this value.
    pub fn new(step: u64, value: impl Into<Objective>) -> Self {
        let value = match value.into() {
            Objective::Many(list) if list.len() == 1 => Objective::One(list[0]),
            value => value,
        };
        Step { step, value }
    }

    /// Its value, where it has one that is a number.
    pub fn single(&self) -> Option<f64> {
        match self.value {
            Objective::One(x) if !x.is_nan() => Some(x),
            _ => None,
        }
    }
}

/// The steps that the attempts at a trial have reported, the earliest attempt first. Nothing of it is
/// taken back: an attempt that died leaves what it reported.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Steps(Vec<AttemptSteps>);

/// What one attempt has reported, in the order of the steps' numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct AttemptSteps {
    /// The attempt's number.
    pub attempt: u32,
    /// Its steps, the smallest number first.
    pub steps: Vec<Step>,
    /// The step at which the pruner said that the attempt should end.
    pub prune_at: Option<u64>,
}

impl Steps {
    /// What each attempt has reported.
    pub fn attempts(&self) -> &[AttemptSteps] {
        &self.0
    }

    /// What an attempt has reported.
    pub fn of(&self, attempt: u32) -> Option<&AttemptSteps> {
        // Almost always the last one.
        self.0.iter().rev().find(|it| it.attempt == attempt)
    }

    /// How many steps all attempts have reported.
    pub fn len(&self) -> usize {
        self.0.iter().map(|it| it.steps.len()).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The learning curve. An attempt goes on from the steps before its first one, and replaces those
    /// from there on: so one that starts over replaces them all.
    pub fn curve(&self) -> impl Iterator<Item = &Step> {
        curve_of(&self.0).into_iter().rev().flatten()
    }

    /// The curve of the attempts before that one, up to before a step.
    pub fn before(&self, attempt: u32, step: u64) -> impl Iterator<Item = &Step> {
        let count = self.0.iter().filter(|it| it.attempt < attempt).count();
        let parts = curve_of(&self.0[..count]);
        parts.into_iter().rev().flatten().take_while(move |it| it.step < step)
    }

    /// The last step before the first one of an attempt: where it went on from. None for one that
    /// started over.
    pub fn goes_on_from(&self, attempt: u32) -> Option<u64> {
        let first = self.of(attempt)?.steps.first()?.step;
        let earlier = self.0.iter().filter(|it| it.attempt < attempt);
        let before = earlier.filter_map(|it| {
            let at = it.steps.partition_point(|step| step.step < first);
            at.checked_sub(1).map(|at| it.steps[at].step)
        });
        before.max()
    }

    /// Adds what an attempt has reported. The first value of a step is the one that counts.
    pub(crate) fn add(&mut self, attempt: u32, new: &[Step], prune_at: Option<u64>) {
        let at = match self.0.iter().rposition(|it| it.attempt <= attempt) {
            Some(at) if self.0[at].attempt == attempt => at,
            before => {
                let at = before.map_or(0, |at| at + 1);
                self.0.insert(at, AttemptSteps { attempt, steps: Vec::new(), prune_at: None });
                at
            }
        };
        let of = &mut self.0[at];
        of.prune_at = of.prune_at.or(prune_at);
        for step in new {
            match of.place_of(step.step) {
                Ok(_) => {}
                Err(place) => of.steps.insert(place, step.clone()),
            }
        }
    }
}

/// The parts of the curve that these attempts have left, the latest first.
fn curve_of(attempts: &[AttemptSteps]) -> Vec<&[Step]> {
    let mut end = u64::MAX;
    let mut parts = Vec::with_capacity(attempts.len());
    for AttemptSteps { steps, .. } in attempts.iter().rev() {
        let Some(first) = steps.first() else { continue };
        parts.push(match parts.is_empty() {
            true => &steps[..],
            false => &steps[..steps.partition_point(|step| step.step < end)],
        });
        end = end.min(first.step);
    }
    parts
}

impl AttemptSteps {
    /// Where a step is, or where it would be.
    fn place_of(&self, step: u64) -> Result<usize, usize> {
        match self.steps.last() {
            Some(last) if last.step >= step => self.steps.binary_search_by_key(&step, |it| it.step),
            _ => Err(self.steps.len()),
        }
    }

    /// Whether it has reported a step.
    pub fn has(&self, step: u64) -> bool {
        self.place_of(step).is_ok()
    }
}

/// `[5,0.25]`, or `[5,0.25,3.0]` with two objectives.
impl Serialize for Step {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let values = self.value.as_slice();
        let mut seq = to.serialize_seq(Some(1 + values.len()))?;
        seq.serialize_element(&self.step)?;
        for x in values {
            seq.serialize_element(&Real(*x))?;
        }
        seq.end()
    }
}

impl<'de> Deserialize<'de> for Step {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct StepVisitor;
        impl<'de> Visitor<'de> for StepVisitor {
            type Value = Step;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of a step's number and its value")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Step, A::Error> {
                let step = seq.next_element()?.ok_or_else(|| A::Error::custom("no step"))?;
                let Real(first) =
                    seq.next_element()?.ok_or_else(|| A::Error::custom("no value"))?;
                let Some(Real(second)) = seq.next_element()? else {
                    return Ok(Step { step, value: Objective::One(first) });
                };
                let mut values = vec![first, second];
                while let Some(Real(x)) = seq.next_element()? {
                    values.push(x);
                }
                Ok(Step { step, value: values.into() })
            }
        }
        from.deserialize_seq(StepVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(numbers: impl IntoIterator<Item = u64>, value: f64) -> Vec<Step> {
        numbers.into_iter().map(|step| Step::new(step, value)).collect()
    }

    fn curve(steps: &Steps) -> Vec<(u64, f64)> {
        steps.curve().map(|step| (step.step, step.single().unwrap())).collect()
    }

    #[test]
    fn an_attempt_goes_on_where_the_earlier_one_was_or_starts_over() {
        let mut steps_of = Steps::default();
        steps_of.add(1, &steps(1..=4, 0.1), None);
        assert_eq!((steps_of.goes_on_from(1), steps_of.goes_on_from(2)), (None, None));
        steps_of.add(2, &steps(3..=5, 0.2), None);
        assert_eq!(curve(&steps_of), [(1, 0.1), (2, 0.1), (3, 0.2), (4, 0.2), (5, 0.2)]);
        assert_eq!(steps_of.goes_on_from(2), Some(2));
        steps_of.add(4, &steps(1..=2, 0.4), Some(2));
        assert_eq!(curve(&steps_of), [(1, 0.4), (2, 0.4)]);
        assert_eq!(steps_of.goes_on_from(4), None);
        assert_eq!(steps_of.of(4).unwrap().prune_at, Some(2));
        // What another process stored late stands where it belongs.
        steps_of.add(3, &steps([9], 0.3), None);
        let order: Vec<_> = steps_of.attempts().iter().map(|it| it.attempt).collect();
        assert_eq!((order, steps_of.len()), (vec![1, 2, 3, 4], 10));
        assert_eq!(curve(&steps_of), [(1, 0.4), (2, 0.4)]);
    }

    #[test]
    fn the_first_value_of_a_step_stays_and_the_order_of_arrival_means_nothing() {
        let mut steps_of = Steps::default();
        for (step, value) in [(5, 0.5), (2, 0.2), (9, 0.9), (2, 7.0), (5, 7.0), (0, 0.0)] {
            steps_of.add(1, &[Step::new(step, value)], None);
        }
        assert_eq!(curve(&steps_of), [(0, 0.0), (2, 0.2), (5, 0.5), (9, 0.9)]);
        let of = steps_of.of(1).unwrap();
        assert!(of.has(9) && of.has(0) && !of.has(3) && !of.has(10));
    }
}
