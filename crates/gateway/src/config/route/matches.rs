//! Which requests a route serves: host, path, methods and headers, each if it is given.

use std::collections::BTreeMap;

use http::{HeaderName, HeaderValue, Method};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::RouteError;

/// Which requests, checked.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Match {
    pub(crate) host: Option<HostPattern>,
    pub(crate) path: PathPattern,
    /// Empty: all.
    pub(crate) methods: Vec<Method>,
    /// All of them.
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
}

/// Which hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum HostPattern {
    /// This one, in lower case.
    Exact(String),
    /// Any that ends so (`.example.org`, with its dot) and has something before.
    Below(String),
}

/// Which paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PathPattern {
    /// This one.
    Exact(String),
    /// This one and all below it: `/a` matches `/a` and `/a/b`, not `/ab`.
    Prefix(String),
}

/// Which requests a route serves: those that fit everything given.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "RouteMatch")]
pub(super) struct RawMatch {
    /// The host asked for, without port: `example.org`, or `*.example.org` for all below it.
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<String>,
    /// Exactly this path.
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    /// This path and all below it.
    #[serde(skip_serializing_if = "Option::is_none")]
    path_prefix: Option<String>,
    /// One of these methods.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    methods: Vec<String>,
    /// Each of these headers with this value.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    headers: BTreeMap<String, String>,
}

impl Match {
    /// Every request.
    pub(super) fn all() -> Self {
        Self { host: None, path: PathPattern::Prefix("/".into()), methods: Vec::new(), headers: Vec::new() }
    }

    /// As it is written; `None` where nothing need be.
    pub(super) fn written(self) -> Option<RawMatch> {
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let (path, path_prefix) = match self.path {
            PathPattern::Exact(path) => (Some(path), None),
            PathPattern::Prefix(prefix) => (None, Some(prefix).filter(|prefix| prefix != "/")),
        };
        let raw = RawMatch {
            host: self.host.map(|host| match host {
                HostPattern::Exact(name) => name,
                HostPattern::Below(name) => format!("*{name}"),
            }),
            path,
            path_prefix,
            methods: self.methods.iter().map(ToString::to_string).collect(),
            headers: self.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect(),
        };
        (raw != RawMatch::default()).then_some(raw)
    }
}

impl TryFrom<RawMatch> for Match {
    type Error = RouteError;

    fn try_from(raw: RawMatch) -> Result<Self, RouteError> {
        let path = match (raw.path, raw.path_prefix) {
            (Some(_), Some(_)) => return Err(RouteError::TwoPaths),
            (Some(path), None) => PathPattern::Exact(checked_path(path)?),
            (None, Some(prefix)) => PathPattern::Prefix(checked_path(prefix)?),
            (None, None) => Self::all().path,
        };
        let method = |name: String| match name.parse::<Method>() {
            Ok(method) if name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-') => Ok(method),
            Ok(_) | Err(_) => Err(RouteError::Method(name)),
        };
        let header = |(name, value): (String, String)| match (name.parse(), value.parse()) {
            (Ok(name), Ok(value)) => Ok((name, value)),
            (Err(_), _) | (_, Err(_)) => Err(RouteError::Header { name, value }),
        };
        Ok(Self {
            host: raw.host.map(checked_host).transpose()?,
            path,
            methods: raw.methods.into_iter().map(method).collect::<Result<_, _>>()?,
            headers: raw.headers.into_iter().map(header).collect::<Result<_, _>>()?,
        })
    }
}

pub(super) fn checked_path(path: String) -> Result<String, RouteError> {
    let plain = path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#".contains(&byte));
    if plain { Ok(path) } else { Err(RouteError::Path(path)) }
}

fn checked_host(host: String) -> Result<HostPattern, RouteError> {
    let (below, name) = host.strip_prefix('*').map_or((false, &*host), |rest| (true, rest));
    let bare = if below { name.strip_prefix('.').unwrap_or("") } else { name };
    let bracketed = bare.starts_with('[') && bare.ends_with(']');
    let fits =
        |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte) || (bracketed && b"[:]".contains(&byte));
    if bare.is_empty() || !bare.bytes().all(fits) {
        return Err(RouteError::Host(host));
    }
    let name = name.to_ascii_lowercase();
    Ok(if below { HostPattern::Below(name) } else { HostPattern::Exact(name) })
}
