//! The three proxies, each before origins of its own, set up to pass on as much as they do by default.

use std::fmt::{self, Write as _};
use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;

use ambidex_lab::peer::Process;
use ambidex_lab::{Span, poll};
use tempfile::TempDir;

use crate::lanes::{LANES, bound};
use crate::process::Running;

/// Who is compared with us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Peer {
    Nginx,
    Haproxy,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nginx => "nginx",
            Self::Haproxy => "HAProxy",
        })
    }
}

/// The peers, each with as many listeners as there are lanes.
pub(crate) struct Peers {
    pub(crate) lanes: Vec<[Way; 2]>,
    _processes: [Process; 2],
}

/// A peer's listener, and the origin behind it, which nobody serves yet.
pub(crate) struct Way {
    pub(crate) peer: Peer,
    pub(crate) listen: SocketAddr,
    pub(crate) origin: TcpListener,
}

impl Peers {
    /// Starts both.
    pub(crate) fn start() -> Self {
        // All are held until all are there, so that no port is given out twice.
        let ports = || -> Vec<[TcpListener; 2]> { (0..LANES).map(|_| [bound(), bound()]).collect() };
        let (nginx, haproxy) = (ports(), ports());
        let ways = |peer: Peer, ports: Vec<[TcpListener; 2]>| -> Vec<Way> {
            let way = |[free, origin]: [TcpListener; 2]| (free.local_addr().expect("bound"), origin);
            ports.into_iter().map(way).map(|(listen, origin)| Way { peer, listen, origin }).collect()
        };
        let (nginx, haproxy) = (ways(Peer::Nginx, nginx), ways(Peer::Haproxy, haproxy));
        let processes = [start_nginx(&addresses(&nginx)), start_haproxy(&addresses(&haproxy))];
        Self { lanes: nginx.into_iter().zip(haproxy).map(Into::into).collect(), _processes: processes }
    }
}

fn addresses(ways: &[Way]) -> Vec<(SocketAddr, SocketAddr)> {
    ways.iter().map(|way| (way.listen, way.origin.local_addr().expect("bound"))).collect()
}

/// A gateway before one origin.
/// Nothing is asked twice, no breaker opens: a hostile worker is the only one.
pub(crate) fn ambidex(origin: SocketAddr) -> Running {
    Running::run(&format!(
        "listeners: [{{address: \"127.0.0.1:0\"}}]\nadmin: off\nthreads: 1\nroutes: [{{pool: api, retries: 0}}]\n\
         pools:\n  api:\n    balance: round-robin\n    weights: static\n    breaker: {{consecutive: 1000000, errors: off}}\n    \
         workers: [{{url: \"http://{origin}\", name: a}}]\n"
    ))
}

fn start_nginx(ways: &[(SocketAddr, SocketAddr)]) -> Process {
    let mut servers = String::new();
    for (listen, origin) in ways {
        let _ = writeln!(servers, "server {{ listen {listen}; location / {{ proxy_pass http://{origin}; }} }}");
    }
    let text = format!(
        "daemon off;\nmaster_process off;\nworker_processes 1;\nerror_log stderr crit;\npid nginx.pid;\n\
         events {{ worker_connections 1000; }}\n\
         http {{\naccess_log off;\nclient_body_temp_path body;\nproxy_temp_path proxy;\nfastcgi_temp_path fastcgi;\n\
         uwsgi_temp_path uwsgi;\nscgi_temp_path scgi;\nproxy_http_version 1.1;\nproxy_set_header Host $http_host;\n\
         proxy_next_upstream off;\nkeepalive_requests 1000000;\n{servers}}}\n"
    );
    let dir = folder("nginx.conf", &text);
    let mut command = Command::new("nginx");
    command.arg("-p").arg(dir.path()).args(["-e", "stderr", "-c"]).arg(dir.path().join("nginx.conf"));
    listening(Process::start("nginx", command, dir).expect("nginx starts"), ways)
}

fn start_haproxy(ways: &[(SocketAddr, SocketAddr)]) -> Process {
    let mut text = "global\nnbthread 1\nmaxconn 1000\ndefaults\nmode http\ntimeout connect 60s\ntimeout client 60s\n\
        timeout server 60s\nretries 0\n"
        .to_owned();
    for (number, (listen, origin)) in ways.iter().enumerate() {
        let _ = writeln!(text, "listen lane{number}\nbind {listen}\nserver origin {origin}");
    }
    let dir = folder("haproxy.cfg", &text);
    let mut command = Command::new("haproxy");
    command.args(["-db", "-f"]).arg(dir.path().join("haproxy.cfg"));
    listening(Process::start("haproxy", command, dir).expect("haproxy starts"), ways)
}

fn folder(name: &str, text: &str) -> TempDir {
    let dir = TempDir::new().expect("a folder");
    fs::write(dir.path().join(name), text).expect("written");
    dir
}

fn listening(process: Process, ways: &[(SocketAddr, SocketAddr)]) -> Process {
    let all = || ways.iter().all(|(listen, _)| TcpStream::connect(listen).is_ok());
    assert!(poll(Span::from_secs(150), all), "it does not listen:\n{}{}", process.stdout(), process.stderr());
    process
}
