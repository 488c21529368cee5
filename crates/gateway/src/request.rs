//! A client's request on its way: its head as it came, what is said with it, and its body.
//!
//! One form serves both versions of HTTP on both sides: a head of the codec's. What changes is a plan, made when the
//! request is written to a worker, so that another try is written as the first one was.

use std::cell::{OnceCell, RefCell};
use std::rc::Rc;

use ambidex_http1::write::{Connection, Edits, RequestPlan};
use ambidex_http1::{Framing, Known, KnownSet, Name, Path, RequestHead, Value};
use ambidex_wire::shard::headers;
use arrayvec::ArrayVec;
use bytes::Bytes;
use http::{Method, Version};

use crate::body::{Progress, RequestBody, RequestBodyError};
use crate::deadline;
use crate::head::{self, INTRODUCED, ORIGINS, OURS};
use crate::held::{Held, Keeping};
use crate::introduction::{Introduction, Joined};
use crate::recording::Track;
use crate::trace::context::Context;
use crate::turn::Turn;
use crate::websocket;

/// A request that is answered by some worker, or by ourselves.
pub(crate) struct Request {
    /// As it came.
    pub(crate) head: RequestHead,
    /// The version that its client speaks.
    pub(crate) version: Version,
    /// Taken by the try that sends it, unless it is held.
    body: RefCell<RequestBody>,
    /// All of the body, where it was read before it is sent.
    held: OnceCell<Held>,
    /// What there is of it so far, where it is kept while it is sent.
    keeping: OnceCell<Rc<Keeping>>,
    /// What is asked about instead of what its client asks about.
    condition: OnceCell<Box<Condition>>,
    /// How its body goes on, if it has one.
    pub(crate) progress: Option<Rc<Progress>>,
    /// The stream of HTTP/2 that is to become a WebSocket.
    pub(crate) websocket: Option<websocket::Asked>,
    /// Whether it may run twice, where its idempotency key decides that and not its method.
    pub(crate) may_run_twice: Option<bool>,
}

/// An answer that is kept, and of which a worker is asked whether it is still right. Without either: it is asked for.
#[derive(Debug)]
pub(crate) struct Condition {
    /// Its `ETag`.
    pub(crate) etag: Option<Bytes>,
    /// Its `Last-Modified`.
    pub(crate) modified: Option<Bytes>,
}

/// What is said with a request.
pub(crate) struct Saying<'a> {
    /// Who asks.
    pub(crate) introduction: &'a RefCell<Introduction>,
    /// Whether what the client says of others is believed.
    pub(crate) trusted: bool,
    /// Id of the request, unless a trusted client gave it one.
    pub(crate) id: Option<[u8; 32]>,
    /// Whether its change of protocol goes through.
    pub(crate) upgrade: bool,
    /// The time that is left, if its worker is to know it.
    pub(crate) deadline: Option<deadline::Told<'a>>,
    /// Where its route's second chances take it.
    pub(crate) turn: Option<&'a Turn<'a>>,
    /// Whether it is a copy, whose answer goes nowhere.
    pub(crate) mirrored: bool,
    /// Of which slice it is, if its route is keyed.
    pub(crate) slice: Option<&'a SliceLines>,
}

/// What the owner of a slice is told of a request.
#[derive(Debug)]
pub(crate) struct SliceLines {
    /// In the order of [`SLICE_NAMES`]; the last two may be empty: then it has no name, and takes no old answer.
    pub(crate) texts: [String; SLICE_LINES],
}

impl Request {
    pub(crate) fn new(head: RequestHead, version: Version, body: RequestBody) -> Self {
        let progress = body.progress();
        let (body, held, keeping) = (RefCell::new(body), OnceCell::new(), OnceCell::new());
        let condition = OnceCell::new();
        Self { head, version, body, held, keeping, condition, progress, websocket: None, may_run_twice: None }
    }

    /// The same request for a task that may outlive its connection. Its body is held.
    pub(crate) fn alone(&self) -> Self {
        let (head, progress, held) = (self.head.clone(), self.progress.clone(), self.held.clone());
        let (body, keeping, condition, version) =
            (RefCell::default(), self.keeping.clone(), OnceCell::new(), self.version);
        Self { head, version, body, held, keeping, condition, progress, websocket: None, may_run_twice: None }
    }

