//! Which file uses which, read from the `use` declarations and the paths of the sources.
//!
//! The rule. A file uses the file in which a name is *defined*: `use super::Trial` in
//! `trial/id.rs` is an arrow to `trial/mod.rs` if `Trial` is defined there, and to
//! `trial/report.rs` if `mod.rs` merely imports or re-exports it from there. So a child may use what
//! its siblings define by way of their parent. A re-export alone is no arrow from `mod.rs` to the
//! child, unless the code of `mod.rs` itself names what it re-exports. `mod child;` is no arrow.

use std::collections::{BTreeMap, BTreeSet};

/// A source file: its path from the root of the package, and its code without comments and tests.
pub(crate) type Source = (String, String);

/// A module: the segments of its path from the crate's root.
type Path = Vec<String>;

struct Import {
    path: Path,
    name: String,
    is_reexport: bool,
}

struct Module {
    file: String,
    imports: Vec<Import>,
    /// The paths in the code itself, and all words of it.
    paths: Vec<Path>,
    words: BTreeSet<String>,
}

/// Arrows from file to file.
pub(crate) struct Arrows(BTreeMap<String, BTreeSet<String>>);

impl Arrows {
    pub(crate) fn of(sources: &[Source]) -> Self {
        let paths: BTreeSet<Path> = sources.iter().map(|(file, _)| module_path(file)).collect();
        let read = |(file, code): &Source| {
            let own = module_path(file);
            (own.clone(), read_module(file, code, &own, &paths))
        };
        let modules: BTreeMap<Path, Module> = sources.iter().map(read).collect();
        let mut arrows = BTreeMap::new();
        for module in modules.values() {
            let imports = module.imports.iter();
            let used = imports.filter(|it| !it.is_reexport || module.words.contains(&it.name));
            let used = used.map(|import| &import.path).chain(&module.paths);
            let mut targets: BTreeSet<String> =
                used.filter_map(|path| home(&modules, path, 0)).collect();
            targets.remove(&module.file);
            arrows.insert(module.file.clone(), targets);
        }
        Arrows(arrows)
    }

    /// The groups of files that use each other in a circle, each with the arrows within it.
    pub(crate) fn circles(&self) -> Vec<Circle> {
        let reach: BTreeMap<&String, BTreeSet<&String>> =
            self.0.keys().map(|file| (file, self.reachable(file))).collect();
        let mut circles: Vec<Circle> = Vec::new();
        for (file, reached) in &reach {
            let is_new = !circles.iter().any(|circle| circle.files.contains(*file));
            if reached.contains(file) && is_new {
                let back = |other: &&&String| reach[**other].contains(file);
                let files: BTreeSet<String> =
                    reached.iter().filter(back).map(|other| (*other).clone()).collect();
                let within = |from: &String| {
                    let to = self.0[from].intersection(&files);
                    to.map(move |to| format!("{from} -> {to}")).collect::<Vec<_>>()
                };
                let arrows = files.iter().flat_map(within).collect();
                circles.push(Circle { files, arrows });
            }
        }
        circles
    }

    fn reachable(&self, from: &String) -> BTreeSet<&String> {
        let mut reached = BTreeSet::new();
        let mut next: Vec<&String> = self.0[from].iter().collect();
        while let Some(file) = next.pop() {
            if reached.insert(file) {
                next.extend(&self.0[file]);
            }
        }
        reached
    }
}

#[derive(Debug)]
pub(crate) struct Circle {
    pub(crate) files: BTreeSet<String>,
    pub(crate) arrows: Vec<String>,
}

/// `src/trial/id.rs` is `trial::id`, `src/trial/mod.rs` is `trial`, and `src/lib.rs` the root.
fn module_path(file: &str) -> Path {
    let path = file.trim_start_matches("src/").trim_end_matches(".rs");
    let mut path: Path = path.split('/').map(str::to_owned).collect();
    if path.last().is_some_and(|last| last == "mod" || last == "lib") {
        path.pop();
    }
    path
}

/// The file in which the name at the end of a path is defined, where that is one of ours.
fn home(modules: &BTreeMap<Path, Module>, path: &[String], depth: usize) -> Option<String> {
    let module = (0..=path.len()).rev().find_map(|len| modules.get(&path[..len]))?;
    let len = module_path(&module.file).len();
    let Some(name) = path.get(len) else { return Some(module.file.clone()) };
    let imported = module.imports.iter().find(|import| import.name == *name);
    match imported.filter(|_| depth < 8) {
        Some(import) => {
            let through: Path = import.path.iter().chain(&path[len + 1..]).cloned().collect();
            home(modules, &through, depth + 1)
        }
        None => Some(module.file.clone()),
    }
}

