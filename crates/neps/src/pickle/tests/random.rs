//! Random data, read by another library.

use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;
use serde_pickle::{DeOptions, HashableValue, Value, value_from_slice};

use super::super::{Item, Pickle, Ref, read};
use super::*;

fn key() -> impl Strategy<Value = HashableValue> {
    prop_oneof![
        any::<i64>().prop_map(HashableValue::I64),
        ".{0,6}".prop_map(HashableValue::String),
        vec(any::<u8>(), 0..4).prop_map(HashableValue::Bytes),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let plain = prop_oneof![
        Just(Value::None),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::I64),
        (-300_i64..70_000).prop_map(Value::I64),
        proptest::num::f64::NORMAL.prop_map(Value::F64),
        vec(any::<u8>(), 0..300).prop_map(Value::Bytes),
        ".{0,300}".prop_map(Value::String),
        "[ab]{1,5}".prop_map(Value::String),
        btree_set(key(), 0..5).prop_map(Value::Set),
        btree_set(key(), 0..5).prop_map(Value::FrozenSet),
    ];
    plain.prop_recursive(5, 100, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::List),
            vec(inner.clone(), 0..6).prop_map(Value::Tuple),
            btree_map(key(), inner, 0..6).prop_map(Value::Dict),
        ]
    })
}

fn add(pickle: &mut Pickle<'_>, value: &Value) -> Ref {
    let item = match value {
        Value::None => return pickle.none(),
        Value::Bool(value) => return pickle.bool(*value),
        Value::I64(value) => return pickle.int(*value),
        Value::F64(value) => return pickle.float(*value),
        Value::String(value) => return pickle.str(value.clone()),
        Value::Bytes(value) => Item::Bytes(value.clone().into()),
        Value::List(items) => Item::List(items.iter().map(|it| add(pickle, it)).collect()),
        Value::Tuple(items) => Item::Tuple(items.iter().map(|it| add(pickle, it)).collect()),
        Value::Set(items) => Item::Set(items.iter().map(|it| add_key(pickle, it)).collect()),
        Value::FrozenSet(items) => {
            Item::FrozenSet(items.iter().map(|it| add_key(pickle, it)).collect())
        }
        Value::Dict(pairs) => {
            let pairs = pairs.iter().map(|(key, it)| (add_key(pickle, key), add(pickle, it)));
            Item::Dict(pairs.collect())
        }
        other @ Value::Int(_) => panic!("{other:?} is not made here"),
    };
    pickle.add(item)
}

fn add_key(pickle: &mut Pickle<'_>, key: &HashableValue) -> Ref {
    add(pickle, &key.clone().into_value())
}

proptest! {
    #[test]
    fn what_we_write_another_library_reads(value in value()) {
        let mut pickle = Pickle::new();
        let inner = add(&mut pickle, &value);
        // Equal strings are shared, but nothing else: `serde-pickle` cannot read a shared item
        // inside another one. The tests with CPython cover that.
        pickle.set_root(inner);
        let bytes = written(&pickle);
        let seen = value_from_slice(&bytes, DeOptions::new()).unwrap();
        prop_assert_eq!(seen, value);
        assert_same(&pickle, &read(&bytes).unwrap().0);
    }

    #[test]
    fn what_is_shared_twice_over_reads_back_the_same(value in value()) {
        let mut pickle = Pickle::new();
        let inner = add(&mut pickle, &value);
        let root = pickle.add(Item::List(vec![inner, inner]));
        pickle.set_root(root);
        assert_same(&pickle, &read(&written(&pickle)).unwrap().0);
    }
}

/// A shared list contains dicts that share a string. `serde-pickle` takes that for recursive, but
/// CPython reads it.
#[test]
fn a_shared_item_inside_another_one_is_read_by_python() {
    let mut pickle = Pickle::new();
    let (key, text) = (pickle.int(0), pickle.str("bbaa"));
    let dict = pickle.add(Item::Dict(vec![(key, text)]));
    let list = pickle.add(Item::List(vec![dict]));
    let other = pickle.add(Item::Dict(vec![(key, text)]));
    let inner = pickle.add(Item::List(vec![list, other]));
    let root = pickle.add(Item::List(vec![inner, inner]));
    pickle.set_root(root);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), written(&pickle)).unwrap();
    let script = "import pickle, sys\nx = pickle.load(open(sys.argv[1], 'rb'))\n\
                  assert x == [[[{0: 'bbaa'}], {0: 'bbaa'}]] * 2 and x[0] is x[1], x";
    let mut python = std::process::Command::new("python3");
    assert!(python.args(["-c", script]).arg(file.path()).status().unwrap().success());
}