    /// The body, for a try: a copy where it is held, else the only one.
    pub(crate) fn take_body(&self) -> RequestBody {
        match (self.whole(), &self.progress) {
            (Some(held), Some(progress)) => RequestBody::of_held(held, Rc::clone(progress)),
            (None, _) | (_, None) => self.body.take(),
        }
    }

    /// Lets `track` read the body along.
    pub(crate) fn read_along(&self, track: Track) {
        self.body.borrow_mut().read_along(track);
    }

    /// Takes a body back that was not sent.
    pub(crate) fn give_back(&self, body: RequestBody) {
        self.body.replace(body);
    }

    /// Reads the body to its end, if that comes within `most` bytes; says whether it did. Then it can be sent any number
    /// of times.
    ///
    /// # Errors
    /// Why it could not be read.
    pub(crate) async fn hold(&self, most: usize) -> Result<bool, RequestBodyError> {
        if self.is_held() {
            return Ok(true);
        }
        let mut body = self.body.take();
        match body.hold(most).await? {
            Some(held) => _ = self.held.set(held),
            None => self.give_back(body),
        }
        Ok(self.is_held())
    }

    /// Keeps the body while it is sent, up to `most` bytes: nobody waits for it, and once it has ended it can be sent
    /// again.
    pub(crate) fn keep_as_it_comes(&self, most: usize) {
        let keeping = self.keeping.get_or_init(|| Rc::new(Keeping::new(most)));
        self.body.borrow_mut().keep(Rc::clone(keeping));
    }

    /// Whether the body is on its way, and all of it so far is kept.
    pub(crate) fn is_being_kept(&self) -> bool {
        self.keeping.get().is_some_and(|keeping| !keeping.is_beyond())
    }

    /// All of the body, if it is in memory.
    fn whole(&self) -> Option<&Held> {
        self.held.get().or_else(|| self.keeping.get()?.whole())
    }

    /// Has every try ask about what is kept, and not about what the client has, nor for a part.
    pub(crate) fn ask_about(&self, condition: Condition) {
        _ = self.condition.set(Box::new(condition));
    }

    /// Whether the body can be sent any number of times: it is held, or there is none.
    pub(crate) fn is_held(&self) -> bool {
        self.progress.is_none() || self.whole().is_some()
    }

    /// The bytes of a held body; empty where there is none.
    pub(crate) fn held(&self) -> &[u8] {
        self.whole().map_or(&[], |held| &held.data)
    }

    /// Whether it can be sent twice: it changes nothing at the worker (RFC 9110, 9.2.1), and it has no body.
    pub(crate) fn is_harmless(&self) -> bool {
        let safe = matches!(*self.head.method(), Method::GET | Method::HEAD | Method::OPTIONS);
        safe && self.progress.is_none()
    }

