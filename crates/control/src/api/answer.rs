//! Answers: JSON with the schema's version, errors that say what to do.

use axum::Json;
use axum::http::header::{HeaderValue, WWW_AUTHENTICATE};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::room::OrderError;
use crate::status::Versioned;

/// Why a request is not answered with what it asked for.
#[derive(Debug)]
pub(crate) struct Refused {
    status: StatusCode,
    /// In one word, for programs.
    code: &'static str,
    /// In a sentence, for people.
    message: String,
    /// By which scheme the token is to be shown.
    challenge: Option<&'static str>,
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    code: &'a str,
    error: &'a str,
}

impl Refused {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), challenge: None }
    }

    pub(crate) fn wrong(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", message)
    }

    /// The token has to be shown, so.
    pub(crate) fn challenge(code: &'static str, challenge: &'static str, message: String) -> Self {
        Self { challenge: Some(challenge), ..Self::new(StatusCode::UNAUTHORIZED, code, message) }
    }

    pub(crate) fn missing(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", message)
    }
}

impl From<OrderError> for Refused {
    fn from(error: OrderError) -> Self {
        match error {
            OrderError::NoPool(..) | OrderError::NoWorker(..) | OrderError::NoProposal(..) => {
                Self::missing(error.to_string())
            }
            OrderError::Weight(_) => Self::wrong(error.to_string()),
            OrderError::StandsBy(_) => Self::new(StatusCode::CONFLICT, "stands_by", error.to_string()),
            OrderError::Followed(..) => Self::new(StatusCode::CONFLICT, "followed", error.to_string()),
        }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let body = ErrorBody { code: self.code, error: &self.message };
        let mut response = (self.status, Json(Versioned::new(body))).into_response();
        if let Some(challenge) = self.challenge {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        response
    }
}

/// A good answer.
pub(crate) fn json<T: Serialize>(body: T) -> Response {
    Json(Versioned::new(body)).into_response()
}

pub(crate) async fn nothing_here(uri: Uri) -> Refused {
    Refused::missing(format!("there is nothing at {}: see /api/v1/status, /api/v1/pools, /metrics", uri.path()))
}

pub(crate) async fn another_method(uri: Uri) -> Refused {
    let message = format!("{} takes another method: reads are GET, changes are POST", uri.path());
    Refused::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message)
}
