//! What a page may have done: each goes through the study's own commands, under its lock, as an event in
//! its journal. Nothing happens without the token, and nothing by a `GET`.

use actix_web::http::StatusCode;
use actix_web::{Error, HttpRequest, HttpResponse, web};
use serde::Deserialize;
use serde_json::json;
use trialmill_core::event::check_caller;
use trialmill_core::trial::{State, TrialId};
use trialmill_runtime::{DirectClient, ReportOutcome};

use super::guard::has_token;
use super::shared::{Shared, apart};
use super::studies::Shown;

/// An action on the study `s`.
#[derive(Debug, Deserialize)]
pub(crate) struct Asked {
    s: String,
    #[serde(flatten)]
    action: Action,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
enum Action {
    /// Requeues a trial that a caller holds.
    Release { trial: TrialId },
    /// Requeues trials that failed or crashed; all of them, if none is named.
    Retry { trial: Option<TrialId> },
    /// Adds to the budget.
    Budget { evaluations: Option<u64>, cost: Option<f64> },
}

pub(crate) async fn act(
    request: HttpRequest,
    shared: web::Data<Shared>,
    body: web::Bytes,
) -> Result<HttpResponse, Error> {
    let refused =
        |status: StatusCode, why: String| HttpResponse::build(status).json(json!({ "error": why }));
    if shared.read_only {
        return Ok(refused(
            StatusCode::FORBIDDEN,
            "this server was started with --read-only".into(),
        ));
    }
    if !has_token(&request, &shared.token) {
        let why = "the token is missing or wrong: open the address that `trialmill serve` printed";
        return Ok(refused(StatusCode::UNAUTHORIZED, why.into()));
    }
    let asked: Asked = match serde_json::from_slice(&body) {
        Ok(asked) => asked,
        Err(error) => return Ok(refused(StatusCode::BAD_REQUEST, error.to_string())),
    };
    let done = apart(shared, move |shared| {
        let shown = shared
            .studies
            .get(&asked.s)
            .ok_or((StatusCode::NOT_FOUND, "there is no such study".to_string()))?;
        carry_out(&shown, asked.action).map_err(|why| (StatusCode::CONFLICT, why))
    });
    Ok(match done.await? {
        Ok(said) => HttpResponse::Ok().json(json!({ "done": said })),
        Err((status, why)) => refused(status, why),
    })
}

fn carry_out(shown: &Shown, action: Action) -> Result<String, String> {
    let mut kept = shown.client.lock();
    let result = match kept.take() {
        Some(client) => Ok(client),
        None => DirectClient::open(&shown.path).map_err(|error| error.to_string()),
    };
    let client = result?;
    let done = with(&client, action);
    // A client whose store failed is poisoned: the next action opens another one.
    if done.is_ok() {
        *kept = Some(client);
    }
    done
}

fn with(client: &DirectClient, action: Action) -> Result<String, String> {
    let say = |error: trialmill_core::error::Error| error.to_string();
    match action {
        Action::Release { trial } => {
            let found = client.trial(&trial).map_err(say)?;
            let holder = found.metadata.evaluating_worker_id.as_deref();
            let holder = holder.filter(|_| found.state == State::Evaluating);
            // A worker's command still runs: the next attempt would run beside it.
            if let Some(worker) = holder.filter(|holder| check_caller(holder).is_err()) {
                return Err(format!(
                    "worker {worker} is evaluating trial {trial}, and only it can hand it back"
                ));
            }
            match client.release(&trial, None).map_err(say)? {
                ReportOutcome::Accepted => Ok(format!("trial {trial} waits again")),
                ReportOutcome::Superseded { state, .. } => {
                    Err(format!("trial {trial} is {state} by now"))
                }
            }
        }
        Action::Retry { trial: Some(trial) } => {
            client.retry_trials(std::slice::from_ref(&trial)).map_err(say)?;
            Ok(format!("trial {trial} waits again"))
        }
        Action::Retry { trial: None } => {
            let requeued = client.retry(&[State::Failed, State::Crashed]).map_err(say)?;
            Ok(format!("{} trials wait again", requeued.len()))
        }
        Action::Budget { evaluations, cost } => {
            let (mut policy, ..) = client.optimizer_state().map_err(say)?;
            let budget = &mut policy.budget;
            if evaluations.is_none() && cost.is_none() {
                return Err("a budget of evaluations or of cost has to be named".into());
            }
            if let Some(more) = evaluations {
                let limit = budget.evaluations.ok_or("the evaluations are not limited")?;
                budget.evaluations = Some(limit.saturating_add(more));
            }
            if let Some(more) = cost {
                budget.cost = Some(budget.cost.ok_or("the cost is not limited")? + more);
            }
            client.set_policy(policy).map_err(say)?;
            Ok("the budget is larger".into())
        }
    }
}
