//! HAProxy as one who knows it would set it up.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::process::Command;

use tempfile::TempDir;

use super::process::folder_with;
use super::{Coordinator, Doors, Failing, PeerError, Retries, Setup, Upstream};

pub(super) fn command(
    address: SocketAddr,
    balance: &str,
    upstreams: &[Upstream],
    setup: &Setup,
    doors: Option<&Doors>,
    steered: Option<&Coordinator>,
) -> Result<(Command, TempDir), PeerError> {
    let socket = steered.map_or_else(String::new, Coordinator::socket_line);
    let threads = setup.threads;
    let more = doors.map_or_else(String::new, |Doors { http2, tls, certificate }| {
        let pem = certificate.display();
        format!("    bind {http2} proto h2\n    bind {tls} ssl crt {pem} ssl-min-ver TLSv1.3 alpn http/1.1\n")
    });
    let mut text = format!(
        "global
    nbthread {threads}
    maxconn 4000
{socket}defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    timeout http-keep-alive 60s
    option splice-auto
    http-reuse always
frontend clients
    bind {address}
{more}    default_backend workers
backend workers
    balance {balance}
"
    );
    if let Some(Retries { times, patience }) = setup.retries {
        let (millis, on) = (patience.as_millis(), "conn-failure empty-response response-timeout 500 502 503 504");
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "    retries {times}\n    option redispatch 1\n    retry-on {on}\n    timeout server {millis}ms\n"
        );
    }
    let check = match setup.failing {
        Failing::AsShipped => "",
        Failing::LeftOut => {
            text.push_str("    option httpchk GET /\n    timeout check 1s\n    option redispatch 1\n");
            " check inter 2s fall 2 rise 2 slowstart 15s observe layer7 error-limit 10 on-error mark-down"
        }
    };
    for Upstream { name, address, weight } in upstreams {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "    server {name} {address} weight {weight} pool-max-conn -1{check}");
    }
    let (dir, file) = folder_with("haproxy.cfg", &text)?;
    let mut command = Command::new("haproxy");
    command.arg("-db").arg("-f").arg(file);
    Ok((command, dir))
}
