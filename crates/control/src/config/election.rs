//! Where several coordinators agree who leads, and as whom this one stands for it.

use std::path::Path;

use ambidex_core::time::Span;
use ambidex_store::etcd::EtcdConfig;
use ambidex_store::remote::RemoteConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::lease::LeaseConfig;

/// Checked settings of an election.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawElection", into = "RawElection")]
pub struct ElectionConfig {
    name: String,
    place: ElectionPlace,
    prefix: String,
    lease: Span,
    gateways: Option<String>,
    admin: Option<String>,
}

/// Where it is decided who leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ElectionPlace {
    /// In an etcd.
    Etcd(EtcdConfig),
    /// In a Redis or Valkey.
    Redis(RemoteConfig),
    /// By a Lease of Kubernetes'.
    Kubernetes(LeaseConfig),
}

/// Several coordinators with the same pools, of which one leads.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Election")]
struct RawElection {
    /// What this coordinator is called among the others: each has a name of its own. With `kubernetes` it is the host's name,
    /// which is the pod's, where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// The etcd in which they agree. One of this, `redis` and `kubernetes`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    etcd: Option<EtcdConfig>,
    /// The Redis or Valkey in which they agree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    redis: Option<RemoteConfig>,
    /// The Lease of Kubernetes' by which they agree: `{}` in a pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kubernetes: Option<LeaseConfig>,
    /// What their keys in etcd or Redis begin with: the same in the files of all of them, and of nobody else. Default
    /// `ambidex`; source: ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    prefix: Option<String>,
    /// How long a leader leads without having been heard of: after that another one may, 2s to 60s. Default 3s; source:
    /// issue 6, a new leader publishes within 5 s.
    #[serde(default = "default_lease")]
    #[schemars(with = "String", default)]
    lease: Span,
    /// `http://HOST:PORT`, or `https:`, under which gateways subscribe to this coordinator, as it stands in their
    /// `coordinator.urls`; `{name}` in it is this coordinator's name. Default: `gateways.address`, where that is one address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gateways: Option<String>,
    /// The URL under which people and programs reach this coordinator's admin API, to be told to those who ask another one;
    /// `{name}` in it is this coordinator's name. Default: `admin.address`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    admin: Option<String>,
}

const fn default_lease() -> Span {
    Span::from_secs(3)
}

/// Why nobody can be elected so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ElectionError {
    /// Nowhere to agree.
    #[error(
        "an election wants one place to agree in: `etcd: {{endpoints: [http://127.0.0.1:2379]}}`, `redis: {{url: ..}}` or \
         `kubernetes: {{}}`"
    )]
    NoPlace,
    /// Two places could disagree.
    #[error("`{0}` and `{1}` exclude each other: coordinators that ask in different places would all lead; keep one")]
    TwoPlaces(&'static str, &'static str),
    /// Nobody could be told apart.
    #[error(
        "`name` is missing: coordinators that agree in an etcd or a Redis are each called something of their own; write `name: a`"
    )]
    NoName,
    /// A key that nothing goes by.
    #[error("prefix: `{0}` is for keys in etcd and Redis; a Lease has `kubernetes: {{name: {0}}}`")]
    PrefixOfLease(String),
    /// Nobody could be told apart.
    #[error(
        "name: `{0}` is no name: 1 to {MOST_NAME} characters, none of them a control character, and no space around it"
    )]
    Name(String),
    /// Keys that nobody could find.
    #[error("prefix: `{0}` is none: 1 to {MOST_PREFIX} characters without spaces and control characters")]
    Prefix(String),
    /// A lease that makes no sense.
    #[error(
        "lease: {0} is outside 2s to 60s: etcd gives no shorter ones, and longer ones leave pools without a leader"
    )]
    Lease(Span),
    /// Questions that take longer than there is time for.
    #[error(
        "timeout: a store that may take {timeout} to answer leaves no time for a second question within the lease of {lease}: \
         at most a third of it, {most}"
    )]
    Slow {
        /// Of the store.
        timeout: Span,
        /// The lease.
        lease: Span,
        /// The most that fits.
        most: Span,
    },
    /// Not a place to connect to.
    #[error("{key}: `{url}` is no address of this coordinator: write http://HOST:PORT or https://HOST:PORT")]
    Url {
        /// Which key.
        key: &'static str,
        /// What stands there.
        url: String,
    },
}

impl TryFrom<RawElection> for ElectionConfig {
    type Error = ElectionError;

