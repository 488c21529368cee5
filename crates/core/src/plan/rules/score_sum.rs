//! `score-sum` [R-W2]: `1 - (0.5 latency + 0.3 errors + 0.2 queue)`, each score in 0..1, at least `least_score`.

use super::Opinion;
use super::scores::Scores;
use crate::plan::config::Reference;
use crate::plan::terms::Terms;

pub(super) fn weigh(terms: &Terms, reference: &Reference) -> Option<Opinion> {
    let Scores { latency, errors, queue } = Scores::of(terms, reference)?;
    let badness = 0.5 * latency.min(1.0) + 0.3 * errors.min(1.0) + 0.2 * queue.min(1.0);
    Some(Opinion::plain((1.0 - badness).max(reference.least_score.get())))
}
