//! What a line of the journal must stay, for ever.

mod golden;

use proptest::prelude::*;

use super::*;
use std::sync::Arc;

use crate::config::Value;
use crate::evaluation::{Evaluation, OnPrune};
use crate::event::{Lease, Policy, Process, Reason};
use crate::stopping::EarlyEnd;
use crate::trial::{Failure, MetaData, Objective, Report, State, Step, Trial, TrialId};

fn events() -> Vec<EventKind> {
    let names: Names = ["lr".into(), "opt".into()].into();
    let config = Config::new(names, vec![Value::Float(0.1), Value::from("a\"\n")]);
    let mut put = Trial::pending(TrialId::Rung(3, 1), config.clone(), MetaData::default());
    put.state = State::Crashed;
    (put.losses, put.failures) = (2, 1);
    put.metadata.time_end = Some(5.0);
    put.metadata.time_started = Some(f64::INFINITY);
    put.report = Some(Box::new(Report::crashed("signal", "kill").traceback("…\u{7}")));
    let report = Report::objective([1.0, f64::NEG_INFINITY])
        .cost(f64::INFINITY)
        .learning_curve([[1.0, 2.0], [0.5, 1e-300]])
        .constraints([-0.5, f64::INFINITY])
        .extra("nested", serde_json::json!({"a": [1, null]}));
    let lease =
        Lease { seconds: 60.0, host: "h".into(), boot: "b".into(), until_uptime_s: 1e6 + 0.1 };
    vec![
        EventKind::Policy(Box::default()),
        EventKind::Evaluation { number: 1, own: false, evaluation: Arc::default() },
        EventKind::Evaluation {
            number: u32::MAX,
            own: true,
            evaluation: Evaluation {
                command: vec!["train \"\u{1b}".into(), "--lr={lr}".into()],
                directory: Some("/runs".into()),
                timeout_seconds: Some(0.1 + 0.2),
                grace_seconds: Some(7.0),
                on_prune: OnPrune::Ask,
                environment: [("A".into(), "\\ ü".into())].into(),
            }
            .into(),
        },
        EventKind::Joined(Process {
            process: 1,
            host: "h".into(),
            boot: "b".into(),
            pid: 7,
            job: None,
            worker_id: None,
        }),
        EventKind::Sampled {
            trial: TrialId::Number(1),
            config,
            previous: Some(TrialId::Rung(1, 0)),
            worker: "p1-w1".into(),
            claimed: true,
            evaluation: Some(7),
        },
        EventKind::Claimed {
            trial: TrialId::Number(1),
            attempt: 2,
            worker: "me".into(),
            evaluation: Some(u32::MAX),
            lease: Some(lease),
        },
        EventKind::Stepped {
            trial: TrialId::Number(1),
            attempt: 2,
            steps: [Step::new(1, 0.5), Step::new(u64::MAX, [f64::INFINITY, -0.0])].into(),
            prune_at: Some(u64::MAX),
        },
        EventKind::Reported { trial: TrialId::Number(1), attempt: 2, report: Box::new(report) },
        EventKind::Requeued { trial: TrialId::Number(1), attempt: 2, reason: Reason::Expired },
        EventKind::Put(Box::new(put)),
        EventKind::Left { process: 1, errors_in_a_row: None },
        EventKind::Left { process: 1, errors_in_a_row: Some(20) },
        EventKind::Stopped { reason: EarlyEnd::NoImprovement },
        EventKind::Noted {
            trial: TrialId::Number(1),
            notes: Box::new(
                serde_json::json!({"a \"b\"": {"z": [1, null], "a": "ü"}, "gone": null})
                    .as_object()
                    .unwrap()
                    .clone(),
            ),
        },
        EventKind::Deleted { trial: TrialId::Number(u64::MAX) },
    ]
}

#[test]
fn every_event_reads_back_as_it_was_written() {
    let mut decoder = Decoder::new(Names::from([]));
    for (seq, kind) in events().into_iter().enumerate() {
        let event = Event { time: 1763752512.123456, kind };
        let mut line = Vec::new();
        encode(seq as u64, &event, &mut line);
        assert_eq!(line.pop(), Some(b'\n'));
        let json: serde_json::Value = serde_json::from_slice(&line).unwrap();
        assert_eq!(json["seq"], seq);
        let (read_seq, read) = decoder.decode(&line).unwrap();
        assert_eq!((read_seq, read), (seq as u64, event));
    }
}

