//! Tests of reading, copying and writing pickles.

mod gadgets;
mod graph;
mod python;
mod random;
mod samples;
mod speed;

use std::collections::HashMap;

use super::{Item, Pickle, Ref};

/// All pickles of a file, one after the other.
fn read_all(mut bytes: &[u8]) -> Vec<Pickle<'_>> {
    let mut pickles = Vec::new();
    while !bytes.is_empty() {
        let (pickle, length) = super::read(bytes).unwrap();
        pickles.push(pickle);
        bytes = &bytes[length..];
    }
    pickles
}

fn written(pickle: &Pickle<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    super::write(pickle, &mut bytes).unwrap();
    bytes
}

/// Fails unless two graphs are the same: equal items, of which the same ones are shared.
fn assert_same(a: &Pickle<'_>, b: &Pickle<'_>) {
    let (mut there, mut back) = (HashMap::new(), HashMap::new());
    let mut waiting = vec![(a.root(), b.root())];
    while let Some((left, right)) = waiting.pop() {
        let (one, other) = (a.get(left), b.get(right));
        // Sharing is compared for mutable items, objects, and whatever refers to other items.
        // Whether a plain immutable value is shared makes no difference to Python.
        let mut inner = [Vec::new(), Vec::new()];
        one.each_ref(|it| inner[0].push(it));
        other.each_ref(|it| inner[1].push(it));
        let has_identity = matches!(one, Item::List(_) | Item::Dict(_) | Item::Set(_))
            || matches!(one, Item::ByteArray(_) | Item::Object(_));
        if has_identity || !inner[0].is_empty() {
            let known = there.insert(left, right).is_some();
            assert_eq!(known, back.insert(right, left).is_some(), "{one:?}, {other:?}");
            assert!(!known || (there[&left], back[&right]) == (right, left), "{one:?}, {other:?}");
            if known {
                continue;
            }
        }
        assert_eq!(shape(one), shape(other));
        assert_eq!(inner[0].len(), inner[1].len());
        waiting.extend(inner[0].iter().copied().zip(inner[1].iter().copied()));
    }
}

/// An item without the indices that it refers to, for comparison.
fn shape(item: &Item<'_>) -> String {
    let mut item = item.clone();
    item.each_ref_mut(|inner| *inner = 0);
    // As debug output, in which -0.0 differs from 0.0 and a NaN equals itself.
    format!("{item:?}")
}

/// Every item that can be reached from the root.
fn reachable(pickle: &Pickle<'_>) -> Vec<Ref> {
    let mut seen = vec![pickle.root()];
    let mut known: std::collections::HashSet<Ref> = seen.iter().copied().collect();
    let mut next = 0;
    while next < seen.len() {
        pickle.get(seen[next]).each_ref(|inner| {
            if known.insert(inner) {
                seen.push(inner);
            }
        });
        next += 1;
    }
    seen
}
