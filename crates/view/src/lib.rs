//! Views of a study: its status, its trials, the best of them, as typed and serialisable values for
//! printing, exports and dashboards. Nothing here prints, and reading takes no lock. Serialised
//! fields have NePS's names.

pub mod figures;
pub mod files;
mod live;
mod row;
mod runs;
mod status;
mod summary;

pub use live::Live;
pub use row::{MetaDataRow, ReportRow, StepsRow, TrialRow};
pub use runs::{Attempt, Ending, Ends, Lane, Runs, Stay};
pub use status::{
    EvaluationRow, GaveUpRow, Held, LastError, LeaseRow, ProcessRow, RegretRow, Status,
    WarmStartRow,
};
pub use summary::{Best, Summary};
