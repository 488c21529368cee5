//! Why a request got an answer of our own: the status, and the word for header, log and metric.

use ambidex_core::attempt::{FailureKind, Refusal};
use http::StatusCode;

/// Why the gateway answered instead of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The head names no host, two, or none that can be.
    BadHost,
    /// The request's head contradicts itself or cannot be passed on.
    BadRequest,
    /// The request's body could not be read to its end.
    BadBody,
    /// No route matches.
    NoRoute,
    /// The method is not served by a reverse proxy (CONNECT, TRACE).
    BadMethod,
    /// The body is larger than the listener allows.
    BodyTooLarge,
    /// The pool of the route is not in the view.
    NoPool,
    /// No worker of the pool takes traffic.
    NobodyReady,
    /// No connection to a worker.
    Connect,
    /// TLS with the worker failed.
    UpstreamTls,
    /// The worker's connection ended before an answer.
    UpstreamReset,
    /// What the worker sent is no HTTP answer.
    UpstreamGarbage,
    /// No answer came in time.
    Deadline,
    /// The connection's TLS was agreed for another host, whose certificate is not this one's.
    Misdirected,
    /// The request's body had not come when the deadline did.
    SlowBody,
    /// The request's head did not end in time.
    SlowHead,
    /// The request's target is longer than allowed.
    LongTarget,
    /// The request's head is longer than allowed, or has too many fields.
    LongHead,
    /// A method or transfer coding that nobody implements.
    NotImplemented,
    /// Another version of HTTP.
    OtherVersion,
    /// An expectation that is not `100-continue`.
    Expectation,
    /// The worker that this agent stands before has enough to do.
    Shed,
    /// The client wants only what is kept, and nothing is.
    NotCached,
    /// The route wants an idempotency key, and there is none.
    NoKey,
    /// The idempotency key is none, or there are several.
    BadKey,
    /// A request with this idempotency key runs.
    InProgress,
    /// A request with this idempotency key may have run; nobody has its answer.
    AnswerLost,
    /// A request with this idempotency key ran; its answer was too large to keep.
    AnswerTooLarge,
    /// A request with this idempotency key ran; its answer made room for others.
    AnswerDropped,
    /// Another request came with this idempotency key.
    KeyReused,
    /// Whether this idempotency key is known cannot be found out now.
    StoreAway,
    /// All workers of the pool have as many requests as they may.
    Full,
    /// The pool refuses so much that the request was not sent.
    Throttled,
    /// The client, or all clients of the route, sent more than the route's rate.
    RateLimited,
    /// The request has no key that says which slice it belongs to.
    NoShardKey,
    /// The request's key is too long, badly written, or there are two.
    BadShardKey,
    /// What the request calls itself is no producer and number.
    BadOpId,
    /// No table of the keyspace has come yet.
    NoTable,
    /// Too many requests wait for the slice, or in all. It was not run.
    SliceFull,
    /// The slice was not served in time. It was not run.
    SliceUnserved,
    /// The owner broke off, or did not answer in time: it may have been run.
    SliceUnknown,
}

