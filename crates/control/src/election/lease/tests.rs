//! The ballot by a Lease against an API server of ours: what a store must promise to an election, and what may go wrong.

use ambidex_store::ballot::Candidate;
use serde_json::{Value, json};

use super::*;
use crate::kubernetes::sample::ApiServer;

const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/shop/leases";
const MAPS: &str = "/api/v1/namespaces/shop/configmaps";
const LASTS: Span = Span::from_secs(3);

fn ballot(server: &ApiServer) -> LeaseBallot {
    let config = json!({"server": format!("http://{}", server.address), "namespace": "shop", "timeout": "10s"});
    #[expect(clippy::disallowed_methods, reason = "a test's clock")]
    let clock = Clock::starting_at(std::time::Instant::now());
    LeaseBallot::new(serde_json::from_value(config).expect("sound"), clock)
}

async fn ask(ballot: &mut LeaseBallot, name: &str, over: u64, nonce: u128) -> Result<Asked, BallotError> {
    let who = Candidate { name: name.to_owned(), gateways: Some(format!("http://{name}:1")), admin: None };
    ballot.acquire(&Ask { who: &who, lease: LASTS, over, nonce }).await
}

async fn won(ballot: &mut LeaseBallot, name: &str, nonce: u128) -> (u64, Option<Vec<u8>>) {
    match ask(ballot, name, 0, nonce).await {
        Ok(Asked::Won { term, state }) => (term, state.map(|state| state.bytes)),
        other => panic!("{name} does not lead: {other:?}"),
    }
}

/// As if this one had looked at the Lease for longer than it lasts.
fn long_ago(ballot: &mut LeaseBallot) {
    ballot.clock = {
        #[expect(clippy::disallowed_methods, reason = "a test's clock")]
        let now = std::time::Instant::now();
        Clock::starting_at(now.checked_sub(std::time::Duration::from_secs(100)).expect("the machine is up"))
    };
    if let Some(seen) = &mut ballot.seen {
        seen.since = Mono::default();
    }
}

/// Takes the Lease from a leader that is not heard of any more.
async fn took_over(ballot: &mut LeaseBallot, name: &str, nonce: u128) -> (u64, Option<Vec<u8>>) {
    let asked = ask(ballot, name, 0, nonce).await;
    assert!(matches!(asked, Ok(Asked::Held { leader: Some(_), .. })), "{asked:?}");
    long_ago(ballot);
    won(ballot, name, nonce).await
}

fn change(server: &ApiServer, list: &str, name: &str, change: impl FnOnce(&mut Value)) {
    let mut object = server.object(list, name);
    change(&mut object);
    server.put(list, name, Some(object));
}

#[tokio::test]
async fn one_of_two_leads_and_the_other_reads_what_it_writes_down() {
    let server = ApiServer::start().await;
    let (mut one, mut two) = (ballot(&server), ballot(&server));
    assert_eq!(ask(&mut one, "one", 6, 1).await, Ok(Asked::Won { term: 7, state: None }));
    assert_eq!(one.write(b"first").await, Ok(Standing::Still));
    let Ok(Asked::Held { leader: Some(leader), state, .. }) = ask(&mut two, "two", 0, 2).await else {
        panic!("two lead")
    };
    assert_eq!((&*leader.who.name, leader.who.gateways.as_deref(), leader.term), ("one", Some("http://one:1"), 7));
    let read = two.read().await.expect("there").expect("written");
    assert_eq!((read.version, &*read.bytes), (state, &b"first"[..]));
    assert_eq!((two.write(b"evil").await, two.renew().await), (Ok(Standing::Lost), Ok(Standing::Lost)));
    assert_eq!(one.renew().await, Ok(Standing::Still));
    let spec = server.object(LEASES, "ambidex")["spec"].clone();
    assert_eq!((&spec["leaseTransitions"], &spec["leaseDurationSeconds"]), (&json!(7), &json!(3)));
    assert_eq!(spec["holderIdentity"], json!(format!("one_{:032x}", 1)));
    assert!(spec["renewTime"].as_str() > spec["acquireTime"].as_str());
}

#[tokio::test]
async fn who_gives_it_back_is_followed_at_once_by_a_later_term_with_what_was_written() {
    let server = ApiServer::start().await;
    let (mut one, mut two) = (ballot(&server), ballot(&server));
    assert_eq!(won(&mut one, "one", 1).await, (1, None));
    assert_eq!(one.write(b"first").await, Ok(Standing::Still));
    assert_eq!(one.release().await, Ok(()));
    assert_eq!((one.write(b"late").await, one.renew().await), (Ok(Standing::Lost), Ok(Standing::Lost)));
    assert_eq!(won(&mut two, "two", 2).await, (2, Some(b"first".to_vec())));
}

