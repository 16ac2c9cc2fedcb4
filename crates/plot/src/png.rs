//! A picture in pixels.

use tiny_skia::{
    FillRule, LineCap, LineJoin, Paint, Path, PathBuilder, Pixmap, Rect, Stroke, Transform,
};
use ttf_parser::{Face, GlyphId, OutlineBuilder};

use super::scene::{Anchor, Ink, Scene, Shape, light};
use super::svg::sign;

/// Pixels that a side may have.
const MOST: f64 = 16_000.0;

/// A picture as PNG, with this many pixels to a point.
///
/// # Errors
/// It would be too large.
pub fn png(scene: &Scene, scale: f64) -> Result<Vec<u8>, String> {
    let (width, height) = (scene.width * scale, scene.height * scale);
    if !(1.0..=MOST).contains(&width) || !(1.0..=MOST).contains(&height) {
        return Err(format!("a picture of {width} × {height} pixels is too large"));
    }
    let mut pixels = Pixmap::new(width as u32, height as u32).ok_or("no memory for the picture")?;
    let [r, g, b] = light(Ink::Surface);
    pixels.fill(tiny_skia::Color::from_rgba8(r, g, b, 255));
    let face =
        Face::parse(epaint_default_fonts::UBUNTU_LIGHT, 0).map_err(|error| error.to_string())?;
    let mut canvas = Canvas { pixels, face, scale: scale as f32 };
    scene.shapes.iter().for_each(|shape| canvas.draw(shape));
    canvas.pixels.encode_png().map_err(|error| error.to_string())
}

struct Canvas {
    pixels: Pixmap,
    face: Face<'static>,
    scale: f32,
}

impl Canvas {
    fn draw(&mut self, shape: &Shape) {
        match shape {
            Shape::Rect { x, y, w, h, ink, alpha } => {
                let rect = Rect::from_xywh(*x as f32, *y as f32, *w as f32, *h as f32);
                if let Some(rect) = rect {
                    let at = Transform::from_scale(self.scale, self.scale);
                    self.pixels.fill_rect(rect, &paint(*ink, *alpha), at, None);
                }
            }
            Shape::Line { points, ink, width, alpha } => self.stroke(points, *ink, *width, *alpha),
            Shape::Dots { points, radius, ink, alpha } => {
                for (x, y) in points {
                    let dot = PathBuilder::from_circle(*x as f32, *y as f32, *radius as f32);
                    self.fill(dot, *ink, *alpha, Transform::identity());
                }
            }
            Shape::Sign { x, y, size, kind } => {
                for stroke in sign(*x, *y, *size, kind) {
                    self.stroke(&stroke, Ink::State(kind), 1.6, 1.0);
                }
            }
            Shape::Text { x, y, size, text, ink, anchor, up, bold } => {
                let at = Transform::from_translate(*x as f32, *y as f32);
                let at = if *up { at.pre_rotate(-90.0) } else { at };
                let (path, width) = self.letters(text, *size as f32);
                let shift = match anchor {
                    Anchor::Start => 0.0,
                    Anchor::Middle => -width / 2.0,
                    Anchor::End => -width,
                };
                let at = at.pre_translate(shift, 0.0);
                self.fill(path.clone(), *ink, 1.0, at);
                if *bold {
                    self.fill(path, *ink, 1.0, at.pre_translate(0.35, 0.0));
                }
            }
        }
    }

    fn fill(&mut self, path: Option<Path>, ink: Ink, alpha: f64, at: Transform) {
        if let Some(path) = path {
            let at = at.post_scale(self.scale, self.scale);
            self.pixels.fill_path(&path, &paint(ink, alpha), FillRule::Winding, at, None);
        }
    }

    fn stroke(&mut self, points: &[(f64, f64)], ink: Ink, width: f64, alpha: f64) {
        let mut path = PathBuilder::new();
        for (at, (x, y)) in points.iter().enumerate() {
            match at {
                0 => path.move_to(*x as f32, *y as f32),
                _ => path.line_to(*x as f32, *y as f32),
            }
        }
        let stroke = Stroke {
            width: width as f32,
            line_cap: LineCap::Butt,
            line_join: LineJoin::Round,
            ..Stroke::default()
        };
        if let Some(path) = path.finish() {
            let at = Transform::from_scale(self.scale, self.scale);
            self.pixels.stroke_path(&path, &paint(ink, alpha), &stroke, at, None);
        }
    }

    /// The outlines of a text's letters, and how wide they are together.
    fn letters(&self, text: &str, size: f32) -> (Option<Path>, f32) {
        let scale = size / f32::from(self.face.units_per_em());
        let mut outline = Outline { path: PathBuilder::new(), scale, x: 0.0 };
        for letter in text.chars() {
            let glyph = self.face.glyph_index(letter).unwrap_or(GlyphId(0));
            self.face.outline_glyph(glyph, &mut outline);
            let advance = self.face.glyph_hor_advance(glyph).unwrap_or(0);
            outline.x += f32::from(advance) * scale;
        }
        (outline.path.finish(), outline.x)
    }
}

fn paint(ink: Ink, alpha: f64) -> Paint<'static> {
    let [r, g, b] = light(ink);
    let mut paint = Paint { anti_alias: true, ..Paint::default() };
    paint.set_color_rgba8(r, g, b, (alpha.clamp(0.0, 1.0) * 255.0) as u8);
    paint
}

/// Letters' outlines, from the font's units to points.
struct Outline {
    path: PathBuilder,
    scale: f32,
    x: f32,
}

impl Outline {
    fn at(&self, x: f32, y: f32) -> (f32, f32) {
        (self.x + x * self.scale, -y * self.scale)
    }
}

impl OutlineBuilder for Outline {
    fn move_to(&mut self, x: f32, y: f32) {
        let (x, y) = self.at(x, y);
        self.path.move_to(x, y);
    }
    fn line_to(&mut self, x: f32, y: f32) {
        let (x, y) = self.at(x, y);
        self.path.line_to(x, y);
    }
    fn quad_to(&mut self, x1: f32, y1: f32, x: f32, y: f32) {
        let ((x1, y1), (x, y)) = (self.at(x1, y1), self.at(x, y));
        self.path.quad_to(x1, y1, x, y);
    }
    fn curve_to(&mut self, x1: f32, y1: f32, x2: f32, y2: f32, x: f32, y: f32) {
        let ((x1, y1), (x2, y2), (x, y)) = (self.at(x1, y1), self.at(x2, y2), self.at(x, y));
        self.path.cubic_to(x1, y1, x2, y2, x, y);
    }
    fn close(&mut self) {
        self.path.close();
    }
}