fn read_module(file: &str, code: &str, own: &Path, modules: &BTreeSet<Path>) -> Module {
    let mut imports = Vec::new();
    let mut body = String::new();
    let mut from = 0;
    while let Some(at) = next_use(code, from) {
        let end = code[at..].find(';').map_or(code.len(), |end| at + end);
        let line = code[..at].rfind('\n').map_or(0, |line| line + 1);
        let is_reexport = code[line..at].trim_start().starts_with("pub");
        body.push_str(&code[from..line]);
        for (path, name) in tree(&code[at + "use ".len()..end]) {
            if let Some(path) = absolute(&path, own, modules) {
                imports.push(Import { path, name, is_reexport });
            }
        }
        from = (end + 1).min(code.len());
    }
    body.push_str(&code[from..]);
    let declares = |line: &&str| line.trim_end().ends_with(';') && line.contains("mod ");
    let lines = body.lines().filter(|line| !declares(line)).map(|line| {
        // `pub(in path)` says who may use this, not what this uses.
        match line.trim_start().strip_prefix("pub(in ").and_then(|rest| rest.split_once(')')) {
            Some((_, rest)) => rest,
            None => line,
        }
    });
    let body = lines.collect::<Vec<_>>().join("\n");
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let words = body.split(|c| !is_part(c)).map(str::to_owned).collect();
    let mut paths = Vec::new();
    for path in body.split(|c| !is_part(c) && c != ':') {
        // What precedes a `::<` is a function or a type, and no module: `text.parse::<f64>()`.
        let path: Path = path.trim_end_matches("::").split("::").map(str::to_owned).collect();
        if path.len() > 1
            && let Some(path) = absolute(&path, own, modules)
        {
            paths.push(path);
        }
    }
    Module { file: file.into(), imports, paths, words }
}

/// Where the next `use` declaration begins.
fn next_use(code: &str, from: usize) -> Option<usize> {
    code[from..].match_indices("use ").map(|(at, _)| from + at).find(|at| {
        let line = code[..*at].rfind('\n').map_or(0, |line| line + 1);
        let before = code[line..*at].trim();
        before.is_empty() || (before.starts_with("pub") && !before.contains("fn"))
    })
}

/// The paths of a `use` tree, each with the name that it brings.
fn tree(tree: &str) -> Vec<(Path, String)> {
    let tree = tree.trim();
    if let Some((prefix, inner)) = tree.split_once('{') {
        let inner = inner.trim_end().trim_end_matches('}');
        let prefix: Path = segments(prefix.trim_end_matches("::"));
        let branches = split_top(inner).into_iter().flat_map(self::tree);
        return branches
            .map(|(path, name)| {
                let is_self = path == ["self"];
                let own = if is_self { &path[1..] } else { &path[..] };
                let path: Path = prefix.iter().chain(own).cloned().collect();
                let name = match is_self && name == "self" {
                    true => path.last().cloned().unwrap_or_default(),
                    false => name,
                };
                (path, name)
            })
            .collect();
    }
    let (path, alias) = match tree.split_once(" as ") {
        Some((path, alias)) => (path, Some(alias.trim().to_owned())),
        None => (tree, None),
    };
    let mut path = segments(path);
    let name = alias.or_else(|| path.last().cloned()).unwrap_or_default();
    if path.last().is_some_and(|last| last == "*") {
        path.pop();
    }
    if path.is_empty() { Vec::new() } else { vec![(path, name)] }
}

fn segments(path: &str) -> Path {
    path.split("::").map(str::trim).filter(|it| !it.is_empty()).map(str::to_owned).collect()
}

/// The parts between the commas that are in no inner braces.
fn split_top(list: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0, 0);
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&list[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&list[start..]);
    parts.into_iter().filter(|part| !part.trim().is_empty()).collect()
}

/// A path from the crate's root; nothing for one into another crate.
fn absolute(path: &[String], own: &Path, modules: &BTreeSet<Path>) -> Option<Path> {
    let mut from = own.clone();
    let mut rest = path;
    match path.first()?.as_str() {
        "crate" => (from, rest) = (Vec::new(), &path[1..]),
        "self" => rest = &path[1..],
        "super" => {
            while rest.first().is_some_and(|first| first == "super") {
                from.pop()?;
                rest = &rest[1..];
            }
        }
        child => {
            from.push(child.to_owned());
            if !modules.contains(&from) {
                return None;
            }
            rest = &path[1..];
        }
    }
    from.extend(rest.iter().cloned());
    Some(from)
}
