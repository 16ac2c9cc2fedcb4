//! A command with placeholders for the trial's parameters: `train.py --lr {lr} --out {trial_dir}`.

use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::RunningTrial;
use trialmill_core::config::{Config, Value};
use trialmill_core::error::EvaluateError;
use trialmill_core::evaluation::Evaluation;
use trialmill_core::limits::{MAX_ARGUMENT_BYTES, MAX_PLAIN_DIGITS};
use trialmill_core::space::{Domain, SearchSpace};
use trialmill_store::AttemptFiles;

/// What a template may name besides the parameters.
const OWN_NAMES: [&str; 7] =
    ["trial_id", "attempt", "trial_dir", "previous_dir", "config_file", "result_file", "worker"];

/// The command that evaluates a trial: a program and its arguments, each possibly with templates.
#[derive(Debug, Clone, PartialEq)]
pub struct CommandTemplate {
    pieces: Vec<Vec<Piece>>,
    /// Of a space that is not known here a template may name anything, and each trial has to have it.
    any_name: bool,
}

#[derive(Debug, Clone, PartialEq)]
enum Piece {
    Text(String),
    Name(String),
}

impl CommandTemplate {
    /// Reads a command; every `{name}` must be a parameter of the space, or one of `trial_id`,
    /// `attempt`, `trial_dir`, `previous_dir`, `config_file`, `result_file`, `worker`. `{{` is a brace.
    ///
    /// # Errors
    /// The command is empty, a template names something unknown, or the program does not exist.
    pub fn new<S: AsRef<str>>(words: &[S], space: &SearchSpace) -> Result<Self, EvaluateError> {
        Self::found_from(words, space, Path::new(""))
    }

    /// The same, with the program looked for where the command will run.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn of(evaluation: &Evaluation, space: &SearchSpace) -> Result<Self, EvaluateError> {
        let directory = evaluation.directory.as_deref().map(Path::new);
        let directory = directory.filter(|directory| directory.is_dir());
        Self::found_from(&evaluation.command, space, directory.unwrap_or(Path::new("")))
    }

    fn found_from<S: AsRef<str>>(
        words: &[S],
        space: &SearchSpace,
        directory: &Path,
    ) -> Result<Self, EvaluateError> {
        let template = Self::parse(words, space);
        if let Some(program) = words.first().map(AsRef::as_ref).filter(|word| !word.is_empty()) {
            find_program(program, directory)?;
        }
        template
    }

    /// The same, without a look for the program.
    pub(super) fn parse<S: AsRef<str>>(
        words: &[S],
        space: &SearchSpace,
    ) -> Result<Self, EvaluateError> {
        let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
        let program = words.first().filter(|word| !word.is_empty());
        program.ok_or(EvaluateError::NoCommand)?;
        let pieces: Result<Vec<_>, _> = words.iter().map(|word| pieces(word, space)).collect();
        let pieces: Vec<Vec<Piece>> = pieces?;
        for (name, parameter) in space.iter() {
            let values = match parameter.domain() {
                Domain::Categorical { choices, .. } => choices.as_slice(),
                Domain::Constant { value } => std::slice::from_ref(value),
                _ => &[],
            };
            // Each trial with it would crash.
            if let Some(value) = values.iter().map(ToString::to_string).find(|v| v.contains('\0')) {
                return Err(EvaluateError::Zero { parameter: name.into(), value });
            }
            let bytes = values.iter().map(|value| shown(value).len()).max().unwrap_or(0);
            let is_named = pieces.iter().flatten().any(|p| *p == Piece::Name(name.into()));
            if is_named && bytes > MAX_ARGUMENT_BYTES {
                return Err(EvaluateError::TooLong { parameter: name.into(), bytes });
            }
        }
        Ok(CommandTemplate { pieces, any_name: space.is_unknown() })
    }

    /// Whether a trial with this configuration has all that the command names. Of a space that is known, that
    /// is so.
    ///
    /// # Errors
    /// It has not.
    pub(crate) fn check_names(&self, config: &Config) -> Result<(), EvaluateError> {
        let words = self.pieces.iter().flatten().filter(|_| self.any_name);
        for piece in words {
            if let Piece::Name(name) = piece
                && config.get(name).is_none()
                && !OWN_NAMES.contains(&name.as_str())
            {
                let known = config.iter().map(|(name, _)| name).chain(OWN_NAMES);
                return Err(EvaluateError::Template {
                    argument: format!("{{{name}}}"),
                    name: name.clone(),
                    known: known.collect::<Vec<_>>().join(", "),
                });
            }
        }
        Ok(())
    }

    /// The words for one trial. A word that names a parameter which the trial does not have is left out,
    /// and so is an option that stands before it alone: of `--momentum {momentum}` both.
    ///
    /// # Errors
    /// Of a space that is not known: the trial does not have what the command names.
    pub(super) fn words(
        &self,
        trial: &RunningTrial,
        files: &AttemptFiles,
    ) -> Result<Vec<OsString>, EvaluateError> {
        self.check_names(trial.config())?;
        let fill = |piece: &Piece| match piece {
            Piece::Text(text) => text.into(),
            Piece::Name(name) => value(name, trial, files),
        };
        let given = |at: usize| match at {
            // The program itself.
            0 => true,
            _ => !self.names_absent(at, trial) && !self.is_option_of_absent(at, trial),
        };
        let words = self.pieces.iter().enumerate().filter(|(at, _)| given(*at));
        Ok(words.map(|(_, pieces)| pieces.iter().map(fill).collect()).collect())
    }

    /// Whether a word names a conditional parameter that this trial does not have.
    fn names_absent(&self, at: usize, trial: &RunningTrial) -> bool {
        self.pieces.get(at).is_some_and(|word| word.iter().any(|piece| is_absent(piece, trial)))
    }

    /// Whether a word is the option, `--momentum`, whose value would be the next word.
    fn is_option_of_absent(&self, at: usize, trial: &RunningTrial) -> bool {
        let is_option = match self.pieces[at].as_slice() {
            [Piece::Text(text)] => text.len() > 1 && text.starts_with('-') && !text.contains('='),
            _ => false,
        };
        let is_value = self.pieces.get(at + 1).is_some_and(|next| match next.as_slice() {
            [Piece::Text(before), name, Piece::Text(behind)] => {
                before.is_empty() && behind.is_empty() && is_absent(name, trial)
            }
            _ => false,
        });
        is_option && is_value
    }
}

