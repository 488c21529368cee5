//! Requests on their way to the application, and what is known of their ends.

use std::time::Duration;

use ambidex_core::shard::space::Point;
use ambidex_wire::shard::headers;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use super::contract::text;
use super::keyspace::End;

/// A body of either side.
pub(super) type Body = BoxBody<Bytes, hyper::Error>;

/// The way to the application.
#[derive(Clone, Debug)]
pub(super) struct Relay {
    client: Client<HttpConnector, Incoming>,
    url: String,
    timeout: Duration,
}

impl Relay {
    /// To `http://HOST:PORT`.
    pub(super) fn new(url: &str, timeout: Duration) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new()).build(connector);
        Self { client, url: url.trim_end_matches('/').to_owned(), timeout }
    }

    /// Sends a request; says what is known of its end. The answer's head is its end: applications begin to answer a write when it is done.
    pub(super) async fn send(&self, mut request: Request<Incoming>, point: Option<Point>) -> (Response<Body>, End) {
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        match format!("{}{path}", self.url).parse::<Uri>() {
            Ok(uri) => *request.uri_mut() = uri,
            Err(error) => return (said(text(StatusCode::BAD_REQUEST, &error.to_string())), End::NotRun),
        }
        hop_by_hop(request.headers_mut());
        if let Some(point) = point.and_then(|point| HeaderValue::try_from(point.to_string()).ok()) {
            request.headers_mut().insert(HeaderName::from_static(headers::POINT), point);
        }
        match tokio::time::timeout(self.timeout, self.client.request(request)).await {
            Ok(Ok(response)) => {
                let end = end_of(response.status());
                let mut response = response.map(BodyExt::boxed);
                hop_by_hop(response.headers_mut());
                (response, end)
            }
            Ok(Err(error)) if error.is_connect() => (
                refused(StatusCode::SERVICE_UNAVAILABLE, "The application does not take connections. Nothing was run."),
                End::NotRun,
            ),
            Ok(Err(_)) => (
                said(text(StatusCode::BAD_GATEWAY, "The application broke the request off. It may have been run.")),
                End::Unknown,
            ),
            Err(_) => (
                said(text(
                    StatusCode::GATEWAY_TIMEOUT,
                    "The application did not answer in time. It may have been run.",
                )),
                End::Unknown,
            ),
        }
    }
}

/// What an answer of the application says of a write: 429 and 503 that it was not run, other errors of its own that nobody knows.
fn end_of(status: StatusCode) -> End {
    match status {
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => End::NotRun,
        status if status.is_server_error() => End::Unknown,
        status => End::Answered(u64::from(status.as_u16())),
    }
}

/// An answer of this side.
pub(super) fn said(response: Response<Full<Bytes>>) -> Response<Body> {
    response.map(|body| body.map_err(|never| match never {}).boxed())
}

/// That a request was not run, for this reason.
pub(super) fn refused(status: StatusCode, words: &str) -> Response<Body> {
    let mut response = said(text(status, words));
    word(&mut response, headers::Word::Refused);
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

/// Writes the word that says why this is not the application's answer.
pub(super) fn word(response: &mut Response<Body>, word: headers::Word) {
    response.headers_mut().insert(HeaderName::from_static(headers::SHARD), HeaderValue::from_static(word.text()));
}

/// Takes off what is between two neighbours only.
fn hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| HeaderName::try_from(name.trim()).ok())
        .collect();
    for name in named.into_iter().chain(HOP_BY_HOP) {
        headers.remove(name);
    }
}

/// Source: RFC 9110, 7.6.1.
const HOP_BY_HOP: [HeaderName; 6] = [
    header::CONNECTION,
    header::UPGRADE,
    header::TRANSFER_ENCODING,
    header::TE,
    header::PROXY_AUTHORIZATION,
    HeaderName::from_static("keep-alive"),
];
