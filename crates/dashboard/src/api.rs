//! What the pages ask for. Reading only; each answer is of the study as it is at that moment.

use actix_web::http::{StatusCode, header};
use actix_web::{Error, HttpResponse, web};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use trialmill_core::config::ShownConfig;
use trialmill_core::event::Process;
use trialmill_core::trial::{State, TrialId, Worker, WorkerId};
use trialmill_plot::{Options, Plot};
use trialmill_store::clock::now_s;
use trialmill_view::figures::{
    Axes, BudgetFigure, Curve, Curves, Ecdf, History, Over, Pareto, Range, Timeline, Window,
    errors, importance, objectives,
};
use trialmill_view::{Live, files};

use super::shared::{Shared, apart};
use super::studies::counts;
use super::{columns, events, form, metrics, page_of_trials};

/// Trials that are listed as being evaluated.
const RUNNING: usize = 500;

pub(crate) fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/api/studies", web::get().to(studies))
        .route("/api/study", web::get().to(study))
        .route("/api/events", web::get().to(listen))
        .route("/api/columns", web::get().to(column_bytes))
        .route("/api/places", web::get().to(place_bytes))
        .route("/api/figure", web::get().to(figure))
        .route("/api/picture", web::get().to(picture))
        .route("/api/trials", web::get().to(trials))
        .route("/api/trial", web::get().to(trial))
        .route("/api/form", web::get().to(form))
        .route("/api/log", web::get().to(log))
        .route("/metrics", web::get().to(all_metrics));
}

#[derive(Deserialize)]
struct Of {
    s: String,
}

type Answer = Result<HttpResponse, Error>;
type App = web::Data<Shared>;

/// Why something is not shown.
struct Refusal(StatusCode, String);

fn problem(status: StatusCode, problem: impl std::fmt::Display) -> Refusal {
    Refusal(status, problem.to_string())
}

impl From<Refusal> for HttpResponse {
    fn from(Refusal(status, problem): Refusal) -> Self {
        HttpResponse::build(status).json(json!({ "error": problem }))
    }
}

fn fresh(value: &impl Serialize) -> HttpResponse {
    HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).json(value)
}

/// Looks at the study of a key, away from the threads that answer.
async fn look<R: Send + 'static>(
    app: App,
    key: String,
    look: impl FnOnce(&Live) -> R + Send + 'static,
) -> Result<Result<R, Refusal>, Error> {
    apart(app, move |shared| {
        let Some(shown) = shared.studies.get(&key) else {
            let text = format!("there is no study '{key}' in the folders that are served");
            return Err(problem(StatusCode::NOT_FOUND, text));
        };
        shown.look(look).map_err(|error| problem(StatusCode::SERVICE_UNAVAILABLE, error))
    })
    .await
}

fn either<R: Serialize>(answer: Result<R, Refusal>) -> HttpResponse {
    answer.map_or_else(Into::into, |value| fresh(&value))
}

async fn studies(app: App) -> Answer {
    let read_only = app.read_only;
    let list = apart(app, |shared| {
        shared.studies.list().iter().map(|shown| shown.overview()).collect::<Vec<_>>()
    });
    Ok(fresh(&json!({ "read_only": read_only, "now": now_s(), "studies": list.await? })))
}

async fn study(app: App, of: web::Query<Of>) -> Answer {
    let read_only = app.read_only;
    let key = of.into_inner().s;
    let own = key.clone();
    let found = look(app, key, move |live| whole(live, &own, read_only)).await?;
    Ok(either(found))
}

