//! The files of the pages, which are in the program.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse};

struct Asset {
    name: &'static str,
    kind: &'static str,
    bytes: &'static [u8],
}

macro_rules! assets {
    ($($name:literal $kind:literal),* $(,)?) => {
        &[$(Asset { name: $name, kind: $kind, bytes: include_bytes!(concat!("../web/", $name)) }),*]
    };
}

const JS: &str = "text/javascript; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SVG: &str = "image/svg+xml";

static ASSETS: &[Asset] = assets![
    "index.html" "html", "study.html" "html", "trial.html" "html", "compare.html" "html",
    "style.css" "css", "icon.svg" "svg",
    "index.js" "js", "study.js" "js", "trial.js" "js", "compare.js" "js",
    "actions.js" "js", "chart.js" "js", "data.js" "js", "dom.js" "js",
    "enqueue.js" "js", "figures.js" "js",
    "lanes.js" "js", "parallel.js" "js", "table.js" "js",
];

/// The file that a request names.
pub(crate) async fn asset(request: HttpRequest) -> HttpResponse {
    let name = request.path().rsplit('/').next().unwrap_or("");
    let name = if name.is_empty() { "index.html" } else { name };
    let Some(asset) = ASSETS.iter().find(|asset| asset.name == name) else {
        return HttpResponse::NotFound().body("there is no such page");
    };
    let kind = match asset.kind {
        "html" => HTML,
        "css" => CSS,
        "svg" => SVG,
        _ => JS,
    };
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, kind))
        // Another version of the program may answer at the same address.
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .body(asset.bytes)
}