/// The reader by hand must never say anything else than JSON does.
#[test]
fn the_frequent_lines_mean_by_hand_what_they_mean_as_json() {
    let names: Names = ["lr".into(), "n".into(), "opt".into(), "flag".into()].into();
    let mut decoder = Decoder::new(names.clone());
    let floats = [0.1, -0.0, 5.0, 1e-300, 1e22, f64::MIN_POSITIVE, 123456.789e-7, f64::MAX];
    let texts = ["adam", "", "ä€😀", "1e5", "}", "a\"b", "line\n", "\"x\"", "\\\\"];
    let (mut by_hand, mut written) = (0, 0);
    for at in 0..200_usize {
        let lr = Value::Float(floats[at % floats.len()]);
        let n = Value::Int(if at % 3 == 0 { i64::MIN } else { at as i64 - 100 });
        let (opt, flag) = (Value::from(texts[at % texts.len()]), Value::Bool(at % 3 == 0));
        let config = Config::new(names.clone(), vec![lr, n, opt, flag]);
        let trial = match at % 5 {
            0 => TrialId::Rung(3, at as u32),
            _ => TrialId::Number(at as u64),
        };
        let mut report = Report::objective(floats[at % 7]);
        report.cost = (at % 3 == 0).then_some(floats[at % 5]);
        report.evaluation_duration = (at % 5 > 0).then_some(0.25);
        if at % 4 == 1 {
            report = report.learning_curve([0.9, 0.5]);
        }
        let sampled = EventKind::Sampled {
            trial: trial.clone(),
            config,
            previous: None,
            worker: "p1-w1".into(),
            claimed: at % 4 > 0,
            evaluation: (at % 3 > 0).then_some(at as u32),
        };
        let steps = (0..at % 4).map(|step| Step::new(step as u64, floats[(at + step) % 8]));
        let stepped = EventKind::Stepped {
            trial: trial.clone(),
            attempt: at as u32,
            steps: steps.collect(),
            prune_at: (at % 3 == 0).then_some(at as u64),
        };
        let reported = EventKind::Reported { trial, attempt: 1 + at as u32, report: report.into() };
        for kind in [sampled, stepped, reported] {
            let event = Event { time: 1763752512.5 + at as f64, kind };
            let mut line = Vec::new();
            encode(at as u64, &event, &mut line);
            written += usize::from(frequent::write(0, &event, &mut Vec::new()).is_some());
            let mut plain = Vec::new();
            write(at as u64, &event, &mut plain);
            assert_eq!(&line[HEAD_LEN - 1..line.len() - 2], plain);
            let text = std::str::from_utf8(&line[..line.len() - 1]).unwrap();
            let read = decoder.decode_frequent(&text[HEAD_LEN..]);
            by_hand += usize::from(read.is_some());
            let json = decoder.decode_any(text).unwrap();
            assert_eq!(json, (at as u64, event));
            assert!(read.is_none_or(|read| read == json), "{text}");
        }
    }
    // All but those whose texts have escapes, and those with a curve.
    assert!(by_hand > 450, "{by_hand}");
    // And those of trials that are not numbered.
    assert!(written > 340, "{written}");
}

/// A text of a few characters, most of which JSON has to escape.
fn text() -> impl Strategy<Value = String> {
    let letters = prop::sample::select(vec!['"', '\\', '\n', '\u{1f}', '\u{7f}', 'a', 'ü', '}']);
    prop::collection::vec(letters, 0..5).prop_map(String::from_iter)
}

fn number() -> impl Strategy<Value = f64> {
    prop::sample::select(vec![0.1, -0.0, 5.0, 1e-300, f64::MAX, f64::INFINITY, f64::NEG_INFINITY])
}

fn report() -> impl Strategy<Value = Report> {
    let state = prop::sample::select(vec![State::Success, State::Failed, State::Crashed]);
    let maybe = || prop::option::of(number());
    let parts = (prop::option::of(prop::collection::vec(number(), 1..3)), maybe(), maybe());
    (state, parts, prop::option::of(number()), prop::option::of(text()), prop::option::of(text()))
        .prop_map(|(state, (objective, cost, duration), curve, extra, failure)| {
            let mut report = Report::without_objective(state);
            report.objective_to_minimize = objective.map(|list| match list[..] {
                [one] => Objective::One(one),
                _ => list.into(),
            });
            (report.cost, report.evaluation_duration) = (cost, duration);
            if let Some(point) = curve {
                report = report.learning_curve([point]);
            }
            if let Some(text) = extra {
                report = report.extra(text.clone(), text);
            }
            report.failure =
                failure.map(|err| Failure { err_type: "e".into(), err, tb: None }.into());
            report
        })
}

