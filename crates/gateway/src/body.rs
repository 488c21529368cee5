//! Bodies on their way: a request's towards the worker, an answer's towards the client. Both stream; neither is held.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use ambidex_tower::Flight;
use ambidex_wire::report;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use crate::record::Entry;
use crate::report::hear;
use crate::serve::pulse::InService;
use crate::thread::Thread;
use crate::upstream::UpstreamBody;
use ambidex_core::worker::WorkerId;

/// The body of a client's request.
pub(crate) struct RequestBody(Option<Upload>);

struct Upload {
    incoming: Incoming,
    left: u64,
    progress: Rc<Progress>,
}

/// How far a request's body has come, for those who do not hold it.
#[derive(Debug)]
pub(crate) struct Progress {
    pub(crate) bytes: Cell<u64>,
    /// It is larger than allowed.
    pub(crate) too_large: Cell<bool>,
    /// The worker wants more than the client has sent.
    starved: Rc<Cell<bool>>,
}

impl Progress {
    pub(crate) fn new(starved: Rc<Cell<bool>>) -> Self {
        Self { bytes: Cell::new(0), too_large: Cell::new(false), starved }
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
    Client(#[from] hyper::Error),
    #[error("the body is larger than allowed")]
    TooLarge,
}

impl RequestBody {
    /// No body.
    pub(crate) const fn empty() -> Self {
        Self(None)
    }

    /// The body that comes in, of any size so far.
    pub(crate) fn streaming(incoming: Incoming, starved: impl FnOnce() -> Rc<Cell<bool>>) -> Self {
        if incoming.is_end_stream() {
            return Self::empty();
        }
        Self(Some(Upload { incoming, left: u64::MAX, progress: Rc::new(Progress::new(starved())) }))
    }

    /// How it goes on, if there is any.
    pub(crate) fn progress(&self) -> Option<Rc<Progress>> {
        self.0.as_ref().map(|upload| Rc::clone(&upload.progress))
    }

    /// Bounds the body to `most` bytes; the answer tells how it goes on.
    pub(crate) fn bound(&mut self, most: u64) -> Option<Rc<Progress>> {
        let upload = self.0.as_mut()?;
        upload.left = most;
        Some(Rc::clone(&upload.progress))
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
        let polled = Pin::new(&mut upload.incoming).poll_frame(cx);
        upload.progress.starved.set(polled.is_pending());
        let Some(frame) = ready!(polled).transpose()? else { return Poll::Ready(None) };
        if let Some(data) = frame.data_ref() {
            let size = data.len() as u64;
            upload.progress.bytes.set(upload.progress.bytes.get() + size);
            let Some(left) = upload.left.checked_sub(size) else {
                upload.progress.too_large.set(true);
                return Poll::Ready(Some(Err(RequestBodyError::TooLarge)));
            };
            upload.left = left;
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(|upload| upload.incoming.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.0.as_ref().map_or_else(|| SizeHint::with_exact(0), |upload| upload.incoming.size_hint())
    }
}

/// The body of an answer to a client.
pub(crate) enum AnswerBody {
    /// A sentence of our own, or nothing.
    Own(Own),
    /// A worker's.
    Relayed(Relay),
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
    body: UpstreamBody,
    flight: Flight,
    thread: Rc<Thread>,
    /// Whose reports in trailers are believed, if any.
    speaker: Option<WorkerId>,
    sent: u64,
    entry: Entry,
    progress: Option<Rc<Progress>>,
    service: InService,
}

impl Relay {
    pub(crate) fn new(
        body: UpstreamBody,
        flight: Flight,
        speaker: Option<WorkerId>,
        thread: Rc<Thread>,
        entry: Entry,
        progress: Option<Rc<Progress>>,
        service: InService,
    ) -> Self {
        service.stream.iter().for_each(|stream| stream.head_came());
        Self { body, flight, thread, speaker, sent: 0, entry, progress, service }
    }

    fn hear_trailers(&mut self, frame: Frame<Bytes>) -> Frame<Bytes> {
        match frame.into_trailers() {
            Ok(mut trailers) => {
                if let Some(heard) = report::take(&mut trailers)
                    && let Some(worker) = self.speaker
                {
                    hear(&self.thread, worker, self.flight.cells(), heard);
                }
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
        let (sent, complete) = (self.sent, self.body.is_end_stream());
        self.entry.note(|record| {
            (record.bytes, record.complete) = (sent, complete);
        });
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let relay = match &mut *self {
            Self::Own(own) => return Poll::Ready(own.text.take().map(|text| Ok(Frame::data(text)))),
            Self::Relayed(relay) => relay,
        };
        if let Some(stream) = &relay.service.stream {
            stream.asked();
        }
        let frame = match ready!(Pin::new(&mut relay.body).poll_frame(cx)) {
            Some(Ok(frame)) => frame,
            Some(Err(error)) => {
                relay.flight.broke_off();
                relay.thread.stats.broken.add(1);
                relay.entry.note(|record| {
                    record.detail = format!("the answer broke off: {error}");
                    record.sampled.iter().for_each(|sampled| sampled.broke_off());
                });
                return Poll::Ready(Some(Err(error)));
            }
            None => return Poll::Ready(None),
        };
        if let Some(data) = frame.data_ref() {
            let bytes = data.len() as u64;
            relay.sent += bytes;
            if let Some(stream) = &relay.service.stream {
                stream.handed_over(bytes);
            }
            return Poll::Ready(Some(Ok(frame)));
        }
        Poll::Ready(Some(Ok(relay.hear_trailers(frame))))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Own(own) => own.text.is_none(),
            Self::Relayed(relay) => relay.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Own(own) => SizeHint::with_exact(own.text.as_ref().map_or(0, |text| text.len() as u64)),
            Self::Relayed(relay) => relay.body.size_hint(),
        }
    }
}
