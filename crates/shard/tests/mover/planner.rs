//! What the planner shows, proposes and does, by heat that workers tell.

use ambidex_core::shard::keyspace::PlannerConfig;
use ambidex_core::shard::records::SliceId;
use ambidex_shard::plan::PlanStatus;
use ambidex_shard::{Board, Done, Order, Refusal};

use crate::{Scene, number, owner, within};

fn planner(mode: &str) -> PlannerConfig {
    serde_json::from_value(serde_json::json!({ "mode": mode })).expect("a planner")
}

/// Two workers of two slices each; what `a` has takes 90 % of it. `a`'s slices, and whoever leads.
async fn one_is_hot(scene: &mut Scene, mode: &str) -> (Board, Vec<SliceId>) {
    scene.config.planner = planner(mode);
    let board = scene.leading().await;
    let table = board.tables().borrow().clone().expect("there is a table");
    let of_a = number(&table, "a");
    let slices: Vec<SliceId> = table.slices.iter().filter(|row| row.owner == of_a).map(|row| SliceId(row.id)).collect();
    scene.workers.load(slices[0], 0.5);
    scene.workers.load(slices[1], 0.4);
    (board, slices)
}

async fn planned(board: &Board, is: impl Fn(&PlanStatus) -> bool) -> PlanStatus {
    loop {
        let plan = board.plan();
        if is(&plan) {
            return (*plan).clone();
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

fn owners(board: &Board, slices: &[SliceId]) -> Vec<String> {
    slices.iter().map(|slice| owner(board, *slice)).collect()
}

#[test]
fn what_is_observed_is_said_and_nothing_is_done() {
    within(async {
        let mut scene = Scene::in_memory(&["a", "b"]);
        let (board, slices) = one_is_hot(&mut scene, "observe").await;
        let plan = planned(&board, |plan| plan.decisions.iter().any(|one| one.action.is_some())).await;
        let would = plan.decisions.iter().find(|one| one.action.is_some()).expect("one");
        let action = would.action.as_ref().expect("one");
        assert_eq!((would.fate, would.code, action.what), (Some("shown"), "worker_hot", "move"), "{plan:?}");
        assert!((would.gain - 0.4).abs() < 0.01, "{would:?}");
        assert_eq!((plan.proposals.len(), plan.deeds.len(), plan.mode), (0, 0, "observe"));
        assert_eq!(owners(&board, &slices), ["a", "a"]);
        let hot = plan.workers.iter().find(|worker| worker.name == "a").expect("it is there");
        assert!((hot.utilization - 0.9).abs() < 0.01 && hot.heard, "{hot:?}");
    });
}

#[test]
fn what_is_advised_is_done_once_it_is_approved() {
    within(async {
        let mut scene = Scene::in_memory(&["a", "b"]);
        let (board, slices) = one_is_hot(&mut scene, "advise").await;
        let plan = planned(&board, |plan| !plan.proposals.is_empty()).await;
        assert_eq!(owners(&board, &slices), ["a", "a"]);
        assert_eq!(board.order(Order::Approve { proposal: 5 }).await, Err(Refusal::UnknownProposal(5)));
        let id = u64::from_str_radix(&plan.proposals[0].proposal, 16).expect("a number");
        let done = board.order(Order::Approve { proposal: id }).await;
        assert!(matches!(done, Ok(Done::Moving { .. })), "{done:?}");
        planned(&board, |_| owners(&board, &slices).contains(&"b".to_owned())).await;
        let plan = planned(&board, |plan| plan.workers.iter().all(|worker| worker.utilization < 0.6)).await;
        assert_eq!((plan.deeds[0].how, plan.deeds[0].code), ("approved", "worker_hot"));
    });
}

#[test]
fn what_is_rejected_is_not_done_and_not_asked_again() {
    within(async {
        let mut scene = Scene::in_memory(&["a", "b"]);
        let (board, slices) = one_is_hot(&mut scene, "advise").await;
        let plan = planned(&board, |plan| !plan.proposals.is_empty()).await;
        let id = u64::from_str_radix(&plan.proposals[0].proposal, 16).expect("a number");
        let slice = plan.proposals[0].action.slice.clone();
        assert_eq!(board.order(Order::Reject { proposal: id }).await, Ok(Done::Rejected));
        let looked = board.plan().looked_ms;
        let plan = planned(&board, |plan| plan.looked_ms != looked && !plan.decisions.is_empty()).await;
        assert!(plan.proposals.iter().all(|one| one.action.slice != slice), "{plan:?}");
        assert_eq!(plan.deeds[0].how, "rejected");
        assert_eq!(owners(&board, &slices), ["a", "a"]);
    });
}

#[test]
fn what_is_automatic_is_done_and_every_decision_can_be_made_again() {
    within(async {
        let mut scene = Scene::in_memory(&["a", "b"]);
        let (board, slices) = one_is_hot(&mut scene, "auto").await;
        planned(&board, |_| owners(&board, &slices).contains(&"b".to_owned())).await;
        let plan = planned(&board, |plan| plan.workers.iter().all(|worker| worker.utilization < 0.6)).await;
        assert_eq!((plan.deeds[0].how, plan.deeds[0].action.what), ("done", "move"), "{:?}", plan.deeds);
        let records = scene.records.lock().expect("nobody panics");
        assert!(records.iter().any(|record| record.decisions.iter().any(|one| one.action.is_some())));
        for record in records.iter() {
            assert_eq!(record.again(), record.decisions);
        }
    });
}

#[test]
fn a_worker_that_says_nothing_stops_the_planner_with_the_reason() {
    within(async {
        let mut scene = Scene::in_memory(&["a", "b"]);
        let (board, slices) = one_is_hot(&mut scene, "auto").await;
        scene.workers.silence("b", true);
        let silent = |plan: &PlanStatus| plan.workers.iter().any(|one| one.fault.as_deref() == Some("b: it is silent"));
        let plan = planned(&board, silent).await;
        assert_eq!((plan.decisions[0].subject.as_str(), plan.decisions[0].code), ("keyspace", "metrics_missing"));
        let (code, words) = plan.of_slice(&format!("{:016x}", slices[0].0), "a").expect("it is explained");
        assert_eq!(code, "metrics_missing");
        assert!(words.starts_with("nothing"), "{words}");
    });
}
