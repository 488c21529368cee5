//! Bodies on their way: a request's towards the worker, an answer's towards the client. Both stream; what is held of a
//! request, for another try, is held before (held.rs).

use std::cell::Cell;
use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use ambidex_core::worker::WorkerId;
use ambidex_http1::Refusal;
use ambidex_tower::Flight;
use ambidex_wire::report;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::net::TcpStream;

use crate::admission::Permit;
use crate::head::clean_trailers;
use crate::held::Held;
use crate::record::{Entry, Record};
use crate::report::hear;
use crate::serve::client_wire::ClientWire;
use crate::serve::pulse::InService;
use crate::splice::{LEAST_PUMPED, Moved, Pump, PumpError};
use crate::tap::{Both, Tap};
use crate::thread::Thread;
use crate::upstream::{AnswerError, UpstreamBody};

/// The body of a client's request.
#[derive(Default)]
pub(crate) struct RequestBody(Option<Upload>);

struct Upload {
    source: Source,
    left: u64,
    progress: Rc<Progress>,
    /// What was taken and could not be sent.
    back: Option<Bytes>,
}

enum Source {
    H1(Rc<ClientWire>),
    H2(Incoming),
    /// Memory, and this is what is left behind what is put back.
    Held(Option<HeaderMap>),
}

/// How far a request's body has come, for those who do not hold it.
#[derive(Debug)]
pub(crate) struct Progress {
    pub(crate) bytes: Cell<u64>,
    /// It is larger than allowed.
    pub(crate) too_large: Cell<bool>,
    /// Its framing is none.
    pub(crate) refused: Cell<Option<Refusal>>,
    /// The worker wants more than the client has sent.
    starved: Rc<Cell<bool>>,
}

impl Progress {
    pub(crate) fn new(starved: Rc<Cell<bool>>) -> Self {
        Self { bytes: Cell::new(0), too_large: Cell::new(false), refused: Cell::new(None), starved }
    }

    /// Whether the worker wants more than the client has sent.
    pub(crate) fn is_starved(&self) -> bool {
        self.starved.get()
    }
}

