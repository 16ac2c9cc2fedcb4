//! History, curves, distribution, budget, front: what has two axes.

use trialmill_view::Live;
use trialmill_view::figures::{
    BudgetFigure, Curves, Ecdf, History, Over, Pareto, Range, number, objectives, seconds,
};

use super::options::{Options, titled};
use crate::frame::Frame;
use crate::scene::{Anchor, Ink, Scene};

/// Curves that are drawn.
const CURVES: usize = 10;

pub(super) fn history(live: &Live, options: &Options) -> Result<Scene, String> {
    let history = History::of(live, options.objective, options.over);
    let ended = history.x.len() + history.errors.len();
    if ended == 0 {
        return Err("no trial has ended yet".into());
    }
    let last = history.x.iter().chain(&history.errors).copied().fold(0.0, f64::max);
    let best = history.best.last();
    let best = best
        .map_or(String::new(), |best| format!(", best {} by trial {}", number(best.y), best.trial));
    let errors = match history.errors.len() {
        0 => String::new(),
        n => format!(", {n} failed or crashed (marks below)"),
    };
    let mut scene =
        titled(options, 460.0, "History", &format!("{ended} trials ended{errors}{best}"));
    let frame = Frame::within(&scene, Range::between(0.0, last.max(1e-9)), history.range);
    let as_text = if options.over == Over::Time { seconds } else { number };
    frame.draw(&mut scene, options.over.label(), &history.objective.name, as_text);
    let points = history.x.iter().copied().zip(history.y.iter().copied());
    frame.scatter(&mut scene, points.filter(|(_, y)| !y.is_nan()));
    for x in history.errors.iter().take(2_000) {
        let at = frame.x(*x);
        scene.line(
            vec![(at, frame.bottom), (at, frame.bottom - 7.0)],
            Ink::State("crashed"),
            1.2,
            0.8,
        );
    }
    let steps: Vec<(f64, f64)> = history.best.iter().map(|step| (step.x, step.y)).collect();
    frame.steps(&mut scene, &steps, last, Ink::Best);
    Ok(scene)
}

pub(super) fn ecdf(live: &Live, options: &Options) -> Result<Scene, String> {
    let ecdf = Ecdf::of(live, options.objective);
    if ecdf.values.is_empty() {
        return Err("no trial has an objective yet".into());
    }
    let note =
        format!("the share of all {} that ended, those without an objective too", ecdf.ended);
    let mut scene = titled(options, 420.0, "How many are that good", &note);
    let range = Range::of(&ecdf.values, ecdf.objective.direction);
    let frame = Frame::within(&scene, range, Range { low: 0.0, high: 1.0, log: false });
    frame.draw(&mut scene, &ecdf.objective.name, "share of trials", number);
    let points = ecdf.values.iter().zip(&ecdf.shares).filter(|(x, _)| x.is_finite());
    let points: Vec<(f64, f64)> = points.map(|(x, y)| frame.at(*x, *y)).collect();
    scene.line(points, Ink::Point, 2.2, 1.0);
    Ok(scene)
}

pub(super) fn curves(live: &Live, options: &Options) -> Result<Scene, String> {
    let curves = Curves::of(live, options.objective, CURVES);
    if curves.curves.is_empty() {
        return Err("no trial has reported a learning curve".into());
    }
    let note = format!(
        "the best {} of {} with a curve, and those that run",
        CURVES.min(curves.trials_with_curve),
        curves.trials_with_curve
    );
    let mut scene = titled(options, 440.0, "Learning curves", &note);
    let values: Vec<f64> =
        curves.curves.iter().flat_map(|curve| curve.points.iter().map(|(_, y)| *y)).collect();
    let steps = curves.curves.iter().flat_map(|curve| curve.points.iter().map(|(x, _)| *x));
    let (low, high) = steps.fold((f64::MAX, f64::MIN), |(a, b), x| (a.min(x), b.max(x)));
    let range = Range::of(&values, curves.objective.direction);
    let mut frame = Frame::within(&scene, Range::between(low, high), range);
    frame.right -= 90.0;
    frame.draw(&mut scene, "step", &curves.objective.name, number);
    let mut labels: Vec<(f64, String, usize)> = Vec::new();
    for (i, curve) in curves.curves.iter().enumerate() {
        let points = curve.points.iter().filter(|(_, y)| y.is_finite());
        let points: Vec<(f64, f64)> = points.map(|(x, y)| frame.at(*x, *y)).collect();
        if let Some((_, y)) = points.last() {
            labels.push((*y, format!("{} {}", curve.trial, running(curve.state)), i));
        }
        if points.len() == 1 {
            scene.dots(points, 2.5, Ink::Series(i), 1.0);
        } else {
            scene.line(points, Ink::Series(i), if i == 0 { 2.6 } else { 1.5 }, 0.9);
        }
    }
    labels.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut lowest = f64::MIN;
    for (y, label, i) in labels {
        lowest = y.max(lowest + 12.0);
        scene.text(frame.right + 6.0, lowest + 4.0, label, Ink::Series(i), Anchor::Start);
    }
    Ok(scene)
}

