//! The two ends of a subscription: where a coordinator hears gateways, and which coordinator a gateway hears.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use ambidex_core::time::Span;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{DoorTls, FollowTls};
use crate::tls::visit::Visit;

/// Where gateways subscribe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GatewaysConfig {
    /// Address and port.
    #[schemars(with = "String")]
    pub address: SocketAddr,
    /// The file with the token that gateways show, at least 32 characters, readable by its owner alone. Default:
    /// `gateways-token` in the data folder, made at the first start; source: ours, as the admin token.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub token_file: Option<PathBuf>,
    /// Speak TLS. Default: off; source: on loopback nobody else listens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<DoorTls>,
}

impl GatewaysConfig {
    /// Takes a relative path as beside `folder`.
    pub fn beside(&mut self, folder: &Path) {
        if let Some(path) = &mut self.token_file {
            *path = folder.join(&path);
        }
        if let Some(tls) = &mut self.tls {
            tls.beside(folder);
        }
    }
}

/// The coordinator that a gateway follows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawFollow", into = "RawFollow")]
pub struct FollowConfig {
    urls: Vec<String>,
    token_file: PathBuf,
    tls: Option<FollowTls>,
    static_after: Span,
}

/// The coordinator that a gateway follows.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Follow")]
struct RawFollow {
    /// `http://HOST:PORT`, where its file says `gateways.address`; `https:` where it has `gateways.tls`. Either this or `urls`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    /// The same of several coordinators, of which one leads: whoever does is followed. At most 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    urls: Vec<String>,
    /// The file with the token that the coordinator made, or was given.
    #[schemars(with = "String")]
    token_file: PathBuf,
    /// How a coordinator with an `https:` URL is checked. Default: by the URL's host and the authorities of the system;
    /// source: as `upstream.tls`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tls: Option<FollowTls>,
    /// How long without news until requests go by the configured weights and no longer by the last learned ones, 1s to
    /// 24h. Default 3m; source: balancing.md "Lost coordinator".
    #[serde(default = "three_minutes")]
    #[schemars(with = "String", default)]
    static_after: Span,
}

/// Why a coordinator cannot be followed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FollowError {
    /// Not a place to connect to.
    #[error(
        "`{0}` is no coordinator: write http://HOST:PORT or https://HOST:PORT, the address of `gateways` in its file"
    )]
    Url(String),
    /// Nobody to follow.
    #[error("`url` is missing: write http://HOST:PORT, the address of `gateways` in the coordinator's file")]
    NoUrl,
    /// Two lists.
    #[error("`url` and `urls` exclude each other; write all coordinators into `urls`")]
    UrlAndUrls,
    /// One coordinator is named twice.
    #[error("`{0}` stands twice in `urls`")]
    Twice(String),
    /// More than anybody has.
    #[error("{0} coordinators: at most {MOST_URLS} are asked")]
    TooMany(usize),
    /// Some in the clear.
    #[error("`urls` has both http:// and https://: all coordinators are spoken to alike")]
    Mixed,
    /// TLS that is not spoken.
    #[error(
        "`tls` is for a coordinator with an `https:` URL, and this one is `{0}`: write https://, or leave `tls` out"
    )]
    TlsUnspoken(String),
    /// One half of a pair.
    #[error("coordinator.tls: `client_cert` and `client_key` belong together; give both or none")]
    HalfPair,
    /// No name to check.
    #[error("coordinator.tls.sni: `{0}` is no host name or address")]
    Sni(String),
    /// A wait that makes no sense.
    #[error("static_after {0} is not between 1s and 24h")]
    StaticAfter(Span),
}

impl TryFrom<RawFollow> for FollowConfig {
    type Error = FollowError;

