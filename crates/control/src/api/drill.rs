//! Drills through the API: which there are, begin one, end one.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;

use super::Api;
use super::answer::{Refused, json};
use crate::drills::{DrillError, DrillStatus};

/// A drill, and what is to be said of it.
#[derive(Serialize)]
struct Told {
    #[serde(flatten)]
    drill: DrillStatus,
    sentence: String,
}

#[derive(Serialize)]
struct Drills {
    drills: Vec<Told>,
}

impl From<DrillStatus> for Told {
    fn from(drill: DrillStatus) -> Self {
        Self { sentence: drill.sentence(), drill }
    }
}

impl From<DrillError> for Refused {
    fn from(error: DrillError) -> Self {
        match error {
            DrillError::Name(error) => error.into(),
            DrillError::NoRequests
            | DrillError::Running(..)
            | DrillError::Alone(_)
            | DrillError::Idle(..)
            | DrillError::Unwell { .. }
            | DrillError::Full { .. }
            | DrillError::TooMuch { .. }
            | DrillError::None(_) => Self::new(StatusCode::CONFLICT, "drill", error.to_string()),
        }
    }
}

pub(crate) async fn all(State(api): State<Api>) -> Response {
    let drills = api.shared.room().drills();
    json(Drills { drills: drills.into_iter().map(Told::from).collect() })
}

/// Begins one.
pub(super) fn begin(api: &Api, pool: &str, worker: &str, body: &Bytes) -> Result<Response, Refused> {
    let order = serde_json::from_slice(body).map_err(|error| {
        Refused::wrong(format!(
            "{error}: send {{\"fault\": {{\"delay\": \"200ms\"}}, \"for\": \"60s\"}}, or errors, or resets"
        ))
    })?;
    let begun = api.shared.room().start_drill(api.shared.clock.now(), pool, worker, order)?;
    api.shared.changed.notify_one();
    Ok(json(Told::from(begun)))
}

/// Ends the one of a pool.
pub(super) fn end(api: &Api, pool: &str) -> Result<Response, Refused> {
    Ok(json(Told::from(api.shared.room().stop_drill(pool)?)))
}