fn running(state: &str) -> &'static str {
    if state == "evaluating" { "runs" } else { "" }
}

pub(super) fn pareto(live: &Live, options: &Options) -> Result<Scene, String> {
    if objectives(live).len() < 2 {
        return Err("the study has one objective, so there is no front (see history)".into());
    }
    let other = usize::from(options.objective == 0);
    let pareto = Pareto::of(live, options.objective, other);
    let note =
        format!("{} of {} trials are beaten by none", pareto.front.len(), pareto.points.len());
    let mut scene = titled(options, 480.0, "Pareto front", &note);
    let (xs, ys): (Vec<f64>, Vec<f64>) = pareto.points.iter().copied().unzip();
    let x = Range::of(&xs, pareto.x.direction);
    let frame = Frame::within(&scene, x, Range::of(&ys, pareto.y.direction));
    frame.draw(&mut scene, &pareto.x.name, &pareto.y.name, number);
    frame.scatter(&mut scene, pareto.points.iter().copied());
    let mut corners: Vec<(f64, f64)> = Vec::new();
    for point in &pareto.front {
        if let Some((_, before)) = corners.last().copied() {
            corners.push((frame.x(point.x), before));
        }
        corners.push(frame.at(point.x, point.y));
    }
    scene.line(corners, Ink::Best, 1.6, 0.8);
    let front = pareto.front.iter().map(|point| frame.at(point.x, point.y)).collect();
    scene.dots(front, 4.0, Ink::Best, 1.0);
    Ok(scene)
}

pub(super) fn budget(live: &Live, options: &Options) -> Result<Scene, String> {
    let figure = BudgetFigure::of(live, options.now);
    if figure.burns.is_empty() {
        return Err("nothing is limited, and nothing was spent yet".into());
    }
    let left = figure.seconds_left.map_or(String::from("no end in sight"), |left| match left {
        left if left <= 0.0 => "used up".into(),
        left => format!("used up in {} at the pace of late", seconds(left)),
    });
    let mut scene = titled(options, 420.0, "Budget", &left);
    let last = figure.burns.iter().filter_map(|burn| burn.line.last()).map(|(x, _)| *x);
    let ahead = figure.seconds_left.unwrap_or(0.0);
    let last = last.fold(0.0, f64::max);
    let until = if ahead.is_finite() { (last + ahead).min(last * 4.0 + 1.0) } else { last };
    let share = Range { low: 0.0, high: 1.05, log: false };
    let mut frame = Frame::within(&scene, Range::between(0.0, until.max(1e-9)), share);
    frame.right -= 150.0;
    frame.draw(&mut scene, Over::Time.label(), "share of the limit", seconds);
    for (i, burn) in figure.burns.iter().enumerate() {
        let whole = burn.limit.unwrap_or(f64::INFINITY).max(f64::MIN_POSITIVE);
        let points = burn.line.iter().map(|(x, y)| frame.at(*x, y / whole)).collect();
        if burn.limit.is_some() {
            scene.line(points, Ink::Series(i), 2.0, 1.0);
        }
        if let (Some(left), Some((x, y))) = (burn.seconds_left, burn.line.last()) {
            let end = (x + left).min(until);
            let reached = y / whole + (1.0 - y / whole) * (end - x) / left.max(1e-9);
            let ahead = vec![frame.at(*x, y / whole), frame.at(end, reached)];
            scene.line(ahead, Ink::Series(i), 1.2, 0.5);
        }
        let of = burn.limit.map_or(String::new(), |limit| format!(" of {}", number(limit)));
        let y = frame.top + 14.0 + 32.0 * i as f64;
        let name = burn.name.replace('_', " ");
        scene.text(frame.right + 12.0, y, name, Ink::Series(i), Anchor::Start);
        let spent = format!("{}{of}", number(burn.spent));
        scene.text(frame.right + 12.0, y + 14.0, spent, Ink::Muted, Anchor::Start);
    }
    Ok(scene)
}
