//! The dashboard over HTTP: the page, its files, its stream and its series.
//!
//! `GET /` the document, `/ui/events` the stream that keeps it up to date (event `page`: HTML of its `main`, event
//! `points`: JSON of [`Charts`] since the last one), `/ui/series` all points, `/ui/NAME` files.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderName, StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_core::Stream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Interval, MissedTickBehavior};

use super::{CONTENT_SECURITY_POLICY, Charts, Page, asset};

/// Where the page's content comes from.
pub trait PageSource: Send + Sync + 'static {
    /// What is to be shown now.
    fn page(&self) -> Page;

    /// The points after `second` (seconds since 1970); 0 asks for all.
    fn charts(&self, after: u64) -> Charts;
}

/// The routes of the dashboard, to be merged into the admin server's.
pub fn router<S: Clone + Send + Sync + 'static>(source: Arc<dyn PageSource>) -> Router<S> {
    let viewers = Arc::new(Semaphore::new(MOST_VIEWERS));
    let (document, series, stream) = (Arc::clone(&source), Arc::clone(&source), source);
    Router::new()
        .route("/", get(move || async move { (HEADERS, super::page(&document.page())).into_response() }))
        .route("/ui/series", get(move || async move { axum::Json(series.charts(0)).into_response() }))
        .route("/ui/events", get(move || async move { events(stream, viewers) }))
        .route("/ui/{name}", get(|Path(name): Path<String>| async move { file(&name) }))
}

fn file(name: &str) -> Response {
    match asset(name) {
        Some(asset) => {
            ([(header::CONTENT_TYPE, asset.content_type), NOT_KEPT, NO_SNIFFING], asset.bytes).into_response()
        }
        None => (StatusCode::NOT_FOUND, "no such file\n").into_response(),
    }
}

fn events(source: Arc<dyn PageSource>, viewers: Arc<Semaphore>) -> Response {
    let Ok(place) = viewers.try_acquire_owned() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "too many dashboards are open: close one\n").into_response();
    };
    let mut beat = tokio::time::interval(BEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let events = Events { source, beat, points_due: false, newest: 0, _place: place };
    Sse::new(events).keep_alive(KeepAlive::default()).into_response()
}

/// One viewer's stream: each second the page, then the points that are new.
struct Events {
    source: Arc<dyn PageSource>,
    beat: Interval,
    points_due: bool,
    /// The second of the newest point sent; 0 before the first: then all are sent, and the script starts from them.
    newest: u64,
    _place: OwnedSemaphorePermit,
}

impl Stream for Events {
    type Item = Result<Event, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if !std::mem::take(&mut self.points_due) {
            ready!(self.beat.poll_tick(context));
            self.points_due = true;
            // A carriage return ends a field of the stream; in HTML it is white space like any other.
            let html = super::live(&self.source.page()).into_string().replace('\r', " ");
            return Poll::Ready(Some(Ok(Event::default().event("page").data(html))));
        }
        let charts = self.source.charts(self.newest);
        let newest = charts.pools.iter().filter_map(|pool| pool.seconds.last()).max();
        self.newest = newest.copied().unwrap_or(self.newest);
        Poll::Ready(Some(Ok(Event::default().event("points").json_data(charts).unwrap_or_default())))
    }
}

/// How often a page is renewed. Source: balancing.md, the slow loop's tick.
const BEAT: Duration = Duration::from_secs(1);
/// Pages open at once. Source: ours; each renders a page a second.
const MOST_VIEWERS: usize = 64;
const NOT_KEPT: (HeaderName, &str) = (header::CACHE_CONTROL, "no-cache");
const NO_SNIFFING: (HeaderName, &str) = (header::X_CONTENT_TYPE_OPTIONS, "nosniff");
const HEADERS: [(HeaderName, &str); 4] = [
    (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    (header::REFERRER_POLICY, "no-referrer"),
    NO_SNIFFING,
    (header::CACHE_CONTROL, "no-store"),
];
