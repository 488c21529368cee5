//! The workers of a client: what it is told of them, and the picture that its requests read.

use std::convert::Infallible;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use ambidex_core::again::budget::Budget;
use ambidex_core::load::Cells;
use ambidex_core::share::Share;
use ambidex_core::view::{Address, PoolParts, PoolView, WorkerView};
use ambidex_core::worker::{PoolId, Standing, WorkerId};
use arc_swap::ArcSwap;
use http::Uri;
use http::uri::{Authority, PathAndQuery, Scheme};

use super::ClientConfig;

/// A worker, as its client is told of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Worker {
    scheme: Scheme,
    authority: Authority,
    name: Arc<str>,
    zone: Arc<str>,
    weight: f64,
}

/// Why workers cannot be asked.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum WorkersError {
    /// It is none, or says more than where the worker is.
    #[error("`{0}` is no URL of a worker: write scheme, host and port, such as `http://10.0.0.1:9000`")]
    Url(String),
    /// Requests would be split by it.
    #[error("worker `{name}`: a weight must be a number from 0 to 1000000, not {weight}")]
    Weight {
        /// Whose.
        name: Arc<str>,
        /// What it is.
        weight: f64,
    },
    /// Two workers would share one's numbers.
    #[error("worker `{0}` is named twice: give each a name of its own, or write it once with a weight")]
    Twice(Arc<str>),
    /// There is nobody to ask.
    #[error("no worker has a weight above 0: name at least one")]
    Nobody,
}

impl Worker {
    /// The worker at `url`: `http://10.0.0.1:9000`.
    ///
    /// # Errors
    /// It is no URL, or has a path or a query.
    pub fn at(url: &str) -> Result<Self, WorkersError> {
        let refused = || WorkersError::Url(url.into());
        let parts = url.parse::<Uri>().map_err(|_| refused())?.into_parts();
        let bare = parts.path_and_query.is_none_or(|path| path == "/");
        match (parts.scheme, parts.authority) {
            (Some(scheme), Some(authority)) if bare => {
                Ok(Self { scheme, authority, name: url.trim_end_matches('/').into(), zone: "".into(), weight: 1.0 })
            }
            _ => Err(refused()),
        }
    }

    /// With this name instead of its URL: by its name a worker is known again.
    #[must_use]
    pub fn named(self, name: &str) -> Self {
        Self { name: name.into(), ..self }
    }

    /// With this weight, in fair shares. Default 1.
    #[must_use]
    pub fn weighing(self, weight: f64) -> Self {
        Self { weight, ..self }
    }

    /// In this zone.
    #[must_use]
    pub fn in_zone(self, zone: &str) -> Self {
        Self { zone: zone.into(), ..self }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its URL, without a path.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.authority)
    }

    /// The URI by which this worker is asked what `uri` says.
    pub(super) fn uri_of(&self, uri: &Uri) -> Uri {
        let path = uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
        let parts = Uri::builder().scheme(self.scheme.clone()).authority(self.authority.clone()).path_and_query(path);
        parts.build().expect("scheme and authority were read from a URL, and a path was given")
    }

    /// Where it listens, if that needs no lookup; else the worker's own service does that.
    fn address(&self) -> Address {
        let host = self.authority.host().trim_matches(['[', ']']);
        let ip = host.parse().unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let usual = if self.scheme == Scheme::HTTPS { 443 } else { 80 };
        Address::Ip(SocketAddr::new(ip, self.authority.port_u16().unwrap_or(usual)))
    }
}

impl TryFrom<&str> for Worker {
    type Error = WorkersError;

    fn try_from(url: &str) -> Result<Self, WorkersError> {
        Self::at(url)
    }
}

impl TryFrom<&String> for Worker {
    type Error = WorkersError;

    fn try_from(url: &String) -> Result<Self, WorkersError> {
        Self::at(url)
    }
}

impl TryFrom<String> for Worker {
    type Error = WorkersError;

    fn try_from(url: String) -> Result<Self, WorkersError> {
        Self::at(&url)
    }
}

