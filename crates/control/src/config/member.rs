//! The members of a pool: workers named one by one, and sources that name them.
//!
//! ```yaml
//! workers:
//!   - http://10.0.0.1:9000                                        # one worker
//!   - {url: http://10.0.0.2:9000, name: b, zone: b, weight: 2, limit: 64}
//!   - {url: http://10.0.0.9:9000, path: canary}                   # gets nothing until a trial or a switch says so
//!   - unix:/run/worker.sock
//!   - http://worker.local:9000                                    # one worker; its name is looked up again by TTL
//!   - dns:http://workers.local:9000                               # one worker for each address of the name
//!   - dns+srv:_http._tcp.workers.local                            # one for each target, with its weight
//!   - file:workers.yaml                                           # a list of the forms above, watched
//!   - kubernetes: {service: api, port: http}                      # one for each ready endpoint, watched
//!   - etcd: {prefix: /services/api/, cluster: {endpoints: [..]}}  # one for each key, watched
//! ```

use std::borrow::Cow;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::MOST_WORKERS;
use super::etcd::EtcdKeys;
use super::kubernetes::KubernetesService;
use super::worker_url::{Host, UrlError, WorkerUrl};

/// The members of one pool, as configured: at least one source.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "Vec<Source>")]
pub struct PoolMembers(#[schemars(length(min = 1))] Vec<Source>);

/// One entry of a pool's members.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// One worker.
    Worker(Member),
    /// A watched file with a list of members.
    File(PathBuf),
    /// A name whose every address is a worker; the member gives what they share.
    Dns(Member),
    /// An SRV name whose every target is a worker.
    DnsSrv(Arc<str>),
    /// A service of Kubernetes whose every ready endpoint is a worker.
    Kubernetes(Box<KubernetesService>),
    /// Keys of an etcd whose values are workers.
    Etcd(Box<EtcdKeys>),
}

/// One worker, as configured.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    /// Where it listens.
    pub url: WorkerUrl,
    /// What people call it; its identity within the pool. Default: the URL.
    pub name: Option<Arc<str>>,
    /// Zone label; empty when none.
    pub zone: Arc<str>,
    /// The path that it is on; empty: the stable one.
    pub path: Arc<str>,
    /// Static weight in `(0, 10,000]`. Default 1; source: R-W6.
    pub weight: f64,
    /// Requests at once that it can serve, where known. Default unknown.
    pub limit: Option<u32>,
}

/// Why an entry of `workers` cannot be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum MemberError {
    /// No worker at all.
    #[error("a pool needs at least one worker or source, such as `http://10.0.0.1:9000`")]
    Nobody,
    /// More than [`MOST_WORKERS`].
    #[error("{0} workers: a pool has at most {MOST_WORKERS}")]
    TooMany(usize),
    /// A URL that is none.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// A weight that is none.
    #[error("weight {0} of {1} is not in (0, 10000]: to keep a worker without traffic, drain it")]
    Weight(f64, String),
    /// A limit of nothing.
    #[error("limit 0 of {0}: a worker serves at least one request at once")]
    Limit(String),
    /// A label that would not fit a table.
    #[error("{what} of {bytes} bytes: at most {MOST_LABEL} are allowed, and no control characters")]
    Label {
        /// Which label.
        what: &'static str,
        /// How long it is.
        bytes: usize,
    },
    /// Two workers of one name.
    #[error("two workers or sources are called `{0}`: names are identities within a pool")]
    Twice(String),
    /// `name:` for a source of many.
    #[error("`{0}` stands for many workers, which cannot share one name: drop `name`")]
    OneNameForMany(String),
    /// `dns:` without a name to look up.
    #[error("`{0}` has no host name to look up: drop `dns:`")]
    NoName(String),
    /// A file or SRV source with attributes.
    #[error("`{0}` brings the attributes of its workers itself: write it as a plain text")]
    BringsItsOwn(String),
    /// Neither a URL nor a service nor a prefix, or several of them.
    #[error("an entry needs one of `url`, `kubernetes` with a service, and `etcd` with a prefix")]
    NoUrl,
    /// A path that has the name of the one that needs none.
    #[error("`{0}` is on the path `{STABLE}`: leave `path` out for that")]
    Stable(String),
    /// A source without a path or name.
    #[error("`{0}` lacks what comes after the colon")]
    Empty(String),
}

