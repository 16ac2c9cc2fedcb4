//! Pictures of the parameters: parallel coordinates, slices, importance.

use trialmill_view::Live;
use trialmill_view::figures::{Axes, Range, importance as importances, number, objective};

use super::options::{Options, shortened, titled};
use crate::frame::Frame;
use crate::scene::{Anchor, Ink, Scene};

/// Axes that are drawn beside each other, and slices below each other.
const AXES: usize = 12;
/// Lines that are drawn; of more trials the best, and an even choice of the others.
const LINES: usize = 1_500;

/// The axes that a picture has room for, the important ones first where there are too many.
fn chosen(live: &Live, axes: &Axes, k: usize) -> (Vec<usize>, usize) {
    let all = axes.shown();
    if all.len() <= AXES {
        return (all.clone(), all.len());
    }
    let mut chosen: Vec<usize> = importances(live, k)
        .iter()
        .filter_map(|one| axes.position(&one.name))
        .chain(all.iter().copied())
        .fold(Vec::new(), |mut chosen, i| {
            if chosen.len() < AXES && !chosen.contains(&i) {
                chosen.push(i);
            }
            chosen
        });
    chosen.sort_unstable();
    (chosen, all.len())
}

/// The rows that have an objective, the worst first, with their rank from 0 (best) to 1.
fn ranked(live: &Live, k: usize) -> Vec<(usize, f64)> {
    let (ends, objective) = (live.runs().ends(), objective(live, k));
    let value = |row: usize| Some((row, objective.minimised(ends.objective(row, k)?)));
    let mut rows: Vec<(usize, f64)> = (0..ends.len()).filter_map(value).collect();
    rows.sort_by(|a, b| b.1.total_cmp(&a.1));
    let most = rows.len().max(2) - 1;
    let rank = |(at, (row, _)): (usize, (usize, f64))| (row, 1.0 - at as f64 / most as f64);
    rows.into_iter().enumerate().map(rank).collect()
}

pub(super) fn parallel(live: &Live, options: &Options) -> Result<Scene, String> {
    let k = options.objective;
    let axes = Axes::of(live);
    let (chosen, of) = chosen(live, &axes, k);
    let rows = ranked(live, k);
    if rows.is_empty() || chosen.is_empty() {
        return Err("no trial has an objective yet".into());
    }
    let worst = rows.len().saturating_sub(LINES / 3);
    let every = worst.div_ceil(LINES * 2 / 3).max(1);
    let drawn: Vec<(usize, f64)> =
        rows[..worst].iter().step_by(every).chain(&rows[worst..]).copied().collect();
    let axes_shown = if of > chosen.len() {
        format!(" on {} of {of} axes", chosen.len())
    } else {
        String::new()
    };
    let note = format!("{} of {} trials{axes_shown}, dark is good", drawn.len(), rows.len());
    let mut scene = titled(options, 460.0, "Parallel coordinates", &note);
    let (left, right) = (70.0, scene.width - 90.0);
    let (top, bottom) = (86.0, scene.height - 40.0);
    let info = objective(live, k);
    let values: Vec<f64> =
        rows.iter().filter_map(|(row, _)| live.runs().ends().objective(*row, k)).collect();
    let range = Range::of(&values, info.direction);
    let place = |i: usize| left + (right - left) * i as f64 / chosen.len() as f64;
    let columns: Vec<Vec<f32>> = chosen.iter().map(|i| axes.column(live, *i, 0)).collect();
    for (row, rank) in drawn {
        let mut points: Vec<(f64, f64)> = Vec::new();
        for (i, column) in columns.iter().enumerate() {
            let unit = f64::from(column[row]);
            if !unit.is_nan() {
                points.push((place(i), bottom - unit * (bottom - top)));
            }
        }
        let y = live.runs().ends().objective(row, k).unwrap_or(f64::INFINITY);
        points.push((right, bottom - range.unit(y) * (bottom - top)));
        let (width, alpha) = if rank < 0.02 { (1.8, 0.95) } else { (0.9, 0.28) };
        scene.line(points, Ink::Scale((rank * 255.0) as u8), width, alpha);
    }
    let width = (right - left) / chosen.len() as f64;
    let letters = (width / 6.5) as usize;
    for (i, axis) in chosen.iter().map(|i| &axes.list()[*i]).enumerate() {
        let x = place(i);
        scene.line(vec![(x, top), (x, bottom)], Ink::Text, 1.2, 0.8);
        let log = if axis.log { " (log)" } else { "" };
        let name = shortened(&format!("{}{log}", axis.name), letters.max(6));
        scene.text(x, top - 12.0, name, Ink::Text, Anchor::Middle);
        for tick in axis.ticks.iter().take(16) {
            let y = bottom - tick.at * (bottom - top);
            scene.line(vec![(x - 3.0, y), (x, y)], Ink::Text, 1.0, 0.8);
            let label = shortened(&tick.label, letters.clamp(4, 14));
            scene.text_of_size(x - 5.0, y + 3.5, 10.0, label, Ink::Muted, Anchor::End);
        }
    }
    scene.line(vec![(right, top), (right, bottom)], Ink::Best, 1.6, 1.0);
    scene.text(right, top - 12.0, shortened(&info.name, 24), Ink::Best, Anchor::Middle);
    for mark in trialmill_view::figures::ticks(range.low, range.high, range.log, 6) {
        let y = bottom - range.unit(mark) * (bottom - top);
        scene.text_of_size(right + 6.0, y + 3.5, 10.0, number(mark), Ink::Muted, Anchor::Start);
    }
    Ok(scene)
}

