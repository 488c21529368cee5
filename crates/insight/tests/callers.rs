//! Who sends where: gateways of a fleet of which one sends to some nodes only, told apart from a balancer's doing and from affinity.

use ambidex_core::draw::Draw;
use ambidex_core::time::Span;
use ambidex_insight::doctor::{Callers, Cause, Diagnosis, Level, Like, Options, diagnose};
use ambidex_insight::history::{At, Bounds, Call, Caller, Peers, Recorder, Requests, Weigh};
use ambidex_insight::report::terminal::Look;
use ambidex_insight::report::{html, terminal};

/// One request as it is about to be sent.
struct Sent {
    minute: i64,
    /// Of four gateways.
    gateway: usize,
    /// Of eight nodes.
    node: usize,
    route: &'static str,
}

/// Two hundred minutes of two hundred requests each; `change` says what is wrong.
fn serve(change: impl Fn(&mut Sent, &mut Draw)) -> Recorder {
    let mut draw = Draw::seeded(11);
    let mut recorder = Recorder::new(Bounds::default(), Weigh::Time);
    let node = |recorder: &mut Recorder, at: usize| {
        let node = recorder.node(&format!("n{at}"), &Peers::default()).expect("there is room");
        recorder.zone(node, if at < 4 { "a" } else { "b" });
        node
    };
    for minute in 0..200 {
        for turn in 0..200 {
            let route = ["/list", "/item"][draw.below(2)];
            let mut sent = Sent { minute, gateway: draw.below(4), node: draw.below(8), route };
            change(&mut sent, &mut draw);
            let at = At(BEGIN + minute * 60_000 + turn * 300);
            let node = node(&mut recorder, sent.node);
            let busy = Some(Span::from_secs_f64(-0.02 * (1.0 - draw.unit()).ln()));
            recorder.requests(&Requests { at, node, route: sent.route, count: 1, failed: 0, busy, values: &[] });
            let gateway = format!("gw-{}", sent.gateway);
            let caller = Caller { service: Some("edge"), instance: Some(&gateway) };
            recorder.called(&Call { at, node, caller, route: Some(sent.route), count: 1.0 });
        }
    }
    recorder
}

fn judged(recorder: Recorder) -> Diagnosis {
    diagnose(&recorder.finish("test".into()), &Options::default())
}

#[track_caller]
fn callers(diagnosis: &Diagnosis) -> &Callers {
    diagnosis.groups[0].callers.as_ref().expect("callers are known")
}

const BEGIN: i64 = 1_790_000_100_000;

#[test]
fn gateways_that_send_to_all_nodes_are_no_finding() {
    let diagnosis = judged(serve(|_, _| {}));
    assert!(diagnosis.findings.is_empty(), "{:#?}", diagnosis.findings);
    let callers = callers(&diagnosis);
    assert!(callers.narrow.is_empty() && callers.marked.is_empty(), "{callers:#?}");
    assert_eq!((callers.callers.len(), callers.hops.len(), callers.hops[0].instances), (4, 1, 4));
    assert!(callers.others < 1e-9);
}

#[test]
fn a_gateway_that_sends_to_two_nodes_is_named_as_the_reason_why_they_have_more() {
    // A quarter of all goes to two of eight nodes: each has 3/4 / 8 + 1/4 / 2 = 7/32 of all, 1.75 times its part.
    let diagnosis = judged(serve(|sent, _| {
        if sent.gateway == 3 {
            sent.node %= 2;
        }
    }));
    let [finding] = &diagnosis.findings[..] else { panic!("{:#?}", diagnosis.findings) };
    let mut nodes: Vec<&str> = finding.nodes.iter().map(|node| node.node.as_str()).collect();
    nodes.sort_unstable();
    assert_eq!(nodes, ["n0", "n1"]);
    let first = &finding.hypotheses[0];
    assert_eq!(
        (first.cause, first.subject.as_deref()),
        (Cause::NarrowCaller, Some("caller gw-3 of edge")),
        "{finding:#?}"
    );
    let experiment = first.experiment.as_ref().expect("there is one");
    // What it has too much is the gateway's alone.
    assert!(experiment.predicted_r < 1.05 && (1.65..1.85).contains(&experiment.else_r), "{experiment:?}");
    let narrow = &callers(&diagnosis).narrow[..];
    let [one] = narrow else { panic!("{narrow:#?}") };
    assert_eq!((one.caller.as_str(), one.reached.len(), one.left_out.len()), ("gw-3", 2, 6));
    assert_eq!(one.like, Like::Subset);
    assert!((one.share - 0.25).abs() < 0.02, "{}", one.share);
    for report in
        [html::page(&diagnosis), terminal::text(&diagnosis, Look { colour: false, width: 120, verbose: false })]
    {
        assert!(report.contains("gw-3") && report.contains("leaves nodes out"), "{report}");
    }
}

#[test]
fn what_all_gateways_do_alike_is_the_balancers_doing() {
    let diagnosis = judged(serve(|sent, draw| {
        if draw.unit() < 0.15 {
            sent.node = 5;
        }
    }));
    let [finding] = &diagnosis.findings[..] else { panic!("{:#?}", diagnosis.findings) };
    assert!(finding.hypotheses.iter().all(|one| one.cause != Cause::NarrowCaller), "{finding:#?}");
    let blame = callers(&diagnosis).blame;
    assert!(blame.part(&[blame.nodes]) > 0.95, "{blame:?}");
}

