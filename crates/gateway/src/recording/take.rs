//! One request while it is recorded: its head is written down when it comes, its body and its answer's are read along,
//! and when all is over it goes to the thread's [`Reel`](super::Reel).

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use ambidex_core::time::{Mono, Span};
use ambidex_wire::recording::{Answer, Body, Digest, Digester, Exchange};
use bytes::Bytes;
use http::{Method, StatusCode};

use super::{Portion, Reel};
use crate::reason::Reason;
use crate::request::Request;
use crate::serve::exchange::Client;
use crate::tap::Tap;

/// A request that is being recorded.
pub(crate) struct Take {
    reel: Rc<Reel>,
    exchange: Exchange,
    upload: Option<Track>,
    answer: Track,
}

/// What became of the request, as its record knows it.
pub(crate) struct Outcome<'a> {
    pub(crate) route: &'a str,
    pub(crate) status: Option<StatusCode>,
    pub(crate) reason: Option<Reason>,
    pub(crate) worker: &'a str,
    pub(crate) tries: usize,
    pub(crate) took: Span,
}

impl Take {
    /// Begins to record a request.
    pub(super) fn begin(reel: Rc<Reel>, portion: Portion, request: &Request, client: &Client, arrived: Mono) -> Self {
        let head = &request.head;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let exchange = Exchange {
            at: arrived.since(reel.began),
            connection: format!("{}.{}", client.thread.seat, client.number),
            listener: client.peer.settings.listener.address().to_string(),
            sample: Some(portion.sample).filter(|sample| *sample != reel.usual.sample),
            version: crate::record::version(request.version).to_owned(),
            method: head.method().to_string(),
            host: head.authority().map_or_else(String::new, |host| text(host.as_bytes())),
            target: reel.redaction.target(&text(head.path())),
            fields: reel.redaction.of(head.head()),
            ..Exchange::default()
        };
        let upload = request.progress.is_some().then(|| Track::new(portion.bodies, &reel.held));
        let answer = Track::new(0, &reel.held);
        Self { reel, exchange, upload, answer }
    }

    /// What is to read the request's body along, if there is one.
    pub(crate) fn upload(&self) -> Option<Track> {
        self.upload.clone()
    }

    /// What is to read the answer's body along.
    pub(crate) fn answer(&self) -> Track {
        self.answer.clone()
    }

    /// It is over.
    pub(crate) fn end(mut self, outcome: &Outcome<'_>) {
        outcome.route.clone_into(&mut self.exchange.route);
        self.exchange.body = self.upload.as_ref().map(Track::body);
        self.exchange.answer = outcome.status.map(|status| Answer {
            status: status.as_u16(),
            took: outcome.took,
            body: match outcome.reason {
                Some(reason) => own(reason, self.exchange.method == Method::HEAD.as_str()),
                None => self.answer.body(),
            },
            worker: outcome.worker.to_owned(),
            attempts: u32::try_from(outcome.tries).unwrap_or(u32::MAX),
            refused: outcome.reason.map_or("", Reason::word).to_owned(),
        });
        self.reel.put(self.exchange);
    }
}

/// The body of an answer of our own.
fn own(reason: Reason, is_head: bool) -> Body {
    let sentence = if is_head { &[][..] } else { reason.sentence().as_bytes() };
    Body { length: sentence.len() as u64, digest: Some(Digest::of(sentence)), whole: true, base64: None }
}

/// A body that is read along. Clones hear the same.
#[derive(Clone)]
pub(crate) struct Track(Rc<RefCell<Heard>>);

struct Heard {
    digester: Digester,
    /// What was kept, as long as all of it is.
    data: Option<Vec<u8>>,
    most: usize,
    /// What this thread's requests under way keep together.
    held: Rc<Cell<usize>>,
    whole: bool,
}

impl Track {
    fn new(most: usize, held: &Rc<Cell<usize>>) -> Self {
        let data = (most > 0).then(Vec::new);
        let heard = Heard { digester: Digester::default(), data, most, held: Rc::clone(held), whole: false };
        Self(Rc::new(RefCell::new(heard)))
    }

    /// More of it came; `last` when nothing follows.
    pub(crate) fn data(&self, data: &[u8], last: bool) {
        let mut heard = self.0.borrow_mut();
        heard.digester.take(data);
        heard.keep(data);
        heard.whole |= last;
    }

    /// It came to its end.
    pub(crate) fn whole(&self) {
        self.0.borrow_mut().whole = true;
    }

    fn body(&self) -> Body {
        let mut heard = self.0.borrow_mut();
        let whole = heard.whole;
        let base64 = heard.let_go().filter(|_| whole);
        Body { length: heard.digester.length(), digest: whole.then(|| heard.digester.digest()), whole, base64 }
    }
}

impl Heard {
    fn keep(&mut self, more: &[u8]) {
        let Some(data) = &mut self.data else { return };
        if data.len() + more.len() > self.most || self.held.get() + more.len() > MOST_HELD {
            self.let_go();
            return;
        }
        data.extend_from_slice(more);
        self.held.set(self.held.get() + more.len());
    }

    fn let_go(&mut self) -> Option<Vec<u8>> {
        let data = self.data.take()?;
        self.held.set(self.held.get() - data.len());
        Some(data)
    }
}

impl Drop for Heard {
    fn drop(&mut self) {
        self.let_go();
    }
}

impl Tap for Track {
    fn data(&mut self, data: &Bytes) {
        Track::data(self, data, false);
    }

    fn ended(self: Box<Self>, whole: bool) {
        if whole {
            Track::whole(&self);
        }
    }
}

/// Bytes of bodies that the recorded requests under way of one thread keep; beyond, bodies are recorded by length and
/// digest. Source: ours, 16 of the longest.
const MOST_HELD: usize = 16 << 20;