/// Why a request's body cannot be passed on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RequestBodyError {
    #[error("the client's body broke off: {0}")]
    Stream(#[from] hyper::Error),
    #[error("the client's body broke off: {0}")]
    Io(#[from] std::io::Error),
    #[error("the client's body is malformed: {0}")]
    Refused(#[from] Refusal),
    #[error("the body is larger than allowed")]
    TooLarge,
}

impl RequestBody {
    /// The body that comes on a connection of HTTP/1, at most `most` bytes.
    pub(crate) fn of_connection(wire: &Rc<ClientWire>, starved: Rc<Cell<bool>>, most: u64) -> Self {
        Self::of(Source::H1(Rc::clone(wire)), starved, most)
    }

    /// The body of a stream of HTTP/2, at most `most` bytes.
    pub(crate) fn of_stream(incoming: Incoming, most: u64) -> Self {
        if incoming.is_end_stream() { Self::default() } else { Self::of(Source::H2(incoming), Rc::default(), most) }
    }

    /// A copy of one that was read whole; `progress` is that of the reading.
    pub(crate) fn of_held(held: &Held, progress: Rc<Progress>) -> Self {
        let (source, back) = (Source::Held(held.trailers.clone()), Some(held.data.clone()));
        Self(Some(Upload { source, left: 0, progress, back: back.filter(|data| !data.is_empty()) }))
    }

    fn of(source: Source, starved: Rc<Cell<bool>>, left: u64) -> Self {
        Self(Some(Upload { source, left, progress: Rc::new(Progress::new(starved)), back: None }))
    }

    /// How it goes on, if there is any.
    pub(crate) fn progress(&self) -> Option<Rc<Progress>> {
        self.0.as_ref().map(|upload| Rc::clone(&upload.progress))
    }

    /// How many bytes follow that can be moved without being looked at, if that pays. Only of a body of known length.
    pub(crate) fn pumpable(&self) -> Option<u64> {
        let Some(Upload { source: Source::H1(wire), back: None, .. }) = &self.0 else { return None };
        wire.pumpable().filter(|length| *length >= LEAST_PUMPED)
    }

    /// Moves bytes from the client's socket to the worker's.
    pub(crate) fn poll_pump(
        &mut self,
        cx: &mut Context<'_>,
        pump: &mut Pump,
        to: &TcpStream,
    ) -> Poll<Result<Moved, PumpError>> {
        let Some(Upload { source: Source::H1(wire), progress, .. }) = &self.0 else {
            unreachable!("a pump is made for a body that comes by a socket")
        };
        let polled = wire.poll_pump_in(cx, pump, to);
        progress.starved.set(polled.is_pending() && !pump.is_blocked());
        if let Poll::Ready(Ok(moved)) = &polled {
            progress.bytes.set(progress.bytes.get() + moved.bytes);
        }
        polled
    }

    /// Takes back what was taken last and not sent.
    pub(crate) fn put_back(&mut self, data: Bytes) {
        if let Some(upload) = self.0.as_mut().filter(|_| !data.is_empty()) {
            upload.back = Some(data);
        }
    }
}

impl Upload {
    fn poll_source(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, RequestBodyError>>> {
        let polled = match &mut self.source {
            Source::H1(wire) => wire.poll_body(cx),
            Source::H2(incoming) => Pin::new(incoming).poll_frame(cx).map_err(RequestBodyError::from),
            Source::Held(trailers) => return Poll::Ready(trailers.take().map(|left| Ok(Frame::trailers(left)))),
        };
        self.progress.starved.set(polled.is_pending());
        let Some(frame) = ready!(polled).transpose().inspect_err(|error| {
            if let RequestBodyError::Refused(refusal) = error {
                self.progress.refused.set(Some(*refusal));
            }
        })?
        else {
            return Poll::Ready(None);
        };
        let frame = match frame.into_trailers() {
            Ok(mut trailers) => {
                clean_trailers(&mut trailers);
                return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
            }
            Err(frame) => frame,
        };
        if let Some(data) = frame.data_ref() {
            let size = data.len() as u64;
            self.progress.bytes.set(self.progress.bytes.get() + size);
            let Some(left) = self.left.checked_sub(size) else {
                self.progress.too_large.set(true);
                return Poll::Ready(Some(Err(RequestBodyError::TooLarge)));
            };
            self.left = left;
        }
        Poll::Ready(Some(Ok(frame)))
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = RequestBodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, RequestBodyError>>> {
        let Some(upload) = &mut self.0 else { return Poll::Ready(None) };
        match upload.back.take() {
            Some(data) => Poll::Ready(Some(Ok(Frame::data(data)))),
            None => upload.poll_source(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(|upload| {
            upload.back.is_none()
                && match &upload.source {
                    Source::H1(wire) => wire.body_is_whole(),
                    Source::H2(incoming) => incoming.is_end_stream(),
                    Source::Held(trailers) => trailers.is_none(),
                }
        })
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            None => SizeHint::with_exact(0),
            Some(Upload { source: Source::H2(incoming), .. }) => incoming.size_hint(),
            Some(Upload { source: Source::Held(_), back, .. }) => {
                SizeHint::with_exact(back.as_ref().map_or(0, |data| data.len() as u64))
            }
            Some(Upload { source: Source::H1(_), .. }) => SizeHint::default(),
        }
    }
}

/// The body of an answer on a stream of HTTP/2.
pub(crate) enum AnswerBody {
    /// A sentence of our own, or nothing.
    Own(Own),
    /// A worker's.
    Relayed(Box<Relay>),
}

/// A body of our own, and what ends with it.
pub(crate) struct Own {
    text: Option<Bytes>,
    _entry: Entry,
    _service: InService,
}

impl AnswerBody {
    /// A sentence, or nothing.
    pub(crate) const fn own(text: Option<Bytes>, entry: Entry, service: InService) -> Self {
        Self::Own(Own { text, _entry: entry, _service: service })
    }
}

/// A worker's body, and all that ends with it.
pub(crate) struct Relay {
    pub(crate) body: UpstreamBody,
    /// Of the try that brought it; none for what is kept here.
    flight: Option<Flight>,
    tap: Option<Box<dyn Tap>>,
    thread: Rc<Thread>,
    /// Whose reports in trailers are believed, if any.
    speaker: Option<WorkerId>,
    sent: u64,
    /// All of it went to the client.
    complete: bool,
    entry: Entry,
    progress: Option<Rc<Progress>>,
    service: InService,
}

impl Relay {
    pub(crate) fn new(
        body: UpstreamBody,
        flight: Option<Flight>,
        speaker: Option<WorkerId>,
        thread: Rc<Thread>,
        entry: Entry,
        progress: Option<Rc<Progress>>,
        service: InService,
    ) -> Self {
        service.stream.iter().for_each(|stream| stream.head_came());
        Self { body, flight, tap: None, thread, speaker, sent: 0, complete: false, entry, progress, service }
    }

    /// Keeps `permit` until the answer has ended.
    pub(crate) fn hold(&mut self, permit: Box<dyn Permit>) {
        self.service.permit = Some(permit);
    }

    /// Lets `tap` read along.
    pub(crate) fn tap(&mut self, tap: Box<dyn Tap>) {
        self.tap = Some(match self.tap.take() {
            Some(first) => Box::new(Both(first, tap)),
            None => tap,
        });
    }

    /// Goes on with this body in the place of the worker's, which is given up.
    pub(crate) fn instead(&mut self, body: UpstreamBody, status: StatusCode) {
        (self.body, self.flight) = (body, None);
        self.entry.note(|record| record.status = Some(status));
    }

    /// Writes into the request's record, if there is one.
    pub(crate) fn note(&mut self, write: impl FnOnce(&mut Record)) {
        self.entry.note(write);
    }

    /// Whether it comes from here, and not from a worker.
    pub(crate) const fn is_kept(&self) -> bool {
        self.flight.is_none()
    }

    /// Goes on to a client that has waited: behind what was read of it, in the service of its connection.
    pub(crate) fn hand_over(&mut self, ahead: VecDeque<Frame<Bytes>>, service: InService) {
        service.stream.iter().for_each(|stream| stream.head_came());
        let rest = std::mem::replace(&mut self.body, UpstreamBody::kept(Bytes::new()));
        (self.body, self.service, self.sent) = (rest.behind(ahead), service, 0);
    }

    /// Ends the reading of an answer that goes on in another form, which is what is counted and recorded.
    pub(crate) fn part(mut self) -> (Entry, InService) {
        (self.sent, self.progress) = (0, None);
        let pulse = Rc::default();
        let service = std::mem::replace(&mut self.service, InService::begin(&pulse, None));
        (std::mem::take(&mut self.entry), service)
    }

    /// How many bytes of data follow that can be moved without being looked at, if that pays.
    pub(crate) fn pumpable(&self) -> Option<u64> {
        if self.tap.is_some() { None } else { self.body.pumpable() }
    }

    /// What comes next of the body.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, AnswerError>>> {
        if let Some(stream) = &self.service.stream {
            stream.asked();
        }
        let frame = match ready!(self.body.poll_next(cx)) {
            Some(Ok(frame)) => frame,
            Some(Err(error)) => {
                self.broke_off(&error);
                return Poll::Ready(Some(Err(error)));
            }
            None => {
                self.complete = true;
                self.tell_of_the_end();
                return Poll::Ready(None);
            }
        };
        if let Some(data) = frame.data_ref() {
            self.tap.iter_mut().for_each(|tap| tap.data(data));
            self.passed_on(data.len() as u64);
            self.tell_of_the_end();
            return Poll::Ready(Some(Ok(frame)));
        }
        Poll::Ready(Some(Ok(self.hear_trailers(frame))))
    }

    /// Tells who reads along that all has come, before the client has it: who asks next must find it.
    fn tell_of_the_end(&mut self) {
        if (self.complete || self.body.is_over())
            && let Some(tap) = self.tap.take()
        {
            tap.ended(true);
        }
    }

    /// So many bytes went to the client.
    pub(crate) fn passed_on(&mut self, bytes: u64) {
        self.sent += bytes;
        if let Some(stream) = &self.service.stream {
            stream.handed_over(bytes);
        }
    }

    /// So many bytes of it went from socket to socket.
    pub(crate) fn moved(&mut self, bytes: u64) {
        self.body.moved(bytes);
        self.passed_on(bytes);
    }

    /// The worker broke the answer off.
    pub(crate) fn broke_off(&mut self, error: &AnswerError) {
        self.flight.iter_mut().for_each(Flight::broke_off);
        self.thread.stats.broken.add(1);
        self.entry.note(|record| {
            record.detail = format!("the answer broke off: {error}");
            record.sampled.iter().for_each(|sampled| sampled.broke_off());
        });
    }

    fn hear_trailers(&mut self, frame: Frame<Bytes>) -> Frame<Bytes> {
        match frame.into_trailers() {
            Ok(mut trailers) => {
                if let Some(heard) = report::take(&mut trailers)
                    && let Some(worker) = self.speaker
                    && let Some(flight) = &self.flight
                {
                    let now = self.thread.clock.now();
                    hear(&self.thread, worker, flight.cells(), heard, now);
                }
                clean_trailers(&mut trailers);
                self.tap.iter_mut().for_each(|tap| tap.trailers(&trailers));
                Frame::trailers(trailers)
            }
            Err(frame) => frame,
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.thread.stats.bytes_out.add(self.sent);
        let bytes_in = self.progress.as_ref().map_or(0, |progress| progress.bytes.get());
        self.thread.stats.bytes_in.add(bytes_in);
        let (sent, complete) = (self.sent, self.complete || self.body.is_over());
        if let Some(tap) = self.tap.take() {
            tap.ended(complete);
        }
        self.entry.note(|record| {
            (record.bytes, record.complete) = (sent, complete);
        });
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = AnswerError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, AnswerError>>> {
        match &mut *self {
            Self::Own(own) => Poll::Ready(own.text.take().map(|text| Ok(Frame::data(text)))),
            Self::Relayed(relay) => relay.poll_next(cx).map_ok(|frame| frame.map_data(own_if_small)),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Own(own) => own.text.is_none(),
            Self::Relayed(relay) => relay.body.is_over(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Own(own) => SizeHint::with_exact(own.text.as_ref().map_or(0, |text| text.len() as u64)),
            Self::Relayed(relay) => relay.body.size_hint(),
        }
    }
}

/// A copy of a few bytes: they are part of a large buffer, and may wait for long until their client takes them.
fn own_if_small(data: Bytes) -> Bytes {
    if data.len() <= SMALL { Bytes::copy_from_slice(&data) } else { data }
}

/// Data up to this size is copied. Source: a page.
const SMALL: usize = 4 << 10;
