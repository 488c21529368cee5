//! A connection that many share: requests go out as they come, replies come back in the same order.
//!
//! ```text
//!   send ── queue (bounded) ── task: connects when something is there, says its greeting, writes all that waits at once
//!                                \── replies: measured, given to whoever is next in line
//! ```
//! | what fails | those in line | those behind |
//! |---|---|---|
//! | no connection, a refused greeting | `NotSent` | the next one tries again |
//! | the connection breaks, nothing comes for `patience`, what comes is no reply | `Broken`: nobody knows | go on with the next connection |
//! | too many wait | `NotSent`, at once | |
//!
//! What was written once is never written again.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::frame::Meter;

/// Where a link leads, and how it begins.
#[derive(Clone, Debug)]
pub struct Target {
    /// `HOST:PORT`.
    pub address: String,
    /// Commands that each connection begins with; none may be answered with an error.
    pub greeting: Vec<Bytes>,
    /// How long nothing may come while something is waited for.
    pub patience: Duration,
}

/// A shared connection; clones share it. It ends with the last of them.
#[derive(Clone, Debug)]
pub struct Link(mpsc::Sender<Job>);

/// Why there are no replies.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// Nothing was sent.
    #[error("{0}")]
    NotSent(String),
    /// It may have been run.
    #[error("{0}")]
    Broken(String),
}

/// Replies to come.
#[derive(Debug)]
pub struct Replies(Result<oneshot::Receiver<Result<Bytes, LinkError>>, LinkError>);

#[derive(Debug)]
struct Job {
    bytes: Bytes,
    replies: usize,
    back: oneshot::Sender<Result<Bytes, LinkError>>,
}

/// What is in line for a reply.
struct Waiting {
    left: usize,
    got: BytesMut,
    back: oneshot::Sender<Result<Bytes, LinkError>>,
}

impl Link {
    /// Begins a link in this runtime; it connects when something is sent.
    #[must_use]
    pub fn start(target: Target) -> Self {
        let (jobs, queue) = mpsc::channel(MOST_QUEUED);
        tokio::spawn(serve(target, queue));
        Self(jobs)
    }

    /// Sends commands that are answered with so many replies. What is sent first is written first.
    #[must_use]
    pub fn send(&self, bytes: Bytes, replies: usize) -> Replies {
        let (back, comes) = oneshot::channel();
        Replies(match self.0.try_send(Job { bytes, replies, back }) {
            Ok(()) => Ok(comes),
            Err(TrySendError::Full(_)) => {
                Err(LinkError::NotSent("too many requests wait for one connection".to_owned()))
            }
            Err(TrySendError::Closed(_)) => Err(LinkError::NotSent("the connection has ended".to_owned())),
        })
    }
}

impl Replies {
    /// Waits for them.
    ///
    /// # Errors
    /// They do not come.
    pub async fn come(self) -> Result<Bytes, LinkError> {
        let gone = || LinkError::Broken("the connection's task has ended".to_owned());
        self.0?.await.unwrap_or_else(|_| Err(gone()))
    }
}

async fn serve(target: Target, mut queue: mpsc::Receiver<Job>) {
    while let Some(first) = queue.recv().await {
        if first.back.is_closed() {
            continue;
        }
        match greet(&target).await {
            Ok(stream) => run(&target, stream, first, &mut queue).await,
            Err(why) => {
                let why = LinkError::NotSent(format!("{}: {why}", target.address));
                let _ = first.back.send(Err(why.clone()));
                // Whoever waited behind it would only wait for the same.
                while let Ok(job) = queue.try_recv() {
                    let _ = job.back.send(Err(why.clone()));
                }
            }
        }
    }
}

async fn greet(target: &Target) -> Result<TcpStream, String> {
    let greeting = async {
        let mut stream = TcpStream::connect(&target.address).await.map_err(|error| error.to_string())?;
        let _ = stream.set_nodelay(true);
        let said: BytesMut = target.greeting.iter().flatten().copied().collect();
        stream.write_all(&said).await.map_err(|error| error.to_string())?;
        let mut buffer = BytesMut::with_capacity(1 << 10);
        for _ in &target.greeting {
            let mut meter = Meter::default();
            let end = loop {
                match meter.end(&buffer).map_err(|fault| fault.to_string())? {
                    Some(end) => break end,
                    None if buffer.len() > MOST_GREETING => return Err("it says too much".to_owned()),
                    None => {}
                }
                if stream.read_buf(&mut buffer).await.map_err(|error| error.to_string())? == 0 {
                    return Err("it closed the connection".to_owned());
                }
            };
            let reply = buffer.split_to(end);
            if reply.first() == Some(&b'-') {
                return Err(String::from_utf8_lossy(reply[1..].trim_ascii()).into_owned());
            }
        }
        Ok(stream)
    };
    timeout(CONNECT, greeting).await.unwrap_or_else(|_| Err(format!("no connection within {CONNECT:?}")))
}

