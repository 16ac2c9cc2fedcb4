//! The panes.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style, Stylize};
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{
    Axis, Block, BorderType, Chart, Clear, Dataset, Gauge, GraphType, Paragraph, Row, Table, Wrap,
};
use trialmill_core::trial::{State, WorkerId, printable};
use trialmill_store::clock::now_s;
use trialmill_view::figures::{Range, number, seconds};

use super::screen::{Detail, Screen};

/// Columns and lines from which on there is room for two panes beside, and below, each other.
const WIDE: u16 = 90;
const TALL: u16 = 18;
/// How long something that was said is shown, if no key is pressed before.
const SAID_S: u64 = 90;

/// Draws everything.
pub(crate) fn draw(frame: &mut Frame<'_>, screen: &Screen) {
    let area = frame.area();
    let [head, body, foot] =
        Layout::vertical([Constraint::Length(3), Constraint::Min(0), Constraint::Length(1)])
            .areas(area);
    header(frame, head, screen);
    footer(frame, foot, screen);
    let (wide, tall) = (body.width >= WIDE, body.height >= TALL);
    if wide && tall {
        let [upper, lower] =
            Layout::vertical([Constraint::Percentage(50), Constraint::Percentage(50)]).areas(body);
        let halves = [Constraint::Percentage(58), Constraint::Percentage(42)];
        let [left, right] = Layout::horizontal(halves).areas(upper);
        history(frame, left, screen);
        workers(frame, right, screen);
        let [left, right] = Layout::horizontal(halves).areas(lower);
        trials(frame, left, screen);
        detail(frame, right, screen);
    } else if tall {
        let parts =
            [Constraint::Percentage(34), Constraint::Percentage(33), Constraint::Percentage(33)];
        let [upper, middle, lower] = Layout::vertical(parts).areas(body);
        history(frame, upper, screen);
        trials(frame, middle, screen);
        detail(frame, lower, screen);
    } else if wide {
        let halves = [Constraint::Percentage(50), Constraint::Percentage(50)];
        let [left, right] = Layout::horizontal(halves).areas(body);
        trials(frame, left, screen);
        detail(frame, right, screen);
    } else {
        trials(frame, body, screen);
    }
    if let Some(action) = &screen.asked {
        let action = printable(&action.to_string());
        popup(frame, &format!("Really {action}?\n\ny  yes      any other key  no"));
    } else if let Some(typed) = &screen.typed {
        let typed = printable(typed);
        popup(frame, &format!("Evaluate this configuration next:\n\n{typed}▏\n\n{TYPING}"));
    } else if screen.help {
        popup(frame, HELP);
    }
}

const TYPING: &str = "Return  on      Ctrl-U  empty      Esc  no";

const HELP: &str = "\
↑ ↓  PgUp PgDn   choose a trial          Home  the newest
Tab              log, curve, errors      l  c  e

r   retry this trial       R   retry all that failed or crashed
x   release this trial, if a caller of ask holds it
n   enqueue a configuration, written over this one
+   a tenth more budget
p   pause, and go on
s   stop after what runs      S   stop now

q   end";

fn colour(screen: &Screen, colour: Color) -> Style {
    if screen.plain_colours { Style::new() } else { Style::new().fg(colour) }
}

fn of_state(screen: &Screen, state: State) -> Style {
    match state {
        State::Success | State::External => colour(screen, Color::Green),
        State::Evaluating => colour(screen, Color::Cyan),
        State::Failed => colour(screen, Color::Yellow),
        State::Crashed | State::Corrupted => {
            colour(screen, Color::Red).add_modifier(Modifier::BOLD)
        }
        _ => Style::new().add_modifier(Modifier::DIM),
    }
}

fn pane<'a>(title: impl Into<Line<'a>>) -> Block<'a> {
    Block::bordered().border_type(BorderType::Rounded).border_style(Style::new().dim()).title(title)
}