/// A value as a command is given it: a number without an exponent where that is not long, because many
/// parsers of arguments take `-1e-05` for an option.
pub(super) fn shown(value: &Value) -> String {
    let text = value.to_string();
    match value {
        Value::Float(x) if x.is_finite() && text.contains(['e', 'E']) => {
            let plain = format!("{x}");
            if plain.len() <= MAX_PLAIN_DIGITS { plain } else { text }
        }
        _ => text,
    }
}

fn is_absent(piece: &Piece, trial: &RunningTrial) -> bool {
    let Piece::Name(name) = piece else { return false };
    trial.config().get(name).is_none() && !OWN_NAMES.contains(&name.as_str())
}

fn value(name: &str, trial: &RunningTrial, files: &AttemptFiles) -> OsString {
    if let Some(value) = trial.config().get(name) {
        return shown(value).into();
    }
    match name {
        "trial_id" => trial.id().to_string().into(),
        "attempt" => trial.attempt().to_string().into(),
        "trial_dir" => files.trial().into(),
        "previous_dir" => trial.previous_dir().map_or_else(OsString::new, Into::into),
        "config_file" => files.config().into(),
        "result_file" => files.result().into(),
        "worker" => trial.worker().to_string().into(),
        _ => OsString::new(),
    }
}

fn pieces(word: &str, space: &SearchSpace) -> Result<Vec<Piece>, EvaluateError> {
    let mut pieces = Vec::new();
    let mut text = String::new();
    let mut rest = word;
    while let Some(at) = rest.find(['{', '}']) {
        text += &rest[..at];
        let (brace, behind) = rest[at..].split_at(1);
        rest = behind;
        if let Some(behind) = rest.strip_prefix(brace) {
            text += brace;
            rest = behind;
            continue;
        }
        let name = (brace == "{").then(|| rest.split_once('}')).flatten();
        match name {
            Some((name, _)) if space.get(name).is_some() && OWN_NAMES.contains(&name) => {
                return Err(EvaluateError::Ambiguous { argument: word.into(), name: name.into() });
            }
            Some((name, behind))
                if space.get(name).is_some()
                    || OWN_NAMES.contains(&name)
                    || (space.is_unknown() && is_name(name)) =>
            {
                pieces.push(Piece::Text(std::mem::take(&mut text)));
                pieces.push(Piece::Name(name.into()));
                rest = behind;
            }
            unknown => {
                let known = space.iter().map(|(name, _)| name).chain(OWN_NAMES);
                return Err(EvaluateError::Template {
                    argument: word.into(),
                    name: unknown.map_or(rest, |(name, _)| name).into(),
                    known: known.collect::<Vec<_>>().join(", "),
                });
            }
        }
    }
    text += rest;
    pieces.push(Piece::Text(text));
    Ok(pieces)
}

/// What a parameter of Python is called.
fn is_name(name: &str) -> bool {
    let is_of_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    !name.is_empty() && name.chars().all(is_of_name)
}

