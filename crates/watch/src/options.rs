//! How a study is watched.

use std::path::PathBuf;

/// How a study is watched.
#[derive(Debug, Clone)]
pub struct Options {
    /// The study's directory.
    pub dir: PathBuf,
    /// Without colours.
    pub plain_colours: bool,
    /// Nothing can be done from here.
    pub read_only: bool,
}