#[tokio::test]
async fn a_lease_is_taken_when_it_has_not_changed_for_as_long_as_it_lasts() {
    let server = ApiServer::start().await;
    let (mut one, mut two) = (ballot(&server), ballot(&server));
    won(&mut one, "one", 1).await;
    assert!(matches!(ask(&mut two, "two", 0, 2).await, Ok(Asked::Held { .. })));
    // It is renewed: what was seen of the version before counts no more.
    assert_eq!(one.renew().await, Ok(Standing::Still));
    long_ago(&mut two);
    assert!(matches!(ask(&mut two, "two", 0, 2).await, Ok(Asked::Held { .. })));
    long_ago(&mut two);
    assert_eq!(won(&mut two, "two", 2).await, (2, None));
    assert_eq!(one.renew().await, Ok(Standing::Lost));
}

/// By `renewTime` it would be over, or not for a year.
#[tokio::test]
async fn whose_clock_is_wrong_keeps_its_lease_no_shorter_and_no_longer() {
    for time in ["2001-01-01T00:00:00.000000Z", "2099-01-01T00:00:00.000000Z"] {
        let server = ApiServer::start().await;
        let (mut one, mut two) = (ballot(&server), ballot(&server));
        won(&mut one, "one", 1).await;
        change(&server, LEASES, "ambidex", |lease| lease["spec"]["renewTime"] = json!(time));
        assert_eq!(took_over(&mut two, "two", 2).await, (2, None));
    }
}

#[tokio::test]
async fn renewals_are_told_apart_though_the_clock_stands_still_or_goes_back() {
    let server = ApiServer::start().await;
    let mut one = ballot(&server);
    won(&mut one, "one", 1).await;
    let version = || server.object(LEASES, "ambidex")["metadata"]["resourceVersion"].clone();
    // Seventy years ahead of what the clock says.
    one.renewed = 4_000_000_000_000_000;
    for _ in 0..3 {
        let before = version();
        assert_eq!(one.renew().await, Ok(Standing::Still));
        assert_ne!(version(), before);
    }
}

/// It stood still between its look at the clock and the write.
#[tokio::test]
async fn a_leader_that_another_has_followed_writes_nothing_over_it() {
    let server = ApiServer::start().await;
    let (mut one, mut two) = (ballot(&server), ballot(&server));
    won(&mut one, "one", 1).await;
    assert_eq!(one.write(b"first").await, Ok(Standing::Still));
    assert_eq!(took_over(&mut two, "two", 2).await, (2, Some(b"first".to_vec())));
    assert_eq!(one.write(b"evil").await, Ok(Standing::Lost));
    assert_eq!(two.write(b"second").await, Ok(Standing::Still));
    assert_eq!(one.write(b"evil").await, Ok(Standing::Lost));
    // It knows no version any more, and looks: the holder is another one.
    assert_eq!(one.write(b"evil").await, Ok(Standing::Lost));
    assert_eq!(two.read().await.expect("there").map(|state| state.bytes), Some(b"second".to_vec()));
}

/// It won, stood still, and another one has won and led since.
#[tokio::test]
async fn who_comes_late_to_the_state_has_lost() {
    let server = ApiServer::start().await;
    let (mut one, mut two) = (ballot(&server), ballot(&server));
    won(&mut one, "one", 1).await;
    took_over(&mut two, "two", 2).await;
    assert_eq!(one.seal(&format!("one_{:032x}", 1), 1).await, Ok(None));
    assert_eq!(two.write(b"second").await, Ok(Standing::Still));
}

#[tokio::test]
async fn a_lease_or_a_state_that_is_deleted_begins_no_term_anew() {
    let server = ApiServer::start().await;
    let (mut one, mut two) = (ballot(&server), ballot(&server));
    assert_eq!(ask(&mut one, "one", 40, 1).await, Ok(Asked::Won { term: 41, state: None }));
    assert_eq!(one.write(b"first").await, Ok(Standing::Still));
    server.put(MAPS, "ambidex-state", None);
    assert_eq!(one.write(b"first").await, Ok(Standing::Still), "it is made anew by who leads");
    server.put(LEASES, "ambidex", None);
    assert_eq!(one.renew().await, Ok(Standing::Lost));
    assert_eq!(won(&mut two, "two", 2).await, (42, Some(b"first".to_vec())));
    server.put(MAPS, "ambidex-state", None);
    assert_eq!(one.write(b"evil").await, Ok(Standing::Lost), "not by who does not");
}

#[tokio::test]
async fn what_somebody_else_writes_into_our_objects_changes_nothing() {
    let server = ApiServer::start().await;
    let mut one = ballot(&server);
    won(&mut one, "one", 1).await;
    let label = |object: &mut Value| object["metadata"]["labels"] = json!({"team": "shop"});
    change(&server, LEASES, "ambidex", label);
    assert_eq!(one.renew().await, Ok(Standing::Still));
    change(&server, MAPS, "ambidex-state", label);
    assert_eq!(one.write(b"state").await, Ok(Standing::Still));
    for object in [server.object(LEASES, "ambidex"), server.object(MAPS, "ambidex-state")] {
        assert_eq!(object["metadata"]["labels"], json!({"team": "shop"}));
    }
}

