//! A picture before it is written: shapes in a coordinate system of points, in inks that a theme gives
//! their colours.

/// What a shape is drawn in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ink {
    /// Text.
    Text,
    /// Text that steps back, and axes.
    Muted,
    /// Lines of the grid.
    Grid,
    /// What lies behind everything.
    Surface,
    /// A trial.
    Point,
    /// The best.
    Best,
    /// One of several things that are told apart, in turn.
    Series(usize),
    /// A trial or an attempt that came to this.
    State(&'static str),
    /// A place on a scale from good (0) to bad (255).
    Scale(u8),
}

/// Where a text is fastened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Anchor {
    /// At its beginning.
    Start,
    /// In its middle.
    Middle,
    /// At its end.
    End,
}

/// A shape.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Shape {
    /// A filled rectangle.
    Rect { x: f64, y: f64, w: f64, h: f64, ink: Ink, alpha: f64 },
    /// Joined lines.
    Line { points: Vec<(f64, f64)>, ink: Ink, width: f64, alpha: f64 },
    /// Filled circles.
    Dots { points: Vec<(f64, f64)>, radius: f64, ink: Ink, alpha: f64 },
    /// Small signs, one for each kind of end, so that colour alone says nothing.
    Sign { x: f64, y: f64, size: f64, kind: &'static str },
    /// A text; turned by a quarter to the left, if `up`.
    Text { x: f64, y: f64, size: f64, text: String, ink: Ink, anchor: Anchor, up: bool, bold: bool },
}

/// A picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Scene {
    /// Its width in points.
    pub width: f64,
    /// Its height in points.
    pub height: f64,
    /// What it is, for those who do not see it.
    pub title: String,
    pub(crate) shapes: Vec<Shape>,
}

impl Scene {
    pub(crate) fn new(width: f64, height: f64, title: impl Into<String>) -> Self {
        Scene { width, height, title: title.into(), shapes: Vec::new() }
    }

    pub(crate) fn rect(&mut self, x: f64, y: f64, w: f64, h: f64, ink: Ink, alpha: f64) {
        self.shapes.push(Shape::Rect { x, y, w, h, ink, alpha });
    }

    pub(crate) fn line(&mut self, points: Vec<(f64, f64)>, ink: Ink, width: f64, alpha: f64) {
        if points.len() > 1 {
            self.shapes.push(Shape::Line { points, ink, width, alpha });
        }
    }

    pub(crate) fn dots(&mut self, points: Vec<(f64, f64)>, radius: f64, ink: Ink, alpha: f64) {
        if !points.is_empty() {
            self.shapes.push(Shape::Dots { points, radius, ink, alpha });
        }
    }

    pub(crate) fn sign(&mut self, x: f64, y: f64, size: f64, kind: &'static str) {
        self.shapes.push(Shape::Sign { x, y, size, kind });
    }

    pub(crate) fn text(
        &mut self,
        x: f64,
        y: f64,
        text: impl Into<String>,
        ink: Ink,
        anchor: Anchor,
    ) {
        self.text_of_size(x, y, 11.0, text, ink, anchor);
    }

    pub(crate) fn text_of_size(
        &mut self,
        x: f64,
        y: f64,
        size: f64,
        text: impl Into<String>,
        ink: Ink,
        anchor: Anchor,
    ) {
        let text = trialmill_core::trial::printable(&text.into());
        self.shapes.push(Shape::Text { x, y, size, text, ink, anchor, up: false, bold: false });
    }

    pub(crate) fn heading(&mut self, x: f64, y: f64, text: impl Into<String>) {
        let (text, ink) = (trialmill_core::trial::printable(&text.into()), Ink::Text);
        let anchor = Anchor::Start;
        self.shapes.push(Shape::Text {
            x,
            y,
            size: 15.0,
            text,
            ink,
            anchor,
            up: false,
            bold: true,
        });
    }

    pub(crate) fn text_up(&mut self, x: f64, y: f64, text: impl Into<String>) {
        let (text, ink) = (trialmill_core::trial::printable(&text.into()), Ink::Muted);
        let anchor = Anchor::Middle;
        self.shapes.push(Shape::Text {
            x,
            y,
            size: 11.0,
            text,
            ink,
            anchor,
            up: true,
            bold: false,
        });
    }
}

/// The colours of inks in light surroundings, for pictures that stand alone; told apart by people
/// who see some colours alike, too.
pub(crate) fn light(ink: Ink) -> [u8; 3] {
    let hex = match ink {
        Ink::Text => 0x1d_24_30,
        Ink::Muted => 0x5b_65_73,
        Ink::Grid => 0xe4_e8_ee,
        Ink::Surface => 0xff_ff_ff,
        Ink::Point => 0x35_6f_b0,
        Ink::Best => 0xc7_5a_00,
        Ink::Series(i) => {
            let all = [
                0x35_6f_b0, 0xc7_5a_00, 0x1f_84_6e, 0x9a_4f_b8, 0xb8_3a_5e, 0x6b_7a_1e, 0x2a_91_b8,
                0x7d_5a_3c,
            ];
            all[i % all.len()]
        }
        Ink::State(state) => match state {
            "success" | "external" => 0x1f_84_6e,
            "running" => 0x35_6f_b0,
            "failed" => 0xb5_7a_08,
            "crashed" => 0xc4_32_3c,
            "pruned" => 0x8a_5c_c4,
            "died" => 0x7e_16_2a,
            "expired" => 0x8c_5a_20,
            _ => 0x6f_7b_8a,
        },
        Ink::Scale(at) => return scale(at),
    };
    [(hex >> 16) as u8, (hex >> 8) as u8, hex as u8]
}

/// From deep blue (good) by way of green to yellow (bad): it gets lighter evenly, so that it reads in
/// grey as well.
fn scale(at: u8) -> [u8; 3] {
    const STOPS: [[f64; 3]; 5] = [
        [52.0, 30.0, 110.0],
        [44.0, 90.0, 150.0],
        [38.0, 140.0, 140.0],
        [110.0, 186.0, 100.0],
        [222.0, 214.0, 80.0],
    ];
    let at = f64::from(at) / 255.0 * (STOPS.len() - 1) as f64;
    let (low, part) = ((at as usize).min(STOPS.len() - 2), at - at.floor().min(3.0));
    let mix = |i: usize| (STOPS[low][i] + (STOPS[low + 1][i] - STOPS[low][i]) * part) as u8;
    [mix(0), mix(1), mix(2)]
}
