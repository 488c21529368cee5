//! Sends notices to who wants them: once, within a bound of time. What could not be sent is said, and sent again by the caller.

use ambidex_core::time::Span;
use serde_json::Value;

use super::{Notice, alertmanager, webhook};
use crate::sources::fetch::{Site, words};
use crate::sources::{Access, FetchError};

/// Where notices go.
#[derive(Clone, Debug)]
pub enum Receiver {
    /// Our own JSON, to this address.
    Webhook(Access),
    /// An Alertmanager: its address without `/api/v2/alerts`.
    Alertmanager(Access),
}

/// Why notices were not taken.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// It cannot be reached.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// It does not want them.
    #[error("{url} answered {status} to notices: {said}")]
    Refused {
        /// Where.
        url: String,
        /// Of HTTP.
        status: u16,
        /// The first words of its answer.
        said: String,
    },
}

impl Receiver {
    /// Sends the notices of a round. `ends_after`: when Alertmanager ends what is not told again.
    ///
    /// # Errors
    /// Why they were not taken.
    pub async fn send(&self, source: &str, notices: &[Notice], ends_after: Span) -> Result<(), SendError> {
        let (access, path, body): (&Access, &str, Value) = match self {
            Self::Webhook(access) => (access, "", webhook(source, notices)),
            Self::Alertmanager(access) => {
                let ends_after = i64::try_from(ends_after.as_millis()).unwrap_or(i64::MAX);
                (access, "/api/v2/alerts", alertmanager(source, notices, ends_after))
            }
        };
        let site = Site::new(access, WITHIN)?;
        let answer = site.post(path, &body).await?;
        if (200..300).contains(&answer.status) {
            return Ok(());
        }
        Err(SendError::Refused { url: site.shown().to_owned(), status: answer.status, said: words(&answer.body) })
    }
}

/// For an answer. Source: ours; who takes notices only puts them in a list.
const WITHIN: Span = Span::from_secs(10);
