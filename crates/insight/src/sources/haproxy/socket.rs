//! The runtime API's address, and one line to it with its whole answer: bounded in time and size.
//!
//! HAProxy answers a line and closes, so the end of the connection is the end of the answer.

use std::convert::Infallible;
use std::fmt;
use std::io::{self, ErrorKind};
use std::str::FromStr;
use std::time::Duration;

use ambidex_core::time::Span;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};

/// Where HAProxy's runtime API is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuntimeApi {
    /// A path in the file system.
    Unix(String),
    /// `HOST:PORT`.
    Tcp(String),
}

impl FromStr for RuntimeApi {
    type Err = Infallible;

    /// What ends in `:PORT` and has no slash is a host's, all else a path; `unix:`, `unix@`, `tcp:`, `ipv4@` and the like may stand
    /// before, as HAProxy writes them.
    fn from_str(text: &str) -> Result<Self, Infallible> {
        let text = text.trim();
        for before in ["unix://", "unix:", "unix@"] {
            if let Some(path) = text.strip_prefix(before) {
                return Ok(Self::Unix(path.to_owned()));
            }
        }
        for before in ["tcp://", "tcp:", "ipv4@", "ipv6@"] {
            if let Some(address) = text.strip_prefix(before) {
                return Ok(Self::Tcp(address.to_owned()));
            }
        }
        let port = text.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
        Ok(if port && !text.contains('/') { Self::Tcp(text.to_owned()) } else { Self::Unix(text.to_owned()) })
    }
}

impl fmt::Display for RuntimeApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => f.write_str(path),
            Self::Tcp(address) => f.write_str(address),
        }
    }
}

/// Why there is no answer. Each says what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum NoAnswer {
    /// No connection.
    #[error("no connection to HAProxy at {0}: {1}; {advice}", advice = advice(.0, .1))]
    Connection(RuntimeApi, #[source] io::Error),
    /// It broke.
    #[error("the connection to HAProxy at {0} broke: {1}")]
    Broken(RuntimeApi, #[source] io::Error),
    /// It is too long.
    #[error("HAProxy at {0} answered more than {MOST_BYTES} bytes: it has too many servers to be looked at as a whole")]
    TooLong(RuntimeApi),
    /// It took too long.
    #[error("no whole answer from HAProxy at {0} within {1}: is the process stopped or overloaded?")]
    Late(RuntimeApi, Span),
}

fn advice(at: &RuntimeApi, error: &io::Error) -> String {
    if error.kind() == ErrorKind::PermissionDenied {
        return "run this as a user who may open it, or let this one: `mode 660 group ..` behind `stats socket`".into();
    }
    match at {
        RuntimeApi::Unix(path) => {
            format!("is HAProxy running, and does its `global` section say `stats socket {path} level user`?")
        }
        RuntimeApi::Tcp(address) => {
            format!("is HAProxy running, and does its `global` section say `stats socket {address} level user`?")
        }
    }
}

/// Sends one line and reads what comes.
pub(super) async fn exchange(at: &RuntimeApi, line: &str, within: Span) -> Result<String, NoAnswer> {
    let answer = async {
        let failed = |error| NoAnswer::Connection(at.clone(), error);
        match at {
            RuntimeApi::Unix(path) => talk(UnixStream::connect(path).await.map_err(failed)?, at, line).await,
            RuntimeApi::Tcp(address) => talk(TcpStream::connect(address).await.map_err(failed)?, at, line).await,
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
    // What is no text is no HAProxy, and whoever reads it says so.
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// Most bytes of an answer: ours; 30,000 servers have 16 MB.
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
}
