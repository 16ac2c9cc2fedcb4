//! The checks themselves: on small trees in memory, into which a fault was planted.

use super::arrows::{Arrows, Source};
use super::{upward_arrows, upward_crates};

fn tree(files: &[(&str, &str)]) -> Vec<Source> {
    files.iter().map(|(file, code)| ((*file).to_owned(), (*code).to_owned())).collect()
}

/// The files of each circle.
fn circles(files: &[(&str, &str)]) -> Vec<Vec<String>> {
    let circles = Arrows::of(&tree(files)).circles();
    circles.into_iter().map(|circle| circle.files.into_iter().collect()).collect()
}

const LIB: (&str, &str) = ("src/lib.rs", "pub mod a;\nmod b;\npub use a::A;\npub use b::B;\n");

#[test]
fn a_planted_upward_arrow_is_reported() {
    let sound = tree(&[
        ("src/study/mod.rs", "use crate::trial::Trial;\nuse crate::optimizer::Optimizer;\n"),
        ("src/trial/mod.rs", "use crate::config::Config;\n"),
    ]);
    assert_eq!(upward_arrows(&sound), Vec::<String>::new());
    let planted = tree(&[
        ("src/study/mod.rs", "use crate::trial::Trial;\nuse crate::store::Store;\n"),
        ("src/trial/mod.rs", "fn f() {\n    crate::study::decide();\n}\n"),
    ]);
    assert_eq!(
        upward_arrows(&planted),
        ["src/study/mod.rs uses crate::store", "src/trial/mod.rs uses crate::study"]
    );
}

#[test]
fn a_planted_upward_dependency_is_reported() {
    let manifest = "[package]\nname = \"x\"\n\n[dependencies]\ntrialmill-core.workspace = true\n\
                    trialmill-neps = { path = \"../neps\" }\nserde = \"1\"\n\n[dev-dependencies]\n\
                    trialmill-runtime.workspace = true\n";
    assert_eq!(upward_crates("store", manifest), ["store depends on neps"]);
    assert_eq!(upward_crates("layouts", manifest), Vec::<String>::new());
}

#[test]
fn a_planted_circle_is_reported_with_its_arrows() {
    let a = ("src/a.rs", "use crate::b::B;\npub struct A(B);\n");
    assert!(circles(&[LIB, a, ("src/b.rs", "pub struct B;\n")]).is_empty());
    let planted = [LIB, a, ("src/b.rs", "use crate::a::{self, A};\npub struct B(Box<A>);\n")];
    let found = Arrows::of(&tree(&planted)).circles();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].arrows, ["src/a.rs -> src/b.rs", "src/b.rs -> src/a.rs"]);
}

/// A circle does not hide in a path without `use`, behind the root's re-export, or in a longer way.
#[test]
fn a_circle_is_found_whatever_the_way_that_names_take() {
    let b = "pub struct B;\n";
    for a in [
        "fn f() {\n    crate::b::B.go();\n}\n",
        "fn f(_: super::b::B) {}\n",
        "use crate::B;\n",
        "use crate::{\n    d::D,\n    b::{B as Other},\n};\n",
        "use super::b::*;\n",
    ] {
        let back = format!("use crate::c::C;\n{b}");
        let c = ("src/c.rs", "use crate::a::A;\npub struct C;\n");
        let files = [LIB, ("src/a.rs", a), ("src/b.rs", back.as_str()), c];
        let found = circles(&files);
        assert_eq!(found.len(), 1, "{a}");
        assert_eq!(found[0].len(), 3, "{a}");
        let files = [LIB, ("src/a.rs", a), ("src/b.rs", b), c];
        assert!(circles(&files).is_empty(), "{a}");
    }
}

/// A child may use its parent, and what its siblings define by way of the parent: what the parent
/// only re-exports makes no arrow from it.
#[test]
fn a_parent_that_hands_on_its_children_is_in_no_circle_until_it_uses_them() {
    let id = ("src/trial/id.rs", "pub struct Id;\n");
    let list = ("src/trial/list.rs", "use super::{Id, Trial};\npub struct List(Vec<Trial>, Id);\n");
    let parent =
        "mod id;\nmod list;\npub use id::Id;\npub use list::List;\npub struct Trial(Id);\n";
    assert!(circles(&[id, list, ("src/trial/mod.rs", parent)]).is_empty());
    for using in ["fn f(_: List) {}\n", "fn f() {\n    list::of();\n}\n"] {
        let parent = format!("{parent}{using}");
        let found = circles(&[id, list, ("src/trial/mod.rs", &parent)]);
        assert_eq!(found, [["src/trial/list.rs", "src/trial/mod.rs"]]);
    }
}

#[test]
fn a_method_of_a_child_s_name_is_no_arrow_to_it() {
    let child = ("src/space/parse.rs", "use super::Space;\npub fn f(_: Space) {}\n");
    let parent = "mod parse;\npub struct Space;\nfn g(x: &str) {\n    x.parse::<f64>();\n}\n";
    assert!(circles(&[child, ("src/space/mod.rs", parent)]).is_empty());
}
