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
        return Err(format!(
            "a picture of {width} × {height} pixels is too large: at most {MOST} each way"
        ));
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
                // As a path: the short cut for rectangles fails, where there are assertions, at one that
                // covers two pixels in part and none as a whole.
                let edges = [self.near(*x), self.near(*y), self.near(x + w), self.near(y + h)];
                if let [Some(left), Some(top), Some(right), Some(bottom)] = edges
                    && let Some(rect) = Rect::from_ltrb(left, top, right, bottom)
                {
                    let path = PathBuilder::from_rect(rect);
                    self.fill(Some(path), *ink, *alpha, Transform::identity());
                }
            }
            Shape::Line { points, ink, width, alpha } => self.stroke(points, *ink, *width, *alpha),
            Shape::Dots { points, radius, ink, alpha } => {
                let radius = (*radius as f32).clamp(0.0, 1e3);
                for (x, y) in points {
                    let (Some(x), Some(y)) = (self.near(*x), self.near(*y)) else { continue };
                    let dot = PathBuilder::from_circle(x, y, radius);
                    self.fill(dot, *ink, *alpha, Transform::identity());
                }
            }
            Shape::Sign { x, y, size, kind } => {
                for stroke in sign(*x, *y, *size, kind) {
                    self.stroke(&stroke, Ink::State(kind), 1.6, 1.0);
                }
            }
            Shape::Text { x, y, size, text, ink, anchor, up, bold } => {
                let (Some(x), Some(y)) = (self.near(*x), self.near(*y)) else { return };
                let at = Transform::from_translate(x, y);
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

    /// A coordinate that the pixels' fixed-point numbers can hold; none for what is not a number. What is so
    /// far outside is not seen.
    fn near(&self, x: f64) -> Option<f32> {
        let most = MOST / f64::from(self.scale);
        (!x.is_nan()).then(|| x.clamp(-most, most) as f32)
    }

    fn fill(&mut self, path: Option<Path>, ink: Ink, alpha: f64, at: Transform) {
        if let Some(path) = path {
            let at = at.post_scale(self.scale, self.scale);
            self.pixels.fill_path(&path, &paint(ink, alpha), FillRule::Winding, at, None);
        }
    }

    fn stroke(&mut self, points: &[(f64, f64)], ink: Ink, width: f64, alpha: f64) {
        let mut path = PathBuilder::new();
        let mut is_open = false;
        for (x, y) in points {
            // What is not a number is a gap.
            let (Some(x), Some(y)) = (self.near(*x), self.near(*y)) else {
                is_open = false;
                continue;
            };
            match is_open {
                false => path.move_to(x, y),
                true => path.line_to(x, y),
            }
            is_open = true;
        }
        let stroke = Stroke {
            // A width that is no number is a thin line's.
            width: if width > 0.1 { (width as f32).min(1e3) } else { 0.1 },
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // This is a test.

    use super::*;

    /// A lane of a worker had attempts narrower than two pixels, and the whole picture was lost: tiny-skia's own
    /// way to fill a rectangle expects a pixel between its edges, where builds have assertions.
    #[test]
    fn every_rectangle_is_drawn_however_narrow_and_wherever_it_is() {
        let mut scene = Scene::new(60.0, 40.0, "narrow");
        for (i, w) in [1e-9, 0.1, 0.3, 0.7, 0.8, 1.0, 1.2, 1.5, 1.9, 2.0, 30.0].iter().enumerate() {
            for k in 0..11 {
                let x = f64::from(k) * 6.1 - 3.0 + i as f64 * 0.13;
                scene.rect(x, i as f64 * 3.7 - 2.0, *w, 2.9, Ink::Point, 1.0);
                scene.rect(i as f64 * 3.7 - 2.0, x, 2.9, *w, Ink::Point, 0.5);
            }
        }
        for scale in [1.0, 1.5, 2.0, 3.0] {
            png(&scene, scale).unwrap();
        }
    }

    /// Whatever stands where: numbers of users' trials decide that.
    #[test]
    fn every_shape_is_drawn_wherever_it_is() {
        // A fixed seed: what fails once fails again.
        let mut state = 7_u64;
        let mut next = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as f64 / f64::from(1_u32 << 31)
        };
        let odd = [
            f64::NAN,
            f64::INFINITY,
            -f64::INFINITY,
            1e300,
            -1e300,
            1e9,
            -1e9,
            32_767.5,
            -32_768.0,
            0.0,
        ];
        for round in 0..100 {
            let mut scene = Scene::new(80.0, 50.0, "any");
            let mut at = |reach: f64| match (next() * 30.0) as usize {
                i if i < odd.len() => odd[i],
                _ => (next() * 8.0).floor() / 4.0 * next() * reach - reach / 4.0,
            };
            for kind in ["crashed", "failed", "died", "released", "pruned", "expired"] {
                let points: Vec<(f64, f64)> = (0..4).map(|_| (at(80.0), at(50.0))).collect();
                let width = at(3.0);
                scene.rect(at(80.0), at(50.0), at(9.0), at(9.0), Ink::Best, 0.5);
                scene.line(points.clone(), Ink::Point, width.clamp(0.0, 9.0), 0.7);
                scene.line(points.clone(), Ink::Point, 0.3, 0.7);
                scene.dots(points, at(4.0), Ink::Series(round), 0.6);
                scene.sign(at(80.0), at(50.0), at(9.0), kind);
                scene.text(at(80.0), at(50.0), "a text", Ink::Text, Anchor::Middle);
            }
            png(&scene, [1.0, 1.3, 2.0][round % 3]).unwrap();
        }
    }
}
