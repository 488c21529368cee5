//! The publisher for Traefik: it answers Traefik's HTTP provider, which asks again and again for a dynamic configuration.
//!
//! ```text
//! pictures -> services by weight -> document <--GET, each `pollInterval`-- Traefik
//! ```
//! Traefik keeps what it was told last, so nothing has to be put back. It says nothing of its workers this way, nor whether
//! it liked what it was told: who asks is all that is known of it.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ambidex_core::plan::Mode;
use ambidex_core::time::{Mono, Span};
use ambidex_core::view::View;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use self::document::{Services, decided, document, told, unreachable};
use super::urgency::changes;
use super::{Carried, Ports, Publisher};
use crate::clock::Clock;

pub use self::config::{TraefikConfig, TraefikError};

mod config;
mod document;

impl Publisher for TraefikConfig {
    fn kind(&self) -> &'static str {
        "traefik"
    }

    fn target(&self) -> String {
        format!("HTTP provider on {}", self.listen)
    }

    fn mode(&self) -> Mode {
        self.mode
    }

    async fn run(self, ports: Ports) {
        let listen = self.listen;
        let board = Board { clock: ports.clock, shown: Arc::default() };
        let mut desk =
            Desk { config: self, ports, board, services: Services::new(), pending: 0, carried: Carried::default() };
        desk.draw();
        while desk.ports.pictures.has_changed().is_ok() {
            // Whoever asks one that stands by finds nobody, and asks the next.
            if !desk.ports.may_change() {
                desk.tell(None);
                desk.ports.until_may_change().await;
                desk.draw();
            }
            match TcpListener::bind(listen).await {
                Ok(listener) => desk.serve(&listener).await,
                Err(error) => {
                    desk.carried.counts.failures += 1;
                    desk.tell(Some(format!(
                        "nobody can ask: {listen} cannot be listened at: {error}; free it or change `listen`"
                    )));
                    tokio::time::sleep(AGAIN).await;
                }
            }
        }
    }
}

/// What keeps the document as it should be.
struct Desk {
    config: TraefikConfig,
    ports: Ports,
    board: Board,
    /// What is told.
    services: Services,
    /// Changes that nobody has asked for yet.
    pending: u64,
    carried: Carried,
}

/// What those who ask are shown, and when they did.
#[derive(Clone)]
struct Board {
    clock: Clock,
    shown: Arc<Mutex<Shown>>,
}

#[derive(Default)]
struct Shown {
    document: Bytes,
    revision: u64,
    /// When somebody asked last, and what revision that was shown.
    asked: Option<(Mono, u64)>,
}

impl Desk {
    /// Answers whoever asks, and draws each new picture, until there are no more.
    async fn serve(&mut self, listener: &TcpListener) {
        let mut talks = JoinSet::new();
        let mut looks = tokio::time::interval(AGAIN);
        let mut offices = self.ports.offices();
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) if talks.len() < MOST_TALKS => {
                        talks.spawn(talk(stream, self.board.clone()));
                    }
                    // One too many is hung up on; what cannot be accepted comes again.
                    Ok(_) | Err(_) => tokio::time::sleep(BREATH).await,
                },
                Some(_) = talks.join_next(), if !talks.is_empty() => {}
                changed = self.ports.pictures.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    self.draw();
                }
                _ = looks.tick() => {}
                () = async { drop(offices.wait_for(|office| !office.decides()).await) } => return,
            }
            let fault = self.silence();
            self.tell(fault);
        }
    }

    /// Makes the document of the newest picture.
    fn draw(&mut self) {
        let view = Arc::clone(&self.ports.pictures.borrow_and_update());
        self.carried.remarks.clear();
        let mut drawn = Vec::new();
        let mut services = Services::new();
        for (service, pool) in &self.config.services {
            let Some(picture) = view.pools().iter().find(|known| *known.name == **pool) else {
                self.carried.remarks.push(format!("service `{service}` is to have pool `{pool}`, which is not there"));
                continue;
            };
            let before = self.services.get(service);
            let lines = told(picture, self.config.mode, before);
            let nothing = BTreeMap::new();
            drawn.extend(match self.config.mode {
                Mode::Apply => changes(service, before.unwrap_or(&nothing), &lines),
                Mode::Observe => changes(service, &lines, &decided(picture).unwrap_or_else(|| lines.clone())),
            });
            let cannot = |name: &str| format!("{service}: worker {name} is left out: Traefik reaches no Unix sockets");
            self.carried.remarks.extend(unreachable(picture).map(cannot));
            services.insert(Arc::clone(service), lines);
        }
        self.note(&view, drawn);
        self.services = services;
        let text = document(&self.services, self.config.transport.as_deref()).to_string();
        let mut shown = self.board.shown();
        (shown.document, shown.revision) = (text.into(), view.revision);
    }

    fn note(&mut self, view: &View, drawn: Vec<String>) {
        match self.config.mode {
            Mode::Apply => {
                self.pending += drawn.len() as u64;
                if !drawn.is_empty() {
                    self.carried.changes = drawn;
                }
            }
            Mode::Observe => {
                self.carried.changes = drawn;
                self.carried.in_force(view.revision);
            }
        }
    }

    /// What is wrong if nobody asks; who asked has what is shown.
    fn silence(&mut self) -> Option<String> {
        let (asked, newest) = {
            let shown = self.board.shown();
            (shown.asked, shown.revision)
        };
        let listen = self.config.listen;
        let help = format!("`providers: {{http: {{endpoint: \"http://{listen}/\"}}}}` in its static configuration");
        let Some((at, revision)) = asked else { return Some(format!("no Traefik has asked yet: write {help}")) };
        if revision == newest && self.config.mode == Mode::Apply {
            self.carried.counts.changes += std::mem::take(&mut self.pending);
            self.carried.in_force(revision);
        }
        let silent = self.board.clock.now().since(at);
        (silent > SILENT).then(|| format!("no Traefik has asked for {silent}: does it run, and does it have {help}?"))
    }

    fn tell(&mut self, fault: Option<String>) {
        self.carried.fault = fault;
        self.ports.tell(self.carried.clone());
    }
}

impl Board {
    fn shown(&self) -> std::sync::MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, method: &Method) -> Response<Full<Bytes>> {
        if !matches!(*method, Method::GET | Method::HEAD) {
            let mut refused = Response::new(Full::default());
            *refused.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
            return refused;
        }
        let mut shown = self.shown();
        shown.asked = Some((self.clock.now(), shown.revision));
        let mut response = Response::new(Full::new(shown.document.clone()));
        response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
        response
    }
}

/// One connection: few and patient ones only.
async fn talk(stream: TcpStream, board: Board) {
    let service = service_fn(|request: Request<Incoming>| {
        let answer = board.answer(request.method());
        async move { Ok::<_, Infallible>(answer) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(MOST_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection of a Traefik broke");
    }
}

/// Between two looks at who asked, and before an address that could not be had is tried again.
const AGAIN: Duration = Duration::from_secs(1);
/// When descriptors are short, trying at once again would only burn the processor.
const BREATH: Duration = Duration::from_millis(10);
/// After which nobody goes by what is shown. Source: twelve of Traefik's default `pollInterval` of 5 s.
const SILENT: Span = Span::from_secs(60);
/// Source: ours; each Traefik has one connection.
const MOST_TALKS: usize = 64;
/// How long a request's head may take, and a connection may be idle: longer than Traefik's `pollInterval`. Source: ours.
const HEAD_WITHIN: Duration = Duration::from_secs(60);
/// Source: ours; Traefik sends 100 bytes.
const MOST_HEAD_BYTES: usize = 16 << 10;
