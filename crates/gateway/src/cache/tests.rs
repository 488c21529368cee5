//! The cache as a whole: its bounds, and what writes do to fetches under way.

use ambidex_http1::RequestHead;

use super::entry::tests::{answer, at, now};
use super::*;
use crate::config::RouteCache;
use crate::head::tests::read;
use crate::tap::Tap as _;

fn cache() -> Arc<Cache> {
    Arc::new(Cache::new(&CacheBounds { max_bytes: Size::mib(1), shared: false }))
}

fn key(path: &str) -> Key {
    let place = Place { pool: "api", scheme: "http", authority: b"a" };
    Key::of(place, path.as_bytes(), &RouteCache::default().key)
}

fn request(lines: &[(&str, &str)]) -> RequestHead {
    read("GET", "/", lines)
}

fn draft(request: &RequestHead, lines: &str) -> Draft {
    let answer = answer("200 OK", lines);
    Draft::of(request, AskedWith::default(), &answer, || now(0), &RouteCache::default()).expect("kept")
}

fn fill(cache: &Arc<Cache>, key: &Key, lines: &[(&str, &str)], leading: Option<Leading>) -> Box<Fill> {
    let draft = draft(&request(lines), "cache-control: max-age=10\r\nvary: accept");
    let token = cache.store.token(key);
    Box::new(Fill::new(
        Arc::clone(cache),
        key.clone(),
        token,
        draft,
        (None, 100_000),
        leading,
        ambidex_tower::Clock::starting_now(),
    ))
}

fn filled(cache: &Arc<Cache>, key: &Key, lines: &[(&str, &str)], body: &[u8]) {
    let mut fill = fill(cache, key, lines, None);
    fill.data(&body.to_vec().into());
    fill.ended(true);
}

#[test]
fn what_came_whole_is_found_by_requests_that_select_it() {
    let cache = cache();
    filled(&cache, &key("/"), &[("accept", "a")], b"for a");
    filled(&cache, &key("/"), &[("accept", "b")], b"for b");
    let resource = cache.store.get(&key("/")).expect("kept");
    for (accept, body) in [("a", Some("for a")), ("b", Some("for b")), ("c", None)] {
        let found = resource.entry_for(&request(&[("accept", accept)]));
        assert_eq!(found.map(|entry| &entry.stored.body()[..]), body.map(str::as_bytes), "{accept}");
    }
}

#[test]
fn what_broke_off_or_was_too_long_is_not_kept_and_gives_its_room_back() {
    let cache = cache();
    let mut broken = fill(&cache, &key("/"), &[], None);
    broken.data(&vec![0; 50_000].into());
    broken.ended(false);
    let mut long = fill(&cache, &key("/"), &[], None);
    long.data(&vec![0; 60_000].into());
    long.data(&vec![0; 60_000].into());
    long.ended(true);
    drop(fill(&cache, &key("/"), &[], None));
    assert_eq!((cache.store.size(), cache.filling.load(Relaxed)), ((0, 0), 0));
    assert_eq!(cache.stats().refused, 2);
}

#[test]
fn what_is_on_its_way_in_is_bounded_over_all() {
    let cache = cache();
    let mut fills: Vec<_> = (0..10).map(|_| fill(&cache, &key("/"), &[], None)).collect();
    fills.iter_mut().for_each(|fill| fill.data(&vec![0; 60_000].into()));
    // A quarter of 1 MiB.
    assert!(cache.filling.load(Relaxed) <= 1 << 18);
    fills.into_iter().for_each(|fill| fill.ended(true));
    assert_eq!((cache.filling.load(Relaxed), cache.stats().stored), (0, 4));
}

#[test]
fn what_was_asked_for_before_a_write_is_not_kept_after_it() {
    let cache = cache();
    let mut fill = fill(&cache, &key("/"), &[], None);
    fill.data(&b"old"[..].into());
    assert!(!cache.store.invalidate(&key("/")));
    fill.ended(true);
    assert!(cache.store.get(&key("/")).is_none());
    filled(&cache, &key("/"), &[], b"new");
    assert!(cache.store.invalidate(&key("/")) && cache.store.get(&key("/")).is_none());
}

#[test]
fn that_a_resource_is_for_one_only_is_not_noted_after_a_write() {
    let cache = cache();
    let token = cache.store.token(&key("/"));
    cache.store.put_alone(&key("/"), token, at(12));
    let alone = |now| cache.store.get(&key("/")).map(|resource| resource.is_alone(now));
    assert_eq!((alone(at(11)), alone(at(12))), (Some(true), Some(false)));
    cache.store.invalidate(&key("/"));
    cache.store.put_alone(&key("/"), token, at(12));
    assert_eq!(alone(at(11)), None);
}

#[test]
fn one_answer_of_a_resource_is_forgotten_and_the_others_stay() {
    let cache = cache();
    filled(&cache, &key("/"), &[("accept", "a")], b"for a");
    filled(&cache, &key("/"), &[("accept", "b")], b"for b");
    let found = |accept| cache.store.get(&key("/"))?.entry_for(&request(&[("accept", accept)])).cloned();
    cache.store.forget(&key("/"), &found("a").expect("kept"));
    assert!(found("a").is_none());
    cache.store.forget(&key("/"), &found("b").expect("it stays"));
    assert!(cache.store.get(&key("/")).is_none());
}

#[test]
fn twenty_thousand_keys_leave_memory_within_the_bound() {
    let cache = cache();
    for number in 0..20_000 {
        filled(&cache, &key(&format!("/{number}")), &[], b"0123456789");
        let (bytes, _) = cache.store.size();
        assert!(bytes <= 1 << 20, "{bytes}");
    }
    let stats = cache.stats();
    assert_eq!(stats.evicted + stats.resources, 20_000);
    assert!(stats.resources > 500, "{stats:?}");
}

#[test]
fn one_resource_has_a_bounded_number_of_answers() {
    let cache = cache();
    for number in 0..100 {
        filled(&cache, &key("/"), &[("accept", &number.to_string())], b"x");
    }
    let resource = cache.store.get(&key("/")).expect("kept");
    let found = |number: u32| resource.entry_for(&request(&[("accept", &number.to_string())])).is_some();
    assert_eq!((0..100).filter(|number| found(*number)).collect::<Vec<_>>(), (84..100).collect::<Vec<_>>());
}

#[test]
fn background_requests_are_bounded() {
    let cache = cache();
    let places: Vec<_> = (0..100).map_while(|_| cache.refresh()).collect();
    assert_eq!(places.len(), 64);
    drop(places);
    assert!(cache.refresh().is_some());
}

#[tokio::test]
async fn those_who_wait_learn_whether_the_answer_was_kept() {
    for (whole, told) in [(true, Some(Landed::Kept)), (false, None)] {
        let cache = cache();
        let Part::Leads(leading) = cache.convoys.join(b"a".to_vec()) else { panic!("nobody leads") };
        let Part::Waits(waiting) = cache.convoys.join(b"a".to_vec()) else { panic!("somebody leads") };
        fill(&cache, &key("/"), &[], Some(leading)).ended(whole);
        assert_eq!(waiting.landed().await, told);
    }
}
