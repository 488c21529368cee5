//! Recordings of traffic: what a gateway's tap writes, and `ambidex replay` and `ambidex lab fit` read.
//!
//! ```text
//! {"ambidex_recording":1,"began_ms":1795219199000,"sample":1.0,...,"check":"9f86d081884c7d65"}     a header
//! {"at_us":1250,"method":"GET","target":"/items/7",...,"answer":{"status":200,...},"check":"..."}  an exchange
//! {"at_us":1900,...}                                                                               another
//! ```
//! JSON Lines, because what others can read they can check: `jq`, a database or a script select from a recording, and a
//! person sees at once whether a secret is in it. A binary form would be half as long, and `zstd` makes more of that
//! than a form of our own could. docs/recording.md is the reference.
//!
//! - A line ends a record, so that one that was not written to its end is known by the missing end, and costs itself
//!   only ([`Reader`]).
//! - `check` is XXH3-64 over the bytes before it. It finds damage, not forgery. A line without it counts as written by
//!   hand; one with a wrong one is refused.
//! - An exchange is written when its answer is over: lines stand in the order of ends, and `at_us` says when each began.
//! - A second header begins a part: a gateway that starts again appends one, and so does `cat a b > c`.
//! - Unknown keys are passed over, so that version 1 can grow; what changes the meaning of a key is version 2.

mod bytes;
mod digest;
mod line;
mod reader;

use ambidex_core::share::Share;
use ambidex_core::size::Size;
use ambidex_core::time::Span;
use serde::{Deserialize, Serialize};

pub use self::digest::{Digest, Digester};
pub use self::line::{write_exchange, write_header};
pub use self::reader::{Reader, Recording, RecordingError};

/// The version that is written, and the only one that is read.
pub const VERSION: u8 = 1;

/// The longest line that is read or written, in bytes. Source: a body of [`MOST_BODY`] in base64, and as much again.
pub const MOST_LINE: usize = 4 << 20;

/// The most of a body that is kept. Source: nginx's default bound of request bodies, 1 MiB.
pub const MOST_BODY: usize = 1 << 20;

/// Header fields that are in no recording and are not sent from one, in lower case: each hop says them anew (RFC 9110,
/// 7.6.1), and host and body have places of their own.
pub const OF_THE_CONNECTION: [&str; 10] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// The first line of a recording, and of each of its parts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// The format's version; by this key a recording is known.
    #[serde(rename = "ambidex_recording")]
    pub version: u8,
    /// When time 0 of its exchanges was, in milliseconds since 1970.
    pub began_ms: u64,
    /// Which share of the requests is in it.
    pub sample: Share,
    /// Up to which length bodies are in it.
    #[serde(with = "size")]
    pub bodies: Size,
    /// Names of the header fields whose values are left out, in lower case.
    #[serde(default)]
    pub redacted: Vec<String>,
    /// What wrote it.
    #[serde(default)]
    pub writer: String,
}

/// One request, and what became of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Exchange {
    /// When its head had come, from the beginning of the recording.
    #[serde(rename = "at_us", with = "micros")]
    pub at: Span,
    /// Which connection it came on: equal for the requests of one connection, else of no meaning.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub connection: String,
    /// The listener that took it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub listener: String,
    /// Which share of its route's requests is recorded, where that is not the header's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample: Option<Share>,
    /// What its route matches.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub route: String,
    /// The HTTP that its client spoke, such as `HTTP/1.1`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// Method.
    pub method: String,
    /// Host asked for, with its port where one was named.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub host: String,
    /// Path and query.
    pub target: String,
    /// The other header fields that were kept, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<(String, FieldValue)>,
    /// Its body, if it had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Body>,
    /// Its answer; none when its client left before one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Answer>,
}

/// The value of a header field. As JSON: a string, `{"base64": ".."}` where it is no UTF-8, null where it is left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldValue {
    /// As it came.
    Plain(Vec<u8>),
    /// Left out: it may be a secret.
    Redacted,
}

/// A body: of which length it was, and what is known of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Body {
    /// How many bytes came.
    pub length: u64,
    /// Of these bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// Whether it came to its end.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub whole: bool,
    /// All of these bytes, where they were to be kept.
    #[serde(default, with = "bytes::maybe_base64", skip_serializing_if = "Option::is_none")]
    pub base64: Option<Vec<u8>>,
}

/// What a request was answered with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Status.
    pub status: u16,
    /// From the request's head to the answer's end.
    #[serde(rename = "took_us", with = "micros")]
    pub took: Span,
    /// Its body, of which no bytes are kept.
    #[serde(default)]
    pub body: Body,
    /// The worker that gave it; empty when none did.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub worker: String,
    /// How many workers were tried.
    #[serde(default)]
    pub attempts: u32,
    /// Why the gateway gave it itself, in a word; empty when it did not.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub refused: String,
}

impl FieldValue {
    /// The bytes, where they are there.
    #[must_use]
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Plain(bytes) => Some(bytes),
            Self::Redacted => None,
        }
    }
}

impl Exchange {
    /// The path, without the query.
    #[must_use]
    pub fn path(&self) -> &str {
        self.target.split_once('?').map_or(&*self.target, |(path, _)| path)
    }

    /// The first value of a field, where it is there. `name` in lower case.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&[u8]> {
        self.fields.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).and_then(|(_, value)| value.as_bytes())
    }
}

fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_true(truth: &bool) -> bool {
    *truth
}

/// Spans as whole microseconds: what a log can be sorted and subtracted by.
mod micros {
    use ambidex_core::time::Span;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(span: &Span, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(span.as_micros())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Span, D::Error> {
        Ok(Span::from_micros(u64::deserialize(deserializer)?))
    }
}

/// Sizes as plain bytes.
mod size {
    use ambidex_core::size::Size;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(size: &Size, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(size.get())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Size, D::Error> {
        Ok(Size::bytes(u64::deserialize(deserializer)?))
    }
}

#[cfg(test)]
mod tests;
