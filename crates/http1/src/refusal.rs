//! Why a message is refused, what to answer, and whose fault it is.
//!
//! After a refusal nothing of the connection is used again: where the next message begins is not known any more. A refused
//! request may be answered once, with [`Refusal::status`], unless its answer has begun; a refused response is 502 to the
//! client while nothing of it was passed on, and a broken connection after.

use http::StatusCode;
use thiserror::Error;

/// Why a message is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[expect(missing_docs, reason = "the sentence of each is its documentation")]
pub enum Refusal {
    // The first line.
    #[error("the message does not begin with a token or a version")]
    BadStart,
    #[error("the request line is not method, space, target, space, version")]
    BadRequestLine,
    #[error("the method is not a token")]
    BadMethod,
    #[error("nobody implements a method of that length")]
    LongMethod,
    #[error("the request line names no version: HTTP/0.9 is not spoken")]
    NoVersion,
    #[error("the version is not of the form HTTP/d.d")]
    BadVersion,
    #[error("only HTTP/1.0 and HTTP/1.1 are spoken here")]
    OtherVersion,
    #[error("the target has a byte that no target has")]
    BadTarget,
    #[error("the target is longer than allowed")]
    LongTarget,
    #[error("a target of this form does not go with the method")]
    TargetForm,
    #[error("the target's scheme is neither http nor https")]
    BadScheme,
    #[error("the target's authority is not a host with an optional port")]
    BadAuthority,
    #[error("the status line is not version, space, three digits, space, reason")]
    BadStatusLine,
    #[error("the status is not within 100 and 599")]
    BadStatus,
    // Lines.
    #[error("a line ends with LF alone")]
    BareLineFeed,
    #[error("CR stands without LF")]
    BareCarriageReturn,
    #[error("a field line is folded or begins with a space")]
    FoldedLine,
    #[error("a field line has no colon")]
    NoColon,
    #[error("a space stands before the colon of a field line")]
    SpaceBeforeColon,
    #[error("a field name is not a token")]
    BadFieldName,
    #[error("a field value has a control character")]
    BadFieldValue,
    #[error("the head is longer than allowed")]
    LongHead,
    #[error("the head has more field lines than allowed")]
    ManyFields,
    #[error("a field name is longer than allowed")]
    LongFieldName,
    // What fields say.
    #[error("the request has no Host")]
    NoHost,
    #[error("the request has more than one Host")]
    RepeatedHost,
    #[error("Host is not a host with an optional port")]
    BadHost,
    #[error("Host and the target's authority differ")]
    HostAgainstTarget,
    #[error("Connection has something that is no token, or too much of it")]
    BadConnection,
    #[error("the expectation is not 100-continue")]
    UnknownExpectation,
    // Framing.
    #[error("Content-Length is not a decimal number that fits")]
    BadLength,
    #[error("Content-Length comes more than once")]
    RepeatedLength,
    #[error("Content-Length and Transfer-Encoding come together")]
    LengthWithCoding,
    #[error("Transfer-Encoding is not a list of codings")]
    BadCoding,
    #[error("the last transfer coding is not chunked, so the end cannot be known")]
    ChunkedNotLast,
    #[error("chunked is applied more than once")]
    ChunkedTwice,
    #[error("chunked is written in odd case")]
    OddCaseChunked,
    #[error("a transfer coding that is not implemented here")]
    UnknownCoding,
    #[error("HTTP/1.0 knows no Transfer-Encoding")]
    CodingInOldVersion,
    #[error("a response of this status has no body, but announces one")]
    BodyWhereNone,
    #[error("the worker switches protocols, which nobody asked for")]
    UnaskedSwitch,
    #[error("more interim responses than allowed")]
    ManyInterim,
    // Bodies.
    #[error("the body is longer than allowed")]
    LongBody,
    #[error("a chunk's size is not a hexadecimal number that fits")]
    BadChunkSize,
    #[error("a chunk extension is malformed")]
    BadExtension,
    #[error("chunk extensions are longer than allowed")]
    LongExtensions,
    #[error("a chunk is not followed by CRLF")]
    BadChunkEnd,
    #[error("the trailer section is longer than allowed")]
    LongTrailers,
    #[error("the trailer section has more field lines than allowed")]
    ManyTrailers,
    #[error("a field stands in the trailer section that only a head may have")]
    ForbiddenTrailer,
    #[error("the connection ended within the message")]
    Truncated,
}

impl Refusal {
    /// What to answer a client whose request this is.
    #[must_use]
    pub fn status(self) -> StatusCode {
        match self {
            Self::LongMethod | Self::UnknownCoding => StatusCode::NOT_IMPLEMENTED,
            Self::OtherVersion => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            Self::LongTarget => StatusCode::URI_TOO_LONG,
            Self::LongBody => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnknownExpectation => StatusCode::EXPECTATION_FAILED,
            Self::LongHead | Self::ManyFields | Self::LongFieldName | Self::LongTrailers | Self::ManyTrailers => {
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
            }
            Self::BadStart
            | Self::BadRequestLine
            | Self::BadMethod
            | Self::NoVersion
            | Self::BadVersion
            | Self::BadTarget
            | Self::TargetForm
            | Self::BadScheme
            | Self::BadAuthority
            | Self::BadStatusLine
            | Self::BadStatus
            | Self::BareLineFeed
            | Self::BareCarriageReturn
            | Self::FoldedLine
            | Self::NoColon
            | Self::SpaceBeforeColon
            | Self::BadFieldName
            | Self::BadFieldValue
            | Self::NoHost
            | Self::RepeatedHost
            | Self::BadHost
            | Self::HostAgainstTarget
            | Self::BadConnection
            | Self::BadLength
            | Self::RepeatedLength
            | Self::LengthWithCoding
            | Self::BadCoding
            | Self::ChunkedNotLast
            | Self::ChunkedTwice
            | Self::OddCaseChunked
            | Self::CodingInOldVersion
            | Self::BodyWhereNone
            | Self::UnaskedSwitch
            | Self::ManyInterim
            | Self::BadChunkSize
            | Self::BadExtension
            | Self::LongExtensions
            | Self::BadChunkEnd
            | Self::ForbiddenTrailer
            | Self::Truncated => StatusCode::BAD_REQUEST,
        }
    }

    /// Whether the client may still be told. Not when it ended its side itself within the message: who cuts a request
    /// off mostly does not read any more, and must not think that it was carried out.
    #[must_use]
    pub fn may_answer(self) -> bool {
        self != Self::Truncated
    }
}