#[tokio::test]
async fn an_answer_that_is_lost_is_asked_for_once_more() {
    let server = ApiServer::start().await;
    let mut one = ballot(&server);
    won(&mut one, "one", 1).await;
    server.lose_an_answer(LEASES);
    assert_eq!(one.renew().await, Ok(Standing::Still));
    server.lose_an_answer(MAPS);
    assert_eq!(one.write(b"state").await, Ok(Standing::Still));
    server.lose_an_answer(LEASES);
    assert_eq!(one.release().await, Ok(()));
    assert!(server.object(LEASES, "ambidex")["spec"].get("holderIdentity").is_none());
    // Whether it was taken is not known; it is given back before it is asked for again.
    server.lose_an_answer(LEASES);
    assert_eq!(ask(&mut one, "one", 0, 2).await, Ok(Asked::Held { leader: None, state: 0, lasts: None }));
    assert_eq!(won(&mut one, "one", 3).await.0, 3);
}

#[tokio::test]
async fn another_programs_lease_is_left_alone_held_or_not() {
    let server = ApiServer::start().await;
    let mut one = ballot(&server);
    for holder in [json!("scheduler-1_abc"), Value::Null] {
        let spec =
            json!({"holderIdentity": holder, "renewTime": "2026-01-01T00:00:00.000000Z", "leaseDurationSeconds": 15});
        let kind = json!({"kind": "Lease", "metadata": {}, "spec": spec});
        server.put(LEASES, "ambidex", Some(kind));
        let why = ask(&mut one, "one", 0, 1).await.expect_err("foreign").to_string();
        assert!(why.contains("`Lease shop/ambidex`") && why.contains("choose another one"), "{why}");
    }
    // One that took ours: what we wrote beside the holder still is there.
    server.put(LEASES, "ambidex", None);
    won(&mut one, "one", 2).await;
    change(&server, LEASES, "ambidex", |lease| lease["spec"]["holderIdentity"] = json!("scheduler-1_abc"));
    assert_eq!(one.renew().await, Ok(Standing::Lost));
    assert!(matches!(ask(&mut one, "one", 0, 3).await, Err(BallotError::Foreign { .. })));
}

#[tokio::test]
async fn a_state_that_no_coordinator_wrote_is_left_alone() {
    let server = ApiServer::start().await;
    let mut one = ballot(&server);
    server.put(MAPS, "ambidex-state", Some(json!({"kind": "ConfigMap", "metadata": {}, "data": {"a": "b"}})));
    let why = ask(&mut one, "one", 0, 1).await.expect_err("foreign").to_string();
    assert!(why.contains("`ConfigMap ambidex-state`"), "{why}");
    assert_eq!(server.object(MAPS, "ambidex-state")["data"], json!({"a": "b"}));
}

/// So that a role needs no right to make any.
#[tokio::test]
async fn objects_that_were_made_by_hand_are_taken_as_they_are() {
    let server = ApiServer::start().await;
    server.put(LEASES, "ambidex", Some(json!({"kind": "Lease", "metadata": {"labels": {"a": "b"}}, "spec": {}})));
    server.put(MAPS, "ambidex-state", Some(json!({"kind": "ConfigMap", "metadata": {}})));
    let mut one = ballot(&server);
    assert_eq!(won(&mut one, "one", 1).await, (1, None));
    assert_eq!(server.asked("POST"), [""; 0]);
    assert_eq!(server.object(LEASES, "ambidex")["metadata"]["labels"], json!({"a": "b"}));
}

#[tokio::test]
async fn what_the_api_server_refuses_is_told_with_its_words() {
    let server = ApiServer::start().await;
    let mut one = ballot(&server);
    server.refuse(LEASES);
    let why = ask(&mut one, "one", 0, 1).await.expect_err("refused").to_string();
    assert!(why.contains("status 403") && why.contains("grant it by a role"), "{why}");
    server.allow();
    server.refuse_with(MAPS, 503);
    let why = ask(&mut one, "one", 0, 1).await.expect_err("refused").to_string();
    assert!(why.contains("status 503"), "{why}");
    server.allow();
    assert_eq!(won(&mut one, "one", 1).await.0, 1);
}

#[tokio::test]
async fn a_state_has_room_for_what_is_said_and_no_more() {
    let server = ApiServer::start().await;
    let mut one = ballot(&server);
    won(&mut one, "one", 1).await;
    assert_eq!(one.write(&vec![7; MOST_STATE]).await, Ok(Standing::Still));
    let why = one.write(&vec![7; (1 << 20) + 10]).await.expect_err("too long").to_string();
    assert!(why.contains("Too long"), "{why}");
    assert_eq!(one.read().await.expect("there").map(|state| state.bytes.len()), Some(MOST_STATE));
}

#[tokio::test]
async fn terms_end_where_kubernetes_does_not_count_any_further() {
    let server = ApiServer::start().await;
    let mut one = ballot(&server);
    let why = ask(&mut one, "one", MOST_TERM, 1).await.expect_err("too late").to_string();
    assert!(why.contains("counts 2147483647 leaders"), "{why}");
    assert!(matches!(ask(&mut one, "one", MOST_TERM - 1, 1).await, Ok(Asked::Won { term: MOST_TERM, .. })));
}
