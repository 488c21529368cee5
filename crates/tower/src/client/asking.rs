//! How a client's try reaches its worker: through that worker's own service.

use std::error::Error;
use std::future::{poll_fn, ready};
use std::marker::PhantomData;

use ambidex_core::attempt::{Copies, FailureKind};
use ambidex_core::balance::Pick;
use ambidex_core::view::WorkerView;
use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response};
use http_body::Body;
use tower::Service;

use super::kept::KeptBody;
use super::reading::{Reading, causes};
use super::workers::{Picture, Seated};
use crate::transport::{Awaits, Disagreement, Marked, SendError, Transport};

/// A request, in the parts of which a copy is made.
pub(super) struct Ask<B: Body> {
    pub(super) parts: Parts,
    pub(super) body: KeptBody<B>,
}

/// One request's way to the workers of one picture.
pub(super) struct Asking<'a, S, B> {
    picture: &'a Picture<S>,
    reading: &'a Reading,
    body: PhantomData<fn(B)>,
}

impl<'a, S, B> Asking<'a, S, B> {
    pub(super) fn new(picture: &'a Picture<S>, reading: &'a Reading) -> Self {
        Self { picture, reading, body: PhantomData }
    }
}

impl<S, B> Asking<'_, S, B>
where
    B: Body<Data = Bytes> + Unpin,
{
    /// The error of a try whose request may be at hand still.
    fn failed(
        &self,
        error: impl Into<Box<dyn Error + Send + Sync>>,
        spare: Option<Box<Ask<B>>>,
    ) -> SendError<Box<Ask<B>>> {
        let error = error.into();
        let kind = (self.reading.failure)(&*error);
        let detail = with_causes(&*error);
        match (kind, spare) {
            (FailureKind::Connect | FailureKind::Tls, Some(spare)) => SendError::unsent(kind, spare, detail),
            (
                FailureKind::Connect
                | FailureKind::Tls
                | FailureKind::Reset
                | FailureKind::Garbage
                | FailureKind::RequestBody,
                _,
            ) => SendError::sent(kind, detail),
        }
    }
}

impl<S, B> Awaits for Asking<'_, S, B> {}

impl<S, A, B> Transport for Asking<'_, S, B>
where
    S: Service<Request<KeptBody<B>>, Response = Response<A>> + Clone,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body<Data = Bytes> + Unpin,
{
    type Request = Box<Ask<B>>;
    type Answer = Response<A>;

    async fn send(&self, _: &WorkerView, pick: Pick, ask: Box<Ask<B>>) -> Result<Response<A>, SendError<Box<Ask<B>>>> {
        let Seated { worker, service } = &self.picture.seated[pick.slot];
        let mut service = service.clone();
        if let Err(error) = poll_fn(|cx| service.poll_ready(cx)).await {
            return Err(self.failed(error, Some(ask)));
        }
        let spare = self.again(&ask);
        let Ask { parts, body } = *ask;
        let mut request = Request::from_parts(parts, body);
        *request.uri_mut() = worker.uri_of(request.uri());
        service.call(request).await.map_err(|error| self.failed(error, spare))
    }

    fn copies(&self, ask: &Box<Ask<B>>) -> Copies {
        match (ask.body.is_kept(), (self.reading.repeats)(&ask.parts)) {
            (false, _) => Copies::One,
            (true, false) => Copies::IfUnbegun,
            (true, true) => Copies::Any,
        }
    }

    fn again(&self, ask: &Box<Ask<B>>) -> Option<Box<Ask<B>>> {
        ask.body.again().map(|body| Box::new(Ask { parts: ask.parts.clone(), body }))
    }

    fn class(&self, ask: &Box<Ask<B>>) -> Option<u64> {
        (self.reading.class)(&ask.parts)
    }

    fn mark(&self, answer: Response<A>) -> impl Future<Output = Marked<Response<A>, Box<Ask<B>>>> {
        let mark = self.reading.mark(answer.headers());
        ready(Ok((answer, mark)))
    }

    fn disagree(&self, disagreement: &Disagreement) {
        (self.reading.disagree)(disagreement);
    }
}

/// An error in one line: libraries say what failed on top, and why below.
fn with_causes(error: &(dyn Error + 'static)) -> String {
    causes(error).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
