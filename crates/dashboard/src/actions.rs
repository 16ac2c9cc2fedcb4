//! What a page may have done: each goes through the study's own commands, under its lock, as an event in
//! its journal. Nothing happens without the token, and nothing by a `GET`.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use serde_json::json;
use trialmill_core::error::Error;
use trialmill_runtime::{Action, DirectClient};

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

pub(crate) async fn act(
    request: HttpRequest,
    shared: web::Data<Shared>,
    body: web::Bytes,
) -> Result<HttpResponse, actix_web::Error> {
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
    let asked: Asked = match asked(&body) {
        Ok(asked) => asked,
        Err(why) => return Ok(refused(StatusCode::BAD_REQUEST, why)),
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

/// Values keep all their digits, as everywhere.
fn asked(body: &[u8]) -> Result<Asked, String> {
    let text = std::str::from_utf8(body).map_err(|error| error.to_string())?;
    serde_json::from_value(trialmill_core::json::read(text)?).map_err(|error| error.to_string())
}

fn carry_out(shown: &Shown, action: Action) -> Result<String, String> {
    let mut kept = shown.client.lock();
    let client = match kept.take() {
        Some(client) => client,
        None => DirectClient::open(&shown.path).map_err(|error| error.to_string())?,
    };
    match client.act(action) {
        Ok(said) => {
            *kept = Some(client);
            Ok(said)
        }
        // A client whose store failed is poisoned: the next action opens another one.
        Err(Error::Store(error)) => Err(error.to_string()),
        Err(refused) => {
            *kept = Some(client);
            Err(refused.to_string())
        }
    }
}