fn steps() -> impl Strategy<Value = Box<[Step]>> {
    let values = prop::collection::vec(number(), 1..3);
    let step = (any::<u64>(), values).prop_map(|(step, values)| Step::new(step, values));
    prop::collection::vec(step, 0..4).prop_map(Into::into)
}

proptest! {
    /// Frequent lines are written and read by hand. A text with two quotation marks that was taken
    /// for one without would be a line that is no JSON under a right checksum, and the study refused
    /// as damaged for ever; a report that was taken for a plain one would lose its curve, its extra
    /// values or its failure.
    #[test]
    fn whatever_a_frequent_line_says_it_reads_back(
        (worker, name, value) in (text(), text(), text()),
        (claimed, follows) in (any::<bool>(), any::<bool>()),
        evaluation in prop::option::of(any::<u32>()),
        (report, time) in (report(), 1.0..1e10),
        (steps, prune_at) in (steps(), prop::option::of(any::<u64>())),
    ) {
        let names: Names = [name.as_str().into()].into();
        let config = Config::new(names.clone(), vec![Value::from(value.as_str())]);
        let trial = TrialId::Number(7);
        let previous = follows.then_some(TrialId::Rung(3, 0));
        let worker = worker.as_str().into();
        for kind in [
            EventKind::Sampled {
                trial: trial.clone(),
                config,
                previous,
                worker,
                claimed,
                evaluation,
            },
            EventKind::Stepped { trial: trial.clone(), attempt: 2, steps, prune_at },
            EventKind::Reported { trial, attempt: 2, report: report.into() },
        ] {
            let event = Event { time, kind };
            let (mut line, mut plain) = (Vec::new(), Vec::new());
            encode(9, &event, &mut line);
            write(9, &event, &mut plain);
            prop_assert_eq!(
                String::from_utf8_lossy(&line[HEAD_LEN - 1..line.len() - 2]),
                String::from_utf8_lossy(&plain)
            );
            line.pop();
            prop_assert_eq!(Decoder::new(names.clone()).decode(&line).unwrap(), (9, event));
        }
    }
}

/// Journals that were written elsewhere, or edited, say what JSON says, or nothing.
#[test]
fn a_number_by_hand_is_one_that_json_has() {
    let names: Names = ["x".into()].into();
    for text in
        ["0", "-0", "01", "+7", "1.5", "-0.0", ".5", "1.", "1e3", "1E+3", "1e999", "-", "-.5"]
    {
        let body = format!(
            "\"seq\":1,\"event\":\"sampled\",\"time\":1.5,\"trial\":\"1\",\
             \"worker\":\"me\",\"config\":{{\"x\":{text}}}}}"
        );
        let json: Option<Value> = serde_json::from_str(text).ok();
        let by_hand = frequent::read(&body, &names, &mut Interner::default());
        let Some(What::Sampled { config, .. }) = by_hand.map(|read| read.what) else {
            continue;
        };
        assert_eq!(config.get("x").map(ToString::to_string), json.map(|x| x.to_string()), "{text}");
    }
}

/// Storage that flips bits must never give a record another meaning: 1 bit in 100 records
/// is enough to spoil a week's results without anybody seeing it.
#[test]
fn a_line_with_any_bit_flipped_is_refused() {
    let mut decoder = Decoder::new(Names::from([]));
    for kind in events() {
        let mut line = Vec::new();
        encode(9, &Event { time: 1.5, kind }, &mut line);
        line.pop();
        for bit in 0..line.len() * 8 {
            line[bit / 8] ^= 1 << (bit % 8);
            assert!(decoder.decode(&line).is_err(), "bit {bit}");
            line[bit / 8] ^= 1 << (bit % 8);
        }
        assert!(decoder.decode(&line).is_ok());
        assert!(decoder.decode(&line[..line.len() - 1]).is_err());
    }
    assert!(decoder.decode(b"").is_err());
}