fn header(frame: &mut Frame<'_>, area: Rect, screen: &Screen) {
    let study = screen.live.study();
    let name = screen.dir.file_name().map_or_else(
        || screen.dir.display().to_string(),
        |name| name.to_string_lossy().into_owned(),
    );
    let mut first = vec![
        Span::from(printable(&name)).bold(),
        Span::from(format!("  {}  ", study.definition().optimizer.name)).dim(),
    ];
    if study.policy().paused {
        first.push(Span::styled("paused  ", colour(screen, Color::Yellow).bold()));
    }
    if study.processes().any(|process| study.policy().stops(process.process).is_some()) {
        first.push(Span::styled("stopping  ", colour(screen, Color::Yellow).bold()));
    }
    for state in State::ALL {
        if screen.count(state) > 0 {
            first.push(Span::styled(
                format!("{} {state}  ", screen.count(state)),
                of_state(screen, state),
            ));
        }
    }
    let mut second: Vec<Span<'_>> = Vec::new();
    match study.best() {
        Some(best) => {
            let y = best.objectives().first().copied().unwrap_or(f64::NAN);
            second.push(Span::from(format!("best {} ", number(y))).bold());
            second.push(Span::from(format!("by trial {}: ", best.id)));
            second.push(Span::from(printable(&short(best))).dim());
        }
        None if study.front().len() > 1 => {
            second.push(format!("{} on the front", study.front().len()).into());
        }
        None => second.push("no result yet".into()),
    }
    let [top, middle, bottom] = Layout::vertical([Constraint::Length(1); 3]).areas(area);
    frame.render_widget(Line::from(first), top);
    frame.render_widget(Line::from(second), middle);
    let used = screen.numbers.most_used();
    let rate = screen.numbers.budget.trials_per_second.filter(|_| screen.numbers.alive > 0);
    let rate = rate.map_or(String::new(), |rate| format!(", {} trials a second", number(rate)));
    match used {
        Some((burn, limit)) => {
            let ratio = (burn.spent / limit.max(f64::MIN_POSITIVE)).clamp(0.0, 1.0);
            let left = match screen.numbers.budget.seconds_left {
                Some(left) if left > 0.0 && screen.numbers.alive > 0 => {
                    format!(", {} left", seconds(left))
                }
                _ if ratio >= 1.0 => ", used up".into(),
                _ if screen.numbers.alive == 0 => ", nobody works on it".into(),
                _ => String::new(),
            };
            let name = burn.name.replace('_', " ");
            let label = format!("{} of {} {name}{left}{rate}", number(burn.spent), number(limit));
            let gauge = Gauge::default().ratio(ratio).label(label).use_unicode(true);
            frame.render_widget(gauge.gauge_style(colour(screen, Color::Blue)), bottom);
        }
        None => frame.render_widget(Line::from(format!("no limit{rate}")), bottom),
    }
}

/// A configuration with short numbers.
fn short(trial: &trialmill_core::trial::Trial) -> String {
    let one = |(name, value): (&str, &trialmill_core::config::Value)| match value.as_f64() {
        Some(x) => format!("{name} {}", number(x)),
        None => format!("{name} {value}"),
    };
    let all: Vec<String> = trial.config.iter().map(one).collect();
    all.join(", ").chars().take(300).collect()
}

fn footer(frame: &mut Frame<'_>, area: Rect, screen: &Screen) {
    let said = screen.said.as_ref().filter(|(_, at)| at.elapsed().as_secs() < SAID_S);
    let line = match (&screen.problem, said) {
        (Some(problem), _) => {
            Line::from(printable(problem)).style(colour(screen, Color::Red).bold())
        }
        (None, Some((text, _))) => Line::from(text.clone()).bold(),
        (None, None) => {
            Line::from(
                "q end  ? keys  ↑↓ trial  Tab log/curve/errors  r retry  n enqueue  p pause  s stop  + budget",
            )
            .dim()
        }
    };
    frame.render_widget(line, area);
}

fn history(frame: &mut Frame<'_>, area: Rect, screen: &Screen) {
    let numbers = &screen.numbers;
    let title = format!(" {}, and the best so far ", printable(&numbers.objective.name));
    let last = screen.live.runs().ends().len().max(1) as f64;
    let range = numbers.range;
    // The chart is linear: on a logarithmic scale it gets the logarithms.
    let place = |y: f64| if range.log { y.max(f64::MIN_POSITIVE).log10() } else { y };
    let points: Vec<(f64, f64)> = numbers.points.iter().map(|(x, y)| (*x, place(*y))).collect();
    let mut best: Vec<(f64, f64)> = Vec::new();
    for (x, y) in &numbers.best {
        if let Some((_, before)) = best.last().copied() {
            best.push((*x, before));
        }
        best.push((*x, place(*y)));
    }
    if let Some((_, y)) = best.last().copied() {
        best.push((last, y));
    }
    let sets = vec![
        Dataset::default()
            .marker(Marker::Braille)
            .graph_type(GraphType::Scatter)
            .style(colour(screen, Color::Blue))
            .data(&points),
        Dataset::default()
            .marker(Marker::Braille)
            .graph_type(GraphType::Line)
            .style(colour(screen, Color::Yellow))
            .data(&best),
    ];
    frame.render_widget(chart(sets, (1.0, last.max(2.0)), range).block(pane(title)), area);
}

