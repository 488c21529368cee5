//! Zones of a pool: how full each is, where its requests go, and why.

use ambidex_core::again::Mode;
use ambidex_core::zone::Stage;
use maud::{Markup, html};

use super::view::PoolPanel;
use crate::status::ZoneStatus;

/// The section of one pool; nothing where zones do not matter.
pub(super) fn section(pool: &PoolPanel) -> Markup {
    if pool.zones.len() < 2 {
        return html! {};
    }
    html! {
        div .zones {
            h3 { "Zones" @if pool.zones.iter().any(|zone| zone.mode == Mode::Observe) { " (watched only)" } }
            table .workers {
                thead {
                    tr {
                        th { "Zone" } th .number { "Requests/s from it" } th .number { "Served/s" } th .number { "Full" } th .number { "Latency" }
                        th { "Its requests go to" } th { "Why" }
                    }
                }
                tbody { @for zone in &pool.zones { (row(zone)) } }
            }
        }
    }
}

fn row(zone: &ZoneStatus) -> Markup {
    let full = zone.utilization.map_or_else(|| "not known".to_owned(), |share| format!("{:.0} %", share * 100.0));
    let latency = zone.latency_ms.map_or_else(String::new, |ms| format!("{ms:.1} ms"));
    let to: Vec<String> =
        zone.to.iter().map(|flow| format!("{} {:.0} %", named(&flow.zone), flow.share.get() * 100.0)).collect();
    let class = match zone.stage {
        Stage::Home => "home",
        Stage::Spilling => "spilling",
        Stage::Out => "out",
    };
    html! {
        tr class=(class) {
            td data-label="Zone" { (named(&zone.name)) }
            td .number data-label="Requests/s from it" { (format!("{:.1}", zone.demand)) }
            td .number data-label="Served/s" { (format!("{:.1}", zone.served)) }
            td .number data-label="Full" { (full) }
            td .number data-label="Latency" { (latency) }
            td data-label="Its requests go to" { (to.join(", ")) }
            td .reason { (zone.why.as_deref().unwrap_or_default()) }
        }
    }
}

fn named(zone: &str) -> &str {
    if zone.is_empty() { "(none)" } else { zone }
}

#[cfg(test)]
mod tests {
    use ambidex_core::share::Share;

    use super::*;
    use crate::status::ZoneFlow;

    fn zone(name: &str, stage: Stage, to: &[(&str, u8)]) -> ZoneStatus {
        let flow = |(zone, percent): &(&str, u8)| {
            let share = Share::percent(*percent);
            ZoneFlow { zone: (*zone).into(), share, requests: 1 }
        };
        ZoneStatus {
            name: name.into(),
            mode: Mode::On,
            stage,
            demand: 800.0,
            served: 640.0,
            capacity: Some(800.0),
            utilization: Some(0.8),
            latency_ms: Some(18.2),
            to: to.iter().map(flow).collect(),
            why: Some("there is <b>no</b> room".to_owned()),
            decision: Some(7),
        }
    }

    #[test]
    fn each_zone_is_a_row_with_where_its_requests_go_and_why() {
        let spilling = zone("a", Stage::Spilling, &[("a", 80), ("b", 20)]);
        let zones = vec![spilling, zone("b", Stage::Home, &[("b", 100)])];
        let shown = section(&PoolPanel { zones, ..PoolPanel::default() }).into_string();
        assert!(shown.contains("a 80 %, b 20 %") && shown.contains("class=\"spilling\""), "{shown}");
        assert!(shown.contains("there is &lt;b&gt;no&lt;/b&gt; room"), "{shown}");
        let one = section(&PoolPanel { zones: vec![zone("a", Stage::Home, &[])], ..PoolPanel::default() });
        assert_eq!(one.into_string(), "", "one zone is none");
    }
}
