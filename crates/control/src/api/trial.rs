//! Trials through the API: how they stand, begin one, order one.

use ambidex_core::trial::Kind;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::Api;
use super::answer::{Refused, json};
use crate::paths::{TrialError, TrialOrder, TrialStatus};

#[derive(Serialize)]
struct Trials {
    trials: Vec<TrialStatus>,
}

/// What a change may say.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// Which kind of trial.
    kind: Kind,
    /// The path to begin with. Default: the one that requests do not go by.
    path: Option<String>,
    /// On to the end, not to the next step.
    #[serde(default)]
    full: bool,
}

impl From<TrialError> for Refused {
    fn from(error: TrialError) -> Self {
        match error {
            TrialError::Pool(error) => error.into(),
            TrialError::NoPath(..) | TrialError::None(..) => Self::missing(error.to_string()),
            TrialError::Running(..)
            | TrialError::Serving(..)
            | TrialError::Idle(..)
            | TrialError::Full { .. }
            | TrialError::Static(_)
            | TrialError::Stage { .. } => Self::new(StatusCode::CONFLICT, "trial", error.to_string()),
        }
    }
}

pub(crate) async fn all(State(api): State<Api>) -> Response {
    json(Trials { trials: api.shared.room().trials(api.shared.clock.now()) })
}

pub(crate) async fn order(
    State(api): State<Api>,
    Path((pool, order)): Path<(String, String)>,
    body: Bytes,
) -> Result<Response, Refused> {
    let read = || {
        serde_json::from_slice::<Asked>(&body).map_err(|error| {
            Refused::wrong(format!("{error}: send {{\"kind\": \"canary\"}}, or switch, or experiment"))
        })
    };
    let now = api.shared.clock.now();
    let told = match order.as_str() {
        "start" => {
            let asked = read()?;
            api.shared.room().start_trial(now, &pool, asked.kind, asked.path.as_deref())?
        }
        "pause" => api.shared.room().order_trial(now, &pool, read()?.kind, TrialOrder::Pause)?,
        "resume" => api.shared.room().order_trial(now, &pool, read()?.kind, TrialOrder::Resume)?,
        "promote" => {
            let Asked { kind, full, .. } = read()?;
            api.shared.room().order_trial(now, &pool, kind, TrialOrder::Promote { full })?
        }
        "abort" => api.shared.room().order_trial(now, &pool, read()?.kind, TrialOrder::Abort)?,
        other => {
            return Err(Refused::missing(format!(
                "there is no order `{other}`: use start, pause, resume, promote or abort"
            )));
        }
    };
    api.shared.changed.notify_one();
    Ok(json(told))
}
