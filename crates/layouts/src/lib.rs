//! The table of all layouts: combines the store's own, the journal, with NePS's layouts, which
//! build on the store.

use std::path::Path;

use trialmill_core::definition::Definition;
use trialmill_core::error::StoreError;
use trialmill_core::event::Policy;
pub use trialmill_neps::write_summary;
use trialmill_store::{Directory, JournalLayout, Layout, Layouts};

/// All layouts. The first is that of new directories.
pub static LAYOUTS: Layouts = &[
    &JournalLayout,
    trialmill_neps::LAYOUTS[0],
    trialmill_neps::LAYOUTS[1],
    trialmill_neps::LAYOUTS[2],
    trialmill_neps::LAYOUTS[3],
];

/// The layout of this name: `journal`, `neps`, `neps-0.14`, `neps-0.13` or `neps-0.12`.
///
/// # Errors
/// There is none; says which there are.
pub fn by_name(name: &str) -> Result<&'static dyn Layout, String> {
    LAYOUTS.iter().copied().find(|layout| layout.name() == name).ok_or_else(|| {
        let names: Vec<&str> = LAYOUTS.iter().map(|layout| layout.name()).collect();
        format!("'{name}' is not a layout; there are {}", names.join(", "))
    })
}

/// Directories of studies, in any of [`LAYOUTS`].
pub trait Studies: Sized {
    /// Opens a study for writing.
    ///
    /// # Errors
    /// There is none, it is damaged, or a newer version wrote it.
    fn open(path: &Path) -> Result<Self, StoreError>;

    /// Opens a study read-only, including one that a newer version wrote.
    ///
    /// # Errors
    /// There is none, or it is damaged.
    fn open_read_only(path: &Path) -> Result<Self, StoreError>;

    /// Creates a study in a directory that is missing or empty, or opens the one that is there; see
    /// [`Directory::create_or_open_as`].
    ///
    /// # Errors
    /// The directory holds something else, or a study with another space, optimizer, seed or layout,
    /// or cannot be written.
    fn create_or_open(
        path: &Path,
        definition: Definition,
        seed: Option<u64>,
        policy: &Policy,
        layout: Option<&'static dyn Layout>,
    ) -> Result<(Self, bool), StoreError>;

    /// Removes a study, so that a new one can be created in its place; the directory itself stays.
    ///
    /// # Errors
    /// A process holds it, it is not a study, or it holds files that are not the study's: then
    /// nothing is removed.
    fn remove(path: &Path) -> Result<(), StoreError>;
}

impl Studies for Directory {
    fn open(path: &Path) -> Result<Self, StoreError> {
        Self::open_as(path, LAYOUTS)
    }

    fn open_read_only(path: &Path) -> Result<Self, StoreError> {
        Self::open_read_only_as(path, LAYOUTS)
    }

    fn create_or_open(
        path: &Path,
        definition: Definition,
        seed: Option<u64>,
        policy: &Policy,
        layout: Option<&'static dyn Layout>,
    ) -> Result<(Self, bool), StoreError> {
        Self::create_or_open_as(path, definition, seed, policy, (layout, LAYOUTS))
    }

    fn remove(path: &Path) -> Result<(), StoreError> {
        Self::remove_as(path, LAYOUTS)
    }
}
