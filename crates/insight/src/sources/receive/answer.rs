//! What senders are told, whichever way they speak.

use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use prost::Message;
use tonic::body::Body;
use tonic::{Code, Status};

use crate::sources::remote_write::second::Written;

/// Why an export was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// There is no token, or another one.
    Token,
    /// Others are being taken.
    Busy,
    /// It is larger than this, in bytes.
    Large(usize),
    /// It was not whole in time.
    Late,
    /// It broke off.
    Broken,
    /// It is no message.
    Wrong(String),
    /// It is of a kind that is not taken.
    Kind(String),
    /// Nothing is taken there.
    Place(String),
}

impl Refusal {
    fn words(&self) -> String {
        match self {
            Self::Token => "a token is needed: `Authorization: Bearer TOKEN`".into(),
            Self::Busy => "others are being taken: try again in a second".into(),
            Self::Large(most) => format!("it is larger than {most} bytes: send smaller batches"),
            Self::Late => "it was not whole in time".into(),
            Self::Broken => "it broke off".into(),
            Self::Wrong(why) | Self::Kind(why) | Self::Place(why) => why.clone(),
        }
    }

    pub(super) fn http(&self) -> Response<Body> {
        let status = match self {
            Self::Token => StatusCode::UNAUTHORIZED,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::Large(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Late => StatusCode::REQUEST_TIMEOUT,
            Self::Broken | Self::Wrong(_) => StatusCode::BAD_REQUEST,
            Self::Kind(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Place(_) => StatusCode::NOT_FOUND,
        };
        let mut response = plain(status, "text/plain; charset=utf-8", format!("{}\n", self.words()).into_bytes());
        if *self == Self::Busy {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }

    pub(super) fn grpc(&self) -> Status {
        let code = match self {
            Self::Token => Code::Unauthenticated,
            Self::Busy => {
                let details = Details::retry_after_a_second(self.words()).encode_to_vec();
                return Status::with_details(Code::ResourceExhausted, self.words(), details.into());
            }
            Self::Large(_) => Code::ResourceExhausted,
            Self::Late => Code::DeadlineExceeded,
            Self::Broken => Code::Cancelled,
            Self::Wrong(_) | Self::Kind(_) => Code::InvalidArgument,
            Self::Place(_) => Code::Unimplemented,
        };
        Status::new(code, self.words())
    }
}

pub(super) fn plain(status: StatusCode, kind: &'static str, body: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(Body::new(http_body_util::Full::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// What senders of remote write 2.0 are told: how much was written, and 400 where some was wrong, which they do not send again.
pub(super) fn wrote(written: &Written) -> Response<Body> {
    let mut response = match &written.wrong {
        None => plain(StatusCode::NO_CONTENT, "text/plain", Vec::new()),
        Some((many, why)) => {
            let words = format!("{many} series are wrong and left out, the others are written; {why}\n");
            plain(StatusCode::BAD_REQUEST, "text/plain; charset=utf-8", words.into_bytes())
        }
    };
    // Native histograms and exemplars are left out, and never said to be written.
    for (name, many) in [(SAMPLES, written.samples), (HISTOGRAMS, 0), (EXEMPLARS, 0)] {
        response.headers_mut().insert(name, HeaderValue::from(many));
    }
    response
}

/// `google.rpc.Status`, by which gRPC tells more than a code.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Details {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    pub(super) details: Vec<Any>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Any {
    #[prost(string, tag = "1")]
    pub(super) type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// `google.rpc.RetryInfo`: without it OTLP's senders do not try again.
#[derive(Clone, PartialEq, Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    delay: Option<Delay>,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Delay {
    #[prost(int64, tag = "1")]
    seconds: i64,
}

impl Details {
    fn retry_after_a_second(message: String) -> Self {
        let value = RetryInfo { delay: Some(Delay { seconds: 1 }) }.encode_to_vec();
        let info = Any { type_url: "type.googleapis.com/google.rpc.RetryInfo".into(), value };
        Self { code: Code::ResourceExhausted.into(), message, details: vec![info] }
    }
}

/// Source of the three: the specification of remote write 2.0.
const SAMPLES: HeaderName = HeaderName::from_static("x-prometheus-remote-write-samples-written");
const HISTOGRAMS: HeaderName = HeaderName::from_static("x-prometheus-remote-write-histograms-written");
const EXEMPLARS: HeaderName = HeaderName::from_static("x-prometheus-remote-write-exemplars-written");