/// Looks for the program now, so that a typo is one error and not a thousand crashed trials.
fn find_program(program: &str, directory: &Path) -> Result<(), EvaluateError> {
    if program.contains('{') {
        return Ok(());
    }
    let can_run =
        |path: &Path| path.metadata().is_ok_and(|data| data.is_file() && data.mode() & 0o111 != 0);
    let found = if program.contains('/') {
        can_run(&directory.join(program))
    } else {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).any(|dir| can_run(&dir.join(program)))
    };
    match found {
        true => Ok(()),
        false => Err(EvaluateError::Program {
            program: program.into(),
            problem: "there is no such executable file".into(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::StudyBuilder;
    use crate::evaluate::StopSignal;
    use trialmill_core::space::Parameter;

    /// A parameter called `trial_id` took the place of the trial's id; a choice with a zero character
    /// crashed each trial that drew it.
    #[test]
    fn what_no_command_could_be_given_is_refused_before_the_first_trial() {
        for own in OWN_NAMES {
            let space = SearchSpace::new([(own, Parameter::int(1, 2))]).unwrap();
            let word = format!("{{{own}}}");
            let error = CommandTemplate::new(&["sh", &word], &space).unwrap_err().to_string();
            assert!(error.contains(own) && error.contains("TRIALMILL_PARAM_"), "{error}");
            assert!(CommandTemplate::new(&["sh", "x"], &space).is_ok());
        }
        // No study begins with such a space any more; one that did is opened.
        let stored = serde_json::json!({"x": {"choices": ["a\u{0}b", "c"]}});
        let space = SearchSpace::from_stored(&stored).unwrap();
        let error = CommandTemplate::new(&["sh"], &space).unwrap_err().to_string();
        assert!(error.contains("'x'"), "{error}");
    }

    #[test]
    fn a_template_names_parameters_and_files_and_nothing_else() {
        let space = SearchSpace::new([("lr", Parameter::float(0.0, 1.0))]).unwrap();
        let text = |text: &str| Piece::Text(text.into());
        let name = |name: &str| Piece::Name(name.into());
        let command =
            CommandTemplate::new(&["sh", "--lr={lr}x", "{{{lr}}}", "{trial_dir}"], &space).unwrap();
        assert_eq!(command.pieces[1], [text("--lr="), name("lr"), text("x")]);
        assert_eq!(command.pieces[2], [text("{"), name("lr"), text("}")]);
        assert_eq!(command.pieces[3], [text(""), name("trial_dir"), text("")]);
        for bad in ["{rate}", "{lr", "lr}", "{}"] {
            let error = CommandTemplate::new(&["sh", bad], &space).unwrap_err().to_string();
            assert!(error.contains(bad) && error.contains("lr, trial_id"), "{error}");
        }
        let nothing: [&str; 0] = [];
        assert!(matches!(CommandTemplate::new(&nothing, &space), Err(EvaluateError::NoCommand)));
        let error = CommandTemplate::new(&["no-such-program"], &space).unwrap_err().to_string();
        assert!(error.contains("no-such-program"), "{error}");
    }

    /// A space of one parameter that has this value always.
    fn constant(value: &str) -> SearchSpace {
        SearchSpace::from_stored(&json!({"x": {"type": "constant", "value": value}})).unwrap()
    }

    #[test]
    fn a_value_that_no_argument_can_hold_is_refused_where_it_is_one() {
        let error = CommandTemplate::new(&["sh"], &constant("a\0b")).unwrap_err();
        assert!(matches!(error, EvaluateError::Zero { .. }), "{error}");
        for (bytes, fits) in [(MAX_ARGUMENT_BYTES, true), (MAX_ARGUMENT_BYTES + 1, false)] {
            let space = constant(&"x".repeat(bytes));
            assert_eq!(CommandTemplate::new(&["sh", "{x}"], &space).is_ok(), fits, "{bytes}");
            assert!(CommandTemplate::new(&["sh", "x"], &space).is_ok(), "no argument has it");
        }
    }

    /// A trial of a space with `lr` and `kind`, its third attempt, in memory.
    fn trial() -> RunningTrial {
        let space = SearchSpace::new([
            ("lr", Parameter::constant(0.5)),
            ("kind", Parameter::constant("sgd")),
        ]);
        let study = StudyBuilder::in_memory().space(space.unwrap()).ctrl_c(false).open().unwrap();
        let handle = study.handle();
        let mut trial = handle.sample(1).unwrap().into_trials().remove(0);
        trial.attempts = 3;
        let stop = Arc::new(StopSignal::default());
        RunningTrial::begin(trial, 4, None, None, None, stop, handle)
    }

    fn words_of(command: &CommandTemplate) -> Result<Vec<String>, EvaluateError> {
        let files = AttemptFiles::of(Path::new("/dir"), 3);
        let words = command.words(&trial(), &files)?;
        Ok(words.into_iter().map(|word| word.into_string().unwrap()).collect())
    }

    /// A program got an option without its value, or lost one that was its own.
    #[test]
    fn what_a_trial_does_not_have_is_left_out_with_its_option_and_nothing_else() {
        let space = SearchSpace::new(
            ["lr", "kind", "absent"].map(|name| (name, Parameter::float(0.0, 1.0))),
        );
        let space = space.unwrap();
        let table: [(&[&str], &[&str]); 14] = [
            (&["--lr", "{lr}", "{kind}-{attempt}"], &["--lr", "0.5", "sgd-3"]),
            (&["{trial_id}", "{worker}", "{trial_dir}", "a"], &["1", "4", "/dir", "a"]),
            (&["--absent", "{absent}", "--last"], &["--last"]),
            (&["-a", "{absent}"], &[]),
            (&["--absent={absent}", "b"], &["b"]),
            (&["{lr}{absent}", "b"], &["b"]),
            (&["--own", "{absent}x", "c"], &["--own", "c"]),
            (&["--own", "x{absent}", "c"], &["--own", "c"]),
            (&["--own=1", "{absent}", "d"], &["--own=1", "d"]),
            (&["own", "{absent}", "e"], &["own", "e"]),
            (&["-", "{absent}", "f"], &["-", "f"]),
            (&["--lr{lr}", "{absent}", "g"], &["--lr0.5", "g"]),
            (&["{absent}", "--own", "{kind}"], &["--own", "sgd"]),
            (&["--own", "1", "{absent}"], &["--own", "1"]),
        ];
        for (words, expected) in table {
            let words = [&["sh"], words].concat();
            let given = words_of(&CommandTemplate::new(&words, &space).unwrap()).unwrap();
            assert_eq!(given[0], "sh");
            assert_eq!(given[1..], *expected, "{words:?}");
        }
        // The program itself is never left out, or its first argument would be one.
        let command = CommandTemplate::new(&["{absent}", "{lr}"], &space).unwrap();
        assert_eq!(words_of(&command).unwrap(), ["", "0.5"]);
        let command = CommandTemplate::new(&["--{kind}", "{absent}"], &space).unwrap();
        assert_eq!(words_of(&command).unwrap(), ["--sgd"]);
    }

    /// NePS's files do not say what the space is: only a trial shows whether it has what the command names.
    #[test]
    fn of_a_space_that_is_unknown_each_trial_must_have_what_the_command_names() {
        let parse = |word: &str| CommandTemplate::new(&["sh", word], &SearchSpace::unknown());
        assert_eq!(words_of(&parse("{lr}, {kind} {trial_id}").unwrap()).unwrap()[1], "0.5, sgd 1");
        for name in ["absent", "a-b", "a.b_1", "ß"] {
            let problem = words_of(&parse(&format!("{{{name}}}")).unwrap()).unwrap_err();
            assert!(problem.to_string().contains(name), "{problem}");
        }
        for bad in ["{}", "{a b}", "{a/b}", "{a"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        // Of one that is known, it is conditional.
        let space = SearchSpace::new([("absent", Parameter::float(0.0, 1.0))]).unwrap();
        let known = CommandTemplate::new(&["sh", "{absent}"], &space).unwrap();
        assert_eq!(words_of(&known).unwrap(), ["sh"]);
    }

    #[test]
    fn only_a_small_number_is_shown_in_another_way() {
        for (value, text) in [
            (Value::Float(1.0), "1.0"),
            (Value::Float(-0.25), "-0.25"),
            (Value::Float(1e-5), "0.00001"),
            (Value::Float(-1e-5), "-0.00001"),
            (Value::Float(1e-300), "1e-300"),
            (Value::Int(7), "7"),
            (Value::from("1e-5"), "1e-5"),
        ] {
            assert_eq!(shown(&value), text);
        }
        assert_eq!(shown(&Value::Float(f64::INFINITY)), Value::Float(f64::INFINITY).to_string());
    }

    /// A script without its x bit was a thousand crashed trials.
    #[test]
    fn a_program_is_a_file_that_may_be_executed() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let space = SearchSpace::new([("lr", Parameter::float(0.0, 1.0))]).unwrap();
        let file = dir.path().join("train.sh");
        std::fs::write(&file, "#!/bin/sh\n").unwrap();
        let check = |path: &Path| CommandTemplate::new(&[path.to_str().unwrap()], &space);
        for (mode, runs) in
            [(0o644, false), (0o755, true), (0o100, true), (0o010, true), (0, false)]
        {
            std::fs::set_permissions(&file, PermissionsExt::from_mode(mode)).unwrap();
            let checked = check(&file);
            assert_eq!(checked.is_ok(), runs, "mode {mode:o}");
            assert!(runs || matches!(checked, Err(EvaluateError::Program { .. })));
        }
        assert!(matches!(check(dir.path()), Err(EvaluateError::Program { .. })), "a directory");
    }
}
