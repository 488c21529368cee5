//! The gate as a tower layer, for Rust workers: axum, tonic, hyper.
//!
//! Put it outermost, so that what it measures is what clients get, and a shed request costs nothing else.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use ambidex_core::guard::shed::{Asked, Shed};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use tower::{Layer, Service};

use crate::answer;
use crate::clock::Clock;
use crate::config::WorkerConfig;
use crate::gate::{Gate, Permit, Word};
use crate::reporter::{Reporter, StartError};

/// Measures a worker, sheds what it has no room for, and reports its load on every answer.
#[derive(Clone, Debug)]
pub struct WorkerLayer {
    gate: Arc<Gate>,
    reporter: Arc<Reporter>,
}

impl WorkerLayer {
    /// The layer, with the thread that sums up and, where one is configured, the JSON endpoint. They end with the last
    /// clone of it and of its services.
    ///
    /// # Errors
    /// An endpoint that cannot be opened, a key for heartbeats that cannot be read, or a thread that cannot be started.
    pub fn start(config: WorkerConfig) -> Result<Self, StartError> {
        let gate = Gate::new(&config, Clock::starting_now());
        let reporter = Arc::new(Reporter::start(Arc::clone(&gate), &config)?);
        Ok(Self { gate, reporter })
    }

    /// The gate: to say that nothing new is wanted before the worker ends, or to read the counts.
    #[must_use]
    pub fn gate(&self) -> &Arc<Gate> {
        &self.gate
    }

    /// The JSON endpoint and its port, and what became of heartbeats.
    #[must_use]
    pub fn reporter(&self) -> &Reporter {
        &self.reporter
    }
}

impl<S> Layer<S> for WorkerLayer {
    type Service = WorkerService<S>;

    fn layer(&self, inner: S) -> WorkerService<S> {
        WorkerService { inner, gate: Arc::clone(&self.gate), _reporter: Arc::clone(&self.reporter) }
    }
}

/// A worker behind its gate.
#[derive(Clone, Debug)]
pub struct WorkerService<S> {
    inner: S,
    gate: Arc<Gate>,
    _reporter: Arc<Reporter>,
}

impl<S, A, B> Service<Request<A>> for WorkerService<S>
where
    S: Service<Request<A>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send,
    A: Send + 'static,
    B: Send + 'static,
{
    type Response = Response<Guarded<B>>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        // Whether there is room is told by an answer: a server that is not polled for readiness would only hide it.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        let (mut inner, gate) = (self.inner.clone(), Arc::clone(&self.gate));
        Box::pin(async move {
            let told = match gate.ask(asked(&gate, request.headers())) {
                Word::Begin(permit) => Ok(permit),
                Word::Wait(waiting) => waiting.turn().await,
                Word::Shed(shed) => Err(shed),
            };
            let mut permit = match told {
                Ok(permit) => permit,
                Err(shed) => return Ok(refused(&gate, &shed)),
            };
            let answered = async {
                std::future::poll_fn(|cx| inner.poll_ready(cx)).await?;
                inner.call(request).await
            };
            match answered.await {
                Ok(response) => Ok(guarded(&gate, permit, response)),
                Err(error) => {
                    permit.answered(true, false);
                    Err(error)
                }
            }
        })
    }
}

fn asked(gate: &Gate, headers: &HeaderMap) -> Asked {
    let left = answer::time_left(|name| headers.get(name).map(HeaderValue::as_bytes));
    Asked { class: gate.priority().of(headers), deadline: left.map(|left| gate.deadline(left)) }
}

fn guarded<B>(gate: &Gate, mut permit: Permit, mut response: Response<B>) -> Response<Guarded<B>> {
    let status = response.status();
    permit.answered(status.is_server_error(), answer::is_drop(status));
    report(gate, response.headers_mut());
    let kind = response.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    let permit = (!answer::is_endless(status, kind)).then_some(permit);
    response.map(|body| Guarded { body: Some(body), text: None, permit })
}

fn refused<B>(gate: &Gate, shed: &Shed) -> Response<Guarded<B>> {
    let text = Bytes::from_static(answer::SENTENCE.as_bytes());
    let mut response = Response::new(Guarded { body: None, text: Some(text), permit: None });
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    for (name, value) in answer::shed(shed) {
        headers.insert(name, value);
    }
    report(gate, headers);
    response
}

fn report(gate: &Gate, headers: &mut HeaderMap) {
    for (name, value) in answer::reported(gate.reports(), &gate.report()) {
        headers.insert(name, value);
    }
}

/// A body whose end gives its request's place back.
#[derive(Debug)]
pub struct Guarded<B> {
    body: Option<B>,
    /// What is said to a request that is not served.
    text: Option<Bytes>,
    permit: Option<Permit>,
}

impl<B: Body<Data = Bytes> + Unpin> Body for Guarded<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let Some(body) = &mut self.body else {
            return Poll::Ready(self.text.take().map(|text| Ok(Frame::data(text))));
        };
        let frame = ready!(Pin::new(body).poll_frame(cx));
        if frame.is_none() {
            self.permit = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().map_or(self.text.is_none(), Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        match &self.body {
            Some(body) => body.size_hint(),
            None => SizeHint::with_exact(self.text.as_ref().map_or(0, |text| text.len() as u64)),
        }
    }
}
