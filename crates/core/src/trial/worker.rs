//! Who samples and evaluates trials: the workers of the study's processes, and callers from outside.

use std::borrow::Borrow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

use crate::limits::MAX_ID_BYTES;

/// The identity of a [`Worker`]: its name as it is stored, `p3-w1` or what a caller chose, read once.
/// It is a string wherever one is wanted, and a copy is a pointer.
#[derive(Clone, PartialEq, Eq)]
pub struct WorkerId(Arc<Identity>);

#[derive(PartialEq, Eq)]
struct Identity {
    name: Box<str>,
    process: Option<u32>,
}

impl WorkerId {
    /// The process that it is a worker of; a caller has none.
    pub fn process(&self) -> Option<u32> {
        self.0.process
    }

    /// Who this is.
    pub fn worker(&self) -> Worker<'_> {
        Worker::named(self)
    }
}

impl From<&str> for WorkerId {
    fn from(name: &str) -> Self {
        let process = Worker::named(name).process();
        WorkerId(Arc::new(Identity { name: name.into(), process }))
    }
}
impl From<Worker<'_>> for WorkerId {
    fn from(worker: Worker<'_>) -> Self {
        worker.to_string().as_str().into()
    }
}

impl Deref for WorkerId {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0.name
    }
}
// As a string's, so that a table of workers can be asked for a name.
impl Borrow<str> for WorkerId {
    fn borrow(&self) -> &str {
        self
    }
}
impl Hash for WorkerId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}
impl fmt::Display for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}
impl fmt::Debug for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// Whoever adds configurations of their own, and trials that were evaluated elsewhere: the samplers of
/// those, and names that no caller may have.
pub const ENQUEUE: &str = "enqueue";
/// See [`ENQUEUE`].
pub const IMPORT: &str = "import";

/// Who a worker's name means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Worker<'a> {
    /// `p3-w1`: worker 1 of process 3 of the study.
    Member {
        /// The number of its process in the study.
        process: u32,
        /// Its own number in that process.
        number: u32,
    },
    /// Somebody who asks from outside and takes no part in the study.
    Caller(&'a str),
}

impl<'a> Worker<'a> {
    /// Who has this name. All names that are not like those of members are callers'.
    pub fn named(name: &'a str) -> Self {
        let member = || {
            let rest = name.as_bytes().strip_prefix(b"p")?;
            let (process, rest) = leading_number(rest)?;
            let (number, rest) = leading_number(rest.strip_prefix(b"-w")?)?;
            rest.is_empty().then_some(Worker::Member { process, number })
        };
        member().unwrap_or(Worker::Caller(name))
    }

    /// A caller of this name.
    ///
    /// # Errors
    /// The name is empty, too long, or like a member's; the message says so.
    pub fn caller(name: &'a str) -> Result<Self, String> {
        match Worker::named(name) {
            Worker::Caller(ENQUEUE | IMPORT) => {
                Err(format!("'{name}' is who trials are added by; a caller has another name"))
            }
            caller @ Worker::Caller(_) if (1..=MAX_ID_BYTES).contains(&name.len()) => Ok(caller),
            _ => Err(format!(
                "a caller's name has 1 to 128 bytes and is not like a worker's, as '{name}' is"
            )),
        }
    }

    /// The process that it is a worker of; a caller has none.
    pub fn process(self) -> Option<u32> {
        match self {
            Worker::Member { process, .. } => Some(process),
            Worker::Caller(_) => None,
        }
    }
}

impl fmt::Display for Worker<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Worker::Member { process, number } => write!(f, "p{process}-w{number}"),
            Worker::Caller(name) => f.write_str(name),
        }
    }
}

fn leading_number(digits: &[u8]) -> Option<(u32, &[u8])> {
    let (mut number, mut len) = (0_u32, 0);
    for digit in digits.iter().map_while(|byte| (*byte as char).to_digit(10)) {
        number = number.checked_mul(10)?.checked_add(digit)?;
        len += 1;
    }
    (len > 0).then(|| (number, &digits[len..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_means_a_member_or_a_caller_and_is_shown_as_it_was() {
        for (process, number) in [(1, 0), (3, 1), (u32::MAX, u32::MAX)] {
            let worker = Worker::Member { process, number };
            assert_eq!(Worker::named(&worker.to_string()), worker);
            assert_eq!(worker.process(), Some(process));
            assert!(Worker::caller(&worker.to_string()).is_err());
        }
        for name in ["me", "p1", "p1-w", "p-w1", "p1-w1x", "xp1-w1", "p1-w4294967296", "p1_w1"] {
            assert_eq!(Worker::named(name), Worker::Caller(name));
            assert_eq!(Worker::caller(name).unwrap().to_string(), name);
        }
        assert!(Worker::caller("enqueue").unwrap_err().contains("another name"));
        assert!(Worker::caller("").is_err() && Worker::caller(&"x".repeat(129)).is_err());
    }
}
