//! Who follows whom, on the page for Prometheus [R-C3].

use ambidex_core::contact::Stage;

use super::Snapshot;
use super::page::{Labels, Page, plain};

impl Snapshot {
    pub(super) fn encode_subscription(&self, page: &mut Page<'_, '_>) -> std::fmt::Result {
        page.gauges("ambidex_gateways", "Gateways that follow this coordinator", [plain(self.guests as f64)])?;
        let election = || self.election.iter();
        page.gauges(
            "ambidex_leads",
            "1 while this one of several coordinators leads, 0 while it stands by",
            election().map(|known| plain(f64::from(u8::from(known.leads)))),
        )?;
        page.gauges(
            "ambidex_term",
            "The term of this leader, or the latest that was heard of",
            election().map(|known| plain(known.term as f64)),
        )?;
        page.gauges(
            "ambidex_leader_known",
            "1 while it is known who leads; to be alerted on",
            election().map(|known| plain(f64::from(u8::from(known.leads || known.leader.is_some())))),
        )?;
        page.gauges(
            "ambidex_election_failing",
            "1 while something is wrong with the election, such as a store that does not answer; to be alerted on",
            election().map(|known| plain(f64::from(u8::from(known.fault.is_some())))),
        )?;
        page.counters(
            "ambidex_leadership_changes",
            "How often this coordinator began or ceased to lead",
            election().map(|known| (Labels::new(), known.changes)),
        )?;
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
