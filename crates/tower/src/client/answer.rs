//! A worker's answer on its way to the caller: its body keeps the worker's numbers true.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use ambidex_core::view::PoolView;
use http::Response;
use http_body::{Body, Frame, SizeHint};

use crate::drive::Answer;
use crate::flight::Flight;

/// Who answered: an extension of every answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnsweredBy {
    /// The worker's name.
    pub worker: Arc<str>,
    /// How many workers were asked.
    pub tries: usize,
}

/// The body of an answer. Its worker counts as busy until the body has ended, or is dropped; a body that breaks off is
/// the worker's failure.
#[derive(Debug)]
pub struct AnswerBody<A> {
    body: A,
    flight: Option<Flight>,
}

pub(super) fn guarded<A>(answer: Answer<Response<A>>, pool: &PoolView) -> Response<AnswerBody<A>> {
    let Answer { response, flight, pick, tries, .. } = answer;
    let mut response = response.map(|body| AnswerBody { body, flight: Some(flight) });
    let worker = Arc::clone(&pool.picked(pick).name);
    response.extensions_mut().insert(AnsweredBy { worker, tries });
    response
}

impl<A> AnswerBody<A> {
    /// The body as the worker's service gave it. The worker counts as done.
    pub fn into_inner(self) -> A {
        self.body
    }
}

impl<A: Body + Unpin> Body for AnswerBody<A> {
    type Data = A::Data;
    type Error = A::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        match &frame {
            Poll::Ready(Some(Err(_))) => {
                if let Some(mut flight) = self.flight.take() {
                    flight.broke_off();
                }
            }
            Poll::Ready(None) => self.flight = None,
            Poll::Ready(Some(Ok(_))) | Poll::Pending => {}
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