/// Until the connection breaks, or nobody can send any more.
async fn run(target: &Target, stream: TcpStream, first: Job, queue: &mut mpsc::Receiver<Job>) {
    let (mut from, mut to) = stream.into_split();
    let mut line = VecDeque::new();
    let (mut out, mut came, mut meter) = (BytesMut::new(), BytesMut::new(), Meter::default());
    put(first, &mut out, &mut line);
    let why = loop {
        let room = out.len() < MOST_OUT && line.len() < MOST_IN_LINE;
        came.reserve(READ);
        tokio::select! {
            job = queue.recv(), if room => match job {
                Some(job) => put(job, &mut out, &mut line),
                None if line.is_empty() => return,
                // Nobody can send any more, and somebody may wait still.
                None => match drain(&mut from, &mut to, &mut out, &mut came, &mut meter, &mut line, target.patience).await {
                    Ok(()) => return,
                    Err(why) => break why,
                },
            },
            wrote = to.write_buf(&mut out), if !out.is_empty() => if let Err(error) = wrote {
                break error.to_string();
            },
            read = timeout(target.patience, from.read_buf(&mut came)) => match read {
                Ok(Ok(0)) => break "it closed the connection".to_owned(),
                Ok(Ok(_)) => if let Err(why) = deliver(&mut came, &mut meter, &mut line) {
                    break why;
                },
                Ok(Err(error)) => break error.to_string(),
                Err(_) if line.is_empty() => {}
                Err(_) => break format!("nothing came for {:?}", target.patience),
            },
        }
    };
    let why = LinkError::Broken(format!("{}: {why}", target.address));
    for waiting in line {
        let _ = waiting.back.send(Err(why.clone()));
    }
}

async fn drain(
    from: &mut tokio::net::tcp::OwnedReadHalf,
    to: &mut tokio::net::tcp::OwnedWriteHalf,
    out: &mut BytesMut,
    came: &mut BytesMut,
    meter: &mut Meter,
    line: &mut VecDeque<Waiting>,
    patience: Duration,
) -> Result<(), String> {
    to.write_all(out).await.map_err(|error| error.to_string())?;
    while !line.is_empty() {
        came.reserve(READ);
        match timeout(patience, from.read_buf(came)).await {
            Ok(Ok(1..)) => deliver(came, meter, line)?,
            Ok(Ok(0)) | Err(_) => return Err("it closed the connection, or is silent".to_owned()),
            Ok(Err(error)) => return Err(error.to_string()),
        }
    }
    Ok(())
}

fn put(job: Job, out: &mut BytesMut, line: &mut VecDeque<Waiting>) {
    let Job { bytes, replies, back } = job;
    // Whoever went away before anything was written has had nothing run.
    if back.is_closed() {
        return;
    }
    out.extend_from_slice(&bytes);
    line.push_back(Waiting { left: replies, got: BytesMut::new(), back });
}

fn deliver(came: &mut BytesMut, meter: &mut Meter, line: &mut VecDeque<Waiting>) -> Result<(), String> {
    while !came.is_empty() {
        let Some(end) = meter.end(came).map_err(|fault| format!("what came is no reply: {fault}"))? else { break };
        *meter = Meter::default();
        let reply = came.split_to(end);
        // What an instance says unasked is for nobody here.
        if reply.first() == Some(&b'>') {
            continue;
        }
        let Some(waiting) = line.front_mut() else { return Err("a reply that nobody asked for".to_owned()) };
        if waiting.got.is_empty() {
            waiting.got = reply;
        } else {
            waiting.got.unsplit(reply);
        }
        waiting.left -= 1;
        if waiting.left == 0
            && let Some(done) = line.pop_front()
        {
            // Whoever went away needs none.
            let _ = done.back.send(Ok(done.got.freeze()));
        }
    }
    if came.is_empty() && came.capacity() > MOST_KEPT {
        *came = BytesMut::new();
    }
    Ok(())
}

