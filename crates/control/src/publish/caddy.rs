//! The publisher for Caddy: weights and upstreams of `reverse_proxy` handlers, by its admin API.
//!
//! ```text
//! each second   GET /id/app ---> the handler, its ETag ---> moved enough, and not too soon ---> PATCH /id/app, If-Match
//! ```
//! A handler is replaced whole, so that nobody ever goes by old weights for new upstreams; and only as it was read, so that
//! nobody's change is lost. Caddy refuses a configuration that it cannot load and goes on with the old one. Before 2.7 it
//! knows no weights: then upstreams come and go, and that weights do not is told.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ambidex_core::plan::Mode;
use ambidex_core::view::View;
use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::Full;
use serde_json::Value;
use tokio::net::TcpStream;

use self::handler::{Found, Handler, decided};
use super::urgency::{Attempts, Lines, Urgency, changes, urgency};
use super::{Carried, Ports, Publisher};
use crate::clock::duration;
use crate::line::{Answer, Line};

pub use self::config::{CaddyConfig, CaddyError};

mod config;
mod handler;

impl Publisher for CaddyConfig {
    fn kind(&self) -> &'static str {
        "caddy"
    }

    fn target(&self) -> String {
        self.address.to_string()
    }

    fn mode(&self) -> Mode {
        self.mode
    }

    async fn run(self, ports: Ports) {
        let memory = ports.remembered().and_then(|kept| serde_json::from_slice(&kept).ok()).unwrap_or_default();
        let mut keeper = Keeper {
            config: self,
            ports,
            memory,
            weights: true,
            attempts: BTreeMap::new(),
            carried: Carried::default(),
        };
        while keeper.ports.pictures.has_changed().is_ok() {
            keeper.look().await;
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    }
}

/// What was found before the first change, by handler.
type Memory = BTreeMap<String, Found>;

/// What keeps one Caddy as it should be.
struct Keeper {
    config: CaddyConfig,
    ports: Ports,
    memory: Memory,
    /// Whether it knows weights; until it says that it does not.
    weights: bool,
    attempts: BTreeMap<Arc<str>, Attempts<Lines>>,
    carried: Carried,
}

impl Keeper {
    /// Looks once at all handlers, and changes what is not as it should be.
    async fn look(&mut self) {
        let view = Arc::clone(&self.ports.pictures.borrow_and_update());
        self.carried.remarks.clear();
        let (mut faults, mut pending, mut waits) = (Vec::new(), Vec::new(), false);
        for (path, pool) in self.config.handlers.clone() {
            match self.compare(&view, &path, &pool).await {
                Ok(Compared { changes, carried }) => {
                    waits |= !carried;
                    pending.extend(changes);
                }
                Err(why) => {
                    self.carried.counts.failures += 1;
                    faults.push(why);
                }
            }
            faults.extend(self.attempts.get(&path).and_then(Attempts::why));
        }
        if !self.weights {
            self.carried.remarks.push(NO_WEIGHTS.to_owned());
        }
        if !pending.is_empty() || self.config.mode == Mode::Observe {
            self.carried.changes = pending;
        }
        if faults.is_empty() && !waits {
            self.carried.in_force(view.revision);
        }
        self.carried.fault = (!faults.is_empty()).then(|| faults.join("; "));
        self.ports.tell(self.carried.clone());
    }

    /// Compares one handler with its pool's picture, and changes it if that is worth it.
    async fn compare(&mut self, view: &View, path: &Arc<str>, pool: &str) -> Result<Compared, String> {
        let picture = view.pools().iter().find(|known| *known.name == *pool);
        let picture = picture.ok_or_else(|| format!("handler {path} is to have pool `{pool}`, which is not there"))?;
        let (handler, tag) = match self.config.handler(path).await {
            Ok(read) => read,
            Err(why) => {
                // What comes back may be another Caddy.
                self.weights = true;
                return Err(why);
            }
        };
        let Some(mut wanted) = decided(picture) else {
            let why = "every worker of the pool is out, and Caddy would refuse all requests";
            self.carried.remarks.push(format!("{path} is left as it is: {why}"));
            return Ok(Compared::nothing());
        };
        if !self.weights {
            wanted.values_mut().for_each(|weight| *weight = 1);
        }
        let mut known = handler.lines();
        if !self.weights {
            known.values_mut().for_each(|weight| *weight = 1);
        }
        let changes = changes(path, &known, &wanted);
        let unweighted = if self.weights && !handler.is_weighted() { Urgency::Due } else { Urgency::Not };
        let urgency = urgency(&known, &wanted, self.config.step.get()).max(unweighted);
        let attempts = self.attempts.entry(Arc::clone(path)).or_insert_with(Attempts::none);
        match (self.ports.mode(self.config.mode), urgency) {
            (Mode::Observe, _) => return Ok(Compared { changes, carried: true }),
            (Mode::Apply, Urgency::Not) => {
                attempts.forgive();
                return Ok(Compared::nothing());
            }
            (Mode::Apply, Urgency::Due | Urgency::Now) => {}
        }
        let now = self.ports.clock.now();
        if !attempts.is_time(now, urgency, self.config.every, &wanted) {
            return Ok(Compared { changes: Vec::new(), carried: false });
        }
        let done = self.change(path, &handler, &tag, &wanted).await;
        if done.as_ref().is_err_and(|why| why.contains(UNKNOWN)) {
            self.weights = false;
            return Ok(Compared { changes: Vec::new(), carried: false });
        }
        self.attempts.entry(Arc::clone(path)).or_insert_with(Attempts::none).note(now, wanted, &done);
        match done {
            Ok(()) => {
                self.carried.counts.changes += changes.len() as u64;
                Ok(Compared { changes, carried: true })
            }
            Err(_) => {
                self.carried.counts.failures += 1;
                Ok(Compared { changes: Vec::new(), carried: false })
            }
        }
    }

