//! Server-sent events: a page hears that something has happened, and asks for what it shows.

use std::sync::Arc;
use std::time::Duration;

use actix_web::{HttpResponse, web};
use bytes::Bytes;
use futures_util::stream::unfold;
use serde_json::json;
use trialmill_view::Live;

use super::studies::{Shown, counts};

/// How often a study is looked at for one page. Looking is one `stat` while nothing happens.
const POLL: Duration = Duration::from_millis(500);
/// After so many looks without news something is sent, so that a page knows that we are there.
const QUIET: u32 = 20;

/// What a page is told.
fn news(live: &Live) -> (u64, u64, String) {
    let study = live.study();
    let event = json!({
        "version": live.version(),
        "epoch": live.epoch(),
        "ended": live.runs().ends().len(),
        "trials": study.trials().len(),
        "counts": counts(study),
        "best": study.best().and_then(trialmill_core::trial::Trial::objective),
        "problem": live.summary().problem().map(ToString::to_string),
    });
    (live.epoch(), live.version(), event.to_string())
}

/// The stream of one page.
pub(crate) fn stream(shown: Arc<Shown>) -> HttpResponse {
    let events = unfold((shown, None, 0), |(shown, known, mut quiet)| async move {
        loop {
            if known.is_some() {
                tokio::time::sleep(POLL).await;
            }
            let own = Arc::clone(&shown);
            let looked = web::block(move || own.look(news)).await;
            let text = match looked {
                Ok(Ok((epoch, version, text))) => {
                    if known != Some((epoch, version)) {
                        let event = Bytes::from(format!("id: {epoch}.{version}\ndata: {text}\n\n"));
                        return Some((
                            Ok::<_, actix_web::Error>(event),
                            (shown, Some((epoch, version)), 0),
                        ));
                    }
                    None
                }
                Ok(Err(error)) => Some(json!({ "problem": error }).to_string()),
                Err(_) => return None,
            };
            quiet += 1;
            if quiet >= QUIET {
                let event =
                    text.map_or(": still here\n\n".into(), |text| format!("data: {text}\n\n"));
                return Some((Ok(Bytes::from(event)), (shown, known.or(Some((0, 0))), 0)));
            }
            if known.is_none() {
                tokio::time::sleep(POLL).await;
            }
        }
    });
    HttpResponse::Ok()
        .insert_header(("content-type", "text/event-stream"))
        .insert_header(("cache-control", "no-store"))
        // So that a proxy passes each event on at once.
        .insert_header(("x-accel-buffering", "no"))
        .streaming(events)
}
