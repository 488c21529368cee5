//! Pictures of views, and what is told of them.

use ambidex_core::share::Share;
use ambidex_core::view::{PoolParts, PoolView};
use ambidex_core::worker::Standing;
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
    let known = &view.pools()[0];
    let mut workers = known.workers.clone();
    workers[1].standing = standing;
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
    View::new(view.revision + 1, vec![Arc::new(PoolView::new(parts, None))])
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
