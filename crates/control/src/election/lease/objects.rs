//! A Lease and a ConfigMap as they stand in an API server: what we read and write of them, and all else as it was found.

use std::collections::BTreeMap;

use ambidex_core::time::Span;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use time::OffsetDateTime;

/// A Lease.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Lease {
    metadata: Metadata,
    #[serde(default)]
    spec: Spec,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    #[serde(skip_serializing_if = "Option::is_none")]
    holder_identity: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lease_duration_seconds: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    acquire_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    renew_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lease_transitions: Option<i32>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// What an object says of itself.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Metadata {
    name: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    resource_version: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, String>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// An object of which only that is asked.
#[derive(Deserialize)]
pub(super) struct Partial {
    pub(super) metadata: Metadata,
}

/// The ConfigMap with what the next leader must know.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StateMap {
    pub(super) metadata: Metadata,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) binary_data: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub(super) data: Map<String, Value>,
}

/// Who takes a Lease, and how.
pub(super) struct Taking<'t> {
    pub(super) holder: &'t str,
    /// Who that is, as it stands in stores.
    pub(super) leader: Vec<u8>,
    pub(super) lasts: Span,
    pub(super) term: u64,
    /// In microseconds since 1970.
    pub(super) now: u64,
}

impl Lease {
    pub(super) fn new(name: &str) -> Self {
        Self { metadata: Metadata::of(name), spec: Spec::default(), rest: Map::new() }
    }

    pub(super) fn version(&self) -> &str {
        &self.metadata.resource_version
    }

    /// Who holds it, if anybody does.
    pub(super) fn holder(&self) -> Option<&str> {
        self.spec.holder_identity.as_deref().filter(|holder| !holder.is_empty())
    }

    /// Who that is, or was last, where a coordinator wrote it: another program that takes a Lease leaves annotations as they are.
    pub(super) fn leader(&self) -> Option<&str> {
        let ours = self.holder().is_none_or(|holder| self.metadata.holder() == Some(holder));
        self.metadata.annotations.get(LEADER).filter(|_| ours).map(String::as_str)
    }

    /// Whether anybody ever held it: one that was made by hand, for the first leader, nobody did.
    pub(super) fn was_held(&self) -> bool {
        self.holder().is_some() || self.spec.acquire_time.is_some() || self.spec.renew_time.is_some()
    }

    pub(super) fn term(&self) -> u64 {
        self.spec.lease_transitions.and_then(|count| u64::try_from(count).ok()).unwrap_or(0)
    }

    pub(super) fn lasts(&self) -> Span {
        let seconds = self.spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
        Span::from_secs(seconds.unwrap_or(0))
    }

    pub(super) fn taken(&self, taking: &Taking<'_>) -> Self {
        let mut lease = self.clone();
        let leader = String::from_utf8_lossy(&taking.leader).into_owned();
        lease.metadata.annotations.insert(LEADER.to_owned(), leader);
        lease.metadata.annotations.insert(HOLDER.to_owned(), taking.holder.to_owned());
        let now = moment(taking.now);
        lease.spec = Spec {
            holder_identity: Some(taking.holder.to_owned()),
            lease_duration_seconds: i32::try_from(taking.lasts.as_millis().div_ceil(1_000)).ok(),
            acquire_time: Some(now.clone()),
            renew_time: Some(now),
            lease_transitions: i32::try_from(taking.term).ok(),
            rest: lease.spec.rest,
        };
        lease
    }

    pub(super) fn renewed(&self, now: u64) -> Self {
        let spec = Spec { renew_time: Some(moment(now)), ..self.spec.clone() };
        Self { spec, ..self.clone() }
    }

    pub(super) fn released(&self, now: u64) -> Self {
        let spec = Spec { holder_identity: None, ..self.spec.clone() };
        Self { spec, ..self.clone() }.renewed(now)
    }

    /// As it is sent.
    pub(super) fn value(&self) -> Value {
        object(self, "coordination.k8s.io/v1", "Lease")
    }
}