/// All that a study's page shows beside its figures.
fn whole(live: &Live, key: &str, read_only: bool) -> Json {
    let (study, summary) = (live.study(), live.summary());
    let status = summary.status();
    let now = now_s();
    let evaluating = study.evaluating().take(RUNNING).map(|trial| {
        let worker = trial.metadata.evaluating_worker_id.as_ref();
        let process = worker.and_then(WorkerId::process);
        let host = study.processes().find(|own| Some(own.process) == process);
        json!({
            "id": trial.id,
            "worker": worker.map_or("", |worker| &**worker),
            "host": host.map(|process| &process.host),
            "attempt": trial.attempts,
            "seconds": trial.metadata.time_started.map(|began| (now - began).max(0.0)),
            "lease": study.leases().any(|(own, _)| own.id == trial.id),
        })
    });
    let budget = BudgetFigure::of(live, now);
    let first = live.runs().span();
    let is_asked_to_end = |process: &Process| study.policy().stops(process.process).is_some();
    let stopping = study
        .processes()
        .any(|process| is_asked_to_end(process) && live.directory().is_alive(process));
    json!({
        "key": key,
        "path": live.directory().path(),
        "name": live.directory().path().file_name().map(|name| name.to_string_lossy()),
        "read_only": read_only,
        "shared": live.directory().layout().is_shared(),
        "layout": live.directory().layout().name(),
        "study_id": status.study_id,
        "optimizer": status.optimizer,
        "seed": status.seed,
        "objectives": objectives(live),
        "states": State::ALL.map(State::name),
        "axes": Axes::of(live).list(),
        "trials": status.trials,
        "counts": counts(study),
        "ended": live.runs().ends().len(),
        "best": status.best.as_ref().map(|best| json!({ "id": best.id, "objective": best.objective(), "config": ShownConfig(best.config) })),
        "front": status.front.iter().take(RUNNING).map(|row| row.id).collect::<Vec<_>>(),
        "processes": status.processes,
        "alive": status.processes.iter().filter(|process| process.alive).count(),
        "evaluating": evaluating.collect::<Vec<_>>(),
        "workers": live.runs().lanes().len(),
        "errors": errors(live),
        "budget": budget,
        "policy": study.policy(),
        "stopping": stopping,
        "ended_early": status.ended_early,
        "requeues": status.requeues,
        "claims": status.claims,
        "began": first.map(|(first, _)| first),
        "last": first.map(|(_, last)| last),
        "now": now,
        "version": live.version(),
        "epoch": live.epoch(),
        "problem": status.problem,
    })
}

async fn listen(app: App, of: web::Query<Of>) -> Answer {
    let key = of.into_inner().s;
    let shown = apart(app, move |shared| shared.studies.get(&key)).await?;
    Ok(match shown {
        Some(shown) => events::stream(shown),
        None => problem(StatusCode::NOT_FOUND, "there is no such study").into(),
    })
}

#[derive(Deserialize)]
struct Rows {
    s: String,
    #[serde(default)]
    epoch: u32,
    #[serde(default)]
    from: usize,
    /// Axes, with commas.
    #[serde(default)]
    axes: String,
}

fn bytes(answer: Result<Vec<u8>, Refusal>) -> HttpResponse {
    match answer {
        Ok(bytes) => HttpResponse::Ok()
            .insert_header((header::CONTENT_TYPE, "application/octet-stream"))
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .body(bytes),
        Err(problem) => problem.into(),
    }
}

async fn column_bytes(app: App, rows: web::Query<Rows>) -> Answer {
    let Rows { s, epoch, from, .. } = rows.into_inner();
    Ok(bytes(look(app, s, move |live| columns::columns(live, epoch, from)).await?))
}

async fn place_bytes(app: App, rows: web::Query<Rows>) -> Answer {
    let Rows { s, epoch, from, axes } = rows.into_inner();
    let wanted: Vec<usize> =
        axes.split(',').filter_map(|axis| axis.parse().ok()).take(64).collect();
    Ok(bytes(look(app, s, move |live| columns::places(live, &wanted, epoch, from)).await?))
}

#[derive(Deserialize)]
struct Figure {
    s: String,
    name: String,
    #[serde(default)]
    objective: usize,
    #[serde(default)]
    other: usize,
    #[serde(default)]
    over: String,
    from: Option<f64>,
    to: Option<f64>,
    #[serde(default)]
    columns: usize,
    #[serde(default)]
    n: usize,
}

