//! A client's request on its way: its head as it came, what is said with it, and its body.
//!
//! One form serves both versions of HTTP on both sides: a head of the codec's. What changes is a plan, made when the
//! request is written to a worker, so that another try is written as the first one was.

use std::cell::RefCell;
use std::rc::Rc;

use ambidex_http1::write::{Connection, Edits, RequestPlan};
use ambidex_http1::{Framing, Known, KnownSet, Name, Path, RequestHead, Value};
use http::{Method, Version};

use crate::body::{Progress, RequestBody};
use crate::head::{self, INTRODUCED, ORIGINS, OURS};
use crate::introduction::{Introduction, Joined};
use crate::trace::context::Context;
use crate::websocket;

/// A request that is answered by some worker, or by ourselves.
pub(crate) struct Request {
    /// As it came.
    pub(crate) head: RequestHead,
    /// The version that its client speaks.
    pub(crate) version: Version,
    /// Taken by the try that sends it.
    pub(crate) body: RefCell<RequestBody>,
    /// How its body goes on, if it has one.
    pub(crate) progress: Option<Rc<Progress>>,
    /// The stream of HTTP/2 that is to become a WebSocket.
    pub(crate) websocket: Option<websocket::Asked>,
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
}

impl Request {
    pub(crate) fn new(head: RequestHead, version: Version, body: RequestBody) -> Self {
        let progress = body.progress();
        Self { head, version, body: RefCell::new(body), progress, websocket: None }
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
        let mut add = Vec::with_capacity(MOST_LINES);
        introduction.tell(saying.trusted.then_some(head), &mut joined, &mut add);
        let more = [
            (const { Name::literal("x-request-id") }, saying.id.as_ref().map(|id| &id[..])),
            (const { Name::literal("traceparent") }, trace.as_ref().map(|text| &text[..])),
            (const { Name::literal("max-forwards") }, hops.as_deref().map(str::as_bytes)),
        ];
        add.extend(more.into_iter().filter_map(|(name, text)| Some((name, Value::checked(text?)?))));
        let mut drop = OURS.and(if saying.trusted { INTRODUCED } else { ORIGINS });
        for (made, name) in [(trace.is_some(), Known::Traceparent), (hops.is_some(), Known::MaxForwards)] {
            drop = if made { drop.and(KnownSet::of(&[name])) } else { drop };
        }
        let upgrade = saying.upgrade.then(|| head.first(Known::Upgrade)).flatten();
        write(&RequestPlan {
            host: own.as_ref().and_then(|own| Value::checked(own.as_bytes())),
            path: None::<Path<'_>>,
            edits: Edits { drop, remove: &[], add: &add },
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

/// Lines that are added at most: four that introduce, id, trace, hops.
const MOST_LINES: usize = 7;
