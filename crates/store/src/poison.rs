//! A store that has failed once refuses all further batches.

use trialmill_core::error::StoreError;

/// A store whose steps are guarded: its first error closes it, and frees what it holds.
pub trait Guarded {
    /// Why it refuses further batches.
    fn poison(&mut self) -> &mut Option<String>;

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
        let result = step(self);
        if let Err(error) = &result {
            *self.poison() = Some(error.to_string());
            self.release();
        }
        result
    }
}
