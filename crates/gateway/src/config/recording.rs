//! Which requests are recorded, into which file, and what of them is left out; and what a route says otherwise.

use std::path::{Path, PathBuf};

use ambidex_core::share::Share;
use ambidex_core::size::Size;
use ambidex_wire::recording::MOST_BODY;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Checked settings of the recording of traffic; without them there is none, and it costs nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RawRecording", into = "RawRecording")]
pub struct Recording {
    pub(crate) path: PathBuf,
    pub(crate) sample: Share,
    pub(crate) redact: Vec<String>,
    pub(crate) redact_query: Vec<String>,
    pub(crate) bodies: Size,
    pub(crate) most: Size,
}

impl Recording {
    /// Takes a relative path as beside `folder`.
    pub fn beside(&mut self, folder: &Path) {
        self.path = folder.join(&self.path);
    }
}

/// What is recorded of one route's requests otherwise than of the others'.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RawRouteRecording", into = "RawRouteRecording")]
pub struct RouteRecording {
    pub(crate) sample: Option<Share>,
    pub(crate) bodies: Option<Size>,
}

/// Why the settings cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordingConfigError {
    /// No file is named.
    #[error("path: it is empty: write a file, such as traffic.jsonl")]
    Path,
    /// A name that no field can have.
    #[error("redact: `{0}` is no name of a header field")]
    Name(String),
    /// A parameter without a name.
    #[error("redact_query: a parameter has a name")]
    Parameter,
    /// More of a body than a line may hold.
    #[error("bodies: {0} is over 1MiB, the most that is kept of a body")]
    Bodies(Size),
    /// A route that says nothing of its own.
    #[error("it says nothing that is not said for all routes: write `sample`, `bodies`, or both")]
    Nothing,
    /// A file that holds nothing.
    #[error("most: {0} is less than 64KiB, which holds a few requests")]
    Most(Size),
}

/// Recording of traffic into a file, for `ambidex replay` and `ambidex lab fit`.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Recording")]
struct RawRecording {
    /// The file, of mode 0600, which is appended to. What cannot be written is counted and said, and stops no request.
    #[schemars(with = "String")]
    path: PathBuf,
    /// Which share of the requests is recorded. Default 1%; source: as for traces, low enough to cost nothing visible
    /// at 10,000 requests/s.
    #[serde(default = "one_percent")]
    #[schemars(with = "String")]
    sample: Share,
    /// Header fields whose values are left out, beside `authorization`, `proxy-authorization`, `cookie`, `set-cookie`,
    /// `x-api-key`, `x-auth-token`, `x-csrf-token` and `x-amz-security-token`, which always are. Default: none more;
    /// source: reliability.md row 12, and RFC 9110, 11 and RFC 6265 for what carries credentials.
    #[serde(default)]
    redact: Vec<String>,
    /// Parameters of the query whose values are left out, beside `access_token`, `api_key`, `apikey`, `auth`, `code`,
    /// `key`, `password`, `secret`, `session`, `sig`, `signature`, `state` and `token`, which always are. Default: none
    /// more; source: RFC 6750, 2.3 and RFC 6749, 4.1.2 for what carries credentials, and what services call it.
    #[serde(default)]
    redact_query: Vec<String>,
    /// Up to which length bodies of requests are kept, at most 1MiB; of longer ones, and of all answers, length and
    /// digest. Default 0B; source: ours, bodies hold passwords and names, and nobody but the user knows where.
    #[serde(default = "nothing")]
    #[schemars(with = "String")]
    bodies: Size,
    /// How large the file may become; then recording stops until the file is moved away. Default 1GiB; source: ours, an
    /// hour at 1,000 requests/s of 300 bytes.
    #[serde(default = "a_gibibyte")]
    #[schemars(with = "String")]
    most: Size,
}

impl JsonSchema for Recording {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        RawRecording::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        RawRecording::json_schema(generator)
    }
}

impl TryFrom<RawRecording> for Recording {
    type Error = RecordingConfigError;

    fn try_from(raw: RawRecording) -> Result<Self, RecordingConfigError> {
        let RawRecording { path, sample, redact, redact_query, bodies, most } = raw;
        if path.as_os_str().is_empty() {
            return Err(RecordingConfigError::Path);
        }
        if let Some(name) = redact.iter().find(|name| http::HeaderName::try_from(name.as_str()).is_err()) {
            return Err(RecordingConfigError::Name(name.clone()));
        }
        if redact_query.iter().any(String::is_empty) {
            return Err(RecordingConfigError::Parameter);
        }
        check_bodies(bodies)?;
        if most < Size::kib(64) {
            return Err(RecordingConfigError::Most(most));
        }
        Ok(Self { path, sample, redact, redact_query, bodies, most })
    }
}

impl From<Recording> for RawRecording {
    fn from(checked: Recording) -> Self {
        let Recording { path, sample, redact, redact_query, bodies, most } = checked;
        Self { path, sample, redact, redact_query, bodies, most }
    }
}

/// What is recorded of one route's requests otherwise than `record` at the top says.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "RouteRecording")]
struct RawRouteRecording {
    /// Which share of the route's requests is recorded; 0% is none. Default: that of `record`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    sample: Option<Share>,
    /// Up to which length bodies of its requests are kept, at most 1MiB. Default: that of `record`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    bodies: Option<Size>,
}

impl JsonSchema for RouteRecording {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        RawRouteRecording::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        RawRouteRecording::json_schema(generator)
    }
}

impl TryFrom<RawRouteRecording> for RouteRecording {
    type Error = RecordingConfigError;

    fn try_from(raw: RawRouteRecording) -> Result<Self, RecordingConfigError> {
        let RawRouteRecording { sample, bodies } = raw;
        if sample.is_none() && bodies.is_none() {
            return Err(RecordingConfigError::Nothing);
        }
        bodies.map_or(Ok(()), check_bodies)?;
        Ok(Self { sample, bodies })
    }
}

impl From<RouteRecording> for RawRouteRecording {
    fn from(checked: RouteRecording) -> Self {
        let RouteRecording { sample, bodies } = checked;
        Self { sample, bodies }
    }
}

fn check_bodies(bodies: Size) -> Result<(), RecordingConfigError> {
    if bodies.get() > MOST_BODY as u64 { Err(RecordingConfigError::Bodies(bodies)) } else { Ok(()) }
}

fn one_percent() -> Share {
    Share::percent(1)
}

fn nothing() -> Size {
    Size::bytes(0)
}

fn a_gibibyte() -> Size {
    Size::mib(1 << 10)
}
