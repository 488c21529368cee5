//! Who follows whom, on the page for Prometheus [R-C3].

use ambidex_core::contact::Stage;

use super::Snapshot;
use super::page::{Page, plain};

impl Snapshot {
    pub(super) fn encode_subscription(&self, page: &mut Page<'_, '_>) -> std::fmt::Result {
        page.gauges("ambidex_gateways", "Gateways that follow this coordinator", [plain(self.guests as f64)])?;
        let following = || self.following.iter();
        let is = |stage: Stage| following().map(move |known| plain(f64::from(u8::from(known.stage == stage))));
        page.gauges(
            "ambidex_coordinator_heard",
            "1 while the coordinator that is followed is heard; to be alerted on",
            is(Stage::Heard),
        )?;
        page.gauges(
            "ambidex_coordinator_lost",
            "1 while it has been silent for so long that the configured weights are in force",
            is(Stage::Static),
        )?;
        page.gauges(
            "ambidex_coordinator_silent_seconds",
            "Time since the coordinator that is followed was heard",
            following().map(|known| plain(known.silent_ms / 1e3)),
        )
    }
}
