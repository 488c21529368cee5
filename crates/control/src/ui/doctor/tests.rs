//! The doctor's page as text.

use ambidex_core::review::{Calibrated, Compared, Expected, Step};

use super::*;
use crate::doctor::{
    BoardStatus, CapacityStatus, EvidenceStatus, ExperimentStatus, FindingStatus, GroupStatus, HeatRow, HeatStatus,
    LeftStatus, NodeStatus, PlanStatus, ReasonStatus, ReviewLine, SinceStatus,
};

fn shown(told: DoctorStatus) -> String {
    page(&DoctorPage { told: Arc::new(told), ..DoctorPage::default() }).into_string()
}

fn judged() -> DoctorStatus {
    DoctorStatus { state: DoctorState::Judged, ..DoctorStatus::default() }
}

fn finding() -> FindingStatus {
    FindingStatus {
        id: "api/busy/b".into(),
        group: "api".into(),
        title: "<b>: 2.10 times a fair part of busy time".into(),
        level: Grave::Critical,
        metric: "busy time".into(),
        verdict: "structural: it stays".into(),
        since: Some(SinceStatus {
            at_ms: 1_795_343_400_000,
            before: 1.0,
            after: 2.1,
            happened: Some("an operator ordered: pin <b>".into()),
        }),
        nodes: vec![NodeStatus { name: "<b>".into(), r: 2.1 }],
        more_nodes: 2,
        reasons: vec![ReasonStatus {
            cause: "weights".into(),
            about: None,
            evidence: vec![
                EvidenceStatus { seen: "its weight is 2.0 of a fair share".into(), strength: 3.0 },
                EvidenceStatus { seen: "its CPU is as the others'".into(), strength: -1.0 },
            ],
            experiment: Some(ExperimentStatus { what: "give it a fair weight".into(), predicted_r: 1.0, else_r: 2.1 }),
        }],
        costs: vec!["p99 1.8 times its peers'".into()],
        at_once: "set its weight".into(),
        for_good: "weights that follow".into(),
        review: Some("R3".into()),
        ..FindingStatus::default()
    }
}

fn review(step: Step) -> ReviewLine {
    ReviewLine {
        number: "R3".into(),
        step,
        title: "<b> has too much".into(),
        since_ms: 1_795_343_400_000,
        found: 7,
        cause: Some("weights".into()),
        again_after: None,
        change: Some("weight of b in pool api: 2.10 -> 1.00 fair shares".into()),
        undone_by: Some("unpinning b".into()),
        predicted: vec!["w: 0.05 (0.02 to 0.10)".into()],
        aborts: vec!["w grew by more than 0.05".into()],
        calibrated: None,
        outcome: None,
        next: "approve or reject it within 6 days".into(),
        history: vec!["found".into()],
    }
}

