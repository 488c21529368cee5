//! Pictures of views, and what is told of them.

use ambidex_core::share::Share;
use ambidex_core::view::{PoolParts, PoolView, WorkerView};
use ambidex_core::worker::Standing;
use ambidex_core::zone::{Plan, ZoneTable};
use ambidex_xds::picture::{Health, Picture};

use super::*;
use crate::coordinator::tests::{TWO, at_rest, pool};

fn drawer(mode: Mode) -> Drawer {
    let config: EnvoyConfig = serde_json::from_str(r#"{"listen": "127.0.0.1:18000"}"#).expect("sound");
    Drawer::new(mode, Audience::Envoys(config.offer()), None)
}

fn first() -> Arc<View> {
    let shared = at_rest(vec![pool("api", TWO)]);
    Arc::clone(&shared.room().pictures().borrow())
}

/// The view with other learned weights, which all requests go by; the second worker as said.
fn with(view: &View, learned: [f64; 2], standing: Standing) -> View {
    alone(view, repooled(view, learned, |workers| workers[1].standing = standing))
}

/// Its pool with other learned weights, and workers that are changed.
fn repooled(view: &View, learned: [f64; 2], change: impl FnOnce(&mut [WorkerView])) -> PoolView {
    let known = &view.pools()[0];
    let mut workers = known.workers.clone();
    change(&mut workers);
    let parts = PoolParts {
        id: known.id,
        name: Arc::clone(&known.name),
        revision: known.revision + 1,
        workers,
        pick: known.pick,
        learned: learned.into(),
        fixed: vec![1.0, 1.0],
        learned_share: Share::ALL,
        breaker: known.breaker,
        budget: Arc::clone(&known.budget),
    };
    PoolView::new(parts, None)
}

/// The view after this one, of this pool alone.
fn alone(view: &View, pool: PoolView) -> View {
    View::new(view.revision + 1, vec![Arc::new(pool)])
}

fn weights(picture: &Picture) -> Vec<f64> {
    picture.clusters[0].endpoints.iter().map(|endpoint| endpoint.weight).collect()
}

#[test]
fn a_workers_weight_is_its_share_in_fair_shares() {
    let view = first();
    let mut drawer = drawer(Mode::Apply);
    let (picture, changes) = drawer.draw(&view);
    assert_eq!((weights(&picture), changes), (vec![1.0, 1.0], vec!["api: a new cluster of 2 endpoints".to_owned()]));
    let (picture, changes) = drawer.draw(&with(&view, [3.0, 1.0], Standing::Serving));
    assert_eq!(weights(&picture), [1.5, 0.5]);
    assert_eq!(changes, ["api: a from 1.000 to 1.500 fair shares", "api: b from 1.000 to 0.500 fair shares"]);
}

#[test]
fn a_pool_that_stays_the_same_is_not_drawn_again() {
    let view = first();
    let mut drawer = drawer(Mode::Apply);
    let ((one, _), (other, changes)) = (drawer.draw(&view), drawer.draw(&view));
    assert!(Arc::ptr_eq(&one.clusters[0], &other.clusters[0]));
    assert!(changes.is_empty());
}

#[test]
fn a_worker_that_drains_or_is_unhealthy_is_told_so_and_the_others_share() {
    for (standing, health) in [(Standing::Draining, Health::Draining), (Standing::Unhealthy, Health::Unhealthy)] {
        let (picture, _) = drawer(Mode::Apply).draw(&with(&first(), [1.0, 1.0], standing));
        assert_eq!(weights(&picture), [1.0, 0.0]);
        assert_eq!(picture.clusters[0].endpoints[1].health, health);
    }
}

#[test]
fn to_observe_serves_the_configurations_weights_and_says_what_would_change() {
    let view = with(&first(), [3.0, 1.0], Standing::Serving);
    let (picture, changes) = drawer(Mode::Observe).draw(&view);
    assert_eq!(weights(&picture), [1.0, 1.0]);
    assert_eq!(changes, ["api: a from 1.000 to 1.500 fair shares", "api: b from 1.000 to 0.500 fair shares"]);
}

#[test]
fn a_pool_with_workers_behind_tls_is_served_by_eds_alone() {
    let secure = r#"[{"url":"https://10.0.0.1:1","name":"a"}]"#;
    let shared = at_rest(vec![pool("api", secure)]);
    let view = Arc::clone(&shared.room().pictures().borrow());
    let (picture, _) = drawer(Mode::Apply).draw(&view);
    assert_eq!(picture.clusters[0].offer, ambidex_xds::picture::Offer::Endpoints);
}

#[test]
fn a_zone_that_nothing_comes_from_and_nothing_goes_to_is_asked_last_and_not_taken_out() {
    let view = first();
    let pool = repooled(&view, [1.5, 0.5], |workers| {
        workers.iter_mut().zip(["a", "b"]).for_each(|(worker, zone)| worker.zone = zone.into());
    });
    let plan = |name: &str, shares: [f64; 2], part| Plan { name: name.into(), shares: shares.into(), part };
    let plans = vec![plan("a", [1.0, 0.0], 1.0), plan("b", [0.0, 1.0], 0.0)];
    let view = alone(&view, pool.zoned(ZoneTable::new(true, plans, Arc::default())));
    let config: EnvoyConfig = serde_json::from_str(r#"{"listen": "127.0.0.1:18000"}"#).expect("sound");
    let (picture, _) = Drawer::new(Mode::Apply, Audience::Envoys(config.offer()), Some("a")).draw(&view);
    let seen: Vec<(f64, u32)> =
        picture.clusters[0].endpoints.iter().map(|endpoint| (endpoint.weight, endpoint.priority)).collect();
    assert_eq!(seen, [(1.0, 0), (0.25, 1)]);
}
