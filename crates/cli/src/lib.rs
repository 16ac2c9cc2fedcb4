//! The program's verbs, one to a file; the only code that prints.

mod ask;
mod bench;
mod check;
mod check_neps;
mod clean;
mod completions;
mod convert;
mod create;
mod csv;
mod early;
mod enqueue;
mod evaluated;
mod export;
mod hints;
mod hold;
mod import;
mod input;
mod listing;
mod logs;
mod note;
mod numbers;
mod plot;
mod print;
mod progress;
mod query;
mod run;
mod sample;
#[cfg(feature = "serve")]
mod serve;
mod set;
mod step;
pub mod study_file;
mod summary;
mod tell;
mod terminal;
mod text;
mod until;
#[cfg(feature = "watch")]
mod watch;
mod yaml;

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgAction, CommandFactory, FromArgMatches, Parser, Subcommand};
use trialmill::Error;

use hints::Hinted;
use print::say;

const EXIT_CODES: &str = "\
Exit codes:
   0  done
   1  a listing could not be printed
   2  the command line, the study file or a setting is wrong; nothing was changed
   3  the directory holds something else: no study, or one with another space, optimizer or seed,
      or one that is in use, was written by a newer version, or was moved while it was used
   4  a file operation failed (permission, full disk); what was acknowledged is safe
   5  the journal is damaged; nothing is written to it any more
      (`check` says where, and what can be done)
   6  a lock could not be taken
   7  the study refuses: an unknown trial, or an optimizer that fails
   8  evaluations fail, and the run was to stop for that
   9  nothing can be handed out now (ask)
  10  the attempt was superseded: somebody else has the trial meanwhile (tell, release, progress)
  11  the pruner says that the evaluation should end (progress)
  12  no command could be started here; the trials were handed back
  70  the state was lost; start again
 130  interrupted; the same command resumes";

/// Runs the trials of a hyperparameter optimisation: many workers, one shared state, on disk at
/// every moment. Any number of processes may work in the same directory.
#[derive(Parser)]
#[command(name = "trialmill", version, after_help = EXIT_CODES, max_term_width = 100)]
struct Arguments {
    /// Say more on stderr; twice for everything. RUST_LOG overrides it.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    #[command(subcommand)]
    verb: Verb,
}

/// The verbs' own descriptions are with their arguments: one that stood here would hide theirs.
#[derive(Subcommand)]
enum Verb {
    Run(Box<run::Run>),
    Create(create::Create),
    Worker(run::WorkerVerb),
    Sample(sample::Sample),
    Ask(ask::Ask),
    Progress(step::Progress),
    Tell(tell::Tell),
    Release(tell::Release),
    Retry(tell::Retry),
    Clean(clean::Clean),
    Note(note::Note),
    Set(set::Set),
    Enqueue(enqueue::Enqueue),
    Import(import::Import),
    Pause(hold::Pause),
    Resume(hold::Resume),
    Stop(hold::Stop),
    /// Shows the status of a study
    Status(query::Query),
    /// Shows the best trial, or with several objectives the Pareto front
    Best(query::Query),
    Trials(query::Trials),
    #[cfg(feature = "watch")]
    Watch(watch::Watch),
    Show(logs::Show),
    Logs(logs::Logs),
    #[cfg(feature = "serve")]
    Serve(serve::Serve),
    Plot(plot::PlotVerb),
    Report(plot::Report),
    Summary(summary::SummaryVerb),
    Export(export::Export),
    ImportOptuna(export::ImportOptuna),
    Check(check::Check),
    Convert(convert::Convert),
    Completions(completions::Completions),
    Man(completions::Man),
    /// Measures what this node and this file system can do
    Bench(bench::Bench),
}

