//! Where a message ends: decided once, from its head [RFC 9112, 6.3].
//!
//! | message | what its head says | framing |
//! |---|---|---|
//! | request | nothing | `None` |
//! | request, response | `Content-Length` | `Length` |
//! | request, response | `Transfer-Encoding: chunked` | `Chunked` |
//! | response | nothing | `UntilClose` |
//! | response to HEAD, 304 | anything | `None`; the length is remembered, to be passed on |
//! | response 1xx, 204 | no coding, no length but 0 | `None` |
//! | response 101 that was asked for; 2xx to CONNECT | anything | `Tunnel` |
//! | CONNECT | nothing | `None`: bytes that follow wait for the answer |
//!
//! Everything else is refused: both fields at once, a coding in HTTP/1.0, other codings.

use http::{Method, StatusCode};

use crate::fields::{Coding, Said};
use crate::refusal::Refusal;

/// Where a message ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// With its head.
    None,
    /// After so many bytes.
    Length(u64),
    /// Where its last chunk and trailers end.
    Chunked,
    /// Where the connection ends. Responses only.
    UntilClose,
    /// Not at all: the connection is another protocol's now.
    Tunnel,
}

/// The version that a message names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    Http11,
}

/// What of a request one must know to read its response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// HEAD was asked: no body comes.
    pub head: bool,
    /// CONNECT was asked.
    pub connect: bool,
    /// A change of protocol was asked for.
    pub upgrade: bool,
}

impl Asked {
    /// What a request of this method asks for.
    #[must_use]
    pub fn of(method: &Method, upgrade: bool) -> Self {
        Self { head: *method == Method::HEAD, connect: *method == Method::CONNECT, upgrade }
    }
}

fn both(version: Version, said: &Said) -> Result<Option<Framing>, Refusal> {
    match (said.coding, said.length) {
        (Coding::Chunked, Some(_)) => Err(Refusal::LengthWithCoding),
        (Coding::Chunked, None) if version == Version::Http10 => Err(Refusal::CodingInOldVersion),
        (Coding::Chunked, None) => Ok(Some(Framing::Chunked)),
        (Coding::Absent, Some(length)) => Ok(Some(Framing::Length(length))),
        (Coding::Absent, None) => Ok(None),
    }
}

pub(crate) fn of_request(version: Version, said: &Said, longest: Option<u64>) -> Result<Framing, Refusal> {
    let framing = both(version, said)?.unwrap_or(Framing::None);
    check_length(framing, longest)
}

pub(crate) fn of_response(
    version: Version,
    status: StatusCode,
    said: &Said,
    asked: Asked,
    longest: Option<u64>,
) -> Result<Framing, Refusal> {
    if asked.connect && status.is_success() {
        return Ok(Framing::Tunnel);
    }
    let framing = both(version, said)?;
    if status.is_informational() || status == StatusCode::NO_CONTENT {
        if !matches!(framing, None | Some(Framing::Length(0))) {
            return Err(Refusal::BodyWhereNone);
        }
        if status != StatusCode::SWITCHING_PROTOCOLS {
            return Ok(Framing::None);
        }
        let agreed = asked.upgrade && said.has_upgrade && said.options.upgrade && version == Version::Http11;
        return if agreed { Ok(Framing::Tunnel) } else { Err(Refusal::UnaskedSwitch) };
    }
    if asked.head || status == StatusCode::NOT_MODIFIED {
        return Ok(Framing::None);
    }
    check_length(framing.unwrap_or(Framing::UntilClose), longest)
}

fn check_length(framing: Framing, longest: Option<u64>) -> Result<Framing, Refusal> {
    match (framing, longest) {
        (Framing::Length(length), Some(longest)) if length > longest => Err(Refusal::LongBody),
        (known, _) => Ok(known),
    }
}
