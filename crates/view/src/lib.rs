//! What one sees of a study from outside: where it stands, its trials, the best of them. Typed and
//! serialisable numbers for whoever shows or exports them; nothing here prints, and reading takes no
//! lock. Serialised, they have NePS's names.

mod row;
mod status;
mod summary;

pub use row::{MetaDataRow, ReportRow, TrialRow};
pub use status::{Held, LastError, LeaseRow, ProcessRow, Status};
pub use summary::{Best, Summary};