impl From<Infallible> for WorkersError {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

/// Reads a list of workers, and says what no client can use.
pub(super) fn listed<W>(workers: impl IntoIterator<Item = W>) -> Result<Vec<Worker>, WorkersError>
where
    W: TryInto<Worker>,
    WorkersError: From<W::Error>,
{
    let workers: Vec<Worker> = workers.into_iter().map(TryInto::try_into).collect::<Result<_, W::Error>>()?;
    for (at, Worker { name, weight, .. }) in workers.iter().enumerate() {
        if !(0.0..=MOST_WEIGHT).contains(weight) {
            return Err(WorkersError::Weight { name: Arc::clone(name), weight: *weight });
        }
        if workers.iter().take(at).any(|other| other.name == *name) {
            return Err(WorkersError::Twice(Arc::clone(name)));
        }
    }
    let somebody = workers.iter().any(|worker| worker.weight > 0.0);
    somebody.then_some(workers).ok_or(WorkersError::Nobody)
}

/// The workers as requests see them: one picture from a request's beginning to its end.
pub(super) struct Picture<S> {
    pub(super) pool: PoolView,
    /// By slot.
    pub(super) seated: Vec<Seated<S>>,
}

/// A worker with the service that asks it.
#[derive(Clone)]
pub(super) struct Seated<S> {
    pub(super) worker: Worker,
    pub(super) service: S,
}

/// The present picture, and what the next one is made of.
pub(super) struct Fleet<S> {
    picture: ArcSwap<Picture<S>>,
    maker: Mutex<Maker<S>>,
}

struct Maker<S> {
    service: Box<dyn FnMut(&Worker) -> S + Send>,
    next_id: u32,
}

impl<S: Clone> Fleet<S> {
    pub(super) fn new(
        workers: Vec<Worker>,
        config: &ClientConfig,
        service: Box<dyn FnMut(&Worker) -> S + Send>,
    ) -> Self {
        let mut maker = Maker { service, next_id: 0 };
        let picture = maker.picture(workers, config, None);
        Self { picture: ArcSwap::from_pointee(picture), maker: Mutex::new(maker) }
    }

    pub(super) fn replace(&self, workers: Vec<Worker>, config: &ClientConfig) {
        // Held while the picture is made, so that of two changes at once none is lost. No request takes this lock.
        let mut maker = self.maker.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.picture.load_full();
        self.picture.store(Arc::new(maker.picture(workers, config, Some(&before))));
    }
}

impl<S> Fleet<S> {
    pub(super) fn picture(&self) -> Arc<Picture<S>> {
        self.picture.load_full()
    }
}

impl<S: Clone> Maker<S> {
    fn picture(&mut self, workers: Vec<Worker>, config: &ClientConfig, before: Option<&Picture<S>>) -> Picture<S> {
        let (mut views, mut seated) = (Vec::new(), Vec::new());
        let weights: Vec<f64> = workers.iter().map(|worker| worker.weight).collect();
        for worker in workers {
            let known = before.and_then(|before| before.find(&worker));
            let (id, cells) = known.map_or_else(|| self.stranger(), |(view, _)| (view.id, Arc::clone(&view.cells)));
            let service = known.map(|(_, seated)| seated).filter(|seated| seated.worker.is_at(&worker));
            let service = service.map_or_else(|| (self.service)(&worker), |seated| seated.service.clone());
            views.push(WorkerView {
                id,
                name: Arc::clone(&worker.name),
                url: worker.url().into(),
                address: worker.address(),
                zone: Arc::clone(&worker.zone),
                standing: Standing::Serving,
                cells,
                drill: None,
            });
            seated.push(Seated { worker, service });
        }
        let parts = PoolParts {
            id: PoolId(0),
            name: "client".into(),
            revision: before.map_or(1, |before| before.pool.revision + 1),
            workers: views,
            pick: config.balance.resolve(false),
            learned: weights.clone(),
            fixed: weights,
            learned_share: Share::ALL,
            breaker: config.breaker,
            budget: before
                .map_or_else(|| Arc::new(Budget::new(config.budget)), |before| Arc::clone(&before.pool.budget)),
        };
        Picture { pool: PoolView::new(parts, before.map(|before| &before.pool)), seated }
    }

    fn stranger(&mut self) -> (WorkerId, Arc<Cells>) {
        let id = WorkerId(self.next_id);
        self.next_id += 1;
        (id, Arc::new(Cells::new(1)))
    }
}

impl<S> Picture<S> {
    fn find(&self, worker: &Worker) -> Option<(&WorkerView, &Seated<S>)> {
        self.pool.workers.iter().zip(&self.seated).find(|(view, _)| view.name == worker.name)
    }
}

impl Worker {
    fn is_at(&self, other: &Self) -> bool {
        self.scheme == other.scheme && self.authority == other.authority
    }
}

impl<S> fmt::Debug for Fleet<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let picture = self.picture.load();
        f.debug_list().entries(picture.seated.iter().map(|seated| &seated.worker)).finish()
    }
}

/// A weight above this is a slip. Source: ours.
const MOST_WEIGHT: f64 = 1e6;
