//! The bytes of every event's line, with and without each of its optional fields, as version 0.1.0
//! wrote them. `format-1.jsonl` is never written again: it is what the disks of our users hold.

use serde_json::json;

use super::*;
use crate::budget::Budget;
use crate::config::Value;

/// One line for each event of [`events`], in order.
const LINES: &str = include_str!("format-1.jsonl");

fn configs() -> Vec<Config> {
    let strings = Config::new(
        ["lr".into(), "opt".into(), "on".into(), "n".into()].into(),
        vec![Value::Float(1e-5), Value::from("sgd"), Value::Bool(true), Value::Int(-3)],
    );
    let escapes = Config::new(
        ["a \"b\"\\".into(), "ü\n".into()].into(),
        vec![Value::from("tab\t, bell\u{7}, \u{2028}, 😀, /"), Value::Float(-0.0)],
    );
    let strange = Config::new(
        ["null".into(), "nested".into(), "nan".into(), "inf".into(), "big".into()].into(),
        vec![
            Value::Null,
            Value::from(json!({"list": [1, [2.5, null]], "empty": {}})),
            Value::Float(f64::NAN),
            Value::Float(f64::NEG_INFINITY),
            Value::Int(i64::MIN),
        ],
    );
    vec![strings, escapes, strange, Config::new([].into(), Vec::new())]
}

fn reports() -> Vec<Report> {
    let full = Report::crashed("exit", "code 3\n\"quoted\"")
        .cost(0.1 + 0.2)
        .learning_curve([[0.9, f64::NAN], [0.5, 1e22]])
        .extra("epochs", 9)
        .extra("nested", json!({"z": 1, "a": [true, null, "\\"]}))
        .traceback("line 1\nline 2 …")
        .evaluation_duration(1e-9);
    let without = |change: fn(&mut Report)| {
        let mut report = Report { objective_to_minimize: Some(1.5.into()), ..full.clone() };
        change(&mut report);
        report
    };
    vec![
        Report::objective(0.12),
        Report::objective(0.12).cost(3.5).evaluation_duration(0.25),
        Report::objective(f64::INFINITY).cost(f64::NAN).evaluation_duration(f64::NEG_INFINITY),
        Report::objective([1.0, -2.5e-300]),
        Report::objective(Vec::new()),
        Report::objective(1.0).learning_curve([0.9, 0.4, 0.12]),
        Report::objective(1.0).learning_curve(Vec::<f64>::new()),
        Report::failed("diverged"),
        Report::without_objective(State::External),
        without(|_| ()),
        without(|report| report.objective_to_minimize = None),
        without(|report| report.cost = None),
        without(|report| report.learning_curve = None),
        without(|report| report.extra = None),
        without(|report| report.extra = Some(Box::default())),
        without(|report| report.failure = None),
        without(|report| report.failure = Some(Box::default())),
        without(|report| report.evaluation_duration = None),
        full,
    ]
}

fn ids() -> [TrialId; 3] {
    let other = "a.b-c_D".parse().unwrap();
    [TrialId::Number(u64::MAX), TrialId::Rung(3, 1), other]
}

fn policies() -> Vec<Policy> {
    let limited = Budget {
        evaluations: Some(200),
        cost: Some(1e3),
        fidelity: Some(0.5),
        evaluation_seconds: Some(3600.0),
        ..Budget::default()
    };
    let one = |change: fn(&mut Budget)| {
        let mut budget = limited;
        change(&mut budget);
        Policy { budget, count_in_progress: false, max_attempts: 7, ..Policy::default() }
    };
    vec![
        Policy::default(),
        one(|_| ()),
        one(|budget| budget.evaluations = None),
        one(|budget| budget.cost = None),
        one(|budget| budget.fidelity = None),
        one(|budget| budget.evaluation_seconds = None),
    ]
}

