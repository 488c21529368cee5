//! Reviews of the doctor's findings, outside the core: where they are kept, what is seen for them, and who carries changes out.
//!
//! ```text
//! diagnosis --take--> folder of reviews <--open, change, close-- `ambidex review ..`
//!                          ^                                           |
//!                          +---- looks <---- pools of a coordinator <--+ carry-out: order, look, undo
//! ```
//! The machine is the core's ([`ambidex_core::review`]); here it is loaded, told what happened, and written back before what it wants
//! is done. So whatever process dies at whatever point, the folder knows of every change that may be in force.

pub(crate) mod audit;
pub(crate) mod carry;
pub(crate) mod change;
pub(crate) mod next;
pub(crate) mod pools;
pub(crate) mod record;
pub(crate) mod seen;
pub(crate) mod take;

use std::path::{Path, PathBuf};

use ambidex_core::review::{Effect, Event, Moment, Number, Refusal, Trust};
use ambidex_insight::clock;
use ambidex_store::reviews::{Filed, Reviews, ReviewsError};

use crate::api::ApiError;

/// Why nothing came of a command.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReviewError {
    /// The folder.
    #[error(transparent)]
    Reviews(#[from] ReviewsError),
    /// The machine refused it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The coordinator.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// Something else that was asked cannot be.
    #[error("{0}")]
    Wrong(String),
}

/// Now, as reviews count it.
pub(crate) fn now() -> Moment {
    Moment(u64::try_from(clock::now().0).unwrap_or(0))
}

/// A folder of reviews: nobody holds it open between two questions, so that a watch of two days keeps nobody out.
#[derive(Clone, Debug)]
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Every review; with what a deadline has done since it was last looked at, which is written back.
    pub(crate) fn all(&self) -> Result<(Vec<Filed>, Vec<ReviewsError>), ReviewError> {
        let reviews = Reviews::existing(&self.0)?;
        let (mut all, broken) = reviews.all();
        for filed in &mut all {
            let before = filed.review.clone();
            // What a deadline asks of somebody who carries changes out is asked again of whoever does.
            if filed.review.deadline().is_some_and(|deadline| deadline <= now()) {
                filed.review.on(now(), Event::Due, &mut Vec::new())?;
            }
            if filed.review != before {
                reviews.put(filed)?;
            }
        }
        reviews.close()?;
        Ok((all, broken))
    }

    /// One review as it stands.
    pub(crate) fn get(&self, number: Number) -> Result<Filed, ReviewError> {
        let reviews = Reviews::existing(&self.0)?;
        let filed = reviews.get(number)?;
        reviews.close()?;
        Ok(filed)
    }

    /// Tells a review what happened, and writes it down; what it wants done.
    pub(crate) fn tell(&self, number: Number, event: Event) -> Result<(Filed, Vec<Effect>), ReviewError> {
        let reviews = Reviews::existing(&self.0)?;
        let mut filed = reviews.get(number)?;
        let mut effects = Vec::new();
        let told = filed.review.on(now(), event, &mut effects);
        // Also what is refused may have been preceded by a deadline.
        reviews.put(&filed)?;
        reviews.close()?;
        told?;
        Ok((filed, effects))
    }
}

/// What changes of each kind have earned, by the newest hundred of them.
pub(crate) fn trust(all: &[Filed], class: ambidex_core::review::ActionClass) -> Trust {
    let of_class = |filed: &&Filed| filed.review.proposal().is_some_and(|proposal| proposal.action().class() == class);
    let mut trust = Trust::default();
    let newest = all.iter().rev().filter(of_class).filter_map(|filed| filed.review.succeeded()).take(NEWEST);
    newest.for_each(|succeeded| trust.count(succeeded));
    trust
}

/// What the doctor said of a finding in a title; else what it is about.
pub(crate) fn title(filed: &Filed) -> String {
    let subject = filed.review.subject();
    let said = filed.finding["title"].as_str().map(str::to_owned);
    said.unwrap_or_else(|| format!("{}: {} of {}", subject.group, subject.metric, subject.nodes.join(", ")))
}

/// The node that has the farthest too much as it was found last: that of the title, and so the one that people mean. Which node was the
/// first to be seen may be another one.
pub(crate) fn foremost(filed: &Filed) -> &str {
    let latest = filed.finding["nodes"][0]["name"].as_str();
    latest.or_else(|| filed.review.subject().nodes.first().map(String::as_str)).unwrap_or_default()
}

/// Changes that trust is reckoned by. Source: ours; five times what it takes, so that what was good long ago does not last for ever.
const NEWEST: usize = 100;

#[cfg(test)]
mod tests {
    use ambidex_core::review::{Review, Subject};
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn the_foremost_node_is_that_of_the_latest_finding() {
        let nodes = vec!["a".to_owned(), "b".to_owned()];
        let subject =
            Subject { group: "api".into(), metric: "in flight".into(), nodes, cause: "weights".into(), about: None };
        let review = Review::open(Number(1), Moment(0), subject, None, None);
        let mut filed = Filed { review, finding: Value::Null };
        assert_eq!(foremost(&filed), "a", "nothing else is known");
        filed.finding = json!({"title": "b: 2.71 times a fair part of in flight", "nodes": [{"name": "b", "r": 2.71}]});
        assert_eq!(foremost(&filed), "b");
    }
}
