//! Turns the end of a command into a report.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use serde_json::Value as Json;

use super::output::Output;
use super::result;
use trialmill_core::json;
use trialmill_core::objectives::Objectives;
use trialmill_core::trial::Report;

/// The report of a command that ended by itself.
pub(super) fn judge(status: ExitStatus, output: &Output, objectives: &Objectives) -> Report {
    if let Some(signal) = status.signal() {
        let name = nix::sys::signal::Signal::try_from(signal).map_or("", |signal| signal.as_str());
        let message = format!("the command was killed by signal {signal} {name}");
        return crashed("signal", message.trim_end().into(), output, objectives);
    }
    let code = status.code().unwrap_or(-1);
    if code != 0 {
        let mut message = format!("the command ended with exit code {code}");
        // The end of stderr usually has the reason, and this message is what users see first.
        let stderr = output.stderr();
        let words = stderr.as_deref().and_then(|text| text.lines().next_back());
        if let Some(words) = words {
            message += ": ";
            message.extend(words.trim().chars().take(200));
        }
        return crashed("exit", message, output, objectives);
    }
    let text = output.result_file().unwrap_or_else(|| output.last_line());
    match text.and_then(|text| result::parse(&text, objectives)) {
        Ok(report) => report,
        Err(problem) => with_stderr(Report::crashed("result", problem), output),
    }
}

/// The report of an evaluation that crashed. If it wrote a result before that, the report keeps it:
/// computing it was expensive, and a person may decide that it is good.
pub(super) fn crashed(
    kind: &str,
    mut message: String,
    output: &Output,
    objectives: &Objectives,
) -> Report {
    let written = match output.result_file() {
        Some(text) => text.map(|text| ("written the result", text)),
        None => output.last_line().map(|text| ("printed", text)),
    };
    let found = written.ok().filter(|(_, text)| {
        result::parse(text, objectives).is_ok_and(|report| report.is_success())
    });
    let Some((how, text)) = found else {
        return with_stderr(Report::crashed(kind, message), output);
    };
    let text = text.trim();
    let value = json::read(text).unwrap_or_else(|_| Json::String(text.into()));
    let short: String = text.chars().take(100).collect();
    message += &format!("; it had {how} {short}");
    with_stderr(Report::crashed(kind, message), output).extra("result", value)
}

fn with_stderr(report: Report, output: &Output) -> Report {
    match output.stderr() {
        Some(said) => report.traceback(said),
        None => report,
    }
}