/// Requests that wait to be written. Source: ours; each gateway thread has bounds of its own before it.
const MOST_QUEUED: usize = 4_096;
/// Requests that wait for a reply.
const MOST_IN_LINE: usize = 4_096;
/// Bytes that wait to be written beside the last request.
const MOST_OUT: usize = 1 << 20;
/// What is read at once.
const READ: usize = 32 << 10;
/// What is kept for the next replies.
const MOST_KEPT: usize = 1 << 20;
const MOST_GREETING: usize = 64 << 10;
/// How long a connection and its greeting may take. Source: ours; it is on the same host, or one hop away.
const CONNECT: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;
    use crate::frame::{Bounds, command, encode};

    async fn peer() -> (TcpListener, Target) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        (listener, Target { address, greeting: vec![encode(&[b"HI"]).freeze()], patience: Duration::from_secs(60) })
    }

    /// Answers each command with its last word, after it has answered the greeting.
    async fn echo(stream: &mut TcpStream, most: usize) {
        let mut buffer = BytesMut::new();
        for answered in 0..=most {
            let command = loop {
                match command(&mut buffer, Bounds { args: 8, bytes: 1 << 20 }).expect("a command") {
                    Some(command) => break command,
                    None => assert!(stream.read_buf(&mut buffer).await.expect("read") > 0),
                }
            };
            let word = command.args.last().expect("a word");
            let reply = if answered == 0 { Bytes::from_static(b"+OK\r\n") } else { crate::frame::bulk(word) };
            stream.write_all(&reply).await.expect("written");
        }
    }

    #[tokio::test]
    async fn replies_come_back_in_the_order_of_requests() {
        let (listener, target) = peer().await;
        let link = Link::start(target);
        let all: Vec<Replies> =
            (0..100).map(|number: u32| link.send(encode(&[b"E", number.to_string().as_bytes()]).freeze(), 1)).collect();
        let (mut stream, _) = listener.accept().await.expect("a connection");
        tokio::spawn(async move { echo(&mut stream, 100).await });
        for (number, replies) in all.into_iter().enumerate() {
            assert_eq!(replies.come().await, Ok(crate::frame::bulk(number.to_string().as_bytes())));
        }
    }

    #[tokio::test]
    async fn what_was_written_when_it_broke_is_not_known_and_not_written_again() {
        let (listener, target) = peer().await;
        let link = Link::start(target);
        let first = link.send(encode(&[b"E", b"1"]).freeze(), 1);
        let (mut stream, _) = listener.accept().await.expect("a connection");
        echo(&mut stream, 1).await;
        assert!(first.come().await.is_ok());
        let second = link.send(encode(&[b"E", b"2"]).freeze(), 1);
        let mut some = [0; 1];
        stream.read_exact(&mut some).await.expect("something of it");
        drop(stream);
        assert!(matches!(second.come().await, Err(LinkError::Broken(_))));
        let third = link.send(encode(&[b"E", b"3"]).freeze(), 1);
        let (mut stream, _) = listener.accept().await.expect("another connection");
        echo(&mut stream, 1).await;
        assert_eq!(third.come().await, Ok(crate::frame::bulk(b"3")));
    }

    #[tokio::test]
    async fn a_refused_greeting_means_that_nothing_was_sent() {
        let (listener, target) = peer().await;
        let link = Link::start(target);
        let asked = link.send(encode(&[b"E", b"1"]).freeze(), 1);
        let (mut stream, _) = listener.accept().await.expect("a connection");
        stream.write_all(b"-WRONGPASS no\r\n").await.expect("written");
        let Err(LinkError::NotSent(why)) = asked.come().await else { panic!("nothing was sent") };
        assert!(why.ends_with("WRONGPASS no"), "{why}");
    }

    #[tokio::test]
    async fn nobody_there_means_that_nothing_was_sent() {
        let (listener, target) = peer().await;
        drop(listener);
        let link = Link::start(target);
        assert!(matches!(link.send(encode(&[b"E"]).freeze(), 1).come().await, Err(LinkError::NotSent(_))));
    }
}