impl PoolMembers {
    /// Nobody is named here: a coordinator says who is in the pool.
    pub(super) const fn elsewhere() -> Self {
        Self(Vec::new())
    }

    /// The entries in their order; none where a coordinator says who is in the pool.
    #[must_use]
    pub fn sources(&self) -> &[Source] {
        &self.0
    }

    /// Takes relative paths of sources as beside `folder`. Worker URLs are identities and stay as written.
    pub fn beside(&mut self, folder: &Path) {
        for source in &mut self.0 {
            match source {
                Source::File(path) => *path = folder.join(&path),
                Source::Kubernetes(service) => service.access.beside(folder),
                Source::Etcd(keys) => keys.beside(folder),
                Source::Worker(_) | Source::Dns(_) | Source::DnsSrv(_) => {}
            }
        }
    }
}

impl TryFrom<Vec<Source>> for PoolMembers {
    type Error = MemberError;

    fn try_from(sources: Vec<Source>) -> Result<Self, MemberError> {
        if sources.is_empty() {
            return Err(MemberError::Nobody);
        }
        if sources.len() > MOST_WORKERS {
            return Err(MemberError::TooMany(sources.len()));
        }
        let mut names = HashSet::new();
        for source in &sources {
            let name = match source {
                Source::Worker(member) => member.identity().to_string(),
                Source::Dns(_) | Source::File(_) | Source::DnsSrv(_) => RawMember::from(source).url.unwrap_or_default(),
                Source::Kubernetes(service) => service.label(),
                Source::Etcd(keys) => keys.label(),
            };
            if !names.insert(name.clone()) {
                return Err(MemberError::Twice(name));
            }
        }
        Ok(Self(sources))
    }
}

impl Member {
    /// A worker of which only the URL is known.
    #[must_use]
    pub fn plain(url: WorkerUrl) -> Self {
        Self { url, name: None, zone: "".into(), path: "".into(), weight: 1.0, limit: None }
    }

    /// What makes it the same worker tomorrow: its name, else its URL.
    #[must_use]
    pub fn identity(&self) -> &Arc<str> {
        self.name.as_ref().unwrap_or_else(|| self.url.text())
    }
}

/// An entry in its long form. Written out as it was read, without what is default.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RawMember {
    /// `http://HOST:PORT`, `https://HOST:PORT`, `unix:/PATH`, or `dns:http://NAME:PORT` for a worker per address.
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    /// Instead of `url`: a service of Kubernetes, for a worker per ready endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    kubernetes: Option<KubernetesService>,
    /// Instead of `url`: keys of an etcd, for a worker per key.
    #[serde(skip_serializing_if = "Option::is_none")]
    etcd: Option<EtcdKeys>,
    /// What people call the worker. Default: the URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// Zone label.
    #[serde(skip_serializing_if = "Option::is_none")]
    zone: Option<String>,
    /// The path that it is on, for canaries and switches: it gets no requests until one of these says so. Default: the stable
    /// path.
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    /// Static weight in (0, 10000]. Default 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    weight: Option<f64>,
    /// Requests at once that the worker can serve.
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<u32>,
}

impl RawMember {
    fn plain(url: String) -> Self {
        Self {
            url: Some(url),
            kubernetes: None,
            etcd: None,
            name: None,
            zone: None,
            path: None,
            weight: None,
            limit: None,
        }
    }

    /// Whether it says nothing but who.
    fn is_bare(&self) -> bool {
        let Self { url: _, kubernetes: _, etcd: _, name, zone, path, weight, limit } = self;
        name.is_none() && zone.is_none() && path.is_none() && weight.is_none() && limit.is_none()
    }
}

impl TryFrom<RawMember> for Source {
    type Error = MemberError;

