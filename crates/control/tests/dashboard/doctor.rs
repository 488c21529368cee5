//! The doctor's page in a real browser: findings, heat map, what is left, and the board with its two buttons.

use std::sync::Arc;

use ambidex_control::doctor::{
    BoardStatus, CapacityStatus, DoctorState, DoctorStatus, EvidenceStatus, ExperimentStatus, FindingStatus, Grave,
    GroupStatus, HeatRow, HeatStatus, LeftStatus, NodeStatus, PlanStatus, ReasonStatus, ReviewLine, SinceStatus,
};
use ambidex_control::ui::DoctorPage;
use ambidex_core::review::{Calibrated, Compared, Expected, Step};

use crate::browser::{Browser, Tab};
use crate::served;

const NAMES: [&str; 6] = ["fast", "middling-1", "middling-2", "slow", "pausing", "<img src=x onerror=alert(1)>"];
const NOON: u64 = 1_795_240_000_000;

/// What a doctor may have told of six workers, one of which has too much.
pub(crate) fn page(wall_millis: u64) -> DoctorPage {
    DoctorPage { wall_millis, version: "0.1.0".to_owned(), told: Arc::new(told()) }
}

fn told() -> DoctorStatus {
    DoctorStatus {
        state: DoctorState::Judged,
        rounds: 41,
        at_ms: Some(NOON),
        took_ms: Some(12.0),
        every_ms: 300_000,
        judged_ms: Some((NOON - 10_800_000, NOON)),
        rules: "effect".to_owned(),
        findings: vec![finding(Grave::Critical, 5), finding(Grave::Notice, 3)],
        groups: vec![group()],
        remarks: vec!["pool api: what stands as CPU is the utilization that its workers report".to_owned()],
        board: Some(BoardStatus {
            folder: "/var/lib/ambidex/reviews".to_owned(),
            reviews: vec![review("R3", Step::Proposal), review("R2", Step::Watch), review("R1", Step::Record)],
            audit: "# Findings from 2026-08-24 to 2026-11-22\n\n3 opened, 1 closed; 2 open by now.\n".to_owned(),
            ..BoardStatus::default()
        }),
        ..DoctorStatus::default()
    }
}

fn finding(level: Grave, node: usize) -> FindingStatus {
    FindingStatus {
        id: format!("api/busy time/{node}"),
        group: "api".to_owned(),
        title: format!("{}: 2.31 times a fair part of busy time", NAMES[node]),
        level,
        hurts: level == Grave::Critical,
        metric: "busy time".to_owned(),
        verdict: "structural: it stays".to_owned(),
        since: Some(SinceStatus {
            at_ms: NOON - 7_200_000,
            before: 1.02,
            after: 2.31,
            happened: Some("an operator ordered: pin of a worker with a very long name indeed".to_owned()),
        }),
        nodes: vec![NodeStatus { name: NAMES[node].to_owned(), r: 2.31 }],
        reasons: vec![ReasonStatus {
            cause: "weights".to_owned(),
            about: None,
            evidence: vec![
                EvidenceStatus {
                    seen: "its weight is 2.3 times the others', and so are its requests".to_owned(),
                    strength: 3.0,
                },
                EvidenceStatus {
                    seen: "it takes as long as the others for the same routes".to_owned(),
                    strength: -0.5,
                },
            ],
            experiment: Some(ExperimentStatus {
                what: "give it the weight of the others for half an hour".to_owned(),
                predicted_r: 1.0,
                else_r: 2.31,
            }),
        }],
        costs: vec![
            "p99 1.9 times its peers'".to_owned(),
            "22 % of the group's capacity cannot be used while it is so".to_owned(),
        ],
        at_once: "set its weight to what it can carry".to_owned(),
        for_good: "weights by measured capacity".to_owned(),
        review: Some("R3".to_owned()),
        ..FindingStatus::default()
    }
}

fn group() -> GroupStatus {
    let row =
        |name: &str, route, cells: [f64; 6]| HeatRow { name: name.to_owned(), route, cells: cells.map(Some).to_vec() };
    let mut rows = vec![
        row("GET /search/with/a/very/long/path/in/it", true, [0.9, 1.1, 1.0, 1.3, 0.6, 1.2]),
        row("POST /cart", true, [0.4, 0.7, 0.9, 1.6, 0.9, 2.9]),
        row("busy time", false, [0.7, 0.9, 0.9, 1.5, 0.8, 2.31]),
    ];
    rows[2].cells[4] = None;
    let left = |at: usize, left, level, full_in_hours| LeftStatus {
        name: NAMES[at].to_owned(),
        utilization: 0.8 * (1.0 - left),
        left,
        level,
        full_in_hours,
    };
    GroupStatus {
        name: "api".to_owned(),
        judged: 6,
        spread: Some(0.52),
        level: Grave::Critical,
        heat: HeatStatus { nodes: NAMES.map(str::to_owned).to_vec(), more_nodes: 0, rows, by_routes: Some(0.31) },
        capacity: Some(CapacityStatus {
            metric: "cpu".to_owned(),
            theta: 0.8,
            nodes: vec![
                left(5, -0.08, Grave::Critical, Some(0.0)),
                left(3, 0.27, Grave::Warning, Some(19.0)),
                left(0, 0.6, Grave::Well, None),
            ],
            left_without_one: Some(0.21),
            surge: 1.2,
            surge_even: 2.1,
            stranded: 0.22,
            plan: Some(PlanStatus { nodes: 6, needed: Some(9), even: 5, withheld: None, binding: None }),
            ..CapacityStatus::default()
        }),
        ..GroupStatus::default()
    }
}

