//! Why a file of NePS cannot be used. It counts as damaged, and may be rebuilt, only if its content
//! was read and is invalid: a file that cannot be read (another user's, no file descriptor left, a
//! failing disk) may be perfectly sound.

use std::fmt;
use std::io;
use std::path::Path;

use trialmill_core::error::StoreError;

/// Why a file cannot be used.
#[derive(Debug)]
pub(crate) enum Unusable {
    /// The system does not let us read it now, so nothing is known about its content.
    Unreadable(io::Error),
    /// It is missing, or its content was read and is invalid.
    Damaged(String),
}

impl Unusable {
    /// The problem of a damaged file, which may be rebuilt.
    ///
    /// # Errors
    /// It cannot be read at all; then it must be left as it is.
    pub(crate) fn damage(self, path: &Path) -> Result<String, StoreError> {
        match self {
            Unusable::Damaged(problem) => Ok(problem),
            Unusable::Unreadable(error) => Err(StoreError::io("read", path)(error)),
        }
    }

    /// As an error of the store.
    pub(crate) fn into_error(self, path: &Path) -> StoreError {
        let damaged = |problem| StoreError::Damaged { path: path.into(), offset: 0, problem };
        self.damage(path).map_or_else(|error| error, damaged)
    }
}

impl From<io::Error> for Unusable {
    fn from(error: io::Error) -> Self {
        // An error without an errno is our own: the file is a link, a pipe, or too large.
        match error.raw_os_error().is_some() && error.kind() != io::ErrorKind::NotFound {
            true => Unusable::Unreadable(error),
            false => Unusable::Damaged(error.to_string()),
        }
    }
}

impl From<String> for Unusable {
    fn from(problem: String) -> Self {
        Unusable::Damaged(problem)
    }
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unusable::Unreadable(error) => error.fmt(f),
            Unusable::Damaged(problem) => problem.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::errno::Errno;

    /// A sound `optimizer_state.pkl` was set aside and rebuilt, because of a colleague's umask or
    /// because the process had no file descriptor left.
    #[test]
    fn what_cannot_be_read_is_not_damaged() {
        let of = |errno: Errno| Unusable::from(io::Error::from(errno));
        for errno in [
            Errno::EACCES,
            Errno::EPERM,
            Errno::EMFILE,
            Errno::ENFILE,
            Errno::EIO,
            Errno::ESTALE,
            Errno::ENOMEM,
            Errno::EINTR,
            Errno::ETIMEDOUT,
            Errno::ELOOP,
        ] {
            let problem = of(errno);
            assert!(matches!(problem, Unusable::Unreadable(_)), "{errno}");
            let error = problem.into_error(Path::new("x"));
            assert!(matches!(error, StoreError::Io { action: "read", .. }), "{error}");
        }
        assert!(matches!(of(Errno::ENOENT), Unusable::Damaged(_)));
        let ours = io::Error::new(io::ErrorKind::InvalidData, "it is too large");
        assert!(matches!(Unusable::from(ours), Unusable::Damaged(_)));
    }
}
