//! Who samples and evaluates trials: the workers of the study's processes, and callers from outside.

use std::fmt;

use arcstr::ArcStr;

use crate::limits::MAX_ID_BYTES;

/// The name of a [`Worker`], as it is stored: `p3-w1`, or what a caller chose.
pub type WorkerId = ArcStr;

/// Whoever adds configurations of their own, and trials that were evaluated elsewhere: the samplers of
/// those, and names that no caller may have.
pub const ENQUEUE: WorkerId = arcstr::literal!("enqueue");
/// See [`ENQUEUE`].
pub const IMPORT: WorkerId = arcstr::literal!("import");

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
            // Byte by byte: this is asked several times for each trial.
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
            Worker::Caller(_) if [ENQUEUE, IMPORT].iter().any(|own| own == name) => {
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
