//! Questions to workers' agents over HTTP/1: the contract of `ambidex_wire::shard::contract`.
//!
//! Connections are kept, a few for each worker; one that broke is not trusted again. **A question is sent once**: whether it was heard when
//! the connection broke, only the worker knows, so core asks again, and the worker knows a repeat by what it names.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ambidex_core::shard::messages::{Message, Reply};
use ambidex_wire::shard::contract::{self, Answer, CONTENT_TYPE};
use ambidex_wire::shard::heat::{self, HeatText};
use ambidex_wire::shard::records::Named;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::HeaderValue;
use hyper::{Method, Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::workers::{AskError, Asked, Heated, Question, Workers};

/// Asks agents at their addresses. To be used within a runtime.
#[derive(Clone, Debug)]
pub struct HttpWorkers(Arc<Inner>);

struct Inner {
    /// What opens the agents' contract, read for each question so that it may change.
    token: Box<dyn Fn() -> Result<String, String> + Send + Sync>,
    idle: Mutex<HashMap<String, Vec<Connection>>>,
}

type Connection = SendRequest<Full<Bytes>>;

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpWorkers").finish_non_exhaustive()
    }
}

impl HttpWorkers {
    /// With what says the token at the moment.
    #[must_use]
    pub fn new(token: impl Fn() -> Result<String, String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(Inner { token: Box::new(token), idle: Mutex::default() }))
    }
}

impl Workers for HttpWorkers {
    fn ask(&self, worker: &Named, question: Question) -> Asked {
        let (inner, worker) = (Arc::clone(&self.0), worker.clone());
        Box::pin(async move {
            let within = patience(&question.message);
            let asked = tokio::time::timeout(within, inner.ask(&worker, question));
            let late = |_| Err(format!("no answer within {} s", within.as_secs()));
            let Named { name, address } = &worker;
            asked.await.unwrap_or_else(late).map_err(|why| AskError { worker: format!("{name} ({address})"), why })
        })
    }

    fn heat(&self, worker: &Named, keyspace: &str) -> Heated {
        let (inner, worker, path) = (Arc::clone(&self.0), worker.clone(), heat::path(keyspace));
        Box::pin(async move {
            let told = tokio::time::timeout(HEAT_WITHIN, inner.heat(&worker, &path)).await;
            let late = |_| Err(format!("no answer within {} s", HEAT_WITHIN.as_secs()));
            let Named { name, address } = &worker;
            told.unwrap_or_else(late).map_err(|why| AskError { worker: format!("{name} ({address})"), why })
        })
    }
}

impl Inner {
    async fn ask(&self, worker: &Named, question: Question) -> Result<Reply, String> {
        let authority = authority(&worker.address)?;
        let path = contract::path(&question.keyspace, question.move_, &question.message);
        let Question { caller, slice, message, .. } = question;
        let body = contract::Question { slice, caller, message }.encode().map_err(|why| why.to_string())?;
        let token = self.shown()?;
        let request = Request::builder()
            .method(Method::POST)
            .uri(path)
            .header(header::HOST, authority)
            .header(header::CONTENT_TYPE, CONTENT_TYPE)
            .header(header::AUTHORIZATION, token)
            .header("ambidex-map", format!("{:016x}", question.map))
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| error.to_string())?;
        let mut connection = self.connection(authority).await?;
        let response = connection.send_request(request).await.map_err(|error| error.to_string())?;
        let status = response.status();
        let body = Limited::new(response.into_body(), contract::MOST_BYTES).collect().await;
        let body = body.map_err(|error| error.to_string())?.to_bytes();
        self.keep(authority, connection);
        match status {
            StatusCode::OK | StatusCode::GONE => {
                let answer = Answer::decode(&body).map_err(|why| format!("its answer {why}"))?;
                if answer.caller == caller { Ok(answer.reply) } else { Err("it answered another question".to_owned()) }
            }
            StatusCode::NO_CONTENT => Err("it is busy with something else of this slice".to_owned()),
            status => {
                let said: String = String::from_utf8_lossy(&body).chars().take(MOST_SAID).collect();
                Err(format!("{status}: {}", said.trim()))
            }
        }
    }

    async fn heat(&self, worker: &Named, path: &str) -> Result<HeatText, String> {
        let authority = authority(&worker.address)?;
        let request = Request::get(path)
            .header(header::HOST, authority)
            .header(header::AUTHORIZATION, self.shown()?)
            .body(Full::default())
            .map_err(|error| error.to_string())?;
        let mut connection = self.connection(authority).await?;
        let response = connection.send_request(request).await.map_err(|error| error.to_string())?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MOST_HEAT).collect().await.map_err(|error| error.to_string())?;
        self.keep(authority, connection);
        let body = body.to_bytes();
        if status == StatusCode::OK {
            return HeatText::decode(&body).map_err(|why| format!("what it says of its heat cannot be read: {why}"));
        }
        let said: String = String::from_utf8_lossy(&body).chars().take(MOST_SAID).collect();
        Err(format!("{status}: {}", said.trim()))
    }

    /// The token, as a request shows it.
    fn shown(&self) -> Result<HeaderValue, String> {
        let mut token = HeaderValue::try_from(format!("Bearer {}", (self.token)()?.trim()))
            .map_err(|_| "the token of the agents' contract is no text for a header".to_owned())?;
        token.set_sensitive(true);
        Ok(token)
    }

    async fn connection(&self, authority: &str) -> Result<Connection, String> {
        while let Some(mut kept) = self.kept(authority) {
            if kept.ready().await.is_ok() {
                return Ok(kept);
            }
        }
        let stream = TcpStream::connect(authority).await.map_err(|error| format!("no connection: {error}"))?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
        tokio::spawn(connection);
        Ok(sender)
    }

    fn kept(&self, authority: &str) -> Option<Connection> {
        self.idle().get_mut(authority).and_then(Vec::pop)
    }

    fn keep(&self, authority: &str, connection: Connection) {
        let mut idle = self.idle();
        if idle.len() >= MOST_WORKERS && !idle.contains_key(authority) {
            // Workers that were are as many as those that are: begin anew.
            idle.clear();
        }
        let kept = idle.entry(authority.to_owned()).or_default();
        if kept.len() < MOST_IDLE {
            kept.push(connection);
        }
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, HashMap<String, Vec<Connection>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Host and port of an agent.
fn authority(address: &str) -> Result<&str, String> {
    let rest = address.strip_prefix("http://").ok_or("only agents at http:// are asked")?;
    Ok(rest.split('/').next().unwrap_or(rest))
}

/// How long an answer may take: longer than core waits, so that core decides.
fn patience(message: &Message) -> Duration {
    match message {
        Message::Offer { .. } | Message::Copy { .. } | Message::Apply { .. } => Duration::from_secs(15),
        Message::Seal { .. } | Message::Verify { .. } | Message::Look => Duration::from_secs(5),
    }
}

/// Idle connections to one worker. Source: ours, two moves, a look and a question for its heat.
const MOST_IDLE: usize = 4;
/// How long an answer about heat may take. Source: ours; it is asked each second.
const HEAT_WITHIN: Duration = Duration::from_secs(2);
/// The longest answer about heat. Source: 1,024 slices of 300 bytes, and room.
const MOST_HEAT: usize = 1 << 20;
/// Workers whose connections are kept. Source: ours.
const MOST_WORKERS: usize = 1_024;
/// What is shown of a refusal. Source: ours.
const MOST_SAID: usize = 300;