impl Reason {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 41] = [
        Self::BadHost,
        Self::BadRequest,
        Self::BadBody,
        Self::NoRoute,
        Self::BadMethod,
        Self::BodyTooLarge,
        Self::NoPool,
        Self::NobodyReady,
        Self::Connect,
        Self::UpstreamTls,
        Self::UpstreamReset,
        Self::UpstreamGarbage,
        Self::Deadline,
        Self::Misdirected,
        Self::SlowBody,
        Self::SlowHead,
        Self::LongTarget,
        Self::LongHead,
        Self::NotImplemented,
        Self::OtherVersion,
        Self::Expectation,
        Self::Shed,
        Self::NotCached,
        Self::NoKey,
        Self::BadKey,
        Self::InProgress,
        Self::AnswerLost,
        Self::AnswerTooLarge,
        Self::AnswerDropped,
        Self::KeyReused,
        Self::StoreAway,
        Self::Full,
        Self::Throttled,
        Self::RateLimited,
        Self::NoShardKey,
        Self::BadShardKey,
        Self::BadOpId,
        Self::NoTable,
        Self::SliceFull,
        Self::SliceUnserved,
        Self::SliceUnknown,
    ];

    /// The word for it: value of `Ambidex-Error`, of the log's `reason` and of the metric's label.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::BadHost => "bad-host",
            Self::BadRequest => "bad-request",
            Self::BadBody => "bad-body",
            Self::NoRoute => "no-route",
            Self::BadMethod => "bad-method",
            Self::BodyTooLarge => "body-too-large",
            Self::NoPool => "no-pool",
            Self::NobodyReady => "nobody-ready",
            Self::Connect => "connect",
            Self::UpstreamTls => "upstream-tls",
            Self::UpstreamReset => "upstream-reset",
            Self::UpstreamGarbage => "upstream-garbage",
            Self::Deadline => "deadline",
            Self::Misdirected => "misdirected",
            Self::SlowBody => "slow-body",
            Self::SlowHead => "slow-head",
            Self::LongTarget => "long-target",
            Self::LongHead => "long-head",
            Self::NotImplemented => "not-implemented",
            Self::OtherVersion => "other-version",
            Self::Expectation => "expectation",
            Self::Shed => "shed",
            Self::NotCached => "not-cached",
            Self::NoKey => "no-idempotency-key",
            Self::BadKey => "bad-idempotency-key",
            Self::InProgress => "in-progress",
            Self::AnswerLost => "answer-lost",
            Self::AnswerTooLarge => "answer-too-large",
            Self::AnswerDropped => "answer-dropped",
            Self::KeyReused => "idempotency-key-reused",
            Self::StoreAway => "store-away",
            Self::Full => "full",
            Self::Throttled => "throttled",
            Self::RateLimited => "rate-limited",
            Self::NoShardKey => "no-key",
            Self::BadShardKey => "bad-key",
            Self::BadOpId => "bad-op-id",
            Self::NoTable => "no-table",
            Self::SliceFull => "slice-full",
            Self::SliceUnserved => "slice-unserved",
            Self::SliceUnknown => "slice-unknown",
        }
    }

    /// The status that it is answered with.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::BadHost | Self::BadRequest | Self::BadBody | Self::NoKey | Self::BadKey => StatusCode::BAD_REQUEST,
            Self::NoShardKey | Self::BadShardKey | Self::BadOpId => StatusCode::BAD_REQUEST,
            Self::NoTable | Self::SliceFull | Self::SliceUnserved => StatusCode::SERVICE_UNAVAILABLE,
            Self::SliceUnknown => StatusCode::GATEWAY_TIMEOUT,
            Self::InProgress | Self::AnswerLost | Self::AnswerTooLarge | Self::AnswerDropped => StatusCode::CONFLICT,
            Self::KeyReused => StatusCode::UNPROCESSABLE_ENTITY,
            Self::NoRoute => StatusCode::NOT_FOUND,
            Self::BadMethod => StatusCode::METHOD_NOT_ALLOWED,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NoPool | Self::NobodyReady | Self::Shed | Self::StoreAway | Self::Full | Self::Throttled => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::Connect | Self::UpstreamTls | Self::UpstreamReset | Self::UpstreamGarbage => StatusCode::BAD_GATEWAY,
            Self::Deadline | Self::NotCached => StatusCode::GATEWAY_TIMEOUT,
            Self::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            Self::Misdirected => StatusCode::MISDIRECTED_REQUEST,
            Self::SlowBody | Self::SlowHead => StatusCode::REQUEST_TIMEOUT,
            Self::LongTarget => StatusCode::URI_TOO_LONG,
            Self::LongHead => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::NotImplemented => StatusCode::NOT_IMPLEMENTED,
            Self::OtherVersion => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            Self::Expectation => StatusCode::EXPECTATION_FAILED,
        }
    }

    /// The sentence that the client gets. It tells nothing of what is behind the gateway.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::BadHost => "The request must name exactly one valid host.\n",
            Self::BadRequest => "The request cannot be passed on as it is.\n",
            Self::BadBody => "The request's body could not be read.\n",
            Self::NoRoute => "Nothing is served here.\n",
            Self::BadMethod => "This method is not served here.\n",
            Self::BodyTooLarge => "The request's body is too large.\n",
            Self::NoPool | Self::NobodyReady | Self::Full | Self::Throttled => {
                "No server is ready to answer. Try again later.\n"
            }
            Self::Connect | Self::UpstreamTls => "No server could be reached. Try again later.\n",
            Self::UpstreamReset | Self::UpstreamGarbage => "The server gave no valid answer.\n",
            Self::RateLimited => "Too many requests. Try again later.\n",
            Self::Deadline => "The server did not answer in time.\n",
            Self::SlowBody => "The request's body did not come in time.\n",
            Self::SlowHead => "The request did not come in time.\n",
            Self::LongTarget => "The request's target is too long.\n",
            Self::LongHead => "The request's head is too large.\n",
            Self::NotImplemented => "This method or coding is not implemented here.\n",
            Self::OtherVersion => "Only HTTP/1.0, 1.1 and 2 are spoken here.\n",
            Self::Expectation => "The only expectation that can be met is 100-continue.\n",
            Self::Shed => "This worker has enough to do. Try again later.\n",
            Self::NotCached => "No answer is kept here that would do.\n",
            Self::Misdirected => "This connection is not for that host. Ask on another one.\n",
            Self::NoKey => "This request must name itself by an idempotency key.\n",
            Self::BadKey => "The idempotency key must be one string of 1 to 255 visible characters.\n",
            Self::InProgress => "A request with this idempotency key is in progress. Ask again later.\n",
            Self::AnswerLost => "A request with this idempotency key may have been carried out; its answer is lost.\n",
            Self::AnswerTooLarge => {
                "A request with this idempotency key was answered; the answer was too large to keep.\n"
            }
            Self::AnswerDropped => "A request with this idempotency key was answered; the answer is no longer kept.\n",
            Self::KeyReused => "This idempotency key was used for another request.\n",
            Self::StoreAway => "Whether this request is a repeat cannot be found out now. Try again later.\n",
            Self::NoShardKey => "The request has no key that says where it belongs.\n",
            Self::BadShardKey => "The request's key must be one, of 1 to 1024 bytes, and well written.\n",
            Self::BadOpId => {
                "Ambidex-Op-Id must be one producer and number, such as c4:12: hexadecimal, a colon, and decimal from 1.\n"
            }
            Self::NoTable => "Where this request belongs is not known yet. Try again later.\n",
            Self::SliceFull => "Too many requests wait where this one belongs. It was not run. Try again later.\n",
            Self::SliceUnserved => "Where this request belongs is not served now. It was not run. Try again later.\n",
            Self::SliceUnknown => "The server did not answer. Whether the request was run is not known.\n",
        }
    }

    /// Whether the client's connection cannot be used any further.
    pub(crate) const fn closes(self) -> bool {
        match self {
            Self::BadHost
            | Self::BadRequest
            | Self::BadBody
            | Self::BodyTooLarge
            | Self::SlowBody
            | Self::SlowHead
            | Self::LongTarget
            | Self::LongHead
            | Self::NotImplemented
            | Self::OtherVersion
            | Self::Expectation => true,
            Self::NoRoute
            | Self::BadMethod
            | Self::NoPool
            | Self::NobodyReady
            | Self::Connect
            | Self::UpstreamTls
            | Self::UpstreamReset
            | Self::UpstreamGarbage
            | Self::Deadline
            | Self::NoKey
            | Self::BadKey
            | Self::InProgress
            | Self::AnswerLost
            | Self::AnswerTooLarge
            | Self::AnswerDropped
            | Self::KeyReused
            | Self::StoreAway
            | Self::Misdirected
            | Self::Shed
            | Self::NotCached
            | Self::Full
            | Self::Throttled
            | Self::RateLimited
            | Self::NoShardKey
            | Self::BadShardKey
            | Self::BadOpId
            | Self::NoTable
            | Self::SliceFull
            | Self::SliceUnserved
            | Self::SliceUnknown => false,
        }
    }
}