    /// Hands `write` the plan by which the request is written to the worker at `url`, in the span of `trace`.
    pub(crate) fn planned<T>(
        &self,
        saying: &Saying<'_>,
        url: &str,
        trace: Option<&Context>,
        write: impl FnOnce(&RequestPlan<'_>) -> T,
    ) -> T {
        let head = self.head.head();
        let named = self.head.authority();
        let own = named.is_none().then(|| head::worker_host(url));
        let mut introduction = saying.introduction.borrow_mut();
        introduction.meet(named.map_or(&[][..], |host| host.as_bytes()));
        let introduction = &*introduction;
        let mut joined = Joined::default();
        let (trace, hops) = (trace.map(Context::text), self.hops_left());
        let left = saying.deadline.map(|told| told.line());
        let mut add = ArrayVec::<_, { INTRODUCING + MORE + ABOUT + SLICE_LINES }>::new();
        let lines = introduction.lines();
        if lines.is_none() {
            introduction.tell(head, &mut joined, &mut add);
        }
        let more: [(_, Option<&[u8]>); MORE] = [
            (const { Name::literal("x-request-id") }, saying.id.as_ref().map(|id| &id[..])),
            (const { Name::literal("traceparent") }, trace.as_ref().map(|text| &text[..])),
            (MIRROR, saying.mirrored.then_some(b"1")),
            (const { Name::literal("max-forwards") }, hops.as_deref().map(str::as_bytes)),
            (left.as_ref().map_or(GRPC_TIMEOUT, |left| left.0), left.as_ref().map(|left| left.1.as_bytes())),
        ];
        add.extend(more.into_iter().filter_map(|(name, text)| Some((name, Value::checked(text?)?))));
        if let Some(slice) = saying.slice {
            let lines = SLICE_NAMES.into_iter().zip(&slice.texts).filter(|(_, text)| !text.is_empty());
            add.extend(lines.filter_map(|(name, text)| Some((name, Value::checked(text.as_bytes())?))));
        }
        let condition = self.condition.get();
        if let Some(condition) = condition {
            let lines = [(IF_NONE_MATCH, &condition.etag), (IF_MODIFIED_SINCE, &condition.modified)];
            add.extend(lines.into_iter().filter_map(|(name, text)| Some((name, Value::checked(text.as_deref()?)?))));
        }
        let mut drop = OURS.and(if saying.trusted { INTRODUCED } else { ORIGINS });
        let made = [
            (trace.is_some(), Known::Traceparent),
            (hops.is_some(), Known::MaxForwards),
            (condition.is_some(), Known::Range),
        ];
        for (made, name) in made {
            drop = if made { drop.and(KnownSet::of(&[name])) } else { drop };
        }
        let path = saying.turn.and_then(Turn::path);
        let upgrade = saying.upgrade.then(|| head.first(Known::Upgrade)).flatten();
        write(&RequestPlan {
            host: own.as_ref().and_then(|own| Value::checked(own.as_bytes())),
            path: path.as_ref().and_then(|path| Path::checked(path.as_bytes())),
            edits: Edits { drop, remove: replaced(condition.is_some(), left.is_some()), add: &add, lines },
            connection: Connection {
                upgrade: upgrade.and_then(|name| Name::checked(name.as_bytes())),
                te_trailers: self.head.takes_trailers(),
                ..Connection::default()
            },
            framing: self.framing(),
        })
    }

    /// Where its body ends.
    pub(crate) fn framing(&self) -> Framing {
        self.head.head().framing()
    }

    /// `Max-Forwards` of OPTIONS as the next hop is told it (RFC 9110, 7.6.2).
    fn hops_left(&self) -> Option<String> {
        let counts = *self.head.method() == Method::OPTIONS && self.head.head().has(Known::MaxForwards);
        let said = counts.then(|| self.head.head().first(Known::MaxForwards)).flatten()?;
        let hops: u32 = str::from_utf8(said.as_bytes()).ok()?.parse().ok()?;
        Some(hops.saturating_sub(1).to_string())
    }

    /// Whether it may go no further: OPTIONS that has made its last hop.
    pub(crate) fn is_for_us(&self) -> bool {
        let head = self.head.head();
        *self.head.method() == Method::OPTIONS
            && head.first(Known::MaxForwards).is_some_and(|said| said.as_bytes().iter().all(|&byte| byte == b'0'))
    }
}

/// Lines by which the owner of a slice knows what it is asked.
pub(crate) const SLICE_LINES: usize = 6;
/// Their names.
const SLICE_NAMES: [Name<'static>; SLICE_LINES] = [
    Name::literal(headers::KEYSPACE),
    Name::literal(headers::SLICE),
    Name::literal(headers::EPOCH),
    Name::literal(headers::KEY),
    Name::literal(headers::OP_ID),
    Name::literal(headers::READS),
];
/// What a copy says of itself.
const MIRROR: Name<'static> = Name::literal("ambidex-mirror");
/// A client's own, where the worker is told another.
const GRPC_TIMEOUT: Name<'static> = Name::literal("grpc-timeout");
/// Lines that introduce a client, at most.
const INTRODUCING: usize = 4;
/// Lines that are added to them: id, trace, whether it is a copy, hops, time left.
const MORE: usize = 5;
/// Lines by which is asked about what is kept.
const ABOUT: usize = 2;
const IF_NONE_MATCH: Name<'static> = Name::literal("if-none-match");
const IF_MODIFIED_SINCE: Name<'static> = Name::literal("if-modified-since");
/// What a client asks about, where something else is asked about; and its own time, where another is told.
const REPLACED: [Name<'static>; 4] = [IF_NONE_MATCH, IF_MODIFIED_SINCE, Name::literal("if-range"), GRPC_TIMEOUT];

/// The client's lines that are left out because ours take their place.
const fn replaced(conditions: bool, deadline: bool) -> &'static [Name<'static>] {
    const ALL: &[Name<'static>] = &REPLACED;
    match (conditions, deadline) {
        (true, true) => ALL,
        (true, false) => ALL.split_at(3).0,
        (false, true) => ALL.split_at(3).1,
        (false, false) => &[],
    }
}
