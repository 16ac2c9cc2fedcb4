//! A picture as SVG.

use std::fmt::Write;

use super::scene::{Anchor, Ink, Scene, Shape, light};

/// A picture that stands alone: light, and with nothing that only a browser knows.
pub fn plain(scene: &Scene) -> String {
    write(scene, &|ink| {
        let [r, g, b] = light(ink);
        format!("#{r:02x}{g:02x}{b:02x}")
    })
}

/// A picture within a page, which gives the inks their colours by CSS variables: `--ink-best`.
pub fn themed(scene: &Scene) -> String {
    write(scene, &|ink| {
        let [r, g, b] = light(ink);
        match name(ink) {
            Some(name) => format!("var(--{name}, #{r:02x}{g:02x}{b:02x})"),
            None => format!("#{r:02x}{g:02x}{b:02x}"),
        }
    })
}

fn name(ink: Ink) -> Option<String> {
    Some(match ink {
        Ink::Text => "text".into(),
        Ink::Muted => "muted".into(),
        Ink::Grid => "grid".into(),
        Ink::Surface => "surface".into(),
        Ink::Point => "point".into(),
        Ink::Best => "best".into(),
        Ink::Series(i) => format!("series-{}", i % 8),
        Ink::State(state) => format!("state-{state}"),
        Ink::Scale(_) => return None,
    })
}

/// Text as XML has it. What is no character there is left out.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\t' | '\n' => out.push(' '),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => {}
            c => out.push(c),
        }
    }
    out
}

/// Writing to a `String` does not fail.
fn write(scene: &Scene, colour: &dyn Fn(Ink) -> String) -> String {
    let Scene { width, height, title, shapes } = scene;
    let mut out = String::new();
    let title = escaped(title);
    let _ = writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         height=\"{height}\" role=\"img\" aria-label=\"{title}\" font-family=\"Inter, 'Segoe UI', \
         Ubuntu, 'DejaVu Sans', Helvetica, Arial, sans-serif\"><title>{title}</title>"
    );
    let surface = colour(Ink::Surface);
    let _ = writeln!(out, "<rect width=\"{width}\" height=\"{height}\" style=\"fill:{surface}\"/>");
    for shape in shapes {
        one(&mut out, shape, colour);
    }
    out += "</svg>\n";
    out
}

fn one(out: &mut String, shape: &Shape, colour: &dyn Fn(Ink) -> String) {
    let short = |x: f64| (x * 100.0).round() / 100.0;
    let opacity = |alpha: f64| match alpha < 1.0 {
        true => format!(";opacity:{}", short(alpha)),
        false => String::new(),
    };
    let path = |points: &[(f64, f64)]| {
        let mut path = String::new();
        for (at, (x, y)) in points.iter().enumerate() {
            let _ = write!(path, "{}{} {}", if at == 0 { 'M' } else { 'L' }, short(*x), short(*y));
        }
        path
    };
    let _ = match shape {
        Shape::Rect { x, y, w, h, ink, alpha } => writeln!(
            out,
            "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" style=\"fill:{}{}\"/>",
            short(*x),
            short(*y),
            short(*w),
            short(*h),
            colour(*ink),
            opacity(*alpha)
        ),
        Shape::Line { points, ink, width, alpha } => writeln!(
            out,
            "<path d=\"{}\" style=\"fill:none;stroke:{};stroke-width:{width};stroke-linejoin:round{}\"/>",
            path(points),
            colour(*ink),
            opacity(*alpha)
        ),
        Shape::Dots { points, radius, ink, alpha } => {
            // One path of points with round ends: a tenth of the bytes of as many circles.
            let mut d = String::new();
            for (x, y) in points {
                let _ = write!(d, "M{} {}h0", short(*x), short(*y));
            }
            writeln!(
                out,
                "<path d=\"{d}\" style=\"fill:none;stroke:{};stroke-width:{};stroke-linecap:round{}\"/>",
                colour(*ink),
                2.0 * radius,
                opacity(*alpha)
            )
        }
        Shape::Sign { x, y, size, kind } => {
            let strokes = sign(*x, *y, *size, kind);
            let d: String = strokes.iter().map(|stroke| path(stroke)).collect();
            writeln!(
                out,
                "<path d=\"{d}\" style=\"fill:none;stroke:{};stroke-width:1.6\"/>",
                colour(Ink::State(kind))
            )
        }
        Shape::Text { x, y, size, text, ink, anchor, up, bold } => {
            let (x, y) = (short(*x), short(*y));
            let anchor = match anchor {
                Anchor::Start => "start",
                Anchor::Middle => "middle",
                Anchor::End => "end",
            };
            let turn =
                if *up { format!(" transform=\"rotate(-90 {x} {y})\"") } else { String::new() };
            let bold = if *bold { ";font-weight:600" } else { "" };
            writeln!(
                out,
                "<text x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\"{turn} style=\"font-size:{size}px;\
                 fill:{}{bold}\">{}</text>",
                colour(*ink),
                escaped(text)
            )
        }
    };
}

/// The strokes of the sign of an end: a cross where it crashed, a bar where its worker died, a slope
/// where it was given back, a ring of straight lines for what else there is.
pub(crate) fn sign(x: f64, y: f64, size: f64, kind: &str) -> Vec<Vec<(f64, f64)>> {
    let s = size / 2.0;
    match kind {
        "crashed" => {
            vec![vec![(x - s, y - s), (x + s, y + s)], vec![(x - s, y + s), (x + s, y - s)]]
        }
        "failed" => vec![vec![(x - s, y + s), (x, y - s), (x + s, y + s), (x - s, y + s)]],
        "died" => vec![
            vec![(x, y - 1.6 * s), (x, y + 1.6 * s)],
            vec![(x - s, y - s * 0.6), (x + s, y - s * 0.6)],
        ],
        "released" => vec![vec![(x + s, y - s), (x - s, y), (x + s, y + s)]],
        "pruned" => vec![vec![(x - s, y - s), (x + s, y - s), (x, y + s), (x - s, y - s)]],
        _ => vec![vec![(x - s, y), (x, y - s), (x + s, y), (x, y + s), (x - s, y)]],
    }
}
