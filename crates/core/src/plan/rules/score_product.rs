//! `score-product` [R-W3]: `1 / (latency x errors x queue)`, each factor as `1 + score`, so that none is ever zero.

use super::Opinion;
use super::scores::Scores;
use crate::plan::config::Reference;
use crate::plan::terms::Terms;

pub(super) fn weigh(terms: &Terms, reference: &Reference) -> Option<Opinion> {
    let Scores { latency, errors, queue } = Scores::of(terms, reference)?;
    Some(Opinion::plain(1.0 / ((1.0 + latency) * (1.0 + errors) * (1.0 + queue))))
}
