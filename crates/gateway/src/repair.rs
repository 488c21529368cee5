//! Tells a repair hook that the answers of a quorum differ: one POST of JSON for each disagreement [R-Q2].
//!
//! ```text
//! disagree ── in flight < 8 ── task of this thread: look up, connect, POST, status ── 2xx: told
//!                      \ else: lost                             (5 s for all of it)  \ else: failed
//! ```
//! Nothing waits for it, nothing is tried again, and no redirect is followed: the next disagreement tells as much.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use ambidex_http1::write::{self, Connection, Edits, RequestPlan};
use ambidex_http1::{Framing, Name, Path, Value};
use http::Method;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::config::Hook;
use crate::thread::Thread;

/// How many posts are under way.
#[derive(Debug, Default)]
pub(crate) struct Repairs(Rc<Cell<usize>>);

struct Running(Rc<Cell<usize>>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

impl Repairs {
    /// Posts `json` to the hook, unless too many posts are under way.
    pub(crate) fn post(&self, thread: &Thread, hook: &Hook, json: String) {
        if self.0.get() >= MOST_POSTS {
            return thread.stats.repairs_lost.add(1);
        }
        self.0.set(self.0.get() + 1);
        let running = Running(Rc::clone(&self.0));
        let (hook, stats) = (hook.clone(), std::sync::Arc::clone(&thread.stats));
        tokio::task::spawn_local(async move {
            let posted = tokio::time::timeout(PATIENCE, post(&hook, &json)).await;
            match posted.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into())) {
                Ok(()) => stats.repairs.add(1),
                Err(why) => {
                    stats.repairs_lost.add(1);
                    tracing::warn!(hook = hook.authority, %why, "a repair hook was not told of a disagreement");
                }
            }
            drop(running);
        });
    }
}

async fn post(hook: &Hook, json: &str) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(&hook.authority).await?;
    let kind = (const { Name::literal("content-type") }, Value::checked(b"application/json"));
    let add: Vec<_> = kind.1.map(|value| (kind.0, value)).into_iter().collect();
    let plan = RequestPlan {
        host: Value::checked(hook.authority.as_bytes()),
        path: Path::checked(hook.path.as_bytes()),
        edits: Edits { add: &add, ..Edits::default() },
        connection: Connection { close: true, ..Connection::default() },
        framing: Framing::Length(json.len() as u64),
    };
    let mut text = Vec::new();
    write::ask(&mut text, &Method::POST, &plan).map_err(std::io::Error::other)?;
    text.extend_from_slice(json.as_bytes());
    stream.write_all(&text).await?;
    let mut status = [0; "HTTP/1.1 200".len()];
    stream.read_exact(&mut status).await?;
    match status.strip_prefix(b"HTTP/1.1 ") {
        Some([b'2', _, _]) => Ok(()),
        Some(code) => Err(std::io::Error::other(format!("it answered {}", String::from_utf8_lossy(code)))),
        None => Err(std::io::ErrorKind::InvalidData.into()),
    }
}

/// Under way at once, of one thread. Source: ours; a hook that is slow must not gather work.
const MOST_POSTS: usize = 8;
/// For all of one post.
const PATIENCE: Duration = Duration::from_secs(5);
