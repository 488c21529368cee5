//! One command line to HAProxy's runtime API, and its whole answer: on a connection of its own, bounded in time and size.
//!
//! HAProxy answers a line and closes; so the end of the connection is the end of the answer, and nothing of a broken
//! exchange is left for the next one.

use std::io::{self, ErrorKind};

use ambidex_core::time::Span;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};

use super::config::RuntimeApi;
use crate::clock::duration;

/// Why there is no answer. Each says what to do about it.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoAnswer {
    /// No connection.
    #[error("no connection to HAProxy at {0}: {1}; {advice}", advice = advice(.0, .1))]
    Connection(RuntimeApi, #[source] io::Error),
    /// It broke.
    #[error("the connection to HAProxy at {0} broke: {1}")]
    Broken(RuntimeApi, #[source] io::Error),
    /// It is too long.
    #[error("HAProxy at {0} answered more than {MOST_BYTES} bytes: part its backends among several publishers")]
    TooLong(RuntimeApi),
    /// It is no text.
    #[error("what answers at {0} is not HAProxy's runtime API: its answer is no text")]
    NoText(RuntimeApi),
    /// It took too long.
    #[error("no whole answer from HAProxy at {0} within {1}: is the process stopped or overloaded? or raise `timeout`")]
    Late(RuntimeApi, Span),
}

fn advice(at: &RuntimeApi, error: &io::Error) -> String {
    let line = match at {
        RuntimeApi::Unix(path) => format!("stats socket {path} level admin"),
        RuntimeApi::Tcp(address) => format!("stats socket {address} level admin"),
    };
    if error.kind() == ErrorKind::PermissionDenied {
        return format!("let this user open it: `mode 660 group ..` behind `{line}` in HAProxy's `global` section");
    }
    format!("is HAProxy running, and does its `global` section say `{line}`?")
}

/// Sends one line and reads what comes, within a deadline.
pub(super) async fn exchange(at: &RuntimeApi, line: &str, within: Span) -> Result<String, NoAnswer> {
    let answer = async {
        let failed = |error| NoAnswer::Connection(at.clone(), error);
        match at {
            RuntimeApi::Unix(path) => talk(UnixStream::connect(&**path).await.map_err(failed)?, at, line).await,
            RuntimeApi::Tcp(address) => talk(TcpStream::connect(address).await.map_err(failed)?, at, line).await,
        }
    };
    tokio::time::timeout(duration(within), answer).await.map_err(|_| NoAnswer::Late(at.clone(), within))?
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
