//! A directory that TensorBoard opens: a run for each trial, with its curve and, for the HParams plugin, its
//! configuration and its end.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use trialmill_core::config::Value;
use trialmill_core::space::Domain;
use trialmill_core::trial::{State, Trial};
use trialmill_view::Live;
use trialmill_view::figures::{Axes, Curve, objectives};

use super::protobuf::{Message, record};

/// Words of the HParams plugin.
const STRING: u64 = 1;
const BOOL: u64 = 2;
const FLOAT: u64 = 3;
const SUCCEEDED: u64 = 1;
const FAILED: u64 = 2;

/// Writes the `most` best trials, and those that failed after them, into a new directory. Returns how many it
/// wrote. A file of events stands in a directory of its own for each trial.
///
/// # Errors
/// It cannot be written, or the directory is not empty.
pub fn tensorboard(live: &Live, dir: &Path, most: usize) -> io::Result<usize> {
    fs::create_dir_all(dir)?;
    if fs::read_dir(dir)?.next().is_some() {
        let problem = "it is not empty; TensorBoard would show what is there as well";
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, problem));
    }
    let (axes, goals) = (Axes::of(live), objectives(live));
    let began = live.runs().span().map_or(0.0, |(first, _)| first);
    let mut root = Events::create(dir, began)?;
    root.hparams(
        "_hparams_/experiment",
        &Message::new().message(2, &experiment(&axes, &goals, began)),
    )?;
    root.end()?;
    let ended = live.study().trials().iter().filter(|trial| trial.state.is_finished());
    let value = |trial: &Trial| {
        trial.objectives().first().map_or(f64::INFINITY, |x| goals[0].minimised(*x))
    };
    let mut trials: Vec<&Trial> = ended.collect();
    trials.sort_by(|a, b| value(a).total_cmp(&value(b)));
    trials.truncate(most);
    for trial in &trials {
        one(live, dir, trial, &goals)?;
    }
    Ok(trials.len())
}

fn experiment(
    axes: &Axes,
    goals: &[trialmill_view::figures::ObjectiveInfo],
    began: f64,
) -> Message {
    let mut message = Message::new();
    for (i, axis) in axes.list().iter().enumerate() {
        let info = Message::new().text(1, &axis.name);
        let info = match axes.domain(i) {
            Domain::Float { lower, upper, .. } => {
                info.int(4, FLOAT).message(6, &Message::new().double(1, *lower).double(2, *upper))
            }
            Domain::Int { lower, upper, .. } => {
                let interval = Message::new().double(1, *lower as f64).double(2, *upper as f64);
                info.int(4, FLOAT).message(6, &interval)
            }
            Domain::Categorical { choices, .. } => {
                let all_bools = choices.iter().all(|choice| matches!(choice, Value::Bool(_)));
                let list = choices.iter().fold(Message::new(), |list, choice| match choice {
                    Value::Bool(x) if all_bools => {
                        list.message(1, &Message::new().int(4, u64::from(*x)))
                    }
                    other => list.message(1, &Message::new().text(3, &other.to_string())),
                });
                info.int(4, if all_bools { BOOL } else { STRING }).message(5, &list)
            }
            Domain::Constant { .. } => info.int(4, STRING),
        };
        message = message.message(4, &info);
    }
    for goal in goals {
        let name = Message::new().text(2, &goal.name);
        message = message.message(5, &Message::new().message(1, &name).text(3, &goal.name));
    }
    message.double(3, began)
}

fn one(
    live: &Live,
    dir: &Path,
    trial: &Trial,
    goals: &[trialmill_view::figures::ObjectiveInfo],
) -> io::Result<()> {
    let meta = &trial.metadata;
    let began = meta.time_started.unwrap_or(meta.time_sampled);
    let ended = meta.time_end.unwrap_or(began);
    let mut run = Events::create(&dir.join(trial.id.to_string()), began)?;
    let space = &live.study().definition().space;
    let mut start = Message::new();
    for (name, value) in trial.config.iter() {
        let is_choice = space.get(name).is_some_and(|own| {
            matches!(own.domain(), Domain::Categorical { .. } | Domain::Constant { .. })
        });
        let value = match value {
            Value::Bool(x) => Message::new().int(4, u64::from(*x)),
            value if is_choice => Message::new().text(3, &value.to_string()),
            value => match value.as_f64() {
                Some(x) => Message::new().double(2, x),
                None => Message::new().text(3, &value.to_string()),
            },
        };
        start = start.message(1, &Message::new().text(1, name).message(2, &value));
    }
    let start = start.text(4, &trial.id.to_string()).double(5, began);
    run.hparams("_hparams_/session_start_info", &Message::new().message(3, &start))?;
    let curve = Curve::of(trial, 0).points;
    let last = curve.last().map_or(0, |(step, _)| *step as u64);
    for (at, (step, y)) in curve.iter().enumerate() {
        let time = began + (ended - began) * at as f64 / curve.len() as f64;
        run.scalar(&goals[0].name, *step as u64, *y, time)?;
    }
    for (goal, x) in goals.iter().zip(trial.objectives()) {
        // The plugin shows the last value: that is the result, whatever the curve was.
        run.scalar(&goal.name, last + 1, *x, ended)?;
    }
    let status = if matches!(trial.state, State::Success | State::External | State::Pruned) {
        SUCCEEDED
    } else {
        FAILED
    };
    let end = Message::new().int(1, status).double(2, ended);
    run.hparams("_hparams_/session_end_info", &Message::new().message(4, &end))?;
    run.end()
}

/// A file of events.
struct Events {
    out: BufWriter<File>,
    began: f64,
}

impl Events {
    fn create(dir: &Path, began: f64) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        let name = format!("events.out.tfevents.{:.0}.trialmill", began.max(0.0));
        let out = BufWriter::new(File::create_new(dir.join(name))?);
        let mut events = Events { out, began };
        let version = Message::new().double(1, began).text(3, "brain.Event:2");
        record(&mut events.out, &version.0)?;
        Ok(events)
    }

    fn scalar(&mut self, tag: &str, step: u64, x: f64, time: f64) -> io::Result<()> {
        let value = Message::new().text(1, tag).float(2, x as f32);
        let event = Message::new().double(1, time).int(2, step);
        record(&mut self.out, &event.message(5, &Message::new().message(1, &value)).0)
    }

    /// Data of the plugin, with the empty tensor that it wants beside.
    fn hparams(&mut self, tag: &str, data: &Message) -> io::Result<()> {
        let plugin = Message::new().text(1, "hparams").message(2, data);
        let shape = Message::new().message(2, &Message::new());
        let tensor = Message::new().int(1, 1).message(2, &shape);
        let value = Message::new()
            .text(1, tag)
            .message(8, &tensor)
            .message(9, &Message::new().message(1, &plugin));
        let event =
            Message::new().double(1, self.began).message(5, &Message::new().message(1, &value));
        record(&mut self.out, &event.0)
    }

    fn end(mut self) -> io::Result<()> {
        self.out.flush()
    }
}
