//! `plot` and `report`: pictures of a study, and one page with all of them.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use trialmill::Error;
use trialmill_core::error::StoreError;
use trialmill_plot::{Options, Plot, Scene};
use trialmill_store::clock::now_s;
use trialmill_view::Live;
use trialmill_view::figures::Over;

use super::hints::Hinted;
use super::numbers::number_in;
use super::print::{Dir, print, say};

/// Draws a picture of a study.
#[derive(Args)]
#[command(after_help = "Examples:\n  trialmill plot runs/x history -o history.svg\n  \
                        trialmill plot runs/x timeline -o workers.png --width 1400")]
pub(super) struct PlotVerb {
    #[command(flatten)]
    dir: Dir,
    /// history, parallel, slice, importance, pareto, timeline, curves, ecdf or budget
    #[arg(value_name = "PICTURE")]
    plot: Plot,
    /// Where the picture goes: .svg or .png; SVG to stdout if not given, or `-`
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Its width in points: 240 to 20000
    #[arg(long, default_value_t = 900.0, value_name = "POINTS", value_parser = number_in(240.0..=20_000.0))]
    width: f64,
    /// Its height in points: 160 to 20000; a fitting one if not given
    #[arg(long, value_name = "POINTS", value_parser = number_in(160.0..=20_000.0))]
    height: Option<f64>,
    /// Pixels to a point, in a PNG: 0.1 to 20
    #[arg(long, default_value_t = 2.0, value_name = "N", value_parser = number_in(0.1..=20.0))]
    scale: f64,
    /// Which objective, of several: 1 is the first
    #[arg(long, default_value_t = 1, value_name = "K", value_parser = crate::numbers::from_1::<usize>)]
    objective: usize,
    /// What a history is lined up by: number, time or cost
    #[arg(long, default_value = "number", value_name = "AXIS")]
    over: Over,
}

/// Writes everything about a study into one page, to keep or to mail.
#[derive(Args)]
pub(super) struct Report {
    #[command(flatten)]
    dir: Dir,
    /// Where the page goes; stdout if not given, or `-`
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

fn open(dir: &Path) -> Result<Live, Error> {
    let live = Live::open(dir)?;
    if let Some(problem) = live.summary().problem() {
        say(format_args!("trialmill: {}", Hinted(problem)));
    }
    Ok(live)
}

impl PlotVerb {
    pub(super) fn run(self) -> Result<ExitCode, Error> {
        let kind = match self
            .output
            .as_deref()
            .map(|path| path.extension().and_then(|e| e.to_str()))
        {
            _ if self.output.as_deref().is_none_or(is_stdout) => Kind::Svg,
            None | Some(Some("svg")) => Kind::Svg,
            Some(Some("png")) => Kind::Png,
            Some(other) => {
                let problem = format!(
                    "'{}' is no kind of picture that can be written; end the file's name with .svg or .png",
                    other.unwrap_or("")
                );
                return Err(Error::Setting(problem));
            }
        };
        let live = open(&self.dir.dir)?;
        let objectives = trialmill_view::figures::objectives(&live).len();
        if self.objective > objectives {
            let problem =
                format!("there is no objective {}: the study has {objectives}", self.objective);
            return Err(Error::Setting(problem));
        }
        let options = Options {
            width: self.width,
            height: self.height,
            objective: self.objective - 1,
            over: self.over,
            now: now_s(),
        };
        let scene = self.plot.draw(&live, &options).map_err(|why| {
            Error::Setting(format!(
                "{} cannot be drawn of {}: {why}",
                self.plot,
                self.dir.dir.display()
            ))
        })?;
        let bytes = match kind {
            Kind::Svg => trialmill_plot::svg(&scene).into_bytes(),
            Kind::Png => pixels(&scene, self.scale)?,
        };
        write(self.output.as_deref(), &bytes)
    }
}

impl Report {
    pub(super) fn run(self) -> Result<ExitCode, Error> {
        let live = open(&self.dir.dir)?;
        let page = trialmill_plot::report(&live, &Options::at(now_s()));
        write(self.output.as_deref(), page.as_bytes())
    }
}

enum Kind {
    Svg,
    Png,
}

#[cfg(feature = "png")]
fn pixels(scene: &Scene, scale: f64) -> Result<Vec<u8>, Error> {
    trialmill_plot::png(scene, scale).map_err(Error::Setting)
}

#[cfg(not(feature = "png"))]
fn pixels(_: &Scene, _: f64) -> Result<Vec<u8>, Error> {
    Err(Error::Setting(
        "this program was built without PNG; write an .svg, or build it with --features png".into(),
    ))
}

fn is_stdout(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Writes a file by way of a new one, so that nobody sees half of it.
fn write(to: Option<&Path>, bytes: &[u8]) -> Result<ExitCode, Error> {
    let Some(path) = to.filter(|path| !is_stdout(path)) else {
        return Ok(print(&String::from_utf8_lossy(bytes)));
    };
    let failed = StoreError::io("write", path);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = folder.unwrap_or(Path::new(".")).join(format!(".{name}.{}", std::process::id()));
    let written = std::fs::File::create(&beside)
        .and_then(|mut file| file.write_all(bytes))
        .and_then(|()| std::fs::rename(&beside, path));
    if let Err(error) = written {
        let _ = std::fs::remove_file(&beside);
        return Err(failed(error).into());
    }
    Ok(ExitCode::SUCCESS)
}
