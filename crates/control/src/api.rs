//! The admin API: what is going on, why, and the few things that may be changed.
//!
//! For: the dashboard, the command line, Prometheus, probes. On loopback reads are open to whoever is on the machine;
//! elsewhere all but probes and metrics need the token, and every change needs it everywhere. See `guard` for who is
//! refused, `serve` for what keeps connections from starving the loop.
//!
//! ```text
//! GET  / /doctor /ui/{name} /healthz /readyz /metrics
//! GET  /api/v1/status /pools /publishers /series /decisions /decisions/stream /decisions/verify /events
//! GET  /api/v1/explain/weight/{pool}/{worker}?at=     /config /config/history
//! GET  /api/v1/drills /trials /doctor /reviews /reviews/{review} /feed?pool=&after=&wait= /feed/stream /openapi
//! POST /api/v1/pools/{pool}/workers/{worker}/{drain|undrain|pin|unpin|drill}   /pools/{pool}/{freeze|unfreeze|undrill}
//! POST /api/v1/pools/{pool}/approve/{number}   /pools/{pool}/trial/{start|pause|resume|promote|abort}
//! POST /api/v1/config/{reload|rollback|accept}   /api/v1/reviews/{review}/{approve|reject|abort}
//! ```

mod answer;
mod change;
mod doctor;
mod drill;
mod feed;
mod guard;
mod moment;
mod openapi;
mod pages;
mod question;
mod read;
mod refusals;
mod serve;
mod shards;
mod stream;
mod trial;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{MethodRouter, get, post};
use tokio::sync::Semaphore;

use crate::config::AdminConfig;
use crate::coordinator::Shared;
use crate::token::Token;
use crate::ui;

pub use openapi::document as openapi;
use pages::Pages;
use refusals::Refusals;
pub(crate) use serve::serve;

/// What handlers share.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    pub(crate) shared: Arc<Shared>,
    token: Arc<Token>,
    /// Whether others than this machine reach it.
    open_to_others: bool,
    refusals: Arc<Refusals>,
    hosts: Arc<[String]>,
    /// Streams that may be open at once, so that they leave connections for others.
    streams: Arc<Semaphore>,
}

impl Api {
    pub(crate) fn new(shared: Arc<Shared>, token: Token, admin: &AdminConfig) -> Self {
        let streams = Semaphore::new((admin.max_connections / 2).max(1));
        let hosts = admin.hosts.iter().map(|host| host.to_ascii_lowercase()).collect();
        let open_to_others = !admin.address.ip().is_loopback();
        let (token, streams) = (Arc::new(token), Arc::new(streams));
        Self { shared, token, open_to_others, refusals: Arc::default(), hosts, streams }
    }

    /// Everything that can be asked for: path and what answers. One list, so that a test can ask for all of it.
    pub(crate) fn endpoints(&self) -> Vec<(&'static str, MethodRouter<Self>)> {
        let mut endpoints = ui::routes(Arc::new(Pages(Arc::clone(&self.shared))));
        endpoints.extend([
            ("/healthz", get(read::health)),
            ("/readyz", get(read::ready)),
            ("/metrics", get(read::metrics)),
            ("/api/v1/status", get(read::status)),
            ("/api/v1/pools", get(read::pools)),
            ("/api/v1/series", get(read::series)),
            ("/api/v1/feed", get(feed::now)),
            ("/api/v1/feed/stream", get(feed::stream)),
            ("/api/v1/openapi", get(openapi::answer)),
            ("/api/v1/publishers", get(read::publishers)),
            ("/api/v1/decisions", get(read::decisions)),
            ("/api/v1/decisions/stream", get(stream::decisions)),
            ("/api/v1/decisions/verify", get(read::verify)),
            ("/api/v1/events", get(stream::events)),
            ("/api/v1/explain/weight/{pool}/{worker}", get(read::explain)),
            ("/api/v1/drills", get(drill::all)),
            ("/api/v1/keyspaces", get(shards::all)),
            ("/api/v1/keyspaces/{keyspace}", get(shards::one)),
            ("/api/v1/keyspaces/{keyspace}/slices", get(shards::slices)),
            ("/api/v1/keyspaces/{keyspace}/explain", get(shards::explain)),
            ("/api/v1/keyspaces/{keyspace}/plan", get(shards::plan)),
            ("/api/v1/keyspaces/{keyspace}/moves/{move}", get(shards::a_move)),
            ("/api/v1/keyspaces/{keyspace}/{order}", post(shards::order)),
            ("/api/v1/trials", get(trial::all)),
            ("/api/v1/doctor", get(doctor::told)),
            ("/api/v1/reviews", get(doctor::reviews)),
            ("/api/v1/reviews/{review}", get(doctor::review)),
            ("/api/v1/config", get(read::config)),
            ("/api/v1/config/history", get(read::config_history)),
            ("/api/v1/pools/{pool}/workers/{worker}/{order}", post(change::worker)),
            ("/api/v1/pools/{pool}/{order}", post(change::pool)),
            ("/api/v1/pools/{pool}/approve/{number}", post(change::approve)),
            ("/api/v1/pools/{pool}/trial/{order}", post(trial::order)),
            ("/api/v1/config/{order}", post(change::config)),
            ("/api/v1/reviews/{review}/{order}", post(doctor::order)),
        ]);
        endpoints
    }

    /// All of it behind the guard.
    pub(crate) fn router(self) -> Router {
        self.endpoints()
            .into_iter()
            .fold(Router::new(), |router, (path, endpoint)| router.route(path, endpoint))
            .fallback(answer::nothing_here)
            .method_not_allowed_fallback(answer::another_method)
            .layer(DefaultBodyLimit::max(MOST_BODY_BYTES))
            .layer(axum::middleware::from_fn_with_state(self.clone(), guard::guard))
            .with_state(self)
    }
}

/// Most bytes of a request's body. Source: ours; orders have under 100.
const MOST_BODY_BYTES: usize = 16 << 10;

#[cfg(test)]
mod tests;
