//! A request's body, kept for a second try where that is possible.
//!
//! ```text
//! read as far as it is there ── it ended, within the bound ──> kept: may be sent as often as wanted
//!                            └─ more than the bound, or more is still to come ──> sent once, what was read first
//! ```
//! It is never waited for: a client of a bidirectional stream sends the rest only after it has seen an answer.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use ambidex_core::size::Size;
use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};

/// The body of a request as workers' services get it.
pub struct KeptBody<B: Body>(State<B>);

enum State<B: Body> {
    Kept { data: Bytes, trailers: Option<HeaderMap> },
    Once { read: Frames<B>, rest: B },
}

// Nothing here is pinned but the body, which need not be.
impl<B: Body + Unpin> Unpin for KeptBody<B> {}

type Frames<B> = VecDeque<Result<Frame<Bytes>, <B as Body>::Error>>;

impl<B: Body<Data = Bytes> + Unpin> KeptBody<B> {
    /// Reads what is there of `body`, and a little more than `most` at most.
    pub(super) async fn read_ahead(mut body: B, most: Size) -> Self {
        let mut read = VecDeque::new();
        if body.size_hint().lower() > most.get() {
            return Self(State::Once { read, rest: body });
        }
        let mut size = 0;
        let ended = poll_fn(|cx| {
            while size <= most.get() && read.len() < MOST_FRAMES {
                match Pin::new(&mut body).poll_frame(cx) {
                    Poll::Ready(None) => return Poll::Ready(true),
                    Poll::Ready(Some(frame)) => {
                        size += frame.as_ref().ok().and_then(Frame::data_ref).map_or(0, |data| data.len() as u64);
                        let broke = frame.is_err();
                        read.push_back(frame);
                        if broke {
                            break;
                        }
                    }
                    Poll::Pending => break,
                }
            }
            Poll::Ready(false)
        });
        if ended.await && size <= most.get() { Self::whole(read) } else { Self(State::Once { read, rest: body }) }
    }

    fn whole(frames: Frames<B>) -> Self {
        let (mut data, mut trailers) = (Bytes::new(), None);
        // What ended has no error in it.
        for frame in frames.into_iter().flatten() {
            match frame.into_data() {
                Ok(more) if data.is_empty() => data = more,
                Ok(more) => data = joined(&data, &more),
                Err(frame) => trailers = frame.into_trailers().ok(),
            }
        }
        Self(State::Kept { data, trailers })
    }

    /// Whether it can be sent again.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        matches!(self.0, State::Kept { .. })
    }

    /// The same once more, if it is kept.
    pub(super) fn again(&self) -> Option<Self> {
        match &self.0 {
            State::Kept { data, trailers } => {
                Some(Self(State::Kept { data: data.clone(), trailers: trailers.clone() }))
            }
            State::Once { .. } => None,
        }
    }
}

fn joined(first: &[u8], second: &[u8]) -> Bytes {
    let mut both = BytesMut::with_capacity(first.len() + second.len());
    both.extend_from_slice(first);
    both.extend_from_slice(second);
    both.freeze()
}

impl<B: Body<Data = Bytes> + Unpin> Body for KeptBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match &mut self.0 {
            State::Kept { data, .. } if !data.is_empty() => Poll::Ready(Some(Ok(Frame::data(std::mem::take(data))))),
            State::Kept { trailers, .. } => Poll::Ready(trailers.take().map(|fields| Ok(Frame::trailers(fields)))),
            State::Once { read, rest } => match read.pop_front() {
                Some(frame) => Poll::Ready(Some(frame)),
                None => Pin::new(rest).poll_frame(cx),
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            State::Kept { data, trailers } => data.is_empty() && trailers.is_none(),
            State::Once { read, rest } => read.is_empty() && rest.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            State::Kept { data, .. } => SizeHint::with_exact(data.len() as u64),
            State::Once { read, rest } => {
                let here: usize = read.iter().flatten().filter_map(Frame::data_ref).map(Bytes::len).sum();
                let (here, rest) = (here as u64, rest.size_hint());
                let mut hint = SizeHint::new();
                hint.set_lower(here.saturating_add(rest.lower()));
                if let Some(upper) = rest.upper() {
                    hint.set_upper(here.saturating_add(upper));
                }
                hint
            }
        }
    }
}

impl<B: Body> fmt::Debug for KeptBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            State::Kept { data, .. } => write!(f, "KeptBody({} bytes)", data.len()),
            State::Once { read, .. } => write!(f, "KeptBody(sent once, {} frames read)", read.len()),
        }
    }
}

/// Frames that are read ahead: a body of empty ones must not hold its request up. Source: ours; 32 KiB in pieces of
/// 512 bytes.
const MOST_FRAMES: usize = 64;