fn chart(sets: Vec<Dataset<'_>>, x: (f64, f64), range: Range) -> Chart<'_> {
    let place = |y: f64| if range.log { y.max(f64::MIN_POSITIVE).log10() } else { y };
    let (low, high) = (place(range.low), place(range.high));
    let xs: Vec<String> =
        [x.0, f64::midpoint(x.0, x.1), x.1].iter().map(|x| number(x.round())).collect();
    let back = |y: f64| number(if range.log { 10f64.powf(y) } else { y });
    let ys: Vec<String> = [low, f64::midpoint(low, high), high].iter().map(|y| back(*y)).collect();
    Chart::new(sets)
        .x_axis(Axis::default().bounds([x.0, x.1]).labels(xs).style(Style::new().dim()))
        .y_axis(Axis::default().bounds([low, high]).labels(ys).style(Style::new().dim()))
        .legend_position(None)
}

fn workers(frame: &mut Frame<'_>, area: Rect, screen: &Screen) {
    let study = screen.live.study();
    let now = now_s();
    let mut rows: Vec<(f64, Row<'_>)> = study
        .evaluating()
        .take(500)
        .map(|trial| {
            let began = trial.metadata.time_started;
            let took = began.map_or(0.0, |began| (now - began).max(0.0));
            let worker = trial.metadata.evaluating_worker_id.as_ref();
            let process = worker.and_then(WorkerId::process);
            let host = study.processes().find(|own| Some(own.process) == process);
            let host = host.map_or(String::new(), |own| printable(&own.host));
            let steps = trial.steps.as_ref().map_or(String::new(), |steps| {
                steps.curve().last().map_or(String::new(), |step| format!("step {}", step.step))
            });
            let cells = [
                printable(worker.map_or("?", |worker| &**worker)),
                trial.id.to_string(),
                seconds(took),
                steps,
                host,
            ];
            (took, Row::new(cells))
        })
        .collect();
    rows.sort_by(|a, b| b.0.total_cmp(&a.0));
    let title = format!(" {} evaluating, {} processes alive ", rows.len(), screen.numbers.alive);
    let widths = [
        Constraint::Length(9),
        Constraint::Length(8),
        Constraint::Length(10),
        Constraint::Length(10),
        Constraint::Min(6),
    ];
    let head = Row::new(["worker", "trial", "since", "", "host"]).style(Style::new().dim());
    let table = Table::new(rows.into_iter().map(|(_, row)| row), widths).header(head);
    frame.render_widget(table.block(pane(title)), area);
}

fn trials(frame: &mut Frame<'_>, area: Rect, screen: &Screen) {
    let selected = screen.trial().map(|trial| trial.id.clone());
    let height = area.height.saturating_sub(3) as usize;
    // The selected one is kept in sight.
    let last = screen.live.study().trials().len() as u32;
    let before = screen.selected.map_or(0, |at| last.saturating_sub(1).saturating_sub(at)) as usize;
    let skip = before.saturating_sub(height.saturating_sub(2));
    let rows = screen.listed().skip(skip).take(height).map(|(_, trial)| {
        let report = trial.report.as_deref();
        let failure = report.and_then(|report| report.failure.as_deref());
        let result = match (trial.objectives(), failure) {
            ([], Some(failure)) => printable(failure.err.lines().next().unwrap_or("")),
            ([], None) => String::new(),
            (list, _) => list.iter().map(|x| number(*x)).collect::<Vec<_>>().join(", "),
        };
        let took = trial.metadata.evaluation_duration.map_or(String::new(), seconds);
        let mark = if selected.as_ref() == Some(&trial.id) { "▶" } else { " " };
        let state = Span::styled(trial.state.name(), of_state(screen, trial.state));
        let attempts =
            if trial.attempts > 1 { format!("×{}", trial.attempts) } else { String::new() };
        let cells = [
            Text::from(mark),
            Text::from(trial.id.to_string()),
            Text::from(state),
            Text::from(result),
            Text::from(took),
            Text::from(attempts),
            Text::from(printable(&short(trial))),
        ];
        let row = Row::new(cells);
        if selected.as_ref() == Some(&trial.id) { row.style(Style::new().bold()) } else { row }
    });
    let widths = [
        Constraint::Length(1),
        Constraint::Length(8),
        Constraint::Length(10),
        Constraint::Length(12),
        Constraint::Length(10),
        Constraint::Length(3),
        Constraint::Min(8),
    ];
    let head = Row::new(["", "trial", "state", "result", "took", "", "configuration"])
        .style(Style::new().dim());
    let table = Table::new(rows, widths).header(head);
    frame.render_widget(table.block(pane(" trials, the newest first ")), area);
}

fn detail(frame: &mut Frame<'_>, area: Rect, screen: &Screen) {
    let name =
        screen.trial().map_or(String::from("no trial"), |trial| format!("trial {}", trial.id));
    let tab = |detail: Detail, text: &'static str| match detail == screen.detail {
        true => Span::from(text).bold().underlined(),
        false => Span::from(text).dim(),
    };
    let title = Line::from(vec![
        format!(" {name}  ").into(),
        tab(Detail::Log, "log"),
        " ".into(),
        tab(Detail::Curve, "curve"),
        " ".into(),
        tab(Detail::Errors, "errors"),
        " ".into(),
    ]);
    let block = pane(title);
    match screen.detail {
        Detail::Log => {
            let height = area.height.saturating_sub(2) as usize;
            let skip = screen.log.len().saturating_sub(height);
            let lines: Vec<Line<'_>> =
                screen.log.iter().skip(skip).map(|line| Line::from(line.as_str())).collect();
            let text = if lines.is_empty() {
                Text::from("it has written nothing").dim()
            } else {
                Text::from(lines)
            };
            frame.render_widget(Paragraph::new(text).block(block), area);
        }
        Detail::Curve => match screen.curve() {
            Some(curve) => {
                let values: Vec<f64> = curve.points.iter().map(|(_, y)| *y).collect();
                let range = Range::of(&values, screen.numbers.objective.direction);
                let place = |y: f64| if range.log { y.max(f64::MIN_POSITIVE).log10() } else { y };
                let points: Vec<(f64, f64)> =
                    curve.points.iter().map(|(x, y)| (*x, place(*y))).collect();
                let bounds = points
                    .iter()
                    .fold((f64::MAX, f64::MIN), |(a, b), (x, _)| (a.min(*x), b.max(*x)));
                let bounds = if bounds.0 < bounds.1 { bounds } else { (bounds.0, bounds.0 + 1.0) };
                let set = Dataset::default()
                    .marker(Marker::Braille)
                    .graph_type(GraphType::Line)
                    .style(colour(screen, Color::Green))
                    .data(&points);
                frame.render_widget(chart(vec![set], bounds, range).block(block), area);
            }
            None => frame
                .render_widget(Paragraph::new("it has reported no curve").dim().block(block), area),
        },
        Detail::Errors => {
            let lines = screen.numbers.errors.iter().flat_map(|kind| {
                let head = format!(
                    "{} × {}, last trial {}",
                    kind.count,
                    printable(&kind.err_type),
                    kind.trial
                );
                [Line::from(head).bold(), Line::from(format!("  {}", printable(&kind.message)))]
            });
            let lines: Vec<Line<'_>> = lines.collect();
            let text = if lines.is_empty() { Text::from("none").dim() } else { Text::from(lines) };
            frame.render_widget(Paragraph::new(text).wrap(Wrap { trim: false }).block(block), area);
        }
    }
}

fn popup(frame: &mut Frame<'_>, text: &str) {
    let area = frame.area();
    let width = (text.lines().map(|line| line.chars().count()).max().unwrap_or(0) as u16 + 6)
        .min(area.width);
    let inner = width.saturating_sub(4).max(1) as usize;
    let lines: usize = text.lines().map(|line| line.chars().count().div_ceil(inner).max(1)).sum();
    let height = (lines as u16 + 2).min(area.height);
    let at = Rect {
        x: area.x + (area.width - width) / 2,
        y: area.y + (area.height - height) / 2,
        width,
        height,
    };
    frame.render_widget(Clear, at);
    let block = Block::bordered()
        .border_type(BorderType::Rounded)
        .padding(ratatui::widgets::Padding::horizontal(1));
    frame.render_widget(Paragraph::new(text).wrap(Wrap { trim: false }).block(block), at);
}
