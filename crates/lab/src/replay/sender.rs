//! Sends requests when they are due, over as many connections as there may be, and hears their answers to their ends.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use ambidex_core::time::{Mono, Span};
use ambidex_wire::recording::{Digest, Digester};
use bytes::Bytes;
use http::{HeaderName, Request, Response, Version};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::ReplayOptions;
use super::plan::Shot;
use super::tally::{Failure, Tally};
use crate::clock::{Alarm, Clock};

/// What a request was answered now.
#[derive(Debug)]
pub(super) struct Now {
    pub(super) status: u16,
    pub(super) digest: Digest,
    pub(super) length: u64,
    pub(super) worker: Option<String>,
}

/// Sends all, in the order of their times, and hears what they are answered.
pub(super) fn send(shots: Vec<Shot>, target: SocketAddr, options: ReplayOptions, clock: Clock) -> io::Result<Tally> {
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default())?;
    runtime.block_on(async {
        let alarm = Alarm::new(clock)?;
        let room = Semaphore::new(options.connections);
        let tally = RefCell::new(Tally::new(options.compare));
        let worker = HeaderName::from_bytes(options.worker_field.as_bytes()).ok();
        let sender =
            Rc::new(Sender { clock, target, room, worker, timeout: options.timeout, idle: RefCell::default(), tally });
        let begin = clock.now() + Span::from_millis(1);
        let mut asking = JoinSet::new();
        for (number, shot) in shots.into_iter().enumerate() {
            let due = begin + shot.due;
            alarm.until(Some(due)).await?;
            sender.tally.borrow_mut().due(due, clock.now());
            asking.spawn_local(Rc::clone(&sender).shoot(shot, due));
            // Answers are heard while the next is waited for; who is late must let them be heard, too.
            if number % BREATH == 0 {
                tokio::task::yield_now().await;
            }
            while asking.try_join_next().is_some() {}
        }
        while asking.join_next().await.is_some() {}
        let took = clock.now().since(begin);
        let mut tally = sender.tally.take();
        tally.took = took;
        Ok(tally)
    })
}

struct Sender {
    clock: Clock,
    target: SocketAddr,
    /// One place for each connection that there may be.
    room: Semaphore,
    worker: Option<HeaderName>,
    timeout: Span,
    idle: RefCell<VecDeque<SendRequest<Full<Bytes>>>>,
    tally: RefCell<Tally>,
}

impl Sender {
    async fn shoot(self: Rc<Self>, shot: Shot, due: Mono) {
        // Nobody closes the room.
        let Ok(_place) = self.room.acquire().await else { return };
        let now = match tokio::time::timeout(self.timeout.into(), self.ask(&shot)).await {
            Ok(now) => now,
            Err(_) => Err(Failure::Timeout),
        };
        let took = self.clock.now().since(due);
        self.tally.borrow_mut().ended(&shot, now, took);
    }

    async fn ask(&self, shot: &Shot) -> Result<Now, Failure> {
        let mut request = shot.request();
        loop {
            let kept = self.idle.borrow_mut().pop_back();
            let fresh = kept.is_none();
            let mut line = match kept {
                Some(line) => line,
                None => self.connect().await?,
            };
            if !fresh && line.ready().await.is_err() {
                continue;
            }
            match line.try_send_request(request).await {
                Ok(response) => {
                    let now = self.hear(response).await?;
                    self.idle.borrow_mut().push_back(line);
                    return Ok(now);
                }
                // The other side closed the idle connection before it had any of the request.
                Err(mut error) => match error.take_message().filter(|_| !fresh) {
                    Some(unsent) => request = unsent,
                    None => return Err(Failure::Reset),
                },
            }
        }
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, Failure> {
        let stream = TcpStream::connect(self.target).await.map_err(|_| Failure::Connect)?;
        drop(stream.set_nodelay(true));
        let (line, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|_| Failure::Connect)?;
        tokio::task::spawn_local(async move { drop(connection.await) });
        Ok(line)
    }

    async fn hear(&self, response: Response<Incoming>) -> Result<Now, Failure> {
        let (head, mut body) = response.into_parts();
        let mut digester = Digester::default();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| Failure::Truncated)?;
            frame.data_ref().into_iter().for_each(|data| digester.take(data));
        }
        let named = self.worker.as_ref().and_then(|name| head.headers.get(name));
        let worker = named.map(|name| String::from_utf8_lossy(name.as_bytes()).into_owned());
        Ok(Now { status: head.status.as_u16(), digest: digester.digest(), length: digester.length(), worker })
    }
}

impl Shot {
    fn request(&self) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.target.clone();
        *request.version_mut() = Version::HTTP_11;
        for (name, value) in &self.fields {
            request.headers_mut().append(name, value.clone());
        }
        request
    }
}

/// Who is late catches up in bursts of this many.
const BREATH: usize = 16;