    fn try_from(raw: RawMember) -> Result<Self, MemberError> {
        let bare = raw.is_bare();
        let url = match (&raw.url, raw.kubernetes, raw.etcd) {
            (Some(url), None, None) => url,
            (None, Some(service), None) if bare => return Ok(Self::Kubernetes(Box::new(service))),
            (None, Some(service), None) => return Err(MemberError::BringsItsOwn(service.label())),
            (None, None, Some(keys)) if bare => return Ok(Self::Etcd(Box::new(keys))),
            (None, None, Some(keys)) => return Err(MemberError::BringsItsOwn(keys.label())),
            (None, None, None) | (Some(_), Some(_), _) | (Some(_), _, Some(_)) | (None, Some(_), Some(_)) => {
                return Err(MemberError::NoUrl);
            }
        };
        let text = url.trim();
        for (prefix, make) in PLAIN_SOURCES {
            if let Some(rest) = text.strip_prefix(prefix) {
                return match (rest.is_empty(), bare) {
                    (true, _) => Err(MemberError::Empty(text.into())),
                    (false, false) => Err(MemberError::BringsItsOwn(text.into())),
                    (false, true) => Ok(make(rest)),
                };
            }
        }
        let (many, url) = match text.strip_prefix("dns:") {
            Some(url) => (true, url.parse::<WorkerUrl>()?),
            None => (false, text.parse::<WorkerUrl>()?),
        };
        if many && raw.name.is_some() {
            return Err(MemberError::OneNameForMany(text.into()));
        }
        if many && !matches!(url.host(), Host::Name(..)) {
            return Err(MemberError::NoName(text.into()));
        }
        let weight = raw.weight.unwrap_or(1.0);
        if !(weight > 0.0 && weight <= MOST_WEIGHT) {
            return Err(MemberError::Weight(weight, text.into()));
        }
        if raw.limit == Some(0) {
            return Err(MemberError::Limit(text.into()));
        }
        let zone = label("zone", raw.zone.unwrap_or_default())?;
        let path = label("path", raw.path.unwrap_or_default())?;
        if *path == *STABLE {
            return Err(MemberError::Stable(text.into()));
        }
        let name = raw.name.map(|name| label("name", name)).transpose()?.filter(|name| !name.is_empty());
        let member = Member { url, name, zone, path, weight, limit: raw.limit };
        Ok(if many { Self::Dns(member) } else { Self::Worker(member) })
    }
}

impl From<&Source> for RawMember {
    fn from(source: &Source) -> Self {
        let plain = Self::plain;
        let member = |member: &Member, prefix: &str| Self {
            url: Some(format!("{prefix}{}", member.url)),
            kubernetes: None,
            etcd: None,
            name: member.name.as_deref().map(Into::into),
            zone: (!member.zone.is_empty()).then(|| member.zone.as_ref().into()),
            path: (!member.path.is_empty()).then(|| member.path.as_ref().into()),
            weight: Some(member.weight).filter(|weight| (weight - 1.0).abs() > f64::EPSILON),
            limit: member.limit,
        };
        match source {
            Source::Worker(worker) => member(worker, ""),
            Source::Dns(shared) => member(shared, "dns:"),
            Source::File(path) => plain(format!("file:{}", path.display())),
            Source::DnsSrv(name) => plain(format!("dns+srv:{name}")),
            Source::Kubernetes(service) => {
                Self { url: None, kubernetes: Some(KubernetesService::clone(service)), ..plain(String::new()) }
            }
            Source::Etcd(keys) => Self { url: None, etcd: Some(EtcdKeys::clone(keys)), ..plain(String::new()) },
        }
    }
}

