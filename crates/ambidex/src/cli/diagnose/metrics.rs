//! `--metrics ADDRESS`: the last round as a page for a Prometheus, on a thread of its own, so that a long round keeps nobody waiting.
//!
//! The page is public as the doctor's other answers are not: it names groups and numbers of nodes. It listens where it is told to.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use http::header::CONTENT_TYPE;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio::sync::Semaphore;

/// The page, as it is after the last round.
#[derive(Clone, Debug, Default)]
pub(super) struct Page(Arc<Mutex<String>>);

impl Page {
    pub(super) fn set(&self, text: String) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = text;
    }

    fn get(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Serves it until the process ends; where it listens.
    pub(super) fn serve(&self, address: SocketAddr) -> io::Result<SocketAddr> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let listener = runtime.block_on(TcpListener::bind(address))?;
        let bound = listener.local_addr()?;
        let page = self.clone();
        thread::Builder::new().name("metrics".into()).spawn(move || runtime.block_on(page.accept(listener)))?;
        Ok(bound)
    }

    async fn accept(self, listener: TcpListener) {
        let seats = Arc::new(Semaphore::new(MOST_CONNECTIONS));
        loop {
            let Ok(seat) = Arc::clone(&seats).acquire_owned().await else { return };
            let Ok((stream, _)) = listener.accept().await else {
                // Out of files, most likely: they come back.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            let page = self.clone();
            tokio::spawn(async move {
                let service = service_fn(move |request: Request<Incoming>| {
                    let answer = answer(&request, page.get());
                    async move { Ok::<_, std::convert::Infallible>(answer) }
                });
                let served = http1::Builder::new().keep_alive(false).serve_connection(TokioIo::new(stream), service);
                // Who breaks off, or takes too long, has no page, and nobody else waits for it.
                drop(tokio::time::timeout(PATIENCE, served).await);
                drop(seat);
            });
        }
    }
}

fn answer(request: &Request<Incoming>, page: String) -> Response<Full<Bytes>> {
    let status = match (request.method(), request.uri().path()) {
        (&Method::GET | &Method::HEAD, "/metrics") => StatusCode::OK,
        (&Method::GET | &Method::HEAD, _) => StatusCode::NOT_FOUND,
        _ => StatusCode::METHOD_NOT_ALLOWED,
    };
    let body = if status == StatusCode::OK { page } else { "the page is at /metrics\n".to_owned() };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let form = http::HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, form);
    response
}

/// At once. Source: ours; some Prometheuses ask, nobody else.
const MOST_CONNECTIONS: usize = 16;
/// For a request and its answer. Source: Prometheus's own timeout of a scrape.
const PATIENCE: Duration = Duration::from_secs(10);
