//! The body of an answer on its way to the client, and all that ends with it: the try that brought it, what reads along, the
//! request's record, and its place in the connection's service.

use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use ambidex_core::worker::WorkerId;
use ambidex_tower::Flight;
use ambidex_wire::report;
use bytes::Bytes;
use http::StatusCode;
use http_body::{Body, Frame, SizeHint};

use crate::admission::Permit;
use crate::body::Progress;
use crate::head::clean_trailers;
use crate::record::{Entry, Record};
use crate::report::hear;
use crate::serve::pulse::InService;
use crate::tap::{Both, Tap};
use crate::thread::Thread;
use crate::upstream::{AnswerError, UpstreamBody};

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