    fn try_from(raw: RawFollow) -> Result<Self, FollowError> {
        let RawFollow { url, urls, token_file, tls, static_after } = raw;
        let urls = match (url, urls) {
            (Some(url), urls) if urls.is_empty() => vec![url],
            (Some(_), _) => return Err(FollowError::UrlAndUrls),
            (None, urls) if urls.is_empty() => return Err(FollowError::NoUrl),
            (None, urls) => urls,
        };
        let (mut urls, secure) = places(urls)?;
        let tls = match (secure, tls) {
            (true, tls) => Some(checked(tls.unwrap_or_default())?),
            (false, None) => None,
            (false, Some(_)) => return Err(FollowError::TlsUnspoken(urls.swap_remove(0))),
        };
        if !(Span::from_secs(1)..=Span::from_secs(86_400)).contains(&static_after) {
            return Err(FollowError::StaticAfter(static_after));
        }
        Ok(Self { urls, token_file, tls, static_after })
    }
}

impl From<FollowConfig> for RawFollow {
    fn from(checked: FollowConfig) -> Self {
        let FollowConfig { mut urls, token_file, tls, static_after } = checked;
        let url = (urls.len() == 1).then(|| urls.swap_remove(0));
        Self { url, urls, token_file, tls: tls.filter(|tls| *tls != FollowTls::default()), static_after }
    }
}

/// Where coordinators are, and whether they speak TLS: all of them, or none.
fn places(urls: Vec<String>) -> Result<(Vec<String>, bool), FollowError> {
    if urls.len() > MOST_URLS {
        return Err(FollowError::TooMany(urls.len()));
    }
    let mut places: Vec<String> = Vec::with_capacity(urls.len());
    let mut all = None;
    for url in urls {
        let Some(secure) = is_secure(&url) else { return Err(FollowError::Url(url)) };
        if all.replace(secure).is_some_and(|before| before != secure) {
            return Err(FollowError::Mixed);
        }
        let url = url.trim_end_matches('/').to_owned();
        if places.contains(&url) {
            return Err(FollowError::Twice(url));
        }
        places.push(url);
    }
    Ok((places, all == Some(true)))
}

/// Whether TLS is spoken there; `None` where that is no place to connect to.
fn is_secure(url: &str) -> Option<bool> {
    let uri: http::Uri = url.parse().ok()?;
    let bare = uri.path_and_query().is_none_or(|rest| rest.as_str() == "/");
    let authority = uri.authority().is_some_and(|at| at.port_u16().is_some() && !at.as_str().contains('@'));
    match uri.scheme_str() {
        Some("http") if bare && authority => Some(false),
        Some("https") if bare && authority => Some(true),
        Some(_) | None => None,
    }
}

fn checked(tls: FollowTls) -> Result<FollowTls, FollowError> {
    if tls.client_cert.is_some() != tls.client_key.is_some() {
        return Err(FollowError::HalfPair);
    }
    match &tls.sni {
        Some(sni) if rustls::pki_types::ServerName::try_from(sni.as_str()).is_err() => {
            Err(FollowError::Sni(sni.clone()))
        }
        Some(_) | None => Ok(tls),
    }
}

impl JsonSchema for FollowConfig {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        RawFollow::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        RawFollow::json_schema(generator)
    }
}

impl FollowConfig {
    /// Where they are: one, or several of which one leads.
    #[must_use]
    pub fn urls(&self) -> &[String] {
        &self.urls
    }

    /// The same for people.
    #[must_use]
    pub fn place(&self) -> String {
        self.urls.join(", ")
    }

    /// How one of them is connected to.
    pub(crate) fn visit(&self, url: &str) -> Visit {
        let authority = url.split_once("://").map_or("", |(_, authority)| authority);
        Visit { authority: authority.to_owned(), tls: self.tls.clone() }
    }

    /// What opens it.
    #[must_use]
    pub fn token_file(&self) -> &Path {
        &self.token_file
    }

    /// How long without it until the configured weights are in force.
    #[must_use]
    pub const fn static_after(&self) -> Span {
        self.static_after
    }

    /// Takes a relative path as beside `folder`.
    pub fn beside(&mut self, folder: &Path) {
        self.token_file = folder.join(&self.token_file);
        if let Some(tls) = &mut self.tls {
            tls.beside(folder);
        }
    }
}

/// Source: ours; three are enough.
const MOST_URLS: usize = 16;

fn three_minutes() -> Span {
    Span::from_secs(180)
}