/// The command line. `-3` is a number there, of which the flag it is for has something to say.
///
/// # Errors
/// There is nothing to run: it makes no sense, or asks for help, which is printed.
fn arguments() -> Result<Arguments, ExitCode> {
    let command = Arguments::command().mut_subcommands(|verb| {
        verb.mut_args(|arg| match arg.get_action() {
            ArgAction::Set | ArgAction::Append if !arg.is_positional() => {
                arg.allow_negative_numbers(true)
            }
            _ => arg,
        })
    });
    let read = command.try_get_matches().and_then(|matches| Arguments::from_arg_matches(&matches));
    read.map_err(|mut error| {
        // A flag with a typo is no value that was meant for somebody else.
        if error.get(ContextKind::SuggestedArg).is_some() {
            error.remove(ContextKind::Suggested);
        }
        // `worker DIR python3 train.py`: what stands there begins a command.
        let is_word = matches!(
            error.get(ContextKind::InvalidArg),
            Some(ContextValue::String(word)) if !word.starts_with('-')
        );
        if is_word
            && error.kind() == ErrorKind::UnknownArgument
            && error
                .get(ContextKind::Usage)
                .is_some_and(|usage| usage.to_string().contains("-- <COMMAND>"))
        {
            let tip = "the command that evaluates a trial stands behind `--`".into();
            error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip]));
        }
        match error.print() {
            Err(problem) if !error.use_stderr() => print::not_printed(problem),
            // 0 for what was asked for, 2 for what makes no sense.
            _ => ExitCode::from(error.exit_code() as u8),
        }
    })
}

/// Runs the program.
pub fn main() -> ExitCode {
    let arguments = match arguments() {
        Ok(arguments) => arguments,
        Err(code) => return code,
    };
    show_log(arguments.verbose);
    match run(arguments) {
        Ok(code) => code,
        Err(error) => {
            say(format_args!("trialmill: {}", Hinted(&error)));
            ExitCode::from(error.exit_code())
        }
    }
}

fn run(arguments: Arguments) -> Result<ExitCode, Error> {
    match arguments.verb {
        Verb::Run(verb) => verb.run(),
        Verb::Create(verb) => verb.run(),
        Verb::Worker(verb) => verb.run(),
        Verb::Sample(verb) => verb.run(),
        Verb::Ask(verb) => verb.run(),
        Verb::Progress(verb) => verb.run(),
        Verb::Tell(verb) => verb.run(),
        Verb::Release(verb) => verb.run(),
        Verb::Retry(verb) => verb.run(),
        Verb::Clean(verb) => verb.run(),
        Verb::Note(verb) => verb.run(),
        Verb::Set(verb) => verb.run(),
        Verb::Enqueue(verb) => verb.run(),
        Verb::Import(verb) => verb.run(),
        Verb::Pause(verb) => verb.run(),
        Verb::Resume(verb) => verb.run(),
        Verb::Stop(verb) => verb.run(),
        Verb::Status(verb) => verb.status(),
        Verb::Best(verb) => verb.best(),
        Verb::Trials(verb) => verb.run(),
        #[cfg(feature = "watch")]
        Verb::Watch(verb) => verb.run(),
        #[cfg(feature = "serve")]
        Verb::Serve(verb) => verb.run(),
        Verb::Show(verb) => verb.run(),
        Verb::Logs(verb) => verb.run(),
        Verb::Plot(verb) => verb.run(),
        Verb::Report(verb) => verb.run(),
        Verb::Summary(verb) => verb.run(),
        Verb::Export(verb) => verb.run(),
        Verb::ImportOptuna(verb) => verb.run(),
        Verb::Completions(verb) => Ok(verb.run(&mut Arguments::command())),
        Verb::Man(verb) => verb.run(Arguments::command()),
        Verb::Check(verb) => verb.run(),
        Verb::Convert(verb) => verb.run(),
        Verb::Bench(verb) => verb.run(),
    }
}

/// Sends the log to stderr: warnings, and more when asked.
fn show_log(verbose: u8) {
    let level = ["trialmill=warn", "trialmill=info", "trialmill=trace"][verbose.min(2) as usize];
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(level));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .without_time()
        .with_target(false)
        // It would report that with `eprintln!`, which panics when stderr is closed.
        .log_internal_errors(false)
        .init();
}
