//! Whatever a caller can build is refused at once, or it is what is read again: parameters, and the
//! values of configurations.
//!
//! A space that was stored as something else was "another one" when the same program ran again: a
//! trust in a prior without a prior, a whole number as a float's prior, `null` as a prior.

use proptest::collection::{hash_map, vec};
use proptest::prelude::*;
use serde_json::{Value as Json, json};
use trialmill_core::config::{Config, Value};
use trialmill_core::space::{Confidence, Parameter, SearchSpace};

fn json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<u64>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        text().prop_map(Json::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Json::from),
            hash_map(text(), inner, 0..3).prop_map(|map| json!(map)),
        ]
    })
}

fn text() -> impl Strategy<Value = String> {
    let odd =
        ["$float", "$int", "$map", "inf", "-inf", "nan", "NaN", "5", "-07", "1e5", "null", ""];
    prop_oneof![proptest::sample::select(odd.to_vec()).prop_map(String::from), any::<String>()]
}

fn value() -> impl Strategy<Value = Value> {
    let whole = prop_oneof![
        any::<i64>(),
        proptest::sample::select(vec![1 << 53, (1 << 53) + 1, i64::MAX, i64::MIN, 0, 3]),
    ];
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        whole.prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        proptest::sample::select(vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, 5e-324])
            .prop_map(Value::from),
        text().prop_map(Value::from),
        text().prop_map(|text| Value::BigInt(text.into())),
        "-?[0-9]{1,30}".prop_map(|digits| Value::BigInt(digits.into())),
        json().prop_map(Value::from),
        json().prop_map(|json| Value::Nested(Box::new(json))),
    ]
}

fn parameter() -> impl Strategy<Value = Parameter> {
    let base = prop_oneof![
        (any::<f64>(), any::<f64>()).prop_map(|(a, b)| Parameter::float(a.min(b), a.max(b))),
        (any::<i64>(), 1..1000i64).prop_map(|(a, b)| Parameter::int(a, a.saturating_add(b))),
        (0.0..9.0, 10.0..99.0).prop_map(|(a, b)| Parameter::float(a, b)),
        (-3i64..9, 10i64..99).prop_map(|(a, b)| Parameter::int(a, b)),
        vec(value(), 1..4).prop_map(Parameter::categorical),
        vec(value(), 1..4).prop_map(Parameter::ordinal),
        (-9.0..9.0, 1e-3..3.0).prop_map(|(a, step)| Parameter::float(a, a + 4.5).step(step)),
        (-9i64..9, -1i64..9).prop_map(|(a, step)| Parameter::int(a, a + 7).step(step)),
        (-9.0..9.0, -1.0..3.0).prop_map(|(m, sd)| Parameter::float(-4.0, 4.5).normal(m, sd)),
        (-9.0..9.0, 0.1..3.0).prop_map(|(m, sd)| Parameter::float(0.5, 99.0).log_normal(m, sd)),
        (-9.0..9.0, 0.1..3.0).prop_map(|(m, sd)| Parameter::int(-4, 9).normal(m, sd)),
        (-3.0..9.0, 0.1..3.0).prop_map(|(m, sd)| Parameter::int(1, 99).log_normal(m, sd)),
        value().prop_map(Parameter::constant),
    ];
    let confidence =
        proptest::sample::select(vec![Confidence::Low, Confidence::Medium, Confidence::High]);
    let near = (9i64..11).prop_map(Value::from);
    let prior = proptest::option::of(prop_oneof![value(), near]);
    let options = (prior, proptest::option::of(confidence), any::<bool>(), any::<bool>());
    (base, options, any::<bool>()).prop_map(|(base, (prior, confidence, log, fidelity), own)| {
        let mut parameter = if log { base.log() } else { base };
        if let Some(confidence) = confidence {
            parameter = parameter.prior_confidence(confidence);
        }
        // One of its own values, often: another is refused.
        let own = own.then(|| parameter.domain().from_unit(0.3));
        if let Some(prior) = prior.map(|prior| own.unwrap_or(prior)) {
            parameter = parameter.prior(prior);
        }
        if fidelity { parameter.fidelity() } else { parameter }
    })
}