impl Serialize for Source {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let raw = RawMember::from(self);
        match &raw.url {
            Some(url) if raw.is_bare() => serializer.serialize_str(url),
            Some(_) | None => raw.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Source {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrMap;
        impl<'de> Visitor<'de> for TextOrMap {
            type Value = RawMember;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a worker's URL, a source such as `file:PATH`, or `{url: ..., weight: ...}`")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<RawMember, E> {
                Ok(RawMember::plain(text.into()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RawMember, A::Error> {
                RawMember::deserialize(MapAccessDeserializer::new(map))
            }
        }
        deserializer.deserialize_any(TextOrMap)?.try_into().map_err(D::Error::custom)
    }
}

impl JsonSchema for Source {
    fn schema_name() -> Cow<'static, str> {
        "Worker".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let long = generator.subschema_for::<RawMember>();
        schemars::json_schema!({
            "description": "A worker's URL, or a source of workers: file:PATH, dns:URL, dns+srv:NAME; or the long form.",
            "anyOf": [{"type": "string"}, long]
        })
    }
}

/// What the path of workers without a `path` is called.
pub const STABLE: &str = "stable";

type PlainSource = (&'static str, fn(&str) -> Source);

/// Sources that bring all attributes themselves.
const PLAIN_SOURCES: [PlainSource; 2] =
    [("file:", |path| Source::File(path.into())), ("dns+srv:", |name| Source::DnsSrv(name.into()))];

const MOST_WEIGHT: f64 = 10_000.0;
const MOST_LABEL: usize = 200;

fn label(what: &'static str, text: String) -> Result<Arc<str>, MemberError> {
    if text.len() > MOST_LABEL || text.contains(char::is_control) {
        return Err(MemberError::Label { what, bytes: text.len() });
    }
    Ok(text.trim().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<PoolMembers, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn every_form_reads_back_as_it_was_written() {
        let json = r#"["http://10.0.0.1:9000",{"url":"http://10.0.0.2:9000","name":"b","zone":"z","path":"canary","weight":2.0,"limit":64},"dns:http://svc.local:9000","dns+srv:_http._tcp.svc.local","file:workers.yaml","unix:/run/w.sock",{"kubernetes":{"service":"api","port":"http"}}]"#;
        let members = read(json).expect("all forms");
        assert_eq!(serde_json::to_string(&members).expect("plain data"), json);
    }

    #[test]
    fn what_cannot_be_used_is_refused_with_its_reason() {
        for (json, reason) in [
            ("[]", "at least one"),
            (r#"["http://a:1","http://a:1/"]"#, "two workers"),
            (r#"["dns:http://a:1",{"url":"dns:http://a:1","zone":"b"}]"#, "or sources"),
            (r#"[{"url":"http://a:1","weight":0}]"#, "drain it"),
            (r#"[{"url":"http://a:1","weight":-1}]"#, "weight -1"),
            (r#"[{"url":"http://a:1","path":"stable"}]"#, "leave `path` out"),
            (r#"[{"url":"http://a:1","limit":0}]"#, "at least one request"),
            (r#"[{"url":"http://a:1","wieght":1}]"#, "unknown field `wieght`"),
            (r#"[{"url":"dns:http://a:1","name":"x"}]"#, "drop `name`"),
            (r#"["dns:http://10.0.0.1:1"]"#, "drop `dns:`"),
            (r#"[{"url":"file:a.yaml","zone":"b"}]"#, "plain text"),
            (r#"["file:"]"#, "after the colon"),
            (r#"["http://169.254.169.254"]"#, "link-local"),
            (r#"[{"name":"a"}]"#, "needs one of `url`"),
            (r#"[{"kubernetes":{"service":"api"},"weight":2}]"#, "brings the attributes"),
            (r#"[{"etcd":{"prefix":"","cluster":{"endpoints":["http://127.0.0.1:1"]}}}]"#, "end it with `/`"),
            (r#"[{"etcd":{"prefix":"/a/","cluster":{"endpoints":["http://10.0.0.1:1"]}}}]"#, "write https://"),
            (
                r#"[{"url":"http://a:1","etcd":{"prefix":"/a/","cluster":{"endpoints":["http://127.0.0.1:1"]}}}]"#,
                "one of",
            ),
            (
                r#"[{"etcd":{"prefix":"/a/","cluster":{"endpoints":["http://127.0.0.1:1"]}},"zone":"b"}]"#,
                "brings the attributes",
            ),
        ] {
            let error = read(json).expect_err(json).to_string();
            assert!(error.contains(reason), "{json}: {error}");
        }
    }
}
