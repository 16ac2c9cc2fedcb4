//! The frame of a picture: where its axes are, and how a value becomes a place.

use trialmill_view::figures::{Range, number, ticks};

use super::scene::{Anchor, Ink, Scene};

/// The rectangle between the axes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame {
    pub(crate) left: f64,
    pub(crate) top: f64,
    pub(crate) right: f64,
    pub(crate) bottom: f64,
    pub(crate) x: Range,
    pub(crate) y: Range,
}

impl Frame {
    /// Within a scene, with room for a heading, labels and numbers.
    pub(crate) fn within(scene: &Scene, x: Range, y: Range) -> Self {
        Frame {
            left: 72.0,
            top: 56.0,
            right: scene.width - 24.0,
            bottom: scene.height - 50.0,
            x,
            y,
        }
    }

    pub(crate) fn x(&self, x: f64) -> f64 {
        self.left + self.x.unit(x) * (self.right - self.left)
    }

    pub(crate) fn y(&self, y: f64) -> f64 {
        self.bottom - self.y.unit(y) * (self.bottom - self.top)
    }

    pub(crate) fn at(&self, x: f64, y: f64) -> (f64, f64) {
        (self.x(x), self.y(y))
    }

    /// Draws grid, axes and numbers. `as_text` writes a number of the x axis.
    pub(crate) fn draw(&self, scene: &mut Scene, x: &str, y: &str, as_text: fn(f64) -> String) {
        let many = ((self.right - self.left) / 110.0) as usize;
        for mark in ticks(self.x.low, self.x.high, self.x.log, many.max(2)) {
            let at = self.x(mark);
            scene.line(vec![(at, self.top), (at, self.bottom)], Ink::Grid, 1.0, 1.0);
            scene.text(at, self.bottom + 17.0, as_text(mark), Ink::Muted, Anchor::Middle);
        }
        for mark in ticks(self.y.low, self.y.high, self.y.log, 6) {
            let at = self.y(mark);
            scene.line(vec![(self.left, at), (self.right, at)], Ink::Grid, 1.0, 1.0);
            scene.text(self.left - 8.0, at + 4.0, number(mark), Ink::Muted, Anchor::End);
        }
        let corner =
            vec![(self.left, self.top), (self.left, self.bottom), (self.right, self.bottom)];
        scene.line(corner, Ink::Muted, 1.0, 0.6);
        let middle = f64::midpoint(self.left, self.right);
        scene.text(middle, self.bottom + 38.0, x, Ink::Muted, Anchor::Middle);
        scene.text_up(18.0, f64::midpoint(self.top, self.bottom), y);
    }

    /// Draws a step line that keeps each value until the next.
    pub(crate) fn steps(&self, scene: &mut Scene, steps: &[(f64, f64)], until: f64, ink: Ink) {
        let mut points: Vec<(f64, f64)> = Vec::new();
        for (x, y) in steps {
            if let Some((_, before)) = points.last().copied() {
                points.push((self.x(*x), before));
            }
            points.push(self.at(*x, *y));
        }
        if let Some((_, y)) = points.last().copied() {
            points.push((self.x(until), y));
        }
        scene.line(points, ink, 2.2, 1.0);
    }

    /// Draws points: each where they are few, else how many there are in each cell of a grid.
    pub(crate) fn scatter(&self, scene: &mut Scene, points: impl Iterator<Item = (f64, f64)>) {
        const FEW: usize = 12_000;
        const CELL: f64 = 3.0;
        let points: Vec<(f64, f64)> = points.map(|(x, y)| self.at(x, y)).collect();
        if points.len() <= FEW {
            let radius = if points.len() > 2_000 { 1.6 } else { 2.4 };
            return scene.dots(points, radius, Ink::Point, 0.55);
        }
        let columns = ((self.right - self.left) / CELL) as usize + 1;
        let rows = ((self.bottom - self.top) / CELL) as usize + 1;
        let mut cells = vec![0u32; columns * rows];
        for (x, y) in points {
            let column = (((x - self.left) / CELL) as usize).min(columns - 1);
            let row = (((y - self.top) / CELL) as usize).min(rows - 1);
            cells[row * columns + column] += 1;
        }
        let most = f64::from(cells.iter().copied().max().unwrap_or(1)).ln_1p();
        for (at, count) in cells.iter().enumerate().filter(|(_, count)| **count > 0) {
            let (x, y) = ((at % columns) as f64 * CELL, (at / columns) as f64 * CELL);
            let alpha = 0.12 + 0.88 * f64::from(*count).ln_1p() / most;
            let w = CELL.min(self.right - self.left - x).max(0.5);
            let h = CELL.min(self.bottom - self.top - y).max(0.5);
            scene.rect(self.left + x, self.top + y, w, h, Ink::Point, alpha);
        }
    }
}