    fn try_from(raw: RawElection) -> Result<Self, ElectionError> {
        let RawElection { name, etcd, redis, kubernetes, prefix, lease, gateways, admin } = raw;
        let place = match (etcd, redis, kubernetes) {
            (Some(etcd), None, None) => ElectionPlace::Etcd(etcd),
            (None, Some(redis), None) => ElectionPlace::Redis(redis),
            (None, None, Some(lease)) => ElectionPlace::Kubernetes(lease),
            (None, None, None) => return Err(ElectionError::NoPlace),
            (Some(_), Some(_), _) => return Err(ElectionError::TwoPlaces("etcd", "redis")),
            (Some(_), None, Some(_)) => return Err(ElectionError::TwoPlaces("etcd", "kubernetes")),
            (None, Some(_), Some(_)) => return Err(ElectionError::TwoPlaces("redis", "kubernetes")),
        };
        let name = match (name, &place) {
            (Some(name), _) => name,
            (None, ElectionPlace::Kubernetes(_)) => host_name(),
            (None, ElectionPlace::Etcd(_) | ElectionPlace::Redis(_)) => return Err(ElectionError::NoName),
        };
        let unnameable = name.trim() != name || name.chars().any(char::is_control);
        if name.is_empty() || name.chars().count() > MOST_NAME || unnameable {
            return Err(ElectionError::Name(name));
        }
        let prefix = match (prefix, &place) {
            (Some(prefix), ElectionPlace::Kubernetes(_)) => return Err(ElectionError::PrefixOfLease(prefix)),
            (prefix, _) => prefix.unwrap_or_else(|| PREFIX.to_owned()),
        };
        let odd = |c: char| c.is_control() || c.is_whitespace();
        if prefix.is_empty() || prefix.chars().count() > MOST_PREFIX || prefix.chars().any(odd) {
            return Err(ElectionError::Prefix(prefix));
        }
        if !(Span::from_secs(2)..=Span::from_secs(60)).contains(&lease) {
            return Err(ElectionError::Lease(lease));
        }
        let (timeout, most) = (place.timeout(), Span::from_nanos(lease.as_nanos() / 3));
        if timeout > most {
            return Err(ElectionError::Slow { timeout, lease, most });
        }
        let named = |url: String| url.replace("{name}", &name);
        let (gateways, admin) = (gateways.map(named), admin.map(named));
        for (key, url) in [("gateways", &gateways), ("admin", &admin)] {
            if let Some(url) = url.as_ref().filter(|url| !is_place(url)) {
                return Err(ElectionError::Url { key, url: url.clone() });
            }
        }
        let bare = |url: String| url.trim_end_matches('/').to_owned();
        Ok(Self { name, place, prefix, lease, gateways: gateways.map(bare), admin: admin.map(bare) })
    }
}

fn is_place(url: &str) -> bool {
    url.len() <= MOST_URL
        && url.parse::<http::Uri>().is_ok_and(|uri| {
            let bare = uri.path_and_query().is_none_or(|rest| rest.as_str() == "/");
            let authority = uri.authority().is_some_and(|at| at.port_u16().is_some() && !at.as_str().contains('@'));
            matches!(uri.scheme_str(), Some("http" | "https")) && bare && authority
        })
}

impl From<ElectionConfig> for RawElection {
    fn from(checked: ElectionConfig) -> Self {
        let ElectionConfig { name, place, prefix, lease, gateways, admin } = checked;
        let prefix = Some(prefix).filter(|prefix| prefix != PREFIX);
        let (etcd, redis, kubernetes) = match place {
            ElectionPlace::Etcd(etcd) => (Some(etcd), None, None),
            ElectionPlace::Redis(redis) => (None, Some(redis), None),
            ElectionPlace::Kubernetes(lease) => (None, None, Some(lease)),
        };
        Self { name: Some(name), etcd, redis, kubernetes, prefix, lease, gateways, admin }
    }
}

impl JsonSchema for ElectionConfig {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        RawElection::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        RawElection::json_schema(generator)
    }
}

impl ElectionPlace {
    fn timeout(&self) -> Span {
        match self {
            Self::Etcd(etcd) => etcd.timeout(),
            Self::Redis(redis) => redis.timeout(),
            Self::Kubernetes(lease) => lease.timeout,
        }
    }

    /// What it is, for people.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Etcd(_) => "etcd",
            Self::Redis(_) => "redis",
            Self::Kubernetes(_) => "kubernetes",
        }
    }
}