fn puts() -> Vec<Trial> {
    let full = MetaData {
        previous_trial_id: Some(TrialId::Rung(3, 0)),
        sampling_worker_id: Some("p1-w1".into()),
        time_sampled: 1763752512.25,
        evaluating_worker_id: Some("a \"caller\"".into()),
        evaluation_duration: Some(2.5),
        time_submitted: Some(1763752513.0),
        time_started: Some(f64::INFINITY),
        time_end: Some(f64::NAN),
        evaluation: None,
    };
    let changes: [fn(&mut MetaData); 8] = [
        |_| (),
        |meta| meta.previous_trial_id = None,
        |meta| meta.sampling_worker_id = None,
        |meta| meta.evaluating_worker_id = None,
        |meta| meta.evaluation_duration = None,
        |meta| meta.time_submitted = None,
        |meta| meta.time_started = None,
        |meta| *meta = MetaData { time_sampled: f64::NAN, ..MetaData::default() },
    ];
    let mut puts = Vec::new();
    let reports = || std::iter::once(None).chain(reports().into_iter().map(Some));
    // Those that there were then.
    let states = || State::ALL.into_iter().filter(|state| *state != State::Pruned);
    for (at, (report, state)) in reports().zip(states().cycle()).enumerate() {
        let mut metadata = full.clone();
        changes[at % changes.len()](&mut metadata);
        let config = configs()[at % 4].clone();
        let mut put = Trial::pending(ids()[at % 3].clone(), config, metadata);
        (put.state, put.attempts, put.losses) = (state, at as u32, at as u32 % 3);
        put.report = report.map(Box::new);
        puts.push(put);
    }
    puts
}

fn events() -> Vec<EventKind> {
    let mut events: Vec<_> =
        policies().into_iter().map(|policy| EventKind::Policy(policy.into())).collect();
    for host in ["node-1", "\"\\\u{0}é"] {
        let (process, boot, pid) = (u32::MAX, "4f0c".into(), 4242);
        events.push(EventKind::Joined(Process {
            process,
            host: host.into(),
            boot,
            pid,
            job: None,
            worker_id: None,
        }));
    }
    events.push(EventKind::Left { process: 12, errors_in_a_row: None });
    let previous = [None, Some(TrialId::Number(7)), Some(TrialId::Rung(1, 0))];
    for (at, config) in configs().into_iter().cycle().take(24).enumerate() {
        events.push(EventKind::Sampled {
            trial: ids()[at % 3].clone(),
            config,
            previous: previous[at / 4 % 3].clone(),
            worker: ["p3-w1", "me \u{1b}[0m"][at / 12].into(),
            claimed: at % 5 > 1,
            evaluation: None,
        });
    }
    for (at, trial) in ids().into_iter().enumerate() {
        let until_uptime_s = 123456.789;
        let lease = Lease { seconds: 60.0, host: "h".into(), boot: "b".into(), until_uptime_s };
        for lease in [None, Some(lease)] {
            let (attempt, worker) = (at as u32 + 1, "p1-w64".into());
            let (trial, evaluation) = (trial.clone(), None);
            events.push(EventKind::Claimed { trial, attempt, worker, evaluation, lease });
        }
    }
    for (at, report) in reports().into_iter().enumerate() {
        let trial = ids()[at % 3].clone();
        events.push(EventKind::Reported { trial, attempt: at as u32, report: report.into() });
    }
    for reason in [Reason::Died, Reason::Released, Reason::Expired, Reason::Retry] {
        events.push(EventKind::Requeued { trial: TrialId::Number(0), attempt: 3, reason });
    }
    events.extend(puts().into_iter().map(|put| EventKind::Put(put.into())));
    events
}

/// The lines that this version writes.
fn written() -> String {
    let times = [1763752512.123456, 0.0, -1.5, 1e16, f64::MIN_POSITIVE];
    let mut lines = Vec::new();
    for (seq, kind) in events().into_iter().enumerate() {
        let seq = if seq == 0 { u64::MAX } else { seq as u64 };
        encode(seq, &Event { time: times[seq as usize % times.len()], kind }, &mut lines);
    }
    String::from_utf8(lines).unwrap()
}

