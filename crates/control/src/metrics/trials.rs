//! Trials, on the page for Prometheus.

use ambidex_core::trial::Stage;

use super::Snapshot;
use super::page::Page;
use crate::paths::TrialStatus;

impl Snapshot {
    pub(super) fn encode_trials(&self, page: &mut Page<'_, '_>) -> std::fmt::Result {
        let labels =
            |trial: &TrialStatus| vec![("pool", trial.pool.to_string()), ("kind", trial.kind.name().to_owned())];
        let rows = || self.trials.iter();
        page.gauges(
            "ambidex_trial_share",
            "Share of the requests that goes the new way",
            rows().map(|trial| (labels(trial), trial.share.get())),
        )?;
        page.gauges(
            "ambidex_trial_control_share",
            "Share of the requests in the control group",
            rows().map(|trial| (labels(trial), trial.control.get())),
        )?;
        let aborted = |trial: &TrialStatus| f64::from(u8::from(trial.stage == Stage::Aborted));
        page.gauges(
            "ambidex_trial_aborted",
            "1 when the newest trial of the pool was aborted",
            rows().map(|trial| (labels(trial), aborted(trial))),
        )?;
        let groups = rows().flat_map(|trial| {
            let of = |group: &str| {
                let mut labels = labels(trial);
                labels.push(("group", group.to_owned()));
                labels
            };
            let figures = &trial.figures;
            [(of("candidate"), figures.candidate), (of("control"), figures.control)]
        });
        let groups: Vec<_> = groups.collect();
        page.gauges(
            "ambidex_trial_requests",
            "Requests of a group in the running step",
            groups.iter().map(|(labels, side)| (labels.clone(), side.requests as f64)),
        )?;
        page.gauges(
            "ambidex_trial_failed",
            "Failed first tries of a group in the running step",
            groups.iter().map(|(labels, side)| (labels.clone(), side.failed as f64)),
        )
    }
}
