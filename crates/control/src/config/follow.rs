//! The two ends of a subscription: where a coordinator hears gateways, and which coordinator a gateway hears.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use ambidex_core::time::Span;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
}

impl GatewaysConfig {
    /// Takes a relative path as beside `folder`.
    pub fn beside(&mut self, folder: &Path) {
        if let Some(path) = &mut self.token_file {
            *path = folder.join(&path);
        }
    }
}

/// The coordinator that a gateway follows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawFollow", into = "RawFollow")]
pub struct FollowConfig {
    url: String,
    token_file: PathBuf,
    static_after: Span,
}

/// The coordinator that a gateway follows.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Follow")]
struct RawFollow {
    /// `http://HOST:PORT`, where its file says `gateways.address`.
    url: String,
    /// The file with the token that the coordinator made, or was given.
    #[schemars(with = "String")]
    token_file: PathBuf,
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
    #[error("`{0}` is no coordinator: write http://HOST:PORT, the address of `gateways` in its file")]
    Url(String),
    /// A wait that makes no sense.
    #[error("static_after {0} is not between 1s and 24h")]
    StaticAfter(Span),
}

impl TryFrom<RawFollow> for FollowConfig {
    type Error = FollowError;

    fn try_from(raw: RawFollow) -> Result<Self, FollowError> {
        let RawFollow { url, token_file, static_after } = raw;
        let place = url.parse::<http::Uri>().ok().filter(|uri| {
            let bare = uri.path_and_query().is_none_or(|rest| rest.as_str() == "/");
            let authority = uri.authority().is_some_and(|at| at.port_u16().is_some() && !at.as_str().contains('@'));
            uri.scheme_str() == Some("http") && bare && authority
        });
        if place.is_none() {
            return Err(FollowError::Url(url));
        }
        if !(Span::from_secs(1)..=Span::from_secs(86_400)).contains(&static_after) {
            return Err(FollowError::StaticAfter(static_after));
        }
        Ok(Self { url: url.trim_end_matches('/').to_owned(), token_file, static_after })
    }
}

impl From<FollowConfig> for RawFollow {
    fn from(checked: FollowConfig) -> Self {
        let FollowConfig { url, token_file, static_after } = checked;
        Self { url, token_file, static_after }
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
    /// Where it is.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
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
    }
}

fn three_minutes() -> Span {
    Span::from_secs(180)
}