#[test]
fn every_event_has_the_bytes_that_the_first_version_gave_it() {
    let written = written();
    for (line, golden) in written.lines().zip(LINES.lines()) {
        assert_eq!(line, golden);
    }
    assert_eq!(written.len(), LINES.len());
    // Nothing is in the vocabulary that is not among them.
    for event in ["policy", "joined", "left", "sampled", "claimed", "reported", "requeued", "put"] {
        assert!(LINES.contains(&format!("\"event\":\"{event}\"")), "{event}");
    }
}

#[test]
fn every_line_of_the_first_version_reads_back_as_the_event_it_was() {
    let mut decoder = Decoder::new(["lr".into(), "opt".into(), "on".into(), "n".into()].into());
    for (line, kind) in LINES.lines().zip(events()) {
        let (seq, event) = decoder.decode(line.as_bytes()).unwrap();
        // As strings: a number that is not one is not equal to itself.
        assert_eq!(format!("{:?}", event.kind), format!("{kind:?}"));
        let mut again = Vec::new();
        encode(seq, &event, &mut again);
        assert_eq!(again.strip_suffix(b"\n"), Some(line.as_bytes()));
    }
}

/// A later version may add fields to a line of this format, and may order them in another way.
#[test]
fn a_field_of_a_later_version_is_passed_over_and_the_order_means_nothing() {
    let mut decoder = Decoder::new(Names::from([]));
    for (line, kind) in LINES.lines().zip(events()) {
        let fields: serde_json::Map<_, _> = serde_json::from_str(line).unwrap();
        let mut other = json!({"later": {"version": [2]}, "": null});
        for (key, value) in fields.iter().filter(|(key, _)| *key != "crc").rev() {
            other[key] = value.clone();
        }
        let (_, event) = decoder.decode(&sealed(&other.to_string())).unwrap();
        assert_eq!(format!("{:?}", event.kind), format!("{kind:?}"));
    }
}

/// What is not said and must be is refused, and so is an event of a later version.
#[test]
fn a_line_without_a_field_that_it_needs_is_refused() {
    let mut decoder = Decoder::new(Names::from([]));
    let optional = [
        "attempt of sampled",
        "previous",
        "lease",
        "objective_to_minimize",
        "cost",
        "learning_curve",
        "extra",
        "err_type",
        "err",
        "tb",
        "evaluation_duration",
        "losses",
        "worker of put",
        "evaluating_worker",
        "duration",
        "time_submitted",
        "time_started",
        "time_end",
        "state of put",
    ];
    for line in LINES.lines() {
        let mut fields: serde_json::Map<_, _> = serde_json::from_str(line).unwrap();
        fields.remove("crc");
        let event = fields["event"].as_str().unwrap().to_owned();
        for key in fields.keys().cloned().collect::<Vec<_>>() {
            let is_optional =
                optional.contains(&&*key) || optional.contains(&&*format!("{key} of {event}"));
            for missing in [None, Some(serde_json::Value::Null)] {
                let mut fields = fields.clone();
                match missing {
                    None => drop(fields.shift_remove(&key)),
                    Some(null) => drop(fields.insert(key.clone(), null)),
                }
                let line = sealed(&serde_json::Value::from(fields).to_string());
                assert_eq!(decoder.decode(&line).is_ok(), is_optional, "{key} of {event}");
            }
        }
    }
    let later = sealed(r#"{"seq":1,"event":"progressed","time":1.5,"trial":"1"}"#);
    let problem = decoder.decode(&later).unwrap_err().to_string();
    assert!(problem.contains("the event 'progressed' is not known to this version"), "{problem}");
}

/// A line with this object as its body.
fn sealed(object: &str) -> Vec<u8> {
    let body = &object[1..];
    format!("{{\"crc\":\"{:08x}\",{body}", crc32fast::hash(body.as_bytes())).into_bytes()
}