pub(super) fn slice(live: &Live, options: &Options) -> Result<Scene, String> {
    let k = options.objective;
    let axes = Axes::of(live);
    let (chosen, of) = chosen(live, &axes, k);
    let rows = ranked(live, k);
    if rows.is_empty() || chosen.is_empty() {
        return Err("no trial has an objective yet".into());
    }
    let per_line = ((options.width / 290.0) as usize).clamp(1, 4);
    let lines = chosen.len().div_ceil(per_line);
    let note = format!("{} trials over {} of {of} parameters", rows.len(), chosen.len());
    let mut scene = titled(options, 70.0 + 220.0 * lines as f64, "Slices", &note);
    let ends = live.runs().ends();
    let info = objective(live, k);
    let values: Vec<f64> = rows.iter().filter_map(|(row, _)| ends.objective(*row, k)).collect();
    let range = Range::of(&values, info.direction);
    let (width, height) =
        ((scene.width - 20.0) / per_line as f64, (scene.height - 60.0) / lines as f64);
    for (at, i) in chosen.iter().enumerate() {
        let axis = &axes.list()[*i];
        let (left, top) =
            (10.0 + width * (at % per_line) as f64, 54.0 + height * (at / per_line) as f64);
        let frame = Frame {
            left: left + 52.0,
            right: left + width - 14.0,
            top: top + 8.0,
            bottom: top + height - 44.0,
            x: Range { low: 0.0, high: 1.0, log: false },
            y: range,
        };
        let column = axes.column(live, *i, 0);
        let point =
            |(row, _): &(usize, f64)| Some((f64::from(column[*row]), ends.objective(*row, k)?));
        for mark in trialmill_view::figures::ticks(range.low, range.high, range.log, 4) {
            let y = frame.y(mark);
            scene.line(vec![(frame.left, y), (frame.right, y)], Ink::Grid, 1.0, 1.0);
            if at % per_line == 0 {
                scene.text_of_size(
                    frame.left - 6.0,
                    y + 3.5,
                    10.0,
                    number(mark),
                    Ink::Muted,
                    Anchor::End,
                );
            }
        }
        let room = (axis.ticks.len() / 6).max(1);
        for tick in axis.ticks.iter().step_by(room) {
            let x = frame.x(tick.at);
            scene.line(vec![(x, frame.bottom), (x, frame.bottom + 4.0)], Ink::Muted, 1.0, 0.7);
            let label = shortened(&tick.label, 9);
            scene.text_of_size(x, frame.bottom + 15.0, 10.0, label, Ink::Muted, Anchor::Middle);
        }
        let corner =
            vec![(frame.left, frame.top), (frame.left, frame.bottom), (frame.right, frame.bottom)];
        scene.line(corner, Ink::Muted, 1.0, 0.6);
        frame.scatter(
            &mut scene,
            rows.iter().filter_map(point).filter(|(x, y)| !x.is_nan() && !y.is_nan()),
        );
        let middle = f64::midpoint(frame.left, frame.right);
        let log = if axis.log { " (log)" } else { "" };
        let name = shortened(&format!("{}{log}", axis.name), 34);
        scene.text(middle, frame.bottom + 31.0, name, Ink::Text, Anchor::Middle);
    }
    Ok(scene)
}

pub(super) fn importance(live: &Live, options: &Options) -> Result<Scene, String> {
    let found = importances(live, options.objective);
    if found.is_empty() {
        return Err("importance needs two trials with an objective, and a parameter".into());
    }
    let shown = &found[..found.len().min(2 * AXES)];
    let more = match found.len() - shown.len() {
        0 => String::new(),
        n => format!("; {n} smaller ones are left out"),
    };
    let note = format!("PED-ANOVA: how the best tenth differs from all trials{more}");
    let mut scene = titled(options, 84.0 + 26.0 * shown.len() as f64, "Importance", &note);
    let (left, right) = (190.0, scene.width - 70.0);
    let most = shown[0].share.max(1e-12);
    for (at, one) in shown.iter().enumerate() {
        let y = 64.0 + 26.0 * at as f64;
        let width = (right - left) * one.share / most;
        scene.rect(left, y, width.max(1.0), 17.0, Ink::Point, 0.9);
        scene.text(left - 8.0, y + 13.0, shortened(&one.name, 26), Ink::Text, Anchor::End);
        let share = format!("{:.1} %", one.share * 100.0);
        scene.text(left + width + 6.0, y + 13.0, share, Ink::Muted, Anchor::Start);
    }
    Ok(scene)
}
