//! What is promised of pickles.

mod gadgets;
mod graph;
mod python;
mod random;
mod samples;
mod speed;

use std::collections::HashMap;

use super::{Item, Pickle, Ref};

/// All pickles of a file, one behind the other.
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

/// Fails unless two graphs are the same: equal items, and the same of them shared.
fn assert_same(a: &Pickle<'_>, b: &Pickle<'_>) {
    let (mut there, mut back) = (HashMap::new(), HashMap::new());
    let mut waiting = vec![(a.root(), b.root())];
    while let Some((left, right)) = waiting.pop() {
        let (one, other) = (a.get(left), b.get(right));
        // Only what can be changed, or told apart by being made once, has an identity.
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

/// An item without its places in the arena.
fn shape(item: &Item<'_>) -> String {
    let mut item = item.clone();
    item.each_ref_mut(|inner| *inner = 0);
    // Debug, as it tells -0.0 from 0.0 and a NaN is itself.
    format!("{item:?}")
}

/// Every item that the root leads to.
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
