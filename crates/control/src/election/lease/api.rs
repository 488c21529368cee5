//! What is asked of an API server about one Lease and its ConfigMap.

use std::sync::Arc;

use ambidex_store::ballot::{BallotError, Stored};
use bytes::Bytes;
use http::Method;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::objects::{Lease, Metadata, Partial, StateMap, Taking};
use crate::clock::duration;
use crate::config::LeaseConfig;
use crate::kubernetes::{Client, Question, Talk, namespace};

/// Who asks.
pub(super) struct Api {
    talk: Talk,
    config: LeaseConfig,
    /// Known once the namespace is.
    paths: Option<Arc<Paths>>,
}

struct Paths {
    namespace: Arc<str>,
    leases: String,
    lease: String,
    maps: String,
    map: String,
}

/// What became of a question about one object.
pub(super) enum Told<T> {
    Is(T),
    Missing,
    Conflict,
}

impl Api {
    pub(super) fn new(config: LeaseConfig) -> Self {
        let client = Client::new(config.access.clone()).answering_within(duration(config.timeout));
        Self { talk: Talk::new(client), config, paths: None }
    }

    pub(super) async fn lease(&mut self) -> Result<Option<Lease>, BallotError> {
        let paths = self.paths().await?;
        self.found(&paths.lease, WHOLE).await
    }

    pub(super) async fn map(&mut self) -> Result<Option<StateMap>, BallotError> {
        let paths = self.paths().await?;
        self.found(&paths.map, WHOLE).await
    }

    pub(super) async fn map_metadata(&mut self) -> Result<Option<Metadata>, BallotError> {
        let paths = self.paths().await?;
        Ok(self.found::<Partial>(&paths.map, METADATA_ONLY).await?.map(|map| map.metadata))
    }

    async fn found<T: DeserializeOwned>(&mut self, path: &str, accept: &'static str) -> Result<Option<T>, BallotError> {
        match self.said(Method::GET, path, accept, None).await? {
            Told::Is(object) => Ok(Some(object)),
            Told::Missing => Ok(None),
            Told::Conflict => Err(self.busy()),
        }
    }

    pub(super) async fn put_map(&mut self, map: &StateMap) -> Result<Told<Metadata>, BallotError> {
        let paths = self.paths().await?;
        let told: Told<Partial> = self.said(Method::PUT, &paths.map, METADATA_ONLY, Some(&map.value())).await?;
        Ok(told.map(|map| map.metadata))
    }

    pub(super) async fn new_map(
        &mut self,
        holder: &str,
        term: u64,
        state: Option<&[u8]>,
    ) -> Result<Told<Metadata>, BallotError> {
        let paths = self.paths().await?;
        let map = StateMap::of(Metadata::of(&self.config.state()).next(holder, term), state);
        let told: Told<Partial> = self.said(Method::POST, &paths.maps, METADATA_ONLY, Some(&map.value())).await?;
        Ok(self.there(told, &paths)?.map(|map| map.metadata))
    }

    /// What is made anew is missing only where its namespace is.
    fn there<T>(&self, told: Told<T>, paths: &Paths) -> Result<Told<T>, BallotError> {
        match told {
            Told::Missing => Err(BallotError::Api(format!("there is no namespace `{}`", paths.namespace))),
            Told::Is(_) | Told::Conflict => Ok(told),
        }
    }

    async fn said<T: DeserializeOwned>(
        &mut self,
        method: Method,
        path: &str,
        accept: &'static str,
        body: Option<&Value>,
    ) -> Result<Told<T>, BallotError> {
        let answered = self.talk.ask(Question { method, path, accept, body }).await.map_err(BallotError::Api)?;
        match answered {
            Ok(bytes) => read(&bytes, path).map(Told::Is),
            Err(refusal) => match refusal.code {
                404 => Ok(Told::Missing),
                409 => Ok(Told::Conflict),
                _ => Err(BallotError::Api(refusal.to_string())),
            },
        }
    }

    async fn paths(&mut self) -> Result<Arc<Paths>, BallotError> {
        if let Some(paths) = &self.paths {
            return Ok(Arc::clone(paths));
        }
        let namespace = namespace(self.config.namespace.as_ref()).await.map_err(BallotError::Api)?;
        let leases = format!("/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases");
        let maps = format!("/api/v1/namespaces/{namespace}/configmaps");
        let lease = format!("{leases}/{}", self.config.name);
        let map = format!("{maps}/{}", self.config.state());
        Ok(Arc::clone(self.paths.insert(Arc::new(Paths { namespace, leases, lease, maps, map }))))
    }

    pub(super) async fn word(&mut self) -> Result<String, BallotError> {
        let paths = self.paths().await?;
        Ok(format!("Lease {}/{}", paths.namespace, self.config.name))
    }

    /// Takes the Lease as it was looked at; makes it where there is none.
    pub(super) async fn take(&mut self, lease: Option<Lease>, taking: &Taking<'_>) -> Result<Told<Lease>, BallotError> {
        match lease {
            Some(lease) => self.put_lease(&lease.taken(taking)).await,
            None => {
                let paths = self.paths().await?;
                let lease = Lease::new(&self.config.name).taken(taking).value();
                let told = self.said(Method::POST, &paths.leases, WHOLE, Some(&lease)).await?;
                self.there(told, &paths)
            }
        }
    }

    pub(super) async fn put_lease(&mut self, lease: &Lease) -> Result<Told<Lease>, BallotError> {
        let paths = self.paths().await?;
        self.said(Method::PUT, &paths.lease, WHOLE, Some(&lease.value())).await
    }

    pub(super) fn stored(&self, map: &StateMap) -> Result<Option<Stored>, BallotError> {
        let foreign = |what| BallotError::Foreign { key: format!("ConfigMap {}", self.config.state()), what };
        if map.metadata.holder().is_none() && !map.is_empty() {
            return Err(foreign("what no coordinator wrote"));
        }
        let state = map.state().map_err(foreign)?;
        Ok(state.map(|bytes| Stored { version: map.metadata.number(), bytes }))
    }

    pub(super) fn busy(&self) -> BallotError {
        BallotError::Api(format!("somebody else changes {} or its ConfigMap at the same time", self.config.name))
    }
}

impl<T> Told<T> {
    fn map<U>(self, how: impl FnOnce(T) -> U) -> Told<U> {
        match self {
            Self::Is(object) => Told::Is(how(object)),
            Self::Missing => Told::Missing,
            Self::Conflict => Told::Conflict,
        }
    }
}

fn read<T: DeserializeOwned>(bytes: &Bytes, path: &str) -> Result<T, BallotError> {
    serde_json::from_slice(bytes)
        .map_err(|error| BallotError::Api(format!("what is at {path} cannot be read: {error}")))
}

const WHOLE: &str = "application/json";
/// Without what a ConfigMap holds.
const METADATA_ONLY: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json";
