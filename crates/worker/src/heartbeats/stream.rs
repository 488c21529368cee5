//! The way to one coordinator by gRPC: one connection with one stream, and a new one whenever it ends [R-S3].
//!
//! ```text
//! connect --> stream --> heartbeats, welcomes ... --> it ended: wait (200 ms doubling to 5 s, half of it by lot) --+
//!    ^                                                                                                            |
//!    +------------------------------------------------------------------------------------------------------------+
//! ```
//! What is said is what [datagrams](super) say. A heartbeat that cannot be sent at once, because those before it still wait
//! to be taken, is not sent: old news is none.

use std::convert::Infallible;
use std::error::Error;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};
use std::time::Duration;

use ambidex_core::draw::Draw;
use ambidex_core::time::Span;
use ambidex_wire::heartbeat::stream::{Carried, MOST_MESSAGE_BYTES, PATH};
use ambidex_wire::heartbeat::{Sender, Welcome};
use ambidex_wire::report::orca::frame;
use bytes::{Buf as _, Bytes, BytesMut};
use http::{HeaderMap, Request};
use http_body::{Body, Frame};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::{Beats, Duplex, Target, part};

/// The way to one coordinator.
pub(super) struct Line {
    beats: Arc<Beats>,
    target: Target,
    sender: Sender,
    draw: Draw,
    told: Option<String>,
}

/// What is under way on one connection.
struct Open {
    words: mpsc::Sender<Bytes>,
    answer: Incoming,
    /// The connection's own task: it ends with this.
    _connection: JoinSet<()>,
}

impl Line {
    pub(super) fn new(beats: Arc<Beats>, target: Target) -> Self {
        let draw = Draw::seeded(RandomState::new().build_hasher().finish());
        Self { beats, target, sender: Sender::default(), draw, told: None }
    }

    /// Sends for ever.
    pub(super) async fn hold(mut self) {
        let mut wait = FIRST_WAIT;
        loop {
            let sessions = self.beats.counts.welcomed.load(Relaxed);
            let why = match tokio::time::timeout(CONNECT_WITHIN, self.open()).await {
                Ok(Ok(open)) => self.converse(open).await,
                Ok(Err(why)) => why.to_string(),
                Err(_) => format!("no stream within {} s", CONNECT_WITHIN.as_secs()),
            };
            self.tell(&why);
            if self.beats.counts.welcomed.load(Relaxed) > sessions {
                wait = FIRST_WAIT;
            }
            let by_lot = part(wait, 0.5 + 0.5 * self.draw.unit());
            tokio::time::sleep(Duration::from_nanos(by_lot.as_nanos())).await;
            wait = wait.times(2).min(LONGEST_WAIT);
        }
    }

    /// A connection, and the stream on it.
    async fn open(&self) -> Result<Open, Box<dyn Error + Send + Sync>> {
        let socket = TcpStream::connect((self.target.host(), self.target.port())).await?;
        socket.set_nodelay(true)?;
        let stream: Box<dyn Duplex> = match (self.target.is_secured(), &self.beats.secure) {
            (false, _) => Box::new(socket),
            (true, Some(secure)) => secure.secure(socket, self.target.host(), &self.beats.config.tls).await?,
            (true, None) => return Err("this program speaks no TLS".into()),
        };
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder.timer(TokioTimer::new()).keep_alive_interval(ASKS_WHETHER_ALIVE).keep_alive_timeout(ALIVE_WITHIN);
        let (mut asks, connection) = builder.handshake(TokioIo::new(stream)).await?;
        let mut tasks = JoinSet::new();
        tasks.spawn(async {
            // How it ends is seen by its stream.
            let _ = connection.await;
        });
        let (words, said) = mpsc::channel(MOST_UNSENT);
        let scheme = if self.target.is_secured() { "https" } else { "http" };
        let request = Request::post(format!("{scheme}://{}{PATH}", self.target.authority()))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(Said(said))?;
        let (head, answer) = asks.send_request(request).await?.into_parts();
        if !head.status.is_success() {
            return Err(format!("it answers {}: nobody there hears heartbeats by gRPC", head.status).into());
        }
        match refused(&head.headers) {
            Some(why) => Err(why.into()),
            None => Ok(Open { words, answer, _connection: tasks }),
        }
    }