#[test]
fn a_finding_says_what_where_since_when_why_what_against_it_and_what_to_do() {
    let text = shown(DoctorStatus { findings: vec![finding()], ..judged() });
    for wanted in [
        "▲ critical",
        "&lt;b&gt;: 2.10 times a fair part of busy time",
        "&lt;b&gt; 2.10 and 2 more",
        "2026-11-22 10:30",
        "about when: an operator ordered: pin &lt;b&gt;",
        "<b>for: </b>its weight is 2.0",
        "<b>against: </b>its CPU is",
        "p99 1.8 times",
        "set its weight",
        "weights that follow",
        "give it a fair weight: if it is so, 1.00 instead of 2.10",
        "href=\"#review-R3\"",
    ] {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
    assert!(!text.contains("<b>:"), "{text}");
}

#[test]
fn nothing_found_is_told_from_nothing_judged() {
    let told = |insufficient: Option<&str>| DoctorStatus {
        groups: vec![GroupStatus { insufficient: insufficient.map(str::to_owned), ..GroupStatus::default() }],
        ..judged()
    };
    assert!(shown(told(None)).contains("Nothing stands out."));
    let text = shown(told(Some("there is no whole window of 300 s")));
    assert!(text.contains("too little load or time") && text.contains("no whole window of 300 s"), "{text}");
    assert!(!text.contains("Nothing stands out"), "{text}");
}

#[test]
fn one_that_is_off_and_one_that_broke_off_say_so() {
    let off = shown(DoctorStatus::default());
    assert!(off.contains("doctor: off") && !off.contains("id=\"findings\""), "{off}");
    let failed =
        DoctorStatus { state: DoctorState::Failed, why: Some("a fault".into()), findings: vec![finding()], ..judged() };
    let text = shown(failed);
    assert!(
        text.contains("The last round broke off: a fault. What stands here is older.") && text.contains("▲"),
        "{text}"
    );
}

#[test]
fn a_cell_is_a_figure_and_a_shape_and_one_that_is_not_known_is_none() {
    let rows = vec![
        HeatRow { name: "/cart".into(), route: true, cells: vec![Some(2.4), Some(0.3), None] },
        HeatRow { name: "busy time".into(), route: false, cells: vec![Some(1.6), Some(0.7), Some(1.02)] },
    ];
    let nodes = ["a", "b", "c"].map(str::to_owned).into();
    let heat = HeatStatus { nodes, more_nodes: 4, rows, by_routes: Some(0.83) };
    let text = shown(DoctorStatus {
        groups: vec![GroupStatus { name: "api".into(), heat, ..GroupStatus::default() }],
        ..judged()
    });
    for wanted in [
        "class=\"hot-3\">2.40",
        "class=\"cold-2\">0.30",
        "class=\"hot-2\">1.60",
        "class=\"fair\">1.02",
        "class=\"none\">-",
    ] {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
    assert!(text.contains("83 %</span>") || text.contains("83 % of the unevenness"), "{text}");
    assert!(text.contains("4 more workers") && text.contains("▾") && text.contains("◆"), "{text}");
}

#[test]
fn capacity_says_what_is_left_when_it_is_gone_and_what_the_load_takes() {
    let left = |name: &str, left, level, full_in_hours| LeftStatus {
        name: name.into(),
        utilization: 0.7,
        left,
        level,
        full_in_hours,
    };
    let capacity = CapacityStatus {
        metric: "cpu".into(),
        theta: 0.8,
        nodes: vec![left("b", -0.1, Grave::Critical, Some(0.0)), left("a", 0.5, Grave::Well, Some(31.2))],
        left_without_one: Some(-0.25),
        surge: 1.1,
        surge_even: 1.6,
        stranded: 0.31,
        plan: Some(PlanStatus {
            nodes: 4,
            needed: Some(6),
            even: 4,
            withheld: None,
            binding: Some("More workers will not help.".into()),
        }),
        more_nodes: 0,
    };
    let groups = vec![
        GroupStatus { name: "api".into(), capacity: Some(capacity), ..GroupStatus::default() },
        GroupStatus { name: "web".into(), ..GroupStatus::default() },
    ];
    let text = shown(DoctorStatus { groups, ..judged() });
    for wanted in
        ["10 % beyond", "50 %", "25 % beyond", "31 %", ">now<", "31 h", "6 workers", "More workers will not help."]
    {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
    assert!(text.contains("No utilization is known of web"), "{text}");
}

#[test]
fn what_is_proposed_or_in_force_has_buttons_and_what_came_stands_beside_what_was_predicted() {
    let board = |reviews| Some(BoardStatus { folder: "reviews".into(), reviews, ..BoardStatus::default() });
    let text = shown(DoctorStatus { board: board(vec![review(Step::Proposal)]), ..judged() });
    for wanted in [
        "data-order=\"approve\"",
        "data-order=\"reject\"",
        "data-review=\"R3\"",
        "unpinning b",
        "&lt;b&gt; has too much",
    ] {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
    for step in [Step::Canary, Step::Watch] {
        let text = shown(DoctorStatus { board: board(vec![review(step)]), ..judged() });
        assert!(text.contains("data-order=\"abort\"") && !text.contains("data-order=\"approve\""), "{text}");
    }
    let one =
        Compared { before: 0.6, predicted: Expected { low: 0.1, mid: 0.2, high: 0.3 }, actual: 0.35, held: false };
    let calibrated = Some(Calibrated { w: one, r_max: Compared { held: true, ..one }, cmi: None });
    let closed = ReviewLine { calibrated, outcome: Some("mended".into()), ..review(Step::Record) };
    let text = shown(DoctorStatus { board: board(vec![closed]), ..judged() });
    assert!(!text.contains("data-order") && text.contains("mended"), "{text}");
    assert!(text.contains("0.20 (0.10 to 0.30)") && text.contains("0.35 ✗") && text.contains("0.35 ✓"), "{text}");
    let without = shown(judged());
    assert!(without.contains("doctor: {reviews: FOLDER}"), "{without}");
}