fn review(number: &str, step: Step) -> ReviewLine {
    let one = Compared { before: 0.6, predicted: Expected { low: 0.1, mid: 0.2, high: 0.3 }, actual: 0.24, held: true };
    let closed = step == Step::Record;
    ReviewLine {
        number: number.to_owned(),
        step,
        title: format!("{}: 2.31 times a fair part of busy time", NAMES[5]),
        since_ms: NOON - 86_400_000,
        found: 31,
        cause: Some("weights".to_owned()),
        again_after: None,
        change: Some("weight of pausing in pool api: 2.31 -> 1.00 fair shares".to_owned()),
        undone_by: Some("unpinning pausing".to_owned()),
        predicted: vec!["w: 0.20 (0.10 to 0.30)".to_owned()],
        aborts: vec!["w grew by more than 0.05".to_owned()],
        calibrated: closed.then_some(Calibrated { w: one, r_max: one, cmi: None }),
        outcome: closed.then(|| "mended".to_owned()),
        next: if closed { String::new() } else { "approve or reject it within 6 days".to_owned() },
        history: vec!["2026-11-21T12:00:00Z the doctor found it".to_owned()],
    }
}

fn open(browser: &mut Browser, width: u32, dark: bool) -> Tab<'_> {
    let (address, _sample) = served();
    let mut tab = browser.tab();
    tab.screen(width, 900, dark);
    tab.go(&format!("http://{address}/doctor"));
    tab.wait_for("document.getElementById('state').textContent.startsWith('live, ')");
    tab
}

#[test]
fn the_doctors_page_shows_findings_heat_what_is_left_and_the_board_within_its_policy() {
    let mut browser = Browser::start();
    let mut tab = open(&mut browser, 1_280, false);
    tab.is("document.title === '(1) Doctor, Ambidex'");
    tab.is("document.querySelectorAll('.finding').length === 2");
    tab.is("document.querySelectorAll('.heat tbody tr').length === 3 && document.querySelectorAll('.heat thead th').length === 6");
    tab.is("document.querySelectorAll('.left tbody tr').length === 3");
    tab.is(
        "document.querySelectorAll('.board .column').length === 5 && document.querySelectorAll('.card').length === 3",
    );
    // What stands out does so by its shape, too, and in its colour.
    tab.is("document.querySelector('.heat .hot-3').textContent === '2.90▲'");
    tab.is("getComputedStyle(document.querySelector('.heat .hot-3')).backgroundColor === 'rgb(242, 172, 148)'");
    // Names from outside are text, and the way back is there.
    tab.is("document.images.length === 0 && document.body.textContent.includes('<img src=x onerror=')");
    tab.is("document.querySelector('nav a[aria-current]').textContent === 'Doctor'");
    tab.picture("doctor-light.png");
    tab.is("document.documentElement.dataset.violations === '0'");
    assert_eq!(tab.complaints(), Vec::<String>::new());
}

#[test]
fn in_the_dark_and_on_a_narrow_screen_all_of_it_is_there() {
    let mut browser = Browser::start();
    let mut tab = open(&mut browser, 1_280, true);
    tab.is("getComputedStyle(document.body).backgroundColor === 'rgb(20, 23, 27)'");
    tab.picture("doctor-dark.png");
    tab.screen(400, 800, false);
    tab.wait_for("document.documentElement.clientWidth === 400");
    assert!(tab.number("document.documentElement.scrollWidth") <= 400.0);
    // The heat map has its own way sideways; all else fits.
    tab.is("[...document.querySelectorAll('.finding, .left td, .card, .card button, .scroll')]\
            .every((part) => part.getBoundingClientRect().right <= 400)");
    tab.picture("doctor-narrow.png");
}

#[test]
fn a_proposal_is_approved_with_the_token_a_name_and_a_reason() {
    let mut browser = Browser::start();
    let (address, sample) = served();
    let mut tab = browser.tab();
    tab.go(&format!("http://{address}/doctor"));
    tab.wait_for("document.getElementById('state').textContent.startsWith('live, ')");
    tab.run("window.prompt = () => 'the-token'; document.querySelector('[data-review=R3] [name=by]').value = 'ada'");
    tab.run("document.querySelector('[data-review=R3] [name=why]').value = 'it is as large as the others'");
    // What somebody wrote stays when the page is renewed.
    let renewed = sample.rendered() + 2;
    tab.wait_for_outside("the page to be renewed", || sample.rendered() > renewed);
    tab.is("document.querySelector('[data-review=R3] [name=by]').value === 'ada'");
    tab.run("document.querySelector('[data-review=R3] button[data-order=approve]').click()");
    let wanted = "R3 approve Bearer the-token {\"by\":\"ada\",\"why\":\"it is as large as the others\"}";
    tab.wait_for_outside("the order", || sample.orders() == [wanted]);
    let offered = |review: &str| {
        format!(
            "[...document.querySelectorAll('[data-review={review}] [data-order]')].map((it) => it.dataset.order).join()"
        )
    };
    assert_eq!(tab.run(&offered("R2")), "abort", "what is in force can be taken back");
    assert_eq!(tab.run(&offered("R1")), "", "what is over cannot");
}