impl ElectionConfig {
    /// What this coordinator is called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it is decided who leads.
    #[must_use]
    pub const fn place(&self) -> &ElectionPlace {
        &self.place
    }

    /// What keys begin with.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// How long a leader leads without having been heard of.
    #[must_use]
    pub const fn lease(&self) -> Span {
        self.lease
    }

    /// Where gateways subscribe to this coordinator, if that is said.
    #[must_use]
    pub fn gateways(&self) -> Option<&str> {
        self.gateways.as_deref()
    }

    /// Where its admin API is, if that is said.
    #[must_use]
    pub fn admin(&self) -> Option<&str> {
        self.admin.as_deref()
    }

    /// Takes relative paths as beside `folder`.
    pub fn beside(&mut self, folder: &Path) {
        match &mut self.place {
            ElectionPlace::Etcd(etcd) => etcd.beside(folder),
            ElectionPlace::Redis(redis) => redis.beside(folder),
            ElectionPlace::Kubernetes(lease) => lease.beside(folder),
        }
    }
}

/// What this machine is called: in a pod, the pod's name.
fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Source: ours.
const PREFIX: &str = "ambidex";
/// Source: Kubernetes' bound of a host's name; names stand in sentences.
const MOST_NAME: usize = 64;
/// Source: ours; a path of some folders.
const MOST_PREFIX: usize = 200;
/// Source: ours; a leader's name and its two places are read back up to 4 KiB.
const MOST_URL: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<ElectionConfig, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    const ETCD: &str = r#""etcd": {"endpoints": ["http://127.0.0.1:2379"]}"#;

    #[test]
    fn an_election_that_could_have_no_winner_or_two_is_refused() {
        for (rest, told) in [
            (r#""name": "a""#.to_owned(), "one place to agree in"),
            (ETCD.to_owned(), "`name` is missing"),
            (format!(r#""name": "a", {ETCD}, "kubernetes": {{}}"#), "`etcd` and `kubernetes` exclude"),
            (r#""name": "a", "prefix": "x", "kubernetes": {}"#.to_owned(), "`kubernetes: {name: x}`"),
            (r#""name": "a", "lease": "2s", "kubernetes": {}"#.to_owned(), "at most a third of it"),
            (format!(r#""name": "a", {ETCD}, "redis": {{"url": "redis://127.0.0.1"}}"#), "exclude each other"),
            (format!(r#""name": "", {ETCD}"#), "no name"),
            (format!(r#""name": " a", {ETCD}"#), "no name"),
            (format!(r#""name": "a", "prefix": "a b", {ETCD}"#), "prefix: `a b`"),
            (format!(r#""name": "a", "lease": "1s", {ETCD}"#), "outside 2s to 60s"),
            (format!(r#""name": "a", "lease": "2s", {ETCD}"#), "at most a third of it"),
            (format!(r#""name": "a", "gateways": "10.0.0.1:9904", {ETCD}"#), "gateways: `10.0.0.1:9904`"),
            (format!(r#""name": "a", "admin": "http://u@h:1", {ETCD}"#), "admin: `http://u@h:1`"),
            (r#""name": "a", "etcd": {"endpoints": ["http://10.0.0.1:2379"]}"#.to_owned(), "write https://"),
            (r#""name": "a", "redis": {"url": "redis://10.0.0.1"}"#.to_owned(), "rediss://"),
            (format!(r#""nmae": "a", {ETCD}"#), "unknown field"),
        ] {
            let json = format!("{{{rest}}}");
            let error = read(&json).expect_err(&json);
            assert!(error.contains(told), "{json}: {error}");
        }
    }

    #[test]
    fn what_is_right_is_read_and_reads_back() {
        let json = format!(r#"{{"name": "a", "gateways": "https://a.example:9904/", {ETCD}}}"#);
        let config = read(&json).expect("right");
        assert_eq!((config.prefix(), config.lease()), ("ambidex", Span::from_secs(3)));
        assert_eq!(config.gateways(), Some("https://a.example:9904"));
        assert_eq!(read(&serde_json::to_string(&config).expect("plain data")), Ok(config));
    }

    #[test]
    fn by_a_lease_pods_of_one_file_are_called_after_themselves() {
        let config = read(r#"{"gateways": "http://{name}.ambidex:9904", "kubernetes": {}}"#).expect("right");
        assert_eq!(config.name(), host_name());
        assert_eq!(config.gateways(), Some(&*format!("http://{}.ambidex:9904", host_name())));
        assert_eq!(read(&serde_json::to_string(&config).expect("plain data")), Ok(config));
    }
}