/// What journals hold since there are values before the end, and evaluations, which `format-1.jsonl` is too old for.
#[test]
fn the_lines_that_came_later_are_the_same_for_ever() {
    use crate::definition::PrunerInfo;
    use crate::stopping::{RegretBound, StopEarly};
    let stepped = |steps: Vec<Step>, prune_at| {
        let trial = TrialId::Rung(3, 1);
        EventKind::Stepped { trial, attempt: 2, steps: steps.into(), prune_at }
    };
    let stop = |change: fn(&mut StopEarly)| {
        let mut stop_early = StopEarly::default();
        change(&mut stop_early);
        EventKind::Policy(Policy { stop_early, ..Policy::default() }.into())
    };
    let pruner = Some(PrunerInfo::new("threshold", [("upper", 0.5)]));
    let evaluation = Evaluation {
        command: vec!["train".into(), "--lr={lr}".into()],
        directory: Some("/runs".into()),
        timeout_seconds: Some(0.5),
        grace_seconds: Some(7.0),
        on_prune: OnPrune::Ask,
        environment: [("A".into(), "b".into())].into(),
    };
    let lines = include_str!("tests/later-lines.jsonl").lines();
    let mut decoder = Decoder::new(Names::from([]));
    let kinds = [
        stepped(vec![Step::new(u64::MAX, -0.0), Step::new(0, f64::NAN)], None),
        stepped(vec![Step::new(7, [1e300, f64::NEG_INFINITY])], Some(7)),
        EventKind::Stopped { reason: EarlyEnd::Target },
        EventKind::Stopped { reason: EarlyEnd::NoImprovement },
        EventKind::Stopped { reason: EarlyEnd::RegretBound },
        stop(|stop| stop.target = Some(-1.5)),
        stop(|stop| stop.evaluations_without_improvement = Some(50)),
        stop(|stop| stop.seconds_without_improvement = Some(0.5)),
        stop(|stop| stop.regret_bound = Some(RegretBound::AtMost(0.02))),
        stop(|stop| stop.regret_bound = Some(RegretBound::FoldError)),
        EventKind::Policy(Policy { pruner, pruned_are_free: true, ..Policy::default() }.into()),
        EventKind::Evaluation { number: 2, own: true, evaluation: evaluation.into() },
        EventKind::Claimed {
            trial: TrialId::Number(4),
            attempt: 2,
            worker: "p1-w1".into(),
            lease: None,
            evaluation: Some(2),
        },
        EventKind::Joined(Process {
            process: 3,
            host: "h".into(),
            boot: "b".into(),
            pid: 9,
            job: None,
            worker_id: Some("gpu-7".into()),
        }),
        EventKind::Noted {
            trial: TrialId::Rung(3, 1),
            notes: Box::new(
                serde_json::json!({"seen": true, "model": {"url": "s3"}, "gone": null})
                    .as_object()
                    .unwrap()
                    .clone(),
            ),
        },
        EventKind::Deleted { trial: TrialId::Number(4) },
    ];
    assert_eq!(lines.clone().count(), kinds.len());
    for (line, kind) in lines.zip(kinds) {
        let mut out = Vec::new();
        encode(7, &Event { time: 1763752512.5, kind: kind.clone() }, &mut out);
        assert_eq!(String::from_utf8(out).unwrap().trim_end(), line);
        let (_, event) = decoder.decode(line.as_bytes()).unwrap();
        assert_eq!(format!("{:?}", event.kind), format!("{kind:?}"));
    }
}

/// `evaluation` was a number in some lines and an object in another: polars could not read any journal with a
/// command (`tests/interop`).
#[test]
fn a_key_is_an_object_in_all_lines_or_in_none() {
    let mut objects = std::collections::BTreeMap::new();
    for kind in events() {
        let mut line = Vec::new();
        encode(0, &Event { time: 1.0, kind }, &mut line);
        let line: serde_json::Map<String, serde_json::Value> =
            serde_json::from_slice(&line).unwrap();
        for (key, value) in line.into_iter().filter(|(_, value)| !value.is_null()) {
            let is_object = value.is_object();
            assert_eq!(*objects.entry(key.clone()).or_insert(is_object), is_object, "{key}");
        }
    }
    assert!(objects["runs"] && objects["notes"] && !objects["evaluation"]);
}
