//! What a study takes of another one: the rule of `warm_start`, case by case.

#![allow(clippy::unwrap_used, clippy::panic)] // This is a test.

use trialmill_core::config::{Config, Value};
use trialmill_core::definition::{KnownTrial, WarmStart};
use trialmill_core::objectives::{Direction, Objectives};
use trialmill_core::space::{Parameter, SearchSpace};
use trialmill_core::trial::{MetaData, Report, State, Trial, TrialId, Trials};
use trialmill_core::warm_start::{Other, taken};

/// A study whose trials have these values and objectives.
struct There {
    space: SearchSpace,
    objectives: Objectives,
    trials: Trials,
}

impl There {
    fn new(space: SearchSpace, rows: Vec<(Vec<Value>, Report)>) -> Self {
        let mut trials = Trials::default();
        for (at, (values, report)) in rows.into_iter().enumerate() {
            let config = Config::new(space.names().clone(), values);
            let mut trial = Trial::pending(TrialId::Number(at as u64), config, MetaData::default());
            trial.state = report.reported_as;
            trial.report = Some(Box::new(report));
            trials.push(trial);
        }
        There { space, objectives: Objectives::default(), trials }
    }

    fn taken(&self, space: &SearchSpace, objectives: &Objectives) -> Result<WarmStart, String> {
        let (directory, study_id) = ("there", "id");
        let (theirs, trials) = (&self.objectives, &self.trials);
        let other = Other { directory, study_id, space: &self.space, objectives: theirs, trials };
        taken(other, space, objectives, 1)
    }
}

fn shown(taken: &WarmStart) -> Vec<String> {
    let one = |t: &KnownTrial| format!("{} {:?}", t.config, t.objectives);
    taken.trials.iter().map(one).collect()
}

fn space(parameters: impl IntoIterator<Item = (&'static str, Parameter)>) -> SearchSpace {
    SearchSpace::new(parameters).unwrap()
}

#[test]
fn parameters_are_matched_by_name_and_value_and_trials_outside_are_left_out() {
    let theirs = space([
        ("lr", Parameter::float(1e-6, 10.0).log()),
        ("layers", Parameter::float(1.0, 9.0)),
        ("kind", Parameter::categorical(["a", "b", "c"])),
        ("only_there", Parameter::int(1, 3)),
    ]);
    let row = |lr: f64, layers: f64, kind: &str, y: f64| {
        (vec![lr.into(), layers.into(), kind.into(), 2.into()], Report::objective(y))
    };
    let mut crashed = row(0.1, 2.0, "a", 0.0);
    crashed.1 = Report::crashed("ValueError", "no");
    let mut infeasible = row(0.1, 2.0, "a", -5.0);
    infeasible.1 = infeasible.1.constraints([1.0]);
    let there = There::new(
        theirs,
        vec![
            row(0.1, 2.0, "a", 3.0),
            row(5.0, 2.0, "a", 1.0),
            row(0.2, 2.5, "b", 1.0),
            row(0.2, 4.0, "c", 0.0),
            row(0.3, 4.0, "b", 2.0),
            row(0.3, 4.0, "b", f64::INFINITY),
            crashed,
            infeasible,
        ],
    );
    let ours = space([
        ("lr", Parameter::float(1e-3, 1.0)),
        ("layers", Parameter::int(1, 5)),
        ("kind", Parameter::categorical(["b", "a", "z"])),
        ("only_here", Parameter::float(0.0, 1.0)),
    ]);
    let taken = there.taken(&ours, &Objectives::default()).unwrap();
    assert_eq!(shown(&taken), ["lr=0.3 layers=4 kind=b [2.0]", "lr=0.1 layers=2 kind=a [3.0]"]);
    assert_eq!((taken.of, taken.parameters()), (6, vec!["lr", "layers", "kind"]));
    // A parameter of another kind is not in both, and leaves no trial out.
    let ours = space([
        ("lr", Parameter::categorical(["low", "high"])),
        ("layers", Parameter::float(0.0, 9.0)),
    ]);
    let taken = there.taken(&ours, &Objectives::default()).unwrap();
    assert_eq!((taken.trials.len(), taken.parameters()), (5, vec!["layers"]));
    let none = there.taken(&space([("x", Parameter::int(1, 3))]), &Objectives::default());
    assert!(none.unwrap_err().contains("no parameter"));
}

#[test]
fn a_fidelity_is_the_same_one_or_the_highest() {
    let theirs =
        space([("x", Parameter::float(0.0, 1.0)), ("epochs", Parameter::int(1, 9).fidelity())]);
    let row = |x: f64, epochs: i64| (vec![x.into(), epochs.into()], Report::objective(x));
    let there = There::new(theirs, vec![row(0.1, 1), row(0.2, 9), row(0.3, 3)]);
    for (ours, wanted) in [
        (space([("x", Parameter::float(0.0, 1.0))]), vec!["x=0.2 [0.2]"]),
        (
            space([("x", Parameter::float(0.0, 1.0)), ("steps", Parameter::int(1, 9).fidelity())]),
            vec!["x=0.2 [0.2]"],
        ),
        (
            space([
                ("x", Parameter::float(0.0, 1.0)),
                ("epochs", Parameter::int(1, 27).fidelity()),
            ]),
            vec!["x=0.1 epochs=1 [0.1]", "x=0.2 epochs=9 [0.2]", "x=0.3 epochs=3 [0.3]"],
        ),
    ] {
        assert_eq!(shown(&there.taken(&ours, &Objectives::default()).unwrap()), wanted);
    }
}

#[test]
fn objectives_are_matched_by_their_names_and_the_smaller_is_the_better() {
    let ours = space([("x", Parameter::float(0.0, 1.0))]);
    let rows = vec![(vec![0.5.into()], Report::objective([0.9, 20.0]))];
    let mut there = There::new(ours.clone(), rows);
    let named = |list: &[(&str, Direction)]| {
        list.iter().fold(Objectives::default(), |all, (name, direction)| all.and(*name, *direction))
    };
    let (low, high) = (Direction::Minimize, Direction::Maximize);
    there.objectives = named(&[("accuracy", high), ("size", low)]);
    let turned = named(&[("size", low), ("accuracy", high)]);
    assert_eq!(shown(&there.taken(&ours, &turned).unwrap()), ["x=0.5 [20.0, -0.9]"]);
    assert_eq!(shown(&there.taken(&ours, &named(&[("size", low)])).unwrap()), ["x=0.5 [20.0]"]);
    let other = there.taken(&ours, &named(&[("loss", low)])).unwrap_err();
    assert!(other.contains("accuracy") && other.contains("loss"), "{other}");
    // One of each is the objective, whatever it is called.
    let mut one = There::new(ours.clone(), vec![(vec![0.5.into()], Report::objective(0.9))]);
    one.objectives = named(&[("accuracy", high)]);
    assert_eq!(shown(&one.taken(&ours, &named(&[("loss", low)])).unwrap()), ["x=0.5 [-0.9]"]);
    assert_eq!(one.trials.iter().filter(|trial| trial.state == State::Success).count(), 1);
}