fn sound() -> impl Strategy<Value = Parameter> {
    prop_oneof![
        Just(Parameter::categorical(["a", "b", "c"])),
        Just(Parameter::categorical([true, false])),
        Just(Parameter::ordinal([1, 2, 4])),
        Just(Parameter::int(1, 3)),
        Just(Parameter::float(0.0, 1.0).step(0.5)),
        Just(Parameter::float(0.0, 1.0)),
        Just(Parameter::constant("only")),
    ]
}

type Conditions = Vec<(usize, Vec<f64>)>;

/// Some parameters, each of which may wait for some of the others.
fn conditional_space() -> impl Strategy<Value = Vec<(String, Parameter)>> {
    let condition = (0..6usize, vec(0.0..1.0f64, 1..3));
    let conditions = vec(condition, 0..2);
    vec((sound(), conditions), 2..6).prop_map(|list| {
        let parameters: Vec<Parameter> =
            list.iter().map(|(parameter, _)| parameter.clone()).collect();
        let with = |(at, (mut parameter, conditions)): (usize, (Parameter, Conditions))| {
            for (other, units) in conditions {
                let other = other % (parameters.len() + 1);
                let value = |unit: f64| match parameters.get(other) {
                    Some(other) => other.domain().from_unit(unit),
                    None => Value::Null,
                };
                parameter = parameter.when(format!("p{other}"), units.into_iter().map(value));
            }
            (format!("p{at}"), parameter)
        };
        list.into_iter().enumerate().map(with).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    /// Whatever is drawn has just what its conditions say, in the study, in the next process and from
    /// whoever gives values to all parameters; and one too few or too many is refused.
    #[test]
    fn a_configuration_has_the_parameters_whose_conditions_hold(
        parameters in conditional_space(), units in vec(0.0..1.0f64, 6..=6),
    ) {
        let Ok(space) = SearchSpace::new(parameters) else { return Ok(()) };
        let json: Json = serde_json::from_str(&space.to_json().to_string()).unwrap();
        prop_assert_eq!(&SearchSpace::from_stored(&json).unwrap(), &space);
        let mut unit = units.iter();
        let config = space.config(|(_, p)| p.domain().from_unit(*unit.next().unwrap()));
        let one_by_one = space.config_of_active(|at, p| p.domain().from_unit(units[at]));
        prop_assert_eq!(&config, &one_by_one);
        prop_assert!(space.check(&config).is_ok(), "{:?}", space.check(&config));
        for (name, parameter) in space.iter() {
            let holds = parameter.conditions().iter().all(|c| {
                config.get(&c.parameter).is_some_and(|value| c.values.contains(value))
            });
            prop_assert_eq!(config.get(name).is_some(), holds, "{}", name);
        }
        let text = serde_json::to_string(&config).unwrap();
        let again: Config = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(&again, &config);
        prop_assert!(space.check(&again).is_ok());
        // Without one that is there, or with one that is not.
        let mut map: serde_json::Map<String, Json> = serde_json::from_str(&text).unwrap();
        for (at, (name, parameter)) in space.iter().enumerate() {
            let kept = map.clone();
            if map.shift_remove(name).is_none() {
                map.insert(name.into(), json!(parameter.domain().from_unit(units[at])));
            }
            let wrong: Config = serde_json::from_value(map.into()).unwrap();
            prop_assert!(space.check(&wrong).is_err(), "{} without or with {}", text, name);
            map = kept;
        }
    }

    /// Every place of the unit interval is a value, and a value's own place is its own.
    #[test]
    fn the_unit_interval_lies_over_every_domain(parameter in parameter(), unit in 0.0..=1.0f64) {
        let Ok(space) = SearchSpace::new([("x", parameter)]) else { return Ok(()) };
        let domain = space.get("x").unwrap().domain();
        let value = domain.from_unit(unit);
        prop_assert!(domain.contains(&value), "{} {}", domain, value);
        let place = domain.to_unit(&value);
        prop_assert!((0.0..=1.0).contains(&place));
        if domain.cardinality().is_some() {
            prop_assert_eq!(domain.from_unit(place), value.clone(), "{} at {}", domain, place);
        }
        if let Some(x) = value.as_f64().filter(|x| domain.is_number() && x.abs() < 9e15) {
            prop_assert_eq!(domain.nearest(x), value, "{}", domain);
        }
    }

    #[test]
    fn a_space_that_is_not_refused_is_what_is_read_again(
        first in parameter(), second in parameter(), name in text(),
    ) {
        let Ok(space) = SearchSpace::new([(name, first), ("other".into(), second)]) else {
            return Ok(());
        };
        let text = serde_json::to_string(&space.to_json()).unwrap();
        let json: Json = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(&SearchSpace::from_stored(&json).unwrap(), &space, "{}", text);
        prop_assert_eq!(&SearchSpace::from_json(&json).unwrap(), &space, "{}", text);
    }

    /// What a trial evaluates, after the journal: the same, and shown the same.
    #[test]
    fn a_value_of_a_space_is_what_the_next_process_reads(first in parameter(), unit in 0.0..1.0) {
        let Ok(space) = SearchSpace::new([("x", first)]) else { return Ok(()) };
        let config = space.config(|(_, parameter)| parameter.domain().from_unit(unit));
        let text = serde_json::to_string(&config).unwrap();
        let again: Config = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(&again, &config, "{}", text);
        prop_assert_eq!(again.to_string(), config.to_string());
        prop_assert!(space.check(&again).is_ok());
    }

    /// JSON of a caller is shown as it came.
    #[test]
    fn genuine_json_is_handed_out_as_it_came(json in json()) {
        let value = Value::from(json.clone());
        let stored = serde_json::to_string(&value).unwrap();
        let again: Value = serde_json::from_str(&stored).unwrap();
        prop_assert_eq!(&again, &value);
        if json.is_array() || json.is_object() {
            prop_assert_eq!(again.to_string(), json.to_string());
        }
    }
}

/// Each whole number that a float or 64 bits cannot hold, in each place of a space where a number can
/// stand: kept to the digit or refused, never another.
#[test]
fn whole_numbers_are_kept_to_the_digit_or_refused_wherever_they_stand() {
    let numbers = [
        "9007199254740991",
        "9007199254740993",
        "9223372036854775807",
        "9223372036854775808",
        "18446744073709551615",
        "18446744073709551616",
        "1180591620717411303424",
        "123456789012345678901234567890",
    ];
    let numbers: Vec<String> =
        numbers.iter().flat_map(|n| [n.to_string(), format!("-{n}")]).collect();
    for digits in &numbers {
        let number = trialmill_core::notation::whole(digits);
        for space in [
            json!({"x": {"choices": [number, 1]}}),
            json!({"x": {"value": number}}),
            json!({"x": number}),
            json!({"x": [number, "a"]}),
            json!({"x": {"type": "int", "lower": number, "upper": 5}}),
            json!({"x": {"type": "int", "lower": 5, "upper": number}}),
            json!({"x": {"lower": 5, "upper": number}}),
            json!({"x": [5, number]}),
            json!({"x": {"type": "float", "lower": 5.5, "upper": number}}),
            json!({"x": {"type": "float", "lower": 0, "upper": 1e40, "prior": number}}),
            json!({"x": {"choices": [number, 1], "prior": number}}),
        ] {
            if let Ok(read) = SearchSpace::from_json(&space) {
                let shown = read.get("x").unwrap().domain().to_string();
                let prior =
                    read.get("x").unwrap().prior_value().map(|(prior, _)| prior.to_string());
                let float = format!("{:?}", digits.parse::<f64>().unwrap());
                let exact = float.parse::<f64>().is_ok_and(|x| format!("{x:.0}") == **digits);
                let said = format!("{shown} {}", prior.unwrap_or_default());
                assert!(
                    said.contains(&**digits) || exact && said.contains(&float),
                    "{space}: {said}"
                );
            }
        }
    }
}