    /// Until the stream ends; why it did.
    async fn converse(&mut self, mut open: Open) -> String {
        let (clock, gate, every) = (self.beats.clock, Arc::clone(&self.beats.gate), self.beats.config.every);
        let mut came = BytesMut::new();
        let mut due = clock.now();
        let mut last = due;
        loop {
            tokio::select! {
                () = tokio::time::sleep(clock.until(due)) => {}
                () = gate.turned() => {}
                frame = open.answer.frame() => {
                    let frame = match frame {
                        Some(Ok(frame)) => frame,
                        Some(Err(error)) => return format!("the stream broke: {}", root(&error)),
                        None => return "it ended the stream".to_owned(),
                    };
                    match frame.into_data() {
                        Ok(data) => came.extend_from_slice(&data),
                        Err(other) => {
                            let refused = other.trailers_ref().and_then(refused);
                            return refused.unwrap_or_else(|| "it ended the stream".to_owned());
                        }
                    }
                    match self.welcomed(&mut came) {
                        // An old welcome that is sent again must not make a flood of it.
                        Ok(true) => due = due.min((last + super::SOON).max(clock.now())),
                        Ok(false) => {}
                        Err(why) => return why,
                    }
                    continue;
                }
            }
            self.beat(&open.words);
            last = clock.now();
            due = last + part(every, 0.9 + 0.2 * self.draw.unit());
        }
    }

    fn beat(&mut self, words: &mpsc::Sender<Bytes>) {
        let (beats, config) = (&self.beats, &self.beats.config);
        if beats.gate.is_silent() {
            return;
        }
        let heartbeat = self.sender.next(config.key.id, &config.name, beats.gate.report());
        let datagram = heartbeat.encode(|_, bytes| beats.key.sign(bytes));
        let sent = datagram.is_ok_and(|datagram| words.try_send(frame(&carry(datagram)).into()).is_ok());
        let count = if sent { &beats.counts.sent } else { &beats.counts.unsent };
        count.fetch_add(1, Relaxed);
    }

    /// Takes the welcomes that are whole; whether one is news.
    fn welcomed(&mut self, came: &mut BytesMut) -> Result<bool, String> {
        let (mut is_news, beats) = (false, Arc::clone(&self.beats));
        while let Some((head, _)) = came.split_first_chunk::<5>() {
            let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
            if head[0] != 0 || length > MOST_MESSAGE_BYTES {
                return Err("it answers with what is no welcome".to_owned());
            }
            if came.len() < 5 + length {
                break;
            }
            came.advance(5);
            let Ok(carried) = <Carried as prost::Message>::decode(came.split_to(length)) else { continue };
            let signs = |_, bytes: &[u8], tag: &[u8]| beats.key.signs(bytes, tag);
            let Ok(welcome) = Welcome::decode(&carried.datagram, signs) else { continue };
            let ours = welcome.key == beats.config.key.id && welcome.worker == beats.config.name;
            if ours && self.sender.welcomed(&welcome) {
                is_news = true;
                self.told = None;
                beats.counts.welcomed.fetch_add(1, Relaxed);
                tracing::info!(to = %self.target, name = beats.config.name, "heartbeats are heard");
            }
        }
        Ok(is_news)
    }

    /// Once, not at each try.
    fn tell(&mut self, why: &str) {
        if self.told.as_deref() != Some(why) {
            tracing::warn!(to = %self.target, name = self.beats.config.name, "heartbeats: {why}");
            self.told = Some(why.to_owned());
        }
    }
}

fn carry(datagram: Vec<u8>) -> Vec<u8> {
    prost::Message::encode_to_vec(&Carried { datagram })
}

/// Why a call was refused, if it was.
fn refused(fields: &HeaderMap) -> Option<String> {
    let text = |name: &str| fields.get(name).and_then(|value| value.to_str().ok());
    let code = text("grpc-status").filter(|code| *code != "0")?;
    let why = text("grpc-message").map_or_else(|| "no reason".to_owned(), plain);
    Some(format!("it refused: {why} (gRPC {code})"))
}

/// A status message as it was before it was made fit for a header.
fn plain(message: &str) -> String {
    let mut parts = message.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        match part.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                bytes.extend_from_slice(&part.as_bytes()[2..]);
            }
            None => bytes.extend_from_slice(part.as_bytes()),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The innermost cause.
fn root(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

/// What is said to the coordinator.
struct Said(mpsc::Receiver<Bytes>);

impl Body for Said {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|said| said.map(|said| Ok(Frame::data(said))))
    }
}

/// Heartbeats that wait to be taken at most. Source: ours; two seconds, then it is better to be silent.
const MOST_UNSENT: usize = 4;
/// Source: as of a gateway that follows.
const FIRST_WAIT: Span = Span::from_millis(200);
const LONGEST_WAIT: Span = Span::from_secs(5);
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
const ASKS_WHETHER_ALIVE: Duration = Duration::from_secs(5);
const ALIVE_WITHIN: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_coordinator_says_is_read_as_it_said_it() {
        assert_eq!(plain("there%20is no worker w%C3%A4%"), "there is no worker w\u{e4}");
    }
}
