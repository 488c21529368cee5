//! The runtime API's address, and one line to it with its whole answer: on a connection of its own, bounded in time and size.
//!
//! HAProxy answers a line and closes, so the end of the connection is the end of the answer, and nothing of a broken exchange
//! is left for the next one.

use std::convert::Infallible;
use std::fmt;
use std::io::{self, ErrorKind};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use ambidex_core::time::Span;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};

/// Where a runtime API listens: `stats socket` in HAProxy's `global` section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuntimeApi {
    /// A path in the file system.
    Unix(Arc<str>),
    /// `HOST:PORT`.
    Tcp(Arc<str>),
}

impl FromStr for RuntimeApi {
    type Err = Infallible;

    /// What ends in `:PORT` and has no slash is a host's, all else a path; `unix:`, `unix@`, `tcp:`, `ipv4@` and the like may stand
    /// before, as HAProxy writes them.
    fn from_str(text: &str) -> Result<Self, Infallible> {
        let text = text.trim();
        let after = |before: &[&str]| before.iter().find_map(|before| text.strip_prefix(before));
        if let Some(path) = after(&["unix://", "unix:", "unix@"]) {
            return Ok(Self::Unix(path.into()));
        }
        if let Some(address) = after(&["tcp://", "tcp:", "ipv4@", "ipv6@"]) {
            return Ok(Self::Tcp(address.into()));
        }
        let port = text.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
        Ok(if port && !text.contains('/') { Self::Tcp(text.into()) } else { Self::Unix(text.into()) })
    }
}

impl fmt::Display for RuntimeApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{path}"),
            Self::Tcp(address) => f.write_str(address),
        }
    }
}

/// What its `stats socket` must allow for what is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// To look.
    User,
    /// To change.
    Admin,
}

/// Why there is no answer. Each says what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum NoAnswer {
    /// No connection.
    #[error("no connection to HAProxy at {at}: {why}; {advice}", advice = advice(.at, *.level, .why))]
    Connection {
        /// Where.
        at: RuntimeApi,
        /// What it must allow.
        level: Level,
        /// Why.
        #[source]
        why: io::Error,
    },
    /// It broke.
    #[error("the connection to HAProxy at {0} broke: {1}; did HAProxy end or reload just then?")]
    Broken(RuntimeApi, #[source] io::Error),
    /// It is too long.
    #[error("HAProxy at {0} answered more than {MOST_BYTES} bytes: ask for fewer of its backends at once")]
    TooLong(RuntimeApi),
    /// It is no text.
    #[error("what answers at {0} is not HAProxy's runtime API: its answer is no text")]
    NoText(RuntimeApi),
    /// It took too long.
    #[error("no whole answer from HAProxy at {0} within {1}: is the process stopped or overloaded? or wait longer")]
    Late(RuntimeApi, Span),
}

fn advice(at: &RuntimeApi, level: Level, error: &io::Error) -> String {
    let level = match level {
        Level::User => "user",
        Level::Admin => "admin",
    };
    let (RuntimeApi::Unix(place) | RuntimeApi::Tcp(place)) = at;
    let line = format!("stats socket {place} level {level}");
    if error.kind() == ErrorKind::PermissionDenied {
        return format!("let this user open it: `mode 660 group ..` behind `{line}` in HAProxy's `global` section");
    }
    format!("is HAProxy running, and does its `global` section say `{line}`?")
}

/// Sends one line and reads what comes.
///
/// # Errors
/// There is no whole answer `within` that time.
pub async fn exchange(at: &RuntimeApi, level: Level, line: &str, within: Span) -> Result<String, NoAnswer> {
    let answer = async {
        let failed = |why| NoAnswer::Connection { at: at.clone(), level, why };
        match at {
            RuntimeApi::Unix(path) => talk(UnixStream::connect(&**path).await.map_err(failed)?, at, line).await,
            RuntimeApi::Tcp(address) => talk(TcpStream::connect(&**address).await.map_err(failed)?, at, line).await,
        }
    };
    let late = Err(NoAnswer::Late(at.clone(), within));
    tokio::time::timeout(Duration::from(within), answer).await.unwrap_or(late)
}

async fn talk(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    at: &RuntimeApi,
    line: &str,
) -> Result<String, NoAnswer> {
    let broken = |error| NoAnswer::Broken(at.clone(), error);
    stream.write_all(format!("{line}\n").as_bytes()).await.map_err(broken)?;
    let mut answer = Vec::new();
    stream.take(MOST_BYTES + 1).read_to_end(&mut answer).await.map_err(broken)?;
    if answer.len() as u64 > MOST_BYTES {
        return Err(NoAnswer::TooLong(at.clone()));
    }
    String::from_utf8(answer).map_err(|_| NoAnswer::NoText(at.clone()))
}

/// Most bytes of an answer: ours; 10,000 servers have 6 MB.
const MOST_BYTES: u64 = 16 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_path_or_a_host_with_a_port() {
        let table = [
            ("/run/haproxy/admin.sock", RuntimeApi::Unix("/run/haproxy/admin.sock".into())),
            ("unix:/a:9", RuntimeApi::Unix("/a:9".into())),
            ("unix@a.sock", RuntimeApi::Unix("a.sock".into())),
            ("./a:9", RuntimeApi::Unix("./a:9".into())),
            ("host:9999", RuntimeApi::Tcp("host:9999".into())),
            ("[::1]:9999", RuntimeApi::Tcp("[::1]:9999".into())),
            ("ipv4@127.0.0.1:9", RuntimeApi::Tcp("127.0.0.1:9".into())),
            ("host:http", RuntimeApi::Unix("host:http".into())),
        ];
        for (text, address) in table {
            assert_eq!(text.parse(), Ok(address), "{text}");
        }
    }

    #[test]
    fn advice_says_what_the_socket_must_allow() {
        let at = RuntimeApi::Unix("/run/haproxy.sock".into());
        let said =
            |level, kind: ErrorKind| NoAnswer::Connection { at: at.clone(), level, why: kind.into() }.to_string();
        let gone = said(Level::User, ErrorKind::NotFound);
        assert!(gone.contains("HAProxy at unix:/run/haproxy.sock"), "{gone}");
        assert!(gone.contains("`stats socket /run/haproxy.sock level user`?"), "{gone}");
        let denied = said(Level::Admin, ErrorKind::PermissionDenied);
        assert!(denied.contains("`mode 660 group ..` behind `stats socket /run/haproxy.sock level admin`"), "{denied}");
    }
}
