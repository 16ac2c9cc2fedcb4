//! How a picture is drawn, and what all pictures begin with.

use trialmill_view::figures::Over;

use crate::scene::{Anchor, Ink, Scene};

/// How a picture is drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// Its width in points.
    pub width: f64,
    /// Its height in points; a fitting one where none is given.
    pub height: Option<f64>,
    /// Which objective, from 0.
    pub objective: usize,
    /// What histories are lined up by.
    pub over: Over,
    /// A wall clock's time: where what runs ends in the picture.
    pub now: f64,
}

impl Options {
    /// A picture of the usual size; `now` is a wall clock's time.
    pub fn at(now: f64) -> Self {
        Options { width: 900.0, height: None, objective: 0, over: Over::Number, now }
    }
}

/// A scene with its heading.
pub(super) fn titled(options: &Options, height: f64, heading: &str, note: &str) -> Scene {
    let height = options.height.unwrap_or(height).clamp(160.0, 20_000.0);
    let mut scene = Scene::new(options.width.clamp(240.0, 20_000.0), height, heading);
    scene.heading(20.0, 26.0, heading);
    scene.text(20.0, 43.0, note, Ink::Muted, Anchor::Start);
    scene
}

pub(super) fn shortened(text: &str, most: usize) -> String {
    match text.chars().count() > most {
        true => text.chars().take(most.saturating_sub(1)).chain(['…']).collect(),
        false => text.into(),
    }
}
