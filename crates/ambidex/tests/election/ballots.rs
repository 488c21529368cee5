//! The ballot itself, in both stores: one of two wins, and whoever lost its lease writes nothing any more.

use ambidex_core::time::Span;
use ambidex_store::ballot::{Ask, Asked, Ballot, Candidate, Leader, Standing};
use ambidex_store::etcd::{Etcd as Client, EtcdConfig, EtcdError};
use ambidex_store::remote::{Remote, RemoteConfig};
use tokio::runtime::Runtime;

use crate::peers::{Etcd, Redis};
use crate::process::until;

const LEASE: Span = Span::from_secs(20);

fn who(name: &str) -> Candidate {
    Candidate { name: name.to_owned(), gateways: Some(format!("http://{name}:1")), admin: None }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn etcd_config(etcd: &Etcd) -> EtcdConfig {
    let text = etcd.section();
    let endpoint = text.split('"').nth(1).expect("one");
    serde_json::from_value(serde_json::json!({"endpoints": [endpoint], "timeout": "5s"})).expect("right")
}

async fn in_redis(redis: &Redis) -> Ballot {
    let text = redis.section();
    let url = text.split('"').nth(1).expect("one");
    let config: RemoteConfig = serde_json::from_value(serde_json::json!({"url": url, "timeout": "5s"})).expect("right");
    let remote = tokio::task::spawn_blocking(|| Remote::start(config)).await.expect("ends").expect("a thread");
    Ballot::in_redis(remote, "test")
}

/// Asks until there is an answer: a store that was started now, or whose machine is busy, may need a moment.
async fn ask(ballot: &mut Ballot, name: &str, over: u64, nonce: u128) -> Asked {
    let who = who(name);
    for _ in 0..100 {
        if let Ok(asked) = ballot.acquire(&Ask { who: &who, lease: LEASE, over, nonce }).await {
            return asked;
        }
        tokio::task::yield_now().await;
    }
    panic!("the store does not answer")
}

/// What holds of both stores; `forget` makes the store forget who leads.
async fn law(mut one: Ballot, mut two: Ballot, forget: impl FnOnce()) {
    let won = ask(&mut one, "one", 6, 1).await;
    assert_eq!(won, Asked::Won { term: 7, state: None });
    assert_eq!(one.write(b"first").await, Ok(Standing::Still));
    let Asked::Held { leader, state, .. } = ask(&mut two, "two", 0, 2).await else { panic!("two lead") };
    assert_eq!(leader, Some(Leader { who: who("one"), term: 7 }));
    let read = two.read().await.expect("there").expect("written");
    assert_eq!((read.version, read.bytes.as_slice()), (state, &b"first"[..]));
    assert_eq!(two.write(b"evil").await, Ok(Standing::Lost), "it does not lead");
    assert_eq!(one.renew().await, Ok(Standing::Still));

    // Given back: the next one has a later term, and what was written.
    one.release().await.expect("given back");
    assert_eq!((one.write(b"late").await, one.renew().await), (Ok(Standing::Lost), Ok(Standing::Lost)));
    let Asked::Won { term: 8, state: Some(state) } = ask(&mut two, "two", 0, 3).await else { panic!("nobody leads") };
    assert_eq!(state.bytes, b"first");

    // The key is gone without a word, and another one has it: the one before is fenced.
    forget();
    assert_eq!(two.renew().await, Ok(Standing::Lost));
    let won = ask(&mut one, "one", 8, 4).await;
    assert!(matches!(won, Asked::Won { term: 9.., .. }), "{won:?}");
    assert_eq!(two.write(b"evil").await, Ok(Standing::Lost));
    assert_eq!(one.write(b"second").await, Ok(Standing::Still));
    assert_eq!(two.read().await.expect("there").expect("written").bytes, b"second");
}

#[test]
fn in_an_etcd_one_leads_and_whoever_lost_its_lease_writes_nothing() {
    let etcd = Etcd::start();
    runtime().block_on(async {
        let ballot = || Ballot::in_etcd(Client::new(&etcd_config(&etcd)), "test");
        law(ballot(), ballot(), || etcd.delete("test/leader")).await;
    });
}

#[test]
fn in_a_redis_one_leads_and_whoever_lost_its_lease_writes_nothing() {
    let redis = Redis::start();
    runtime().block_on(async { law(in_redis(&redis).await, in_redis(&redis).await, || redis.flush()).await });
}

#[test]
fn a_watch_that_would_begin_before_what_was_compacted_says_so() {
    let etcd = Etcd::start();
    runtime().block_on(async {
        let client = Client::new(&etcd_config(&etcd));
        etcd.put("/w/a", "1");
        let listed = client.list(b"/w/", 10).await.expect("there");
        let values: Vec<_> = listed.values.into_iter().collect();
        assert_eq!(values, [(b"/w/a".to_vec(), b"1".to_vec())]);
        etcd.put("/w/b", "2");
        etcd.put("/w/c", "3");
        let mut watch = client.watch(b"/w/", listed.revision).await.expect("begun");
        let first = watch.next().await.expect("told");
        assert_eq!((first[0].key.as_slice(), first[0].value.as_deref()), (&b"/w/b"[..], Some(&b"2"[..])));
        etcd.compact();
        let mut late = client.watch(b"/w/", listed.revision).await.expect("begun");
        assert!(matches!(late.next().await, Err(EtcdError::Compacted(_))));
        assert!(matches!(client.list(b"/w/", 2).await, Err(EtcdError::Refused(_))), "there are three");
    });
}

#[test]
fn a_program_that_uses_the_same_prefix_is_told_of() {
    let etcd = Etcd::start();
    etcd.put("test/leader", "somebody");
    until(|| (etcd.value("test/leader").as_deref() == Some("somebody")).then_some(()));
    runtime().block_on(async {
        let mut ballot = Ballot::in_etcd(Client::new(&etcd_config(&etcd)), "test/");
        let who = who("one");
        let asked = ballot.acquire(&Ask { who: &who, lease: LEASE, over: 0, nonce: 1 }).await;
        let why = asked.expect_err("foreign").to_string();
        assert!(why.contains("`test/leader`") && why.contains("choose another one"), "{why}");
    });
}
