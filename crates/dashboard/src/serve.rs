//! The server: where it listens, and what it answers.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::{Next, from_fn};
use actix_web::{App, Error, HttpResponse, HttpServer, web};
use trialmill_core::error::StoreError;

use super::shared::Shared;
use super::studies::Studies;
use super::{actions, api, assets, guard};

/// Threads that answer.
const THREADS: usize = 2;
/// Seconds that open streams get when the server ends.
const SHUTDOWN_SECONDS: u64 = 1;
/// Bytes of an action.
const MOST_BYTES: usize = 64 << 10;

/// Where the server listens.
#[derive(Debug, Clone)]
pub enum Bind {
    /// At an address of this machine.
    Address(SocketAddr),
    /// At a socket file that only this user can open, for machines that others log in to as well.
    Socket(PathBuf),
}

/// How studies are served.
#[derive(Debug, Clone)]
pub struct ServeOptions {
    /// Studies, and folders of studies.
    pub roots: Vec<PathBuf>,
    /// Where.
    pub bind: Bind,
    /// Names beside `localhost` under which it may be asked for, behind a proxy.
    pub allowed_hosts: Vec<String>,
    /// Whether nothing can be changed.
    pub read_only: bool,
}

/// Serves studies until the process is told to end. `ready` is called once it listens, with the address
/// (nothing for a socket file) and the token that actions need (nothing if nothing can be changed).
///
/// # Errors
/// It cannot listen there.
pub fn serve(
    options: ServeOptions,
    ready: impl FnOnce(Option<SocketAddr>, Option<&str>),
) -> Result<(), StoreError> {
    let place = match &options.bind {
        Bind::Address(address) => PathBuf::from(address.to_string()),
        Bind::Socket(path) => path.clone(),
    };
    let shared = web::Data::new(Shared {
        studies: Studies::new(options.roots),
        token: format!("{:032x}", rand::random::<u128>()),
        read_only: options.read_only,
        allowed_hosts: options.allowed_hosts,
    });
    let data = shared.clone();
    let server = move || {
        App::new()
            .app_data(data.clone())
            .app_data(web::PayloadConfig::new(MOST_BYTES))
            .app_data(web::JsonConfig::default().limit(MOST_BYTES))
            .wrap(from_fn(only_known_hosts))
            .wrap(guard::headers())
            .configure(api::routes)
            .route("/api/act", web::post().to(actions::act))
            .default_service(web::get().to(assets::asset))
    };
    let system = actix_web::rt::System::new();
    system
        .block_on(async move {
            let server =
                HttpServer::new(server).workers(THREADS).shutdown_timeout(SHUTDOWN_SECONDS);
            let token = (!shared.read_only).then(|| shared.token.clone());
            match &options.bind {
                Bind::Address(address) => {
                    let server = server.bind(address)?;
                    let at = server.addrs().first().copied();
                    ready(at, token.as_deref());
                    server.run().await
                }
                Bind::Socket(path) => {
                    let (beside, folder) = private_socket(path)?;
                    let server = server.bind_uds(&beside)?;
                    std::fs::set_permissions(&beside, PermissionsExt::from_mode(0o700))?;
                    std::fs::rename(&beside, path)?;
                    let _ = std::fs::remove_dir(folder);
                    ready(None, token.as_deref());
                    let ended = server.run().await;
                    let _ = std::fs::remove_file(path);
                    ended
                }
            }
        })
        .map_err(StoreError::io("listen at", &place))
}

/// Where a socket is made before it gets its name: in a folder that nobody else may enter, so that there
/// is no moment in which others could connect.
fn private_socket(path: &Path) -> std::io::Result<(PathBuf, PathBuf)> {
    use std::os::unix::fs::{DirBuilderExt, FileTypeExt};
    match path.symlink_metadata() {
        Ok(data) if data.file_type().is_socket() => {
            if std::os::unix::net::UnixStream::connect(path).is_ok() {
                let problem = "another server listens there";
                return Err(std::io::Error::new(std::io::ErrorKind::AddrInUse, problem));
            }
        }
        Ok(_) => {
            let problem = "something else is there, and it is not overwritten";
            return Err(std::io::Error::new(std::io::ErrorKind::AlreadyExists, problem));
        }
        Err(_) => {}
    }
    let above =
        path.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = above.join(format!(".web-{}", std::process::id()));
    std::fs::DirBuilder::new().mode(0o700).create(&folder)?;
    Ok((folder.join("s"), folder))
}

async fn only_known_hosts(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let host = request.headers().get("host").and_then(|host| host.to_str().ok());
    let known = request
        .app_data::<web::Data<Shared>>()
        .is_some_and(|shared| guard::is_known_host(host, &shared.allowed_hosts));
    if !known {
        let answer = HttpResponse::MisdirectedRequest().body(
            "this server answers only under the name of its own machine; behind a proxy, name the \
             host with --allow-host\n",
        );
        return Ok(request.into_response(answer).map_into_boxed_body());
    }
    Ok(next.call(request).await?.map_into_boxed_body())
}
