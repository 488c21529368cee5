//! What a request asks for and names: its query, its path's parts, its body; or why they cannot be read, in the form of every
//! other error.

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::answer::Refused;

/// The query.
pub(crate) struct Question<T>(pub(crate) T);

/// The parts of the path that have names.
pub(crate) struct Named<T>(pub(crate) T);

/// The body.
pub(crate) struct Sent(pub(crate) Bytes);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Question<T> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refused> {
        let read = Query::from_request_parts(parts, state).await;
        read.map(|Query(asked)| Self(asked)).map_err(|why| Refused::wrong(why.body_text()))
    }
}

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Named<T> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refused> {
        let read = Path::from_request_parts(parts, state).await;
        read.map(|Path(names)| Self(names)).map_err(|why| Refused::wrong(why.body_text()))
    }
}

impl<S: Send + Sync> FromRequest<S> for Sent {
    type Rejection = Refused;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refused> {
        let read = Bytes::from_request(request, state).await;
        read.map(Self).map_err(|why| match why.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Refused::new(why.status(), "too_large", why.body_text()),
            _ => Refused::wrong(why.body_text()),
        })
    }
}