    /// Has the handler be another, after what was found is kept.
    async fn change(&mut self, path: &str, handler: &Handler, tag: &str, wanted: &Lines) -> Result<(), String> {
        if !self.memory.contains_key(path) {
            let mut memory = self.memory.clone();
            memory.insert(path.to_owned(), handler.found());
            let bytes = serde_json::to_vec(&memory).map_err(|error| error.to_string())?;
            let kept = self.ports.remember(&bytes);
            kept.map_err(|why| format!("nothing is changed, because what was found could not be kept: {why}"))?;
            self.memory = memory;
        }
        self.config.replace(path, &handler.with(wanted, self.weights), tag).await
    }
}

/// What came of one handler.
struct Compared {
    /// What was changed, or would be.
    changes: Vec<String>,
    /// Whether it is as it should be.
    carried: bool,
}

impl Compared {
    const fn nothing() -> Self {
        Self { changes: Vec::new(), carried: true }
    }
}

impl CaddyConfig {
    /// Puts back the handlers as they were found.
    ///
    /// # Errors
    /// What could not be put back, and why.
    pub(crate) async fn release(&self, kept: &[u8]) -> Result<Vec<String>, String> {
        let memory: Memory =
            serde_json::from_slice(kept).map_err(|why| format!("what was kept cannot be read: {why}"))?;
        let mut done = Vec::new();
        for (path, found) in &memory {
            let (handler, tag) = self.handler(path).await?;
            let restored = handler.restored(found);
            if restored != handler {
                self.replace(path, &restored, &tag).await?;
                done.push(format!("{path} has the upstreams and the policy that were found"));
            }
        }
        Ok(done)
    }

    /// A handler, and the tag by which it is known unchanged.
    async fn handler(&self, path: &str) -> Result<(Handler, String), String> {
        let answer = self.ask(self.request(Method::GET, path)?).await?;
        if answer.status != StatusCode::OK {
            return Err(format!("Caddy at {} has no handler {path}: {}", self.address, words(&answer)));
        }
        let handler = Handler::read(&answer.body).map_err(|why| format!("{path} cannot be steered: {why}"))?;
        let tag = answer.headers.get(header::ETAG).and_then(|tag| tag.to_str().ok()).unwrap_or_default();
        Ok((handler, tag.to_owned()))
    }

    /// Replaces a handler that is as `tag` says. Caddy answers once it has loaded it.
    async fn replace(&self, path: &str, handler: &Handler, tag: &str) -> Result<(), String> {
        let mut request = self.request(Method::PATCH, path)?;
        if let Ok(tag) = tag.parse::<header::HeaderValue>()
            && !tag.is_empty()
        {
            request.headers_mut().insert(header::IF_MATCH, tag);
        }
        *request.body_mut() = Full::from(handler.text());
        let answer = self.ask(request).await?;
        match answer.status {
            StatusCode::OK => Ok(()),
            StatusCode::PRECONDITION_FAILED => Err(format!("{path} was changed by somebody else meanwhile")),
            _ => Err(format!("Caddy refused the new {path} and goes on with the old one: {}", words(&answer))),
        }
    }

    fn request(&self, method: Method, path: &str) -> Result<Request<Full<Bytes>>, String> {
        Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, self.address.to_string())
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::USER_AGENT, concat!("ambidex/", env!("CARGO_PKG_VERSION")))
            .body(Full::default())
            .map_err(|error| format!("no request: {error}"))
    }

    async fn ask(&self, request: Request<Full<Bytes>>) -> Result<Answer, String> {
        let at = self.address;
        let asked = async {
            let stream = TcpStream::connect(at).await;
            let stream = stream.map_err(|error| {
                format!(
                    "no connection to Caddy's admin API at {at}: {error}; does Caddy run, and does its `admin` say so?"
                )
            })?;
            let answered = async { Answer::whole(Line::over(stream).await?.ask(request).await?, MOST_BYTES).await };
            answered.await.map_err(|why| format!("Caddy's admin API at {at}: {why}"))
        };
        tokio::time::timeout(duration(self.timeout), asked)
            .await
            .unwrap_or_else(|_| Err(format!("no whole answer from Caddy at {at} within {}", self.timeout)))
    }
}

/// What Caddy says is wrong.
fn words(answer: &Answer) -> String {
    let said = serde_json::from_slice::<Value>(&answer.body).ok();
    let said = said.as_ref().and_then(|said| said.get("error")).and_then(Value::as_str);
    // The end of a long one says what it is about.
    let said: Vec<char> = said.unwrap_or("it gave no reason").chars().collect();
    let end: String = said[said.len().saturating_sub(MOST_WORDS)..].iter().collect();
    format!("status {}: {end}", answer.status.as_u16())
}

/// What Caddy says to a policy that it does not know, before 2.7.
const UNKNOWN: &str = "unknown module: http.reverse_proxy.selection_policies.weighted_round_robin";
const NO_WEIGHTS: &str =
    "this Caddy knows no weights: upstreams come and go, all alike; use Caddy 2.7 or later for weights";
/// Source: the slow loop's tick.
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);
/// Of a handler: 10,000 upstreams have 400 KiB. Source: ours.
const MOST_BYTES: usize = 1 << 20;
/// Of Caddy's words in an error.
const MOST_WORDS: usize = 300;
