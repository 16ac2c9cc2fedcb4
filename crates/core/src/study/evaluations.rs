//! The evaluations of a study, by number, and which of them is the study's.

use std::sync::Arc;

use crate::definition::Definition;
use crate::error::StudyError;
use crate::evaluation::{Evaluation, Which};
use crate::event::EventKind;
use crate::limits::MAX_EVALUATIONS;

#[derive(Debug, Default)]
pub(super) struct Evaluations {
    all: Vec<Arc<Evaluation>>,
    /// Its number.
    current: Option<u32>,
    /// What the study's description says, of studies from before this was an event.
    described: Option<Arc<Evaluation>>,
}

impl Evaluations {
    pub(super) fn of(definition: &Definition) -> Self {
        let described = Evaluation::of_definition(definition).map(Arc::new);
        Evaluations { described, ..Evaluations::default() }
    }

    pub(super) fn all(&self) -> &[Arc<Evaluation>] {
        &self.all
    }

    pub(super) fn current(&self) -> Option<(u32, &Arc<Evaluation>)> {
        match self.current {
            Some(number) => self.get(number).map(|evaluation| (number, evaluation)),
            None => self.described.as_ref().map(|evaluation| (0, evaluation)),
        }
    }

    fn get(&self, number: u32) -> Option<&Arc<Evaluation>> {
        self.all.get(number.checked_sub(1)? as usize)
    }

    fn number_of(&self, evaluation: &Evaluation) -> Option<u32> {
        let at = self.all.iter().position(|known| **known == *evaluation)?;
        u32::try_from(at + 1).ok()
    }

    pub(super) fn set(
        &mut self,
        number: u32,
        own: bool,
        evaluation: Arc<Evaluation>,
    ) -> Result<(), StudyError> {
        match self.get(number) {
            Some(known) if **known == *evaluation => {}
            None if number as usize == self.all.len() + 1 => self.all.push(evaluation),
            _ => {
                let problem = format!("evaluation {number} comes twice, or too early");
                return Err(StudyError::Contradiction(problem));
            }
        }
        if !own {
            self.current = Some(number);
        }
        Ok(())
    }

    /// Whether an attempt may have this number.
    pub(super) fn check(&self, number: Option<u32>) -> Result<(), StudyError> {
        match number {
            Some(number) if self.get(number).is_none() => {
                let problem = format!("an attempt runs evaluation {number}, which there is not");
                Err(StudyError::Contradiction(problem))
            }
            _ => Ok(()),
        }
    }

    /// The number that an attempt gets.
    pub(super) fn number_for(&self, which: Option<Which>) -> Option<u32> {
        match which? {
            Which::OfStudy => self.current,
            Which::Number(number) => Some(number),
        }
    }

    /// The number that an evaluation has or gets, and the event that there is to be for it.
    pub(super) fn decide(
        &self,
        evaluation: Evaluation,
        own: bool,
    ) -> Result<(u32, Option<EventKind>), StudyError> {
        evaluation.check().map_err(StudyError::Contradiction)?;
        let (known, all) = (self.number_of(&evaluation), self.all.len());
        if known.is_none() && all >= MAX_EVALUATIONS {
            let problem = format!("the study has had {all} evaluations, and no more are kept");
            return Err(StudyError::Contradiction(problem));
        }
        let number = known.unwrap_or(all as u32 + 1);
        let is_news = known.is_none() || !own && self.current != known;
        let evaluation = evaluation.into();
        Ok((number, is_news.then_some(EventKind::Evaluation { number, own, evaluation })))
    }
}