#[test]
fn a_route_that_is_bound_to_a_node_is_the_routes_doing() {
    let diagnosis = judged(serve(|sent, draw| {
        if draw.unit() < 0.15 {
            (sent.node, sent.route) = (6, "/export");
        }
    }));
    let [finding] = &diagnosis.findings[..] else { panic!("{:#?}", diagnosis.findings) };
    assert_eq!(finding.hypotheses[0].cause, Cause::RouteAffinity, "{finding:#?}");
    let blame = callers(&diagnosis).blame;
    assert!(blame.part(&[blame.routes]) > 0.5 && blame.part(&[blame.instances]) < 0.05, "{blame:?}");
}

#[test]
fn a_gateway_with_an_old_list_is_told_though_no_node_stands_out() {
    let diagnosis = judged(serve(|sent, draw| {
        if sent.minute < 60 || sent.gateway == 2 {
            sent.node = draw.below(6);
        }
    }));
    let [finding] = &diagnosis.findings[..] else { panic!("{:#?}", diagnosis.findings) };
    assert_eq!((finding.level, finding.hypotheses[0].cause), (Level::Notice, Cause::NarrowCaller), "{finding:#?}");
    assert_eq!(finding.title, "gw-2: sends to 6 of 8 nodes only");
    assert!(finding.id.ends_with("/requests/callers/gw-2"), "{}", finding.id);
    let narrow = &callers(&diagnosis).narrow[0];
    let mut left_out = narrow.left_out.clone();
    left_out.sort_unstable();
    assert_eq!((&left_out[..], &narrow.like), (&["n6".to_owned(), "n7".to_owned()][..], &Like::Stale));
}

#[test]
fn a_gateway_that_keeps_to_its_zone_is_no_finding_and_what_it_does_lies_between_zones() {
    let diagnosis = judged(serve(|sent, draw| {
        // An eighth of all.
        if sent.gateway == 0 && draw.unit() < 0.5 {
            (sent.gateway, sent.node) = (9, draw.below(4));
        }
    }));
    assert!(diagnosis.findings.is_empty(), "{:#?}", diagnosis.findings);
    let callers = callers(&diagnosis);
    assert_eq!(callers.narrow[0].like, Like::Zone("a".into()));
    let zones = callers.blame.zones.expect("all nodes have zones");
    assert!(zones.callers_between > 10.0 * zones.callers_within, "{zones:?}");
}

#[test]
fn gateways_that_all_have_nodes_of_their_own_are_bound_and_none_is_at_fault() {
    let diagnosis = judged(serve(|sent, _| sent.node = 2 * sent.gateway + sent.node % 2));
    assert!(diagnosis.findings.is_empty(), "{:#?}", diagnosis.findings);
    let callers = callers(&diagnosis);
    assert!(callers.most_are_narrow && callers.narrow.len() == 4, "{callers:#?}");
    assert!(callers.blame.part(&[callers.blame.instances]) > 0.9, "{:?}", callers.blame);
}

#[test]
fn hops_are_told_apart_and_more_callers_than_may_be_count_as_others() {
    let bounds = Bounds { callers: 2, ..Bounds::default() };
    let mut recorder = Recorder::new(bounds, Weigh::Count);
    let nodes: Vec<_> =
        (0..2).map(|at| recorder.node(&format!("n{at}"), &Peers::default()).expect("there is room")).collect();
    for minute in 0..200 {
        for turn in 0..60_i64 {
            let at = At(BEGIN + minute * 60_000 + turn * 1_000);
            let node = nodes[usize::try_from(turn % 2).expect("0 or 1")];
            let stray = format!("stray-{minute}-{turn}");
            // A sixth comes from callers that come once each; the mobile hop sends to the first node only.
            let (service, instance, node) = match turn % 6 {
                0 => ("edge", stray.as_str(), node),
                1..=3 => ("edge", "gw-0", node),
                _ => ("mobile", "m-0", nodes[0]),
            };
            recorder.requests(&Requests { at, node, route: "/", count: 1, failed: 0, busy: None, values: &[] });
            let caller = Caller { service: Some(service), instance: Some(instance) };
            recorder.called(&Call { at, node, caller, route: Some("/"), count: 1.0 });
        }
    }
    let diagnosis = judged(recorder);
    assert!(diagnosis.remarks.iter().any(|remark| remark.what.contains("callers an hour")), "{:?}", diagnosis.remarks);
    let callers = callers(&diagnosis);
    let mobile = callers.hops.iter().find(|hop| hop.from.as_deref() == Some("mobile")).expect("a hop");
    assert!((mobile.relative[0] - 2.0).abs() < 1e-9 && mobile.relative[1] < 1e-9, "{mobile:?}");
    assert!((mobile.requests - 20.0 * 180.0).abs() < 61.0 * 20.0, "{mobile:?}");
    assert!(callers.others > 1_000.0 && callers.blame.services.g > callers.blame.instances.g, "{callers:#?}");
}