impl Metadata {
    pub(super) fn of(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// Who writes it.
    pub(super) fn holder(&self) -> Option<&str> {
        self.annotations.get(HOLDER).map(String::as_str)
    }

    /// Under which term.
    pub(super) fn term(&self) -> u64 {
        self.count(TERM)
    }

    /// Another one with each write.
    pub(super) fn number(&self) -> u64 {
        self.count(NUMBER)
    }

    fn count(&self, key: &str) -> u64 {
        self.annotations.get(key).and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    /// Of the next write.
    pub(super) fn next(mut self, holder: &str, term: u64) -> Self {
        let number = self.number().saturating_add(1);
        for (key, text) in [(HOLDER, holder.to_owned()), (TERM, term.to_string()), (NUMBER, number.to_string())] {
            self.annotations.insert(key.to_owned(), text);
        }
        self
    }
}

impl StateMap {
    pub(super) fn of(metadata: Metadata, state: Option<&[u8]>) -> Self {
        let state = state.map(|state| (STATE.to_owned(), STANDARD.encode(state)));
        Self { metadata, binary_data: state.into_iter().collect(), data: Map::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.binary_data.is_empty() && self.data.is_empty()
    }

    /// What the next leader must know, if anything was written.
    pub(super) fn state(&self) -> Result<Option<Vec<u8>>, &'static str> {
        let Some(text) = self.binary_data.get(STATE) else { return Ok(None) };
        STANDARD.decode(text).map(Some).map_err(|_| "a state that is no base64")
    }

    /// As it is sent.
    pub(super) fn value(&self) -> Value {
        object(self, "v1", "ConfigMap")
    }
}

fn object(what: &impl Serialize, version: &str, kind: &str) -> Value {
    // Texts and numbers always are JSON.
    let mut value = serde_json::to_value(what).unwrap_or_default();
    if let Some(object) = value.as_object_mut() {
        object.insert("apiVersion".to_owned(), version.into());
        object.insert("kind".to_owned(), kind.into());
    }
    value
}

/// As Kubernetes reads moments: with six digits after the point, no fewer.
fn moment(micros: u64) -> String {
    let since = i128::from(micros).saturating_mul(1_000);
    let at = OffsetDateTime::from_unix_timestamp_nanos(since).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let (date, time) = (at.date(), at.time());
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z",
        date.year(),
        u8::from(date.month()),
        date.day(),
        time.hour(),
        time.minute(),
        time.second(),
        time.microsecond()
    )
}

const LEADER: &str = "ambidex.io/leader";
const HOLDER: &str = "ambidex.io/holder";
const TERM: &str = "ambidex.io/term";
const NUMBER: &str = "ambidex.io/number";
const STATE: &str = "state";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_moment_has_six_digits_after_its_point() {
        assert_eq!(moment(1_795_341_600_000_001), "2026-11-22T10:00:00.000001Z");
        assert_eq!(moment(u64::MAX), moment(0));
    }

    #[test]
    fn what_others_wrote_into_a_lease_stays_in_it() {
        let text = json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": {"name": "a", "resourceVersion": "7", "labels": {"owner": "us"}},
            "spec": {"strategy": "OldestEmulationVersion"},
        });
        let lease: Lease = serde_json::from_value(text).expect("a lease");
        assert!(!lease.was_held());
        let leader = br#"{"name":"x"}"#.to_vec();
        let taking = Taking { holder: "x_1", leader, lasts: Span::from_millis(2_500), term: 4, now: 0 };
        let taken = lease.taken(&taking);
        let said = taken.value();
        assert_eq!(
            (&said["metadata"]["labels"]["owner"], &said["spec"]["strategy"]),
            (&json!("us"), &json!("OldestEmulationVersion"))
        );
        assert_eq!((taken.term(), taken.lasts(), taken.holder()), (4, Span::from_secs(3), Some("x_1")));
        let released = taken.released(1);
        assert_eq!((released.term(), released.holder(), released.was_held()), (4, None, true));
        assert!(released.value()["spec"].get("holderIdentity").is_none());
    }
}
