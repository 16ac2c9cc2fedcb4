//! The arena itself, and values that contain themselves.

use super::super::{How, Item, Object, Pickle, Ref, read, write};
use super::*;

fn assert_survives(pickle: &Pickle<'_>) {
    let bytes = written(pickle);
    let (again, length) = read(&bytes).unwrap();
    assert_eq!(length, bytes.len());
    assert_same(pickle, &again);
    let mut copy = Pickle::new();
    let root = copy.copy_from(pickle, pickle.root());
    copy.set_root(root);
    assert_same(pickle, &copy);
}

#[test]
fn places_that_are_not_there_are_none_and_cannot_be_changed() {
    let mut pickle = Pickle::new();
    assert_eq!(pickle.get(Ref::MAX), &Item::None);
    assert!(pickle.get_mut(Ref::MAX).is_none());
    let (none, yes) = (pickle.none(), pickle.bool(true));
    assert!(pickle.get_mut(none).is_none() && pickle.get_mut(yes).is_none());
    let list = pickle.add(Item::List(vec![77, Ref::MAX]));
    pickle.set_root(list);
    let bytes = written(&pickle);
    assert_eq!(bytes, b"\x80\x04](NNe.");
    pickle.set_root(Ref::MAX);
    assert_eq!(written(&pickle), b"\x80\x04N.");
}

#[test]
fn the_last_of_equal_keys_counts_and_all_are_kept() {
    let (pickle, _) = read(b"\x80\x04}(\x8c\x01aK\x01\x8c\x01aK\x02u.").unwrap();
    let value = pickle.field(pickle.root(), "a").unwrap();
    assert_eq!(pickle.get(value), &Item::Int(2));
    assert!(matches!(pickle.get(pickle.root()), Item::Dict(pairs) if pairs.len() == 2));
    assert_survives(&pickle);
}

#[test]
fn what_holds_itself_is_read_copied_and_written() {
    let knots: [&[u8]; 6] = [
        // A list and a dict that contain themselves.
        b"\x80\x04]\x94h\x00a.",
        b"\x80\x04}\x94K\x01h\x00s.",
        // A tuple in a list that the tuple contains, as CPython writes it: completed inside itself.
        b"\x80\x04]\x94h\x00\x85\x94a0h\x01.",
        // The same with five parts.
        b"\x80\x04(]\x94(h\x00K\x01K\x02K\x03K\x04t\x94aK\x01K\x02K\x03K\x041h\x01.",
        // An object whose state is itself.
        b"\x80\x04\x8c\x01m\x8c\x01n\x93)\x81\x94h\x00b.",
        // An object that its own arguments contain.
        b"\x80\x04\x8c\x01m\x8c\x01n\x93]\x94\x8c\x01m\x8c\x01n\x93h\x00\x85R\x94a00h\x01.",
    ];
    for bytes in knots {
        assert_survives(&read(bytes).unwrap().0);
    }
}

/// A tuple of lists, each of which contains the tuple.
fn knot(ways: usize) -> Pickle<'static> {
    let mut pickle = Pickle::new();
    let lists: Vec<_> = (0..ways).map(|_| pickle.add(Item::List(Vec::new()))).collect();
    let tuple = pickle.add(Item::Tuple(lists.clone()));
    for list in lists {
        *pickle.get_mut(list).unwrap() = Item::List(vec![tuple]);
    }
    pickle.set_root(tuple);
    pickle
}

#[test]
fn a_knot_of_a_few_lists_comes_back_and_one_of_many_is_refused() {
    assert_survives(&knot(trialmill_core::limits::MAX_PICKLE_KNOTS));
    assert!(write(&knot(trialmill_core::limits::MAX_PICKLE_KNOTS + 1), &mut Vec::new()).is_err());
}

#[test]
fn any_number_of_knots_side_by_side_come_back() {
    let one = knot(2);
    let mut many = Pickle::new();
    let knots = (0..100).map(|_| many.copy_from(&one, one.root())).collect();
    let root = many.add(Item::List(knots));
    many.set_root(root);
    assert_survives(&many);
}

#[test]
fn every_width_of_a_value_comes_back() {
    let mut pickle = Pickle::new();
    let mut all = Vec::new();
    for shift in 0..64 {
        for near in [-1, 0, 1] {
            let value = (1_i64 << shift).wrapping_add(near);
            all.push(pickle.int(value));
            all.push(pickle.int(value.wrapping_neg()));
        }
    }
    for length in [0, 1, 3, 4, 255, 256, 70_000] {
        let bytes = vec![b'x'; length];
        all.push(pickle.str("ü".repeat(length)));
        all.push(pickle.add(Item::Bytes(bytes.clone().into())));
        all.push(pickle.add(Item::ByteArray(bytes.clone().into())));
        all.push(pickle.add(Item::BigInt([bytes, vec![1; 9]].concat().into())));
        all.push(pickle.add(Item::Surrogates(b"a\xed\xb2\x80".repeat(length + 1).into())));
    }
    all.extend([f64::NAN, -0.0, f64::INFINITY, 5e-324].map(|value| pickle.float(value)));
    for length in [0, 1, 2, 3, 4, 999, 1_000, 1_001, 2_001] {
        let members: Vec<Ref> = (0..length).map(|value| pickle.int(value)).collect();
        let pairs: Vec<_> = members.iter().map(|it| (*it, *it)).collect();
        all.push(pickle.add(Item::Tuple(members.clone())));
        all.push(pickle.add(Item::Set(members.clone())));
        all.push(pickle.add(Item::FrozenSet(members.clone())));
        all.push(pickle.add(Item::Dict(pairs.clone())));
        let class = pickle.global("m", "a.b");
        for how in [How::Reduce, How::New, How::NewKeywords] {
            let args = pickle.add(Item::Tuple(members.clone()));
            let keywords = pickle.add(Item::Dict(pairs.clone()));
            let keywords = (how == How::NewKeywords).then_some(keywords);
            let state = Some(pickle.int(length));
            let (items, pairs) = (members.clone(), pairs.clone());
            let object = Object { how, class, args, keywords, state, items, pairs };
            all.push(pickle.add(Item::Object(Box::new(object))));
        }
    }
    let list = pickle.add(Item::List(all));
    pickle.set_root(list);
    assert_survives(&pickle);
    assert_survives(&pickle.into_owned());
}

#[test]
fn a_pickle_as_deep_as_allowed_is_written_on_a_small_stack() {
    let deepest = trialmill_core::limits::MAX_PICKLE_DEPTH;
    for kind in 0..3 {
        let mut pickle = Pickle::new();
        let mut inner = pickle.none();
        for _ in 0..deepest {
            inner = match kind {
                0 => pickle.add(Item::List(vec![inner, inner])),
                1 => pickle.add(Item::Tuple(vec![inner])),
                _ => pickle.add(Item::Dict(vec![(0, inner), (1, 0)])),
            };
        }
        pickle.set_root(inner);
        assert_survives(&pickle);
        let deeper = pickle.add(Item::List(vec![inner]));
        pickle.set_root(deeper);
        assert!(write(&pickle, &mut Vec::new()).is_err());
    }
}
