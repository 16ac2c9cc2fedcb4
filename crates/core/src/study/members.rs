//! How processes come to a study and go.

use super::decide::Decision;
use super::{Answer, StudyState};
use crate::error::StudyError;
use crate::event::{EventKind, Process, ProcessId};
use crate::trial::Reason;

impl StudyState {
    /// A process takes part from now on, unless another one has its worker id.
    pub(super) fn join(&self, process: Process) -> Result<Decision, StudyError> {
        let is_namesake =
            |own: &&Process| own.worker_id.is_some() && own.worker_id == process.worker_id;
        if let Some(Process { process, host, worker_id: Some(worker_id), .. }) =
            self.processes().find(is_namesake).cloned()
        {
            return Err(StudyError::WorkerIdInUse { worker_id, process, host });
        }
        let process = Process { process: self.last_process + 1, ..process };
        let answer = Answer::Joined(process.process);
        Ok(Decision::new(vec![EventKind::Joined(process)], answer))
    }

    /// The end of a process, if it takes part: what it was evaluating is requeued.
    pub(super) fn leave(
        &self,
        process: ProcessId,
        reason: Reason,
        errors_in_a_row: Option<u64>,
    ) -> Decision {
        let mut decision = self.requeue_all(self.evaluating_by(process).collect(), reason);
        if self.processes.contains_key(&process) {
            decision.events.push(EventKind::Left { process, errors_in_a_row });
        }
        decision
    }
}
