//! The map as seen through a coordinator's admin API: for agents and gateways that reach no metadata store themselves.
//!
//! Reads only. Tables come from any coordinator, and may be of a moment ago; a move is what the store says at the moment of asking, or
//! nothing. **One that does not answer is passed over**: each question goes to every coordinator once, beginning with the one that answered last.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use ambidex_core::shard::records::{Move, MoveId};
use ambidex_wire::shard::table::{MoveNow, TableText};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::HeaderValue;
use hyper::{Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;

/// What says the token at the moment; none: none is shown.
type TokenOf = Box<dyn Fn() -> Result<Option<String>, String> + Send + Sync>;

/// Asks coordinators. To be used within a runtime.
pub struct ThroughCoordinator {
    /// Host and port of each admin API.
    authorities: Vec<String>,
    token: TokenOf,
    /// Which one answered last.
    at: AtomicUsize,
}

/// Why none of them says it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no coordinator says {what}: {why}")]
pub struct ThroughError {
    what: String,
    why: String,
}

/// An address that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no coordinator's admin API: write http://HOST:PORT")]
pub struct CoordinatorUrlError(String);

#[derive(Deserialize)]
struct Refused {
    error: String,
}

impl fmt::Debug for ThroughCoordinator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThroughCoordinator").field("authorities", &self.authorities).finish_non_exhaustive()
    }
}

impl ThroughCoordinator {
    /// At these URLs, `http://HOST:PORT`, with what says the token of their admin API.
    ///
    /// # Errors
    /// A text that is no such URL.
    pub fn new(
        urls: &[String],
        token: impl Fn() -> Result<Option<String>, String> + Send + Sync + 'static,
    ) -> Result<Self, CoordinatorUrlError> {
        let authority = |url: &String| {
            let rest = url.strip_prefix("http://").unwrap_or_default().trim_end_matches('/');
            let port = rest.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
            let fits = port.is_some() && !rest.contains(|c: char| c.is_control() || "/@ ".contains(c));
            if fits { Ok(rest.to_owned()) } else { Err(CoordinatorUrlError(url.clone())) }
        };
        let authorities = urls.iter().map(authority).collect::<Result<_, _>>()?;
        Ok(Self { authorities, token: Box::new(token), at: AtomicUsize::new(0) })
    }

    /// The table of a keyspace, as it is now.
    ///
    /// # Errors
    /// Nobody has it.
    pub async fn slices(&self, keyspace: &str) -> Result<TableText, ThroughError> {
        self.ask(&format!("/api/v1/keyspaces/{keyspace}/slices"), ANSWERS_WITHIN).await
    }

    /// The table, as soon as it has another revision than this one, or after half a minute as it is.
    ///
    /// # Errors
    /// Nobody has it.
    pub async fn slices_after(&self, keyspace: &str, revision: u64) -> Result<TableText, ThroughError> {
        let path = format!("/api/v1/keyspaces/{keyspace}/slices?after={revision}&wait=30s");
        self.ask(&path, ANSWERS_WITHIN + Duration::from_secs(30)).await
    }

    /// A move as the store has it; none: there is no such move.
    ///
    /// # Errors
    /// Nobody can say, or what is said cannot be read.
    pub async fn move_(&self, keyspace: &str, id: MoveId) -> Result<Option<Move>, ThroughError> {
        let path = format!("/api/v1/keyspaces/{keyspace}/moves/{:016x}", id.0);
        let now: MoveNow = self.ask(&path, ANSWERS_WITHIN).await?;
        let read = now.record.map(|record| record.move_()).transpose();
        read.map_err(|why| ThroughError { what: path, why })
    }

    async fn ask<T: DeserializeOwned>(&self, path: &str, within: Duration) -> Result<T, ThroughError> {
        let mut why = "none is named".to_owned();
        let first = self.at.load(Relaxed);
        for next in 0..self.authorities.len() {
            let at = (first + next) % self.authorities.len();
            let authority = &self.authorities[at];
            let asked = tokio::time::timeout(within, self.answer(authority, path)).await;
            match asked.unwrap_or_else(|_| Err(format!("no answer within {} s", within.as_secs()))) {
                Ok(answer) => {
                    self.at.store(at, Relaxed);
                    return Ok(answer);
                }
                Err(said) => why = format!("{authority}: {said}"),
            }
        }
        Err(ThroughError { what: path.to_owned(), why })
    }

    async fn answer<T: DeserializeOwned>(&self, authority: &str, path: &str) -> Result<T, String> {
        let mut request = Request::get(path).header(header::HOST, authority);
        if let Some(token) = (self.token)()? {
            let mut token = HeaderValue::try_from(format!("Bearer {}", token.trim()))
                .map_err(|_| "the token of the coordinators is no text for a header".to_owned())?;
            token.set_sensitive(true);
            request = request.header(header::AUTHORIZATION, token);
        }
        let request = request.body(Empty::<Bytes>::new()).map_err(|error| error.to_string())?;
        let stream = TcpStream::connect(authority).await.map_err(|error| format!("no connection: {error}"))?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
        tokio::spawn(connection);
        let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MOST_BYTES).collect().await;
        let body = body.map_err(|error| error.to_string())?.to_bytes();
        if status != StatusCode::OK {
            let said = serde_json::from_slice(&body).map_or(String::new(), |Refused { error }| error);
            return Err(format!("{status}: {said}"));
        }
        serde_json::from_slice(&body).map_err(|error| format!("its answer cannot be read: {error}"))
    }
}

/// Source: ours, as long as a store may take and a while.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);
/// The longest answer that is read. Source: 16,384 slices of 170 bytes, and room.
const MOST_BYTES: usize = 16 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_admin_api_is_refused() {
        for url in ["127.0.0.1:9901", "https://a:1", "http://a", "http://user@a:1", "http://a:1/b"] {
            assert!(ThroughCoordinator::new(&[url.to_owned()], || Ok(None)).is_err(), "{url}");
        }
        assert!(ThroughCoordinator::new(&["http://a:1/".to_owned()], || Ok(None)).is_ok());
    }
}
