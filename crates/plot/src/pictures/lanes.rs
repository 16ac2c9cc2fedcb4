//! The workers over time.

use trialmill_view::Live;
use trialmill_view::figures::{Timeline, Window, seconds, ticks};

use super::options::{Options, shortened, titled};
use crate::scene::{Anchor, Ink, Scene};

/// Lanes that are drawn.
const LANES: usize = 128;

pub(super) fn timeline(live: &Live, options: &Options) -> Result<Scene, String> {
    let columns = options.width as usize;
    let timeline = Timeline::of(live, Window { from: None, to: None, columns }, options.now);
    if timeline.lanes.is_empty() {
        return Err("no worker has evaluated anything yet".into());
    }
    let shown = &timeline.lanes[..timeline.lanes.len().min(LANES)];
    let height = (640.0 / shown.len() as f64).clamp(7.0, 24.0);
    let busy =
        timeline.lanes.iter().map(|lane| lane.busy).sum::<f64>() / timeline.lanes.len() as f64;
    let more = match timeline.lanes.len() - shown.len() {
        0 => String::new(),
        n => format!("; {n} more are left out"),
    };
    let note = format!(
        "{} workers, busy {:.0} % of their time; a gap is idle time{more}",
        timeline.lanes.len(),
        busy * 100.0
    );
    let (top, bottom) = (64.0, 64.0 + height * shown.len() as f64);
    let mut scene = titled(options, bottom + 74.0, "Workers over time", &note);
    let (left, right) = (118.0, scene.width - 24.0);
    let span = (timeline.to - timeline.from).max(1e-9);
    let place = |time: f64| left + ((time - timeline.from) / span).clamp(0.0, 1.0) * (right - left);
    for mark in ticks(timeline.from, timeline.to, false, ((right - left) / 110.0) as usize) {
        let x = place(mark);
        scene.line(vec![(x, top - 4.0), (x, bottom)], Ink::Grid, 1.0, 1.0);
        scene.text(x, bottom + 17.0, seconds(mark), Ink::Muted, Anchor::Middle);
    }
    let mut kinds: Vec<&'static str> = Vec::new();
    let mut signs: Vec<&'static str> = Vec::new();
    for (at, lane) in shown.iter().enumerate() {
        let y = top + height * at as f64;
        if height >= 10.0 || at % 2 == 0 {
            let host = lane.host.as_deref().filter(|_| height >= 10.0).unwrap_or("");
            let name = shortened(&format!("{} {host}", lane.worker), 18);
            let size = height.clamp(7.5, 10.5);
            scene.text_of_size(
                left - 8.0,
                y + height / 2.0 + 3.5,
                size,
                name,
                Ink::Muted,
                Anchor::End,
            );
        }
        let there = (place(lane.joined.unwrap_or(0.0)), place(lane.left.unwrap_or(timeline.end)));
        let middle = y + height / 2.0;
        scene.line(vec![(there.0, middle), (there.1, middle)], Ink::Muted, 1.0, 0.4);
        for segment in &lane.segments {
            if !kinds.contains(&segment.state) {
                kinds.push(segment.state);
            }
            let (from, to) = (place(segment.from), place(segment.to));
            let gap = if to - from > 3.0 { 0.6 } else { 0.0 };
            let width = (to - from - gap).max(0.6);
            scene.rect(from, y + 1.5, width, height - 3.0, Ink::State(segment.state), 0.92);
        }
        for mark in lane.marks.iter().filter(|mark| mark.kind != "crashed" || height >= 12.0) {
            if !signs.contains(&mark.kind) {
                signs.push(mark.kind);
            }
            let size = (height * 0.55).clamp(4.0, 9.0);
            scene.sign(place(mark.at), y + height / 2.0, size, mark.kind);
        }
    }
    let mut x = left;
    for kind in kinds {
        scene.rect(x, bottom + 32.0, 12.0, 12.0, Ink::State(kind), 0.92);
        scene.text(x + 17.0, bottom + 42.0, kind, Ink::Text, Anchor::Start);
        x += 34.0 + 7.0 * kind.len() as f64;
    }
    for kind in signs {
        scene.sign(x + 6.0, bottom + 38.0, 9.0, kind);
        let what = match kind {
            "released" => "given back",
            "died" => "worker died",
            other => other,
        };
        scene.text(x + 17.0, bottom + 42.0, what, Ink::Text, Anchor::Start);
        x += 34.0 + 7.0 * what.len() as f64;
    }
    Ok(scene)
}