async fn figure(app: App, asked: web::Query<Figure>) -> Answer {
    let asked = asked.into_inner();
    let key = asked.s.clone();
    let found = look(app, key, move |live| {
        let k = asked.objective;
        Some(match asked.name.as_str() {
            "history" => {
                let over: Over = asked.over.parse().unwrap_or(Over::Number);
                let values = live.runs().ends().objectives.get(k).map_or(&[][..], Vec::as_slice);
                let direction = trialmill_view::figures::objective(live, k).direction;
                json!({
                    "over": over,
                    "label": over.label(),
                    "best": History::best_steps(live, k, over),
                    "range": Range::of(values, direction),
                })
            }
            "importance" => json!(importance(live, k)),
            "ecdf" => json!(Ecdf::of(live, k)),
            "pareto" => {
                let mut pareto = Pareto::of(live, k, asked.other);
                // The page has the points already.
                pareto.points.clear();
                json!(pareto)
            }
            "curves" => json!(Curves::of(live, k, asked.n.clamp(1, 50))),
            "budget" => json!(BudgetFigure::of(live, now_s())),
            "errors" => json!(errors(live)),
            "timeline" => {
                let columns = asked.columns.clamp(50, 4_000);
                json!(Timeline::of(
                    live,
                    Window { from: asked.from, to: asked.to, columns },
                    now_s()
                ))
            }
            _ => return None,
        })
    });
    Ok(match found.await? {
        Ok(Some(figure)) => fresh(&figure),
        Ok(None) => problem(StatusCode::NOT_FOUND, "there is no such figure").into(),
        Err(problem) => problem.into(),
    })
}

#[derive(Deserialize)]
struct Picture {
    s: String,
    name: String,
    #[serde(default)]
    objective: usize,
}

/// A picture as a file to keep: the same as `trialmill plot` writes.
async fn picture(app: App, asked: web::Query<Picture>) -> Answer {
    let Picture { s, name, objective } = asked.into_inner();
    let Ok(plot) = name.parse::<Plot>() else {
        return Ok(problem(StatusCode::NOT_FOUND, "there is no such picture").into());
    };
    let drawn = look(app, s, move |live| {
        let options = Options { objective, ..Options::at(now_s()) };
        plot.draw(live, &options).map(|scene| trialmill_plot::svg(&scene))
    });
    Ok(match drawn.await? {
        Ok(Ok(svg)) => HttpResponse::Ok()
            .insert_header((header::CONTENT_TYPE, "image/svg+xml"))
            .insert_header((
                header::CONTENT_DISPOSITION,
                format!("attachment; filename=\"{plot}.svg\""),
            ))
            .body(svg),
        Ok(Err(why)) => problem(StatusCode::NOT_FOUND, why).into(),
        Err(problem) => problem.into(),
    })
}

async fn trials(app: App, of: web::Query<Of>, asked: web::Query<page_of_trials::Asked>) -> Answer {
    let (key, asked) = (of.into_inner().s, asked.into_inner());
    let page = apart(app, move |shared| {
        let shown = shared.studies.get(&key)?;
        let page = shown.look(|live| page_of_trials::page(&shown.sorted, live, &asked));
        Some(page.map_err(|error| problem(StatusCode::SERVICE_UNAVAILABLE, error)))
    });
    let missing = || problem(StatusCode::NOT_FOUND, "there is no such study").into();
    Ok(page.await?.map_or_else(missing, either))
}

#[derive(Deserialize)]
struct OfTrial {
    s: String,
    #[serde(default)]
    id: String,
    /// Its place among the trials, where the id is not known.
    at: Option<u32>,
    #[serde(default)]
    name: String,
    #[serde(default)]
    from: i64,
}

fn position(live: &Live, asked: &OfTrial) -> Option<u32> {
    let trials = live.study().trials();
    match asked.at {
        Some(at) => Some(at).filter(|at| (*at as usize) < trials.len()),
        None => trials.position(&asked.id.parse::<TrialId>().ok()?),
    }
}

