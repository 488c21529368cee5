//! A client of the admin API, for the commands that ask or change a running gateway.
//!
//! One connection a question, HTTP/1, no TLS: the API listens on loopback unless told otherwise, and then behind
//! something that speaks TLS.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::HeaderValue;
use hyper::{Method, Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};

use crate::env;

/// Where the API is, and what opens it.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    /// Host and port.
    authority: String,
    token: TokenFile,
}

/// Where the token lies.
#[derive(Clone, Debug)]
struct TokenFile(PathBuf);

/// Why the API gave no answer, or not the one wanted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    /// Not a place to connect to.
    #[error("`{0}` is not an admin API: write `http://HOST:PORT` or `HOST:PORT`")]
    Url(String),
    /// Nobody listens.
    #[error("no gateway answers at {at}: is `ambidex run` running? (use --admin URL) [{source}]")]
    NoAnswer {
        /// Where.
        at: String,
        /// What the system said.
        source: io::Error,
    },
    /// It took too long.
    #[error("the gateway at {at} did not answer in {} s", PATIENCE.as_secs())]
    Slow {
        /// Where.
        at: String,
    },
    /// What answered does not speak HTTP.
    #[error("what answers at {at} is not an admin API: {source}")]
    Http {
        /// Where.
        at: String,
        /// What went wrong.
        source: hyper::Error,
    },
    /// An answer that cannot be read.
    #[error("the gateway at {at} answered {path} with what is not understood: {source}")]
    Json {
        /// Where.
        at: String,
        /// What was asked.
        path: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// It refused.
    #[error("{path}: {status}: {message}")]
    Refused {
        /// What was asked.
        path: String,
        /// The status.
        status: StatusCode,
        /// What it said.
        message: String,
    },
    /// There is no token to be had.
    #[error("the token cannot be read from {}: {source} (set AMBIDEX_TOKEN_FILE, or AMBIDEX_DATA as for the gateway)", .file.display())]
    Token {
        /// From where.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The system gives no runtime.
    #[error("cannot start: {0}")]
    Runtime(#[source] io::Error),
}

impl Api {
    /// The API at `admin`, else where the environment says, else at the default address.
    ///
    /// # Errors
    /// A text that names no place.
    pub(crate) fn at(admin: Option<&str>) -> Result<Self, ApiError> {
        let given = admin.map(str::to_owned).or_else(env::admin).unwrap_or_else(|| DEFAULT.to_owned());
        let authority = given.trim_end_matches('/').trim_start_matches("http://").to_owned();
        let port = authority.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
        if port.is_none() || authority.contains(|c: char| c.is_control() || "/@ ".contains(c)) {
            return Err(ApiError::Url(given));
        }
        let file = env::token_file().unwrap_or_else(|| env::data_folder(None).join(TOKEN));
        Ok(Self { authority, token: TokenFile(file) })
    }

    /// Asks.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub(crate) fn get(&self, path: &str) -> Result<Value, ApiError> {
        let ask =
            |token| runtime()?.block_on(self.exchange(path, self.request(Method::GET, path, Bytes::new(), token)));
        match ask(None) {
            // Off loopback reads need the token; elsewhere it stays where it is.
            Err(ApiError::Refused { status: StatusCode::UNAUTHORIZED, .. }) => ask(Some(self.token()?)),
            answer => answer,
        }
    }

    /// Asks, and reads the answer as a type.
    ///
    /// # Errors
    /// No answer, a refusal, or an answer of another form.
    pub(crate) fn get_as<T: DeserializeOwned>(&self, path: &str) -> Result<T, ApiError> {
        serde_json::from_value(self.get(path)?).map_err(|source| ApiError::Json {
            at: self.authority.clone(),
            path: path.to_owned(),
            source,
        })
    }

    /// Changes something, by the token.
    ///
    /// # Errors
    /// No token, no answer, or a refusal.
    pub(crate) fn post(&self, path: &str, body: &Value) -> Result<Value, ApiError> {
        let request = self.request(Method::POST, path, body.to_string().into(), Some(self.token()?));
        runtime()?.block_on(self.exchange(path, request))
    }

    /// The header that opens it.
    fn token(&self) -> Result<HeaderValue, ApiError> {
        let TokenFile(file) = &self.token;
        let unusable = |source| ApiError::Token { file: file.clone(), source };
        let token = fs::read_to_string(file).map_err(unusable)?;
        let header = HeaderValue::try_from(format!("Bearer {}", token.trim()));
        header.map_err(|error| unusable(io::Error::new(io::ErrorKind::InvalidData, error)))
    }

    /// Hands over the data of each event of a stream, until it ends or `each` has enough.
    ///
    /// # Errors
    /// No answer, a refusal, or a stream that broke.
    pub(crate) fn follow(&self, path: &str, each: &mut dyn FnMut(&str) -> bool) -> Result<(), ApiError> {
        let request = self.request(Method::GET, path, Bytes::new(), None);
        runtime()?.block_on(async {
            let mut response = self.send(request).await?;
            if response.status() == StatusCode::UNAUTHORIZED {
                response = self.send(self.request(Method::GET, path, Bytes::new(), Some(self.token()?))).await?;
            }
            let status = response.status();
            if !status.is_success() {
                return Err(self.refusal(path, status, &self.body(response).await?));
            }
            let mut body = response.into_body();
            let mut rest = Vec::new();
            while let Some(frame) = body.frame().await {
                let frame = frame.map_err(|source| self.broken(source))?;
                rest.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data));
                while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                    let line: Vec<u8> = rest.drain(..=end).collect();
                    let line = String::from_utf8_lossy(&line);
                    if let Some(data) = line.trim_end().strip_prefix("data:")
                        && !each(data.trim_start())
                    {
                        return Ok(());
                    }
                }
            }
            Ok(())
        })
    }

    fn request(&self, method: Method, path: &str, body: Bytes, token: Option<HeaderValue>) -> Request<Full<Bytes>> {
        let mut request = Request::builder().method(method).uri(path).header(header::HOST, &self.authority);
        if !body.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, token);
        }
        request
            .body(Full::new(body))
            .expect("paths are made of escaped names, and the authority has a port and no space")
    }

    async fn exchange(&self, path: &str, request: Request<Full<Bytes>>) -> Result<Value, ApiError> {
        let answer = async {
            let response = self.send(request).await?;
            let status = response.status();
            let body = self.body(response).await?;
            if !status.is_success() {
                return Err(self.refusal(path, status, &body));
            }
            serde_json::from_slice(&body).map_err(|source| ApiError::Json {
                at: self.authority.clone(),
                path: path.to_owned(),
                source,
            })
        };
        tokio::time::timeout(PATIENCE, answer).await.map_err(|_| ApiError::Slow { at: self.authority.clone() })?
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, ApiError> {
        let no_answer = |source| ApiError::NoAnswer { at: self.authority.clone(), source };
        let stream = TcpStream::connect(&self.authority).await.map_err(no_answer)?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|source| self.broken(source))?;
        tokio::spawn(connection);
        sender.send_request(request).await.map_err(|source| self.broken(source))
    }

    async fn body(&self, response: Response<Incoming>) -> Result<Bytes, ApiError> {
        let collected = response.into_body().collect().await.map_err(|source| self.broken(source))?;
        Ok(collected.to_bytes())
    }

    fn broken(&self, source: hyper::Error) -> ApiError {
        ApiError::Http { at: self.authority.clone(), source }
    }

    #[expect(clippy::unused_self, reason = "one of the makers of errors")]
    fn refusal(&self, path: &str, status: StatusCode, body: &[u8]) -> ApiError {
        let said: Option<Value> = serde_json::from_slice(body).ok();
        let message = || said.as_ref()?.get("error")?.as_str().map(str::to_owned);
        let message = message().unwrap_or_else(|| String::from_utf8_lossy(body).trim().to_owned());
        ApiError::Refused { path: path.to_owned(), status, message }
    }
}

/// A name as one step of a path.
pub(crate) fn escaped(name: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

pub(crate) fn runtime() -> Result<Runtime, ApiError> {
    Builder::new_current_thread().enable_all().build().map_err(ApiError::Runtime)
}

/// Where the admin API is unless told otherwise. Source: architecture.md "Names and places".
const DEFAULT: &str = "127.0.0.1:9901";
/// The token's file in the data folder.
const TOKEN: &str = "token";
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_slashes_is_one_step_of_a_path() {
        assert_eq!(escaped("http://10.0.0.1:9000"), "http%3A%2F%2F10.0.0.1%3A9000");
    }

    #[test]
    fn what_names_no_port_is_refused() {
        assert!(matches!(Api::at(Some("localhost")), Err(ApiError::Url(_))));
        assert!(matches!(Api::at(Some("http://user@host:1")), Err(ApiError::Url(_))));
    }
}
