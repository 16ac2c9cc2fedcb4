//! What all requests share.

use std::sync::Arc;

use actix_web::{Error, web};

use super::studies::Studies;

/// What all requests share.
pub(crate) struct Shared {
    pub(crate) studies: Studies,
    pub(crate) token: String,
    pub(crate) read_only: bool,
    pub(crate) allowed_hosts: Vec<String>,
}

/// Runs something that reads files or counts, away from the threads that answer.
pub(crate) async fn apart<R: Send + 'static>(
    shared: web::Data<Shared>,
    work: impl FnOnce(Arc<Shared>) -> R + Send + 'static,
) -> Result<R, Error> {
    let shared = shared.into_inner();
    Ok(web::block(move || work(shared)).await?)
}
