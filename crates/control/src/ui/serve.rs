//! The dashboard over HTTP: the page, its files, its stream and its series.
//!
//! `GET /` the document, `/ui/events` the stream that keeps it up to date, `/ui/series` all points, `/ui/NAME` files. `GET /doctor` is
//! the doctor's document, and `/ui/events?page=doctor` its stream, which has no points; the same with `GET /shards` and `page=shards`.
//!
//! Events of the stream: `page`, HTML of the whole `main`, at first and when sections come or go; then each second a
//! `part`, HTML of one section, for those that changed (the first always does: it holds the time); and `points`, JSON
//! of [`Charts`] since the last one.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, RawQuery};
use axum::http::{HeaderName, StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use futures_core::Stream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Interval, MissedTickBehavior};

use super::{CONTENT_SECURITY_POLICY, Charts, DoctorPage, Page, Part, ShardsPage, asset, doctor, shards};

/// Where the page's content comes from.
pub trait PageSource: Send + Sync + 'static {
    /// What is to be shown now.
    fn page(&self) -> Page;

    /// The points after `second` (seconds since 1970); 0 asks for all.
    fn charts(&self, after: u64) -> Charts;

    /// What is to be shown of the doctor now.
    fn doctor(&self) -> DoctorPage;

    /// What is to be shown of keyspaces now.
    fn shards(&self) -> ShardsPage;
}

/// Which document a stream is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Document {
    Main,
    Doctor,
    Shards,
}

/// The routes of the dashboard, to be merged into the admin server's.
pub fn router<S: Clone + Send + Sync + 'static>(source: Arc<dyn PageSource>) -> Router<S> {
    routes(source).into_iter().fold(Router::new(), |router, (path, endpoint)| router.route(path, endpoint))
}

/// The same as a list.
pub(crate) fn routes<S: Clone + Send + Sync + 'static>(
    source: Arc<dyn PageSource>,
) -> Vec<(&'static str, MethodRouter<S>)> {
    let viewers = Arc::new(Semaphore::new(MOST_VIEWERS));
    let [document, doctor, keyspaces, series, stream] = std::array::from_fn(|_| Arc::clone(&source));
    vec![
        ("/", get(move || async move { (HEADERS, super::page(&document.page())).into_response() })),
        ("/doctor", get(move || async move { (HEADERS, super::doctor::page(&doctor.doctor())).into_response() })),
        ("/shards", get(move || async move { (HEADERS, shards::page(&keyspaces.shards())).into_response() })),
        ("/ui/series", get(move || async move { axum::Json(series.charts(0)).into_response() })),
        (
            "/ui/events",
            get(move |RawQuery(query): RawQuery| async move {
                let document = match query.as_deref() {
                    Some("page=doctor") => Document::Doctor,
                    Some("page=shards") => Document::Shards,
                    Some(_) | None => Document::Main,
                };
                events(stream, document, viewers)
            }),
        ),
        ("/ui/{name}", get(|Path(name): Path<String>| async move { file(&name) })),
    ]
}

fn file(name: &str) -> Response {
    match asset(name) {
        Some(asset) => {
            ([(header::CONTENT_TYPE, asset.content_type), NOT_KEPT, NO_SNIFFING], asset.bytes).into_response()
        }
        None => (StatusCode::NOT_FOUND, "no such file\n").into_response(),
    }
}

fn events(source: Arc<dyn PageSource>, document: Document, viewers: Arc<Semaphore>) -> Response {
    let Ok(place) = viewers.try_acquire_owned() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "too many dashboards are open: close one\n").into_response();
    };
    let mut beat = tokio::time::interval(BEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let events = Events { source, document, beat, due: VecDeque::new(), shown: Vec::new(), newest: 0, _place: place };
    Sse::new(events).keep_alive(KeepAlive::default()).into_response()
}

/// One viewer's stream.
struct Events {
    source: Arc<dyn PageSource>,
    document: Document,
    beat: Interval,
    /// Events of this second that were not sent yet.
    due: VecDeque<Event>,
    /// What the viewer sees: sections by id.
    shown: Vec<(String, String)>,
    /// The second of the newest point sent; 0 before the first: then all are sent, and the script starts from them.
    newest: u64,
    _place: OwnedSemaphorePermit,
}

impl Stream for Events {
    type Item = Result<Event, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(event) = self.due.pop_front() {
                return Poll::Ready(Some(Ok(event)));
            }
            ready!(self.beat.poll_tick(context));
            self.renew();
        }
    }
}

impl Events {
    fn renew(&mut self) {
        // A carriage return ends a field of the stream; in HTML it is white space like any other.
        let part = |part: Part| (part.id, part.html.into_string().replace('\r', " "));
        let parts = match self.document {
            Document::Main => super::parts(&self.source.page()),
            Document::Doctor => doctor::parts(&self.source.doctor()),
            Document::Shards => shards::parts(&self.source.shards()),
        };
        let parts: Vec<_> = parts.into_iter().map(part).collect();
        if parts.iter().map(|(id, _)| id).eq(self.shown.iter().map(|(id, _)| id)) {
            let changed = parts.iter().zip(&self.shown).filter(|(new, old)| new != old);
            self.due.extend(changed.map(|((_, html), _)| Event::default().event("part").data(html)));
        } else {
            let all: String = parts.iter().map(|(_, html)| html.as_str()).collect();
            self.due.push_back(Event::default().event("page").data(all));
        }
        self.shown = parts;
        if self.document != Document::Main {
            return;
        }
        let charts = self.source.charts(self.newest);
        self.newest = charts.pools.iter().filter_map(|pool| pool.seconds.last()).max().copied().unwrap_or(self.newest);
        self.due.extend(Event::default().event("points").json_data(charts).ok());
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
