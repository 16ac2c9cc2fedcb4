//! A client without a session, for short-lived processes: a verb of the command line, or a job of a
//! batch system.

use std::path::Path;
use std::sync::Arc;
use trialmill_layouts::Studies;

use parking_lot::Mutex;

use super::client::{Client, Exchange};
use super::core::StateCore;
use super::named::optimizer_of;
use trialmill_core::error::{Error, StudyError};
use trialmill_core::evaluation::Evaluation;
use trialmill_core::event::Policy;
use trialmill_core::study::{Answer, Command, StudyState};
use trialmill_store::{Directory, Durability};

/// Decides commands on the caller's own thread, under the study's lock.
#[derive(Clone)]
pub struct Direct {
    core: Arc<Mutex<StateCore>>,
    directory: Option<Directory>,
}

/// A client that works on a directory without a running session. It does not join the study, so it
/// has no workers, and only a deadline protects the trials it asks for.
pub type DirectClient = Client<Direct>;

impl Client<Direct> {
    /// Opens the study of a directory, and requeues the trials of dead processes.
    ///
    /// # Errors
    /// There is no study, or it cannot be locked or read, or is damaged.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let directory = Directory::open(path)?;
        let optimizer = optimizer_of(&directory, false);
        let mut core = StateCore::open_directly(directory, Durability::Synced, optimizer)?;
        core.recover()?;
        Ok(Self::over(core))
    }

    /// Changes the policy that the study has at that moment. (Between [`set_policy`](Self::set_policy) and a look
    /// at the policy before it, somebody else may have paused or stopped the study, or enlarged its budget.)
    ///
    /// # Errors
    /// The policy makes no sense, or the store fails.
    pub fn change_policy(&self, change: impl FnOnce(&mut Policy)) -> Result<(), Error> {
        self.exchange.core.lock().change_policy(change)
    }

    /// Changes the evaluation into what `change` makes of the study as it is at that moment, as
    /// [`change_policy`](Self::change_policy) does. Returns its number.
    ///
    /// # Errors
    /// What `change` refuses, or the evaluation makes no sense, or the store fails.
    pub fn change_evaluation(
        &self,
        change: impl FnOnce(&StudyState) -> Result<Evaluation, Error>,
    ) -> Result<u32, Error> {
        self.exchange.core.lock().change_evaluation(change)
    }

    /// The same over a state that is open already.
    pub fn over(core: StateCore) -> Self {
        let directory = core.directory().cloned();
        Client { exchange: Direct { core: Arc::new(Mutex::new(core)), directory } }
    }
}

impl Exchange for Direct {
    fn exchange(&self, commands: Vec<Command>) -> Result<Vec<Result<Answer, StudyError>>, Error> {
        Ok(self.core.lock().execute_all(commands)?)
    }

    fn read<R: Send + 'static>(
        &self,
        read: impl FnOnce(&StudyState) -> R + Send + 'static,
    ) -> Result<R, Error> {
        let mut core = self.core.lock();
        // An empty batch catches up on what others stored.
        core.execute_all(Vec::new())?;
        Ok(read(core.study()))
    }

    fn directory(&self) -> Option<&Directory> {
        self.directory.as_ref()
    }
}