impl From<FailureKind> for Reason {
    fn from(kind: FailureKind) -> Self {
        match kind {
            FailureKind::Connect => Self::Connect,
            FailureKind::Tls => Self::UpstreamTls,
            FailureKind::Reset => Self::UpstreamReset,
            FailureKind::Garbage => Self::UpstreamGarbage,
            FailureKind::RequestBody => Self::BadBody,
        }
    }
}

impl Reason {
    /// Why a client's message was refused by the codec.
    pub(crate) fn of_message(refusal: ambidex_http1::Refusal) -> Self {
        use ambidex_http1::Refusal as Message;
        let hosts = [
            Message::NoHost,
            Message::RepeatedHost,
            Message::BadHost,
            Message::HostAgainstTarget,
            Message::BadAuthority,
        ];
        if hosts.contains(&refusal) {
            return Self::BadHost;
        }
        match refusal.status() {
            StatusCode::NOT_IMPLEMENTED => Self::NotImplemented,
            StatusCode::HTTP_VERSION_NOT_SUPPORTED => Self::OtherVersion,
            StatusCode::URI_TOO_LONG => Self::LongTarget,
            StatusCode::PAYLOAD_TOO_LARGE => Self::BodyTooLarge,
            StatusCode::EXPECTATION_FAILED => Self::Expectation,
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => Self::LongHead,
            _ => Self::BadRequest,
        }
    }
}

impl From<Refusal> for Reason {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NobodyReady => Self::NobodyReady,
            Refusal::Full => Self::Full,
            Refusal::Throttled => Self::Throttled,
            Refusal::Deadline => Self::Deadline,
            Refusal::Failed(kind) => kind.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_stands_at_its_own_number() {
        for (number, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, number, "{reason:?}");
        }
    }
}