async fn trial(app: App, asked: web::Query<OfTrial>) -> Answer {
    let asked = asked.into_inner();
    let key = asked.s.clone();
    let found = look(app, key, move |live| position(live, &asked).map(|at| one(live, at)));
    Ok(match found.await? {
        Ok(Some(trial)) => fresh(&trial),
        Ok(None) => problem(StatusCode::NOT_FOUND, "there is no such trial").into(),
        Err(problem) => problem.into(),
    })
}

/// All that a trial's page shows.
fn one(live: &Live, at: u32) -> Json {
    let study = live.study();
    let trial = study.trials().at(at);
    let dir = live.directory().trial_path(&trial.id);
    let first = live.runs().span().map_or(0.0, |(first, _)| first);
    let attempts = live.runs().of_trial(at);
    let attempts = attempts.iter().map(|(worker, attempt)| {
        let process = Worker::named(worker).process();
        let stay = live.runs().stays().iter().rfind(|stay| Some(stay.process) == process);
        json!({
            "number": attempt.number,
            "worker": worker,
            "host": stay.map(|stay| &stay.host),
            "start": attempt.start,
            "since": attempt.start - first,
            "end": Some(attempt.end).filter(|end| end.is_finite()),
            "ending": attempt.ending.name(),
        })
    });
    let curve = Curve::of(trial, 0);
    let command = study.evaluation().map(|(_, of)| of.command.clone()).unwrap_or_default();
    let command = command.iter().map(|word| {
        let filled = trial.config.iter().fold(word.clone(), |word, (name, value)| {
            word.replace(&format!("{{{name}}}"), &value.to_string())
        });
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
        match !filled.is_empty() && filled.chars().all(plain) {
            true => filled,
            false => format!("'{}'", filled.replace('\'', "'\\''")),
        }
    });
    let spec = study.definition();
    json!({
        "row": live.summary().row(trial),
        "place": at,
        "previous": at.checked_sub(1).map(|at| &study.trials().at(at).id),
        "next": (at as usize + 1 < study.trials().len()).then(|| &study.trials().at(at + 1).id),
        "objectives": objectives(live),
        "attempts": attempts.collect::<Vec<_>>(),
        "curve": curve,
        "files": files::list(&dir),
        "dir": dir,
        "command": command.collect::<Vec<_>>().join(" "),
        "is_error": trial.state.is_error(),
        "is_lease": study.leases().any(|(own, _)| own.id == trial.id),
        "max_attempts": study.policy().max_attempts,
        "space": spec.space.iter().map(|(name, own)| (name.to_string(), own.domain().to_string())).collect::<Vec<_>>(),
        "now": now_s(),
    })
}

async fn form(app: App, asked: web::Query<OfTrial>) -> Answer {
    let asked = asked.into_inner();
    let id = asked.id.parse::<TrialId>().ok();
    Ok(either(look(app, asked.s, move |live| form::form(live, id.as_ref())).await?))
}

async fn log(app: App, asked: web::Query<OfTrial>) -> Answer {
    let asked = asked.into_inner();
    let key = asked.s.clone();
    let (name, from) = (asked.name.clone(), asked.from);
    let dir = look(app.clone(), key, move |live| {
        let id = &live.study().trials().at(position(live, &asked)?).id;
        Some(live.directory().trial_path(id))
    });
    let dir = match dir.await? {
        Ok(Some(dir)) => dir,
        Ok(None) => return Ok(problem(StatusCode::NOT_FOUND, "there is no such trial").into()),
        Err(problem) => return Ok(problem.into()),
    };
    let read = apart(app, move |_| files::stretch(&dir, &name, from)).await?;
    Ok(match read {
        Ok((bytes, from, length)) => HttpResponse::Ok()
            // Whatever a command wrote, a browser shows it as text.
            .insert_header((header::CONTENT_TYPE, "text/plain; charset=utf-8"))
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .insert_header(("x-from", from.to_string()))
            .insert_header(("x-length", length.to_string()))
            .body(bytes),
        Err(error) => problem(StatusCode::NOT_FOUND, error).into(),
    })
}

async fn all_metrics(app: App) -> Answer {
    let text = apart(app, |shared| metrics::metrics(&shared.studies)).await?;
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8"))
        .body(text))
}
