//! `serve`: the pages of studies, for one's own browser.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use trialmill::Error;
use trialmill_dashboard::{Bind, ServeOptions};

use super::print::{not_printed, write};

/// Shows studies in a browser, live: all that are found at and below the folders.
#[derive(Args)]
#[command(after_help = "Examples:\n  trialmill serve runs/\n  \
                        trialmill serve runs/x --read-only --port 9000\n  \
                        trialmill serve runs/ --socket ~/.trialmill.sock   # on a machine that others use, too")]
pub(super) struct Serve {
    /// Studies, or folders with studies in them
    #[arg(value_name = "DIR", default_value = ".")]
    dirs: Vec<PathBuf>,
    /// The port; 0 for any that is free
    #[arg(long, default_value_t = 8765)]
    port: u16,
    /// The address to listen at. Whoever reaches it can read the studies
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST), value_name = "ADDRESS")]
    address: IpAddr,
    /// Listen at a socket file that only you can open, instead of a port
    #[arg(long, value_name = "FILE", conflicts_with_all = ["port", "address"])]
    socket: Option<PathBuf>,
    /// A name under which it may be asked for besides localhost, behind a proxy; may be given several times
    #[arg(long, value_name = "NAME")]
    allow_host: Vec<String>,
    /// Nothing can be changed from the pages
    #[arg(long)]
    read_only: bool,
}

impl Serve {
    pub(super) fn run(self) -> Result<ExitCode, Error> {
        for dir in &self.dirs {
            if !dir.is_dir() {
                return Err(Error::Setting(format!("{} is not a directory", dir.display())));
            }
        }
        let absolute = |path: PathBuf| std::path::absolute(&path).unwrap_or(path);
        let bind = match self.socket.clone() {
            Some(path) => Bind::Socket(absolute(path)),
            None => Bind::Address(SocketAddr::new(self.address, self.port)),
        };
        let options = ServeOptions {
            roots: self.dirs.into_iter().map(absolute).collect(),
            bind: bind.clone(),
            allowed_hosts: self.allow_host,
            read_only: self.read_only,
        };
        trialmill_dashboard::serve(options, |address, token| {
            let host = nix::unistd::gethostname().unwrap_or_default();
            let host = host.to_string_lossy();
            let fragment = token.map(|token| format!("#token={token}")).unwrap_or_default();
            let text = match (&bind, address) {
                (Bind::Socket(path), _) => format!(
                    "listening at {path}\nfrom your own machine:\n  ssh -L 8765:{path} {host}\nthen open\n  http://127.0.0.1:8765/{fragment}\n",
                    path = path.display()
                ),
                (Bind::Address(_), Some(address)) => {
                    let port = address.port();
                    format!(
                        "open http://127.0.0.1:{port}/{fragment}\nfrom another machine, first:\n  ssh -L {port}:127.0.0.1:{port} {host}\n"
                    )
                }
                (Bind::Address(_), None) => String::new(),
            };
            if let Err(error) = write(&text) {
                not_printed(error);
            }
        })?;
        Ok(ExitCode::SUCCESS)
    }
}
