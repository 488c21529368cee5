//! nginx, twice: as a balancer, and as a real worker behind one.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::process::Command;
use std::{fs, io};

use tempfile::TempDir;

use super::process::folder_with;
use super::{Doors, Failing, PeerError, Process, Setup, Upstream, free_port};

pub(super) fn balancer(
    address: SocketAddr,
    balance: &str,
    upstreams: &[Upstream],
    setup: &Setup,
    doors: Option<&Doors>,
) -> Result<(Command, TempDir), PeerError> {
    let mut servers = String::new();
    for Upstream { address, weight, .. } in upstreams {
        // Writing to a String cannot fail.
        let _ = writeln!(servers, "        server {address} weight={weight};");
    }
    // It counts as failed what it would ask another worker for, and leaves out for 10 s (`fail_timeout`) what failed.
    let next = match setup.failing {
        Failing::AsShipped => "error timeout",
        Failing::LeftOut => "error timeout http_500 http_502 http_503 http_504",
    };
    // Several processes each listen for themselves, or one of them would take most connections.
    let listen = if setup.threads > 1 { "backlog=4096 reuseport" } else { "backlog=4096" };
    let more = doors.map_or_else(String::new, |doors| {
        let Doors { http2, tls, certificate } = doors;
        let (chain, key) = (certificate.display(), doors.key());
        format!(
            "        listen {http2} http2 {listen};
        listen {tls} ssl {listen};
        ssl_protocols TLSv1.3;
        ssl_certificate {chain};
        ssl_certificate_key {};
",
            key.display()
        )
    });
    // Several processes share what they know of workers only in a zone.
    let zone = if setup.threads > 1 { "zone workers 1m;\n        " } else { "" };
    let semicolon = if balance.is_empty() { "" } else { ";" };
    let http = format!(
        "    upstream workers {{
        {zone}{balance}{semicolon}
{servers}        keepalive 512;
        keepalive_requests 1000000000;
    }}
    server {{
        listen {address} {listen};
{more}        location / {{
            proxy_pass http://workers;
            proxy_http_version 1.1;
            proxy_set_header Connection \"\";
            proxy_set_header Host $host;
            proxy_buffers 16 64k;
            proxy_max_temp_file_size 0;
            proxy_read_timeout 60s;
            proxy_next_upstream {next};
        }}
    }}
"
    );
    command(&http, setup.threads)
}

/// What a worker of nginx serves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OriginOptions {
    /// Bytes a second for each answer; 0 is no limit. Unlike rates make unlike workers.
    pub limit_rate: u64,
    /// Whether each answer carries a report (`Server-Load`), the same one always.
    pub reports: bool,
}

/// A real worker: nginx with `/` (200 bytes), `/16k` and `/1m`, each answer with `x-worker: NAME`.
#[derive(Debug)]
pub struct Origin {
    /// Where it listens; several addresses are one process.
    pub addresses: Vec<SocketAddr>,
    /// The process.
    pub process: Process,
}

impl Origin {
    /// Starts one process that listens as each of `names`.
    ///
    /// # Errors
    /// nginx is not installed, or does not answer.
    pub fn start(names: &[&str], options: OriginOptions) -> Result<Self, PeerError> {
        let failed = |source: io::Error| PeerError::Start { name: "nginx".into(), source };
        let addresses: Vec<SocketAddr> = names.iter().map(|_| free_port()).collect::<Result<_, _>>().map_err(failed)?;
        let mut http = String::from("    open_file_cache max=16 inactive=600s;\n    open_file_cache_valid 600s;\n");
        for (name, address) in names.iter().zip(&addresses) {
            let _ = http.write_str(&server(name, *address, options));
        }
        let (command, dir) = command(&http, 1)?;
        for (file, bytes) in [("16k", 16 << 10), ("1m", 1 << 20)] {
            fs::write(dir.path().join(file), vec![b'x'; bytes]).map_err(failed)?;
        }
        let mut process = Process::start("nginx", command, dir)?;
        for address in &addresses {
            process.wait_until_it_answers(*address, "/")?;
        }
        Ok(Self { addresses, process })
    }
}

fn server(name: &str, address: SocketAddr, options: OriginOptions) -> String {
    let OriginOptions { limit_rate, reports } = options;
    let report = if reports {
        "        add_header server-load \"in_flight=1, queue=0, p50_ms=0.2, p99_ms=1, err=0, util=0.5, limit=64\" always;\n"
    } else {
        ""
    };
    let body = "x".repeat(200);
    format!(
        "    server {{
        listen {address} backlog=4096;
        add_header x-worker {name} always;
{report}        limit_rate {limit_rate};
        location = / {{ return 200 {body}; }}
        location / {{ root .; default_type application/octet-stream; }}
    }}
"
    )
}

/// nginx as one process, with this within `http { }`.
///
/// # Errors
/// It is not installed, or does not answer on `/` at `address`.
pub(crate) fn nginx_with(http: &str, address: SocketAddr) -> Result<Process, PeerError> {
    let (command, dir) = command(http, 1)?;
    let mut process = Process::start("nginx", command, dir)?;
    process.wait_until_it_answers(address, "/")?;
    Ok(process)
}

/// nginx as one process, or as a master with so many.
fn command(http: &str, processes: u32) -> Result<(Command, TempDir), PeerError> {
    let master = if processes > 1 { "on" } else { "off" };
    let text = format!(
        "daemon off;
master_process {master};
worker_processes {processes};
worker_rlimit_nofile 16000;
error_log stderr crit;
pid nginx.pid;
events {{ worker_connections 12000; multi_accept on; }}
http {{
    access_log off;
    sendfile on;
    tcp_nodelay on;
    keepalive_timeout 60s;
    keepalive_requests 1000000000;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
{http}}}
"
    );
    let (dir, file) = folder_with("nginx.conf", &text)?;
    let mut command = Command::new("nginx");
    command.arg("-p").arg(dir.path()).arg("-e").arg("stderr").arg("-c").arg(file);
    Ok((command, dir))
}
