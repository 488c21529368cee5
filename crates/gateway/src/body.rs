//! The body of a request on its way to the worker: it streams. What is held of it for another try is held before
//! (held.rs); the way of an answer's body is in relay.rs.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use ambidex_http1::Refusal;
use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::net::TcpStream;

use crate::head::clean_trailers;
use crate::held::{Held, Keeping};
use crate::recording::Track;
use crate::serve::client_wire::ClientWire;
use crate::splice::{LEAST_PUMPED, Moved, Pump, PumpError};

/// The body of a client's request.
#[derive(Default)]
pub(crate) struct RequestBody(Option<Upload>);

struct Upload {
    source: Source,
    left: u64,
    progress: Rc<Progress>,
    /// What was taken and could not be sent.
    back: Option<Bytes>,
    /// Who reads along.
    track: Option<Track>,
    /// Who keeps it for another try.
    keeping: Option<Rc<Keeping>>,
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
        Self(Some(Upload {
            source,
            left: 0,
            progress,
            back: back.filter(|data| !data.is_empty()),
            track: None,
            keeping: None,
        }))
    }

    fn of(source: Source, starved: Rc<Cell<bool>>, left: u64) -> Self {
        Self(Some(Upload {
            source,
            left,
            progress: Rc::new(Progress::new(starved)),
            back: None,
            track: None,
            keeping: None,
        }))
    }

    /// Lets `track` read along what comes from here on.
    pub(crate) fn read_along(&mut self, track: Track) {
        if let Some(upload) = &mut self.0 {
            upload.track = Some(track);
        }
    }

    /// Has what comes from here on kept.
    pub(crate) fn keep(&mut self, keeping: Rc<Keeping>) {
        if let Some(upload) = &mut self.0 {
            upload.keeping = Some(keeping);
        }
    }

    /// How it goes on, if there is any.
    pub(crate) fn progress(&self) -> Option<Rc<Progress>> {
        self.0.as_ref().map(|upload| Rc::clone(&upload.progress))
    }

    /// How many bytes follow that can be moved without being looked at, if that pays. Only of a body of known length.
    pub(crate) fn pumpable(&self) -> Option<u64> {
        let Some(Upload { source: Source::H1(wire), back: None, track: None, keeping: None, .. }) = &self.0 else {
            return None;
        };
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

impl Source {
    /// Whether nothing more comes from it.
    fn is_over(&self) -> bool {
        match self {
            Self::H1(wire) => wire.body_is_whole(),
            Self::H2(incoming) => incoming.is_end_stream(),
            Self::Held(trailers) => trailers.is_none(),
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
            self.track.iter().for_each(Track::whole);
            self.keeping.iter().for_each(|keeping| keeping.end(None));
            return Poll::Ready(None);
        };
        let frame = match frame.into_trailers() {
            Ok(mut trailers) => {
                self.track.iter().for_each(Track::whole);
                clean_trailers(&mut trailers);
                self.keeping.iter().for_each(|keeping| keeping.end(Some(&trailers)));
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
            if let Some(keeping) = &self.keeping {
                keeping.data(data);
                // Without trailers, that may be the last that anybody asks for.
                if self.source.is_over() {
                    keeping.end(None);
                }
            }
            if let Some(track) = &self.track {
                track.data(data, self.source.is_over());
            }
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
        self.0.as_ref().is_none_or(|upload| upload.back.is_none() && upload.source.is_over())
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
