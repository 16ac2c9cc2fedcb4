//! A store that has failed once refuses all further batches.

use super::place::Place;
use trialmill_core::error::StoreError;

/// A store whose steps are guarded: its first error closes it, and frees what it holds.
pub trait Guarded {
    /// Why it refuses further batches.
    fn poison(&mut self) -> &mut Option<String>;

    /// The study's directory, as it was when the store was opened.
    fn place(&self) -> Option<&Place> {
        None
    }

    /// Frees every lock of the batch.
    fn release(&mut self);

    /// Runs a step.
    fn guarded(
        &mut self,
        step: impl FnOnce(&mut Self) -> Result<(), StoreError>,
    ) -> Result<(), StoreError>
    where
        Self: Sized,
    {
        if let Some(why) = self.poison() {
            return Err(StoreError::Poisoned(why.clone()));
        }
        // A directory that is moved away in the middle of a batch shows as a file that is not there.
        let moved = |store: &Self| store.place().and_then(|place| place.check().err());
        let result = step(self).map_err(|error| match &error {
            StoreError::Io { .. } => moved(self).unwrap_or(error),
            _ => error,
        });
        if let Err(error) = &result {
            *self.poison() = Some(error.to_string());
            self.release();
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    struct Fake(Option<String>, Place);

    impl Guarded for Fake {
        fn place(&self) -> Option<&Place> {
            Some(&self.1)
        }

        fn poison(&mut self) -> &mut Option<String> {
            &mut self.0
        }

        fn release(&mut self) {}
    }

    /// 2 of 20 live studies that were renamed ended with "no such file: check the path".
    #[test]
    fn a_study_that_is_moved_in_the_middle_of_a_batch_is_said_to_be_moved() {
        let home = tempfile::tempdir().unwrap();
        let (here, there) = (home.path().join("here"), home.path().join("there"));
        std::fs::create_dir(&here).unwrap();
        let fails = |_: &mut Fake| {
            let error = io::Error::from(io::ErrorKind::NotFound);
            Err(StoreError::io("write", &here.join("file"))(error))
        };
        let mut store = Fake(None, Place::of(&here));
        assert!(matches!(store.guarded(fails), Err(StoreError::Io { .. })), "it is there");
        let mut store = Fake(None, Place::of(&here));
        std::fs::rename(&here, &there).unwrap();
        assert!(matches!(store.guarded(fails), Err(StoreError::Moved { .. })));
        assert!(matches!(store.guarded(|_| Ok(())), Err(StoreError::Poisoned(_))));
    }
}
