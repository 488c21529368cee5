//! The roster: who is in a pool, whatever its sources say and in whatever order.

use ambidex_core::time::Span;
use proptest::prelude::*;

use super::*;

struct Pool {
    roster: Roster,
    ids: Ids,
    now: Mono,
}

impl Pool {
    fn with(sources: &[&str]) -> Self {
        let mut pool = Self { roster: Roster::new(1, Span::from_secs(30)), ids: Ids::default(), now: Mono::default() };
        pool.on(Event::Sources(sources.iter().map(|name| (*name).into()).collect()));
        pool
    }

    fn on(&mut self, event: Event) -> Vec<Effect> {
        let mut out = Vec::new();
        self.roster.on(self.now, event, &mut self.ids, &mut out);
        out
    }

    fn said(&mut self, source: &str, names: &[&str]) -> Vec<Effect> {
        self.on(Event::Said(source.into(), names.iter().map(|name| found(name)).collect(), None))
    }

    fn names(&self) -> Vec<&str> {
        self.roster.workers().iter().map(|worker| &*worker.found.name).collect()
    }
}

fn found(name: &str) -> Found {
    Found {
        name: name.into(),
        url: "http://10.0.0.1:80".into(),
        address: Address::Ip(([10, 0, 0, 1], 80).into()),
        zone: "".into(),
        path: "".into(),
        weight: 1.0,
        limit: None,
    }
}

#[test]
fn a_changed_weight_keeps_identity_and_live_numbers() {
    let mut pool = Pool::with(&["file"]);
    pool.said("file", &["a"]);
    let before = pool.roster.workers()[0].clone();
    let effects =
        pool.on(Event::Said("file".into(), vec![Found { weight: 3.0, zone: "z".into(), ..found("a") }], None));
    let after = &pool.roster.workers()[0];
    assert_eq!(effects, [Effect::Changed(before.id)]);
    assert!(after.id == before.id && Arc::ptr_eq(&after.cells, &before.cells));
}

#[test]
fn a_worker_that_left_drains_until_its_last_answer() {
    let mut pool = Pool::with(&["file"]);
    pool.said("file", &["a", "b"]);
    let (id, cells) = (pool.roster.workers()[0].id, Arc::clone(&pool.roster.workers()[0].cells));
    cells.load.begin();
    assert_eq!(pool.said("file", &["b"]), [Effect::Leaving(id)]);
    assert_eq!(pool.roster.workers()[0].standing(), Standing::Draining);
    assert_eq!(pool.on(Event::Due), []);
    cells.load.end();
    assert_eq!(pool.on(Event::Due), [Effect::Gone(id)]);
    assert_eq!(pool.names(), ["b"]);
}

#[test]
fn the_grace_ends_a_drain_that_never_would() {
    let mut pool = Pool::with(&["file"]);
    pool.said("file", &["a", "b"]);
    pool.roster.workers()[0].cells.load.begin();
    pool.said("file", &["b"]);
    pool.now = pool.now + Span::from_secs(30);
    assert_eq!(pool.on(Event::Due).len(), 1);
}

#[test]
fn a_worker_that_comes_back_while_it_drains_is_the_same() {
    let mut pool = Pool::with(&["file"]);
    pool.said("file", &["a", "b"]);
    let id = pool.roster.workers()[0].id;
    pool.roster.workers()[0].cells.load.begin();
    pool.said("file", &["b"]);
    assert_eq!(pool.said("file", &["a", "b"]), [Effect::Changed(id)]);
    assert_eq!(pool.roster.workers()[0].standing(), Standing::Serving);
}

#[test]
fn a_worker_that_came_back_after_it_was_gone_is_another() {
    let mut pool = Pool::with(&["file"]);
    pool.said("file", &["a", "b"]);
    let id = pool.roster.workers()[0].id;
    pool.said("file", &["b"]);
    pool.on(Event::Due);
    pool.said("file", &["a", "b"]);
    assert!(pool.roster.workers().iter().all(|worker| worker.id != id));
}

#[test]
fn a_source_that_says_nobody_or_fails_is_not_believed() {
    let mut pool = Pool::with(&["dns"]);
    pool.said("dns", &["a"]);
    for event in [Event::Said("dns".into(), Vec::new(), None), Event::Failed("dns".into(), "SERVFAIL".into())] {
        let effects = pool.on(event);
        assert!(matches!(&effects[..], [Effect::Kept { .. }]), "{effects:?}");
        assert_eq!(pool.names(), ["a"]);
    }
    assert_eq!(pool.said("dns", &["a"]), [Effect::Healed("dns".into())]);
}

#[test]
fn the_same_fault_is_told_once() {
    let mut pool = Pool::with(&["dns"]);
    assert_eq!(pool.on(Event::Failed("dns".into(), "SERVFAIL".into())).len(), 1);
    assert_eq!(pool.on(Event::Failed("dns".into(), "SERVFAIL".into())).len(), 0);
}

#[test]
fn more_workers_than_the_bound_are_refused_as_a_whole() {
    let mut pool = Pool::with(&["file"]);
    pool.said("file", &["a"]);
    let crowd = (0..=MOST_WORKERS).map(|i| found(&i.to_string())).collect();
    let effects = pool.on(Event::Said("file".into(), crowd, None));
    assert!(matches!(&effects[..], [Effect::Kept { .. }]));
    assert_eq!(pool.names(), ["a"]);
}

#[test]
fn a_link_local_address_or_an_impossible_weight_is_left_out_and_named() {
    let mut pool = Pool::with(&["dns"]);
    let metadata = Found { address: Address::Ip(([169, 254, 169, 254], 80).into()), ..found("m") };
    for bad in [metadata, Found { weight: f64::NAN, ..found("n") }, found("a")] {
        let effects = pool.on(Event::Said("dns".into(), vec![found("a"), bad], None));
        assert!(effects.iter().any(|effect| matches!(effect, Effect::Kept { .. })), "{effects:?}");
        assert_eq!(pool.names(), ["a"]);
    }
}

#[test]
fn a_source_that_left_the_configuration_takes_its_workers_along() {
    let mut pool = Pool::with(&["one", "two"]);
    pool.said("one", &["a"]);
    pool.said("two", &["b"]);
    let id = pool.roster.workers()[0].id;
    assert_eq!(pool.on(Event::Sources(vec!["two".into()])), [Effect::Leaving(id)]);
}

#[test]
fn workers_of_a_replaced_source_serve_until_its_successor_answers() {
    let mut pool = Pool::with(&["old"]);
    pool.said("old", &["a"]);
    assert_eq!(pool.on(Event::Sources(vec!["new".into()])), []);
    pool.on(Event::Failed("new".into(), "SERVFAIL".into()));
    assert_eq!(pool.roster.workers()[0].standing(), Standing::Serving);
    pool.said("new", &["b"]);
    assert_eq!(pool.roster.workers()[0].standing(), Standing::Draining);
}

#[test]
fn of_two_sources_with_one_name_the_first_decides() {
    let mut pool = Pool::with(&["one", "two"]);
    pool.on(Event::Said("two".into(), vec![Found { weight: 9.0, ..found("a") }], None));
    pool.said("one", &["a"]);
    assert!((pool.roster.workers()[0].found.weight - 1.0).abs() < f64::EPSILON);
}

#[test]
fn a_drained_worker_stays_drained_when_its_source_speaks_again() {
    let mut pool = Pool::with(&["file"]);
    pool.said("file", &["a"]);
    let id = pool.roster.workers()[0].id;
    assert_eq!(pool.on(Event::Drain(id, true)), [Effect::Changed(id)]);
    pool.on(Event::Said("file".into(), vec![Found { weight: 2.0, ..found("a") }], None));
    assert_eq!(pool.roster.workers()[0].standing(), Standing::Draining);
}

proptest! {
    #[test]
    fn whatever_sources_say_names_and_ids_stay_unique_and_a_pool_is_never_emptied(
        steps in prop::collection::vec((0_usize..2, prop::collection::vec("[a-e]", 0..6), any::<bool>(), 0_u64..40), 1..40)
    ) {
        let mut pool = Pool::with(&["0", "1"]);
        let mut ever = HashMap::new();
        let mut seen_any = false;
        for (source, names, fails, secs) in steps {
            pool.now = pool.now + Span::from_secs(secs);
            let name: Arc<str> = source.to_string().into();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            if fails { pool.on(Event::Failed(name, "down".into())); } else { pool.said(&name, &names); }
            pool.on(Event::Due);
            seen_any |= !fails && !names.is_empty();
            let unique: HashSet<_> = pool.names().into_iter().map(str::to_owned).collect();
            prop_assert_eq!(unique.len(), pool.roster.workers().len());
            prop_assert_eq!(pool.roster.workers().iter().any(|w| w.standing() == Standing::Serving), seen_any);
            for worker in pool.roster.workers() {
                prop_assert_eq!(pool.roster.worker(worker.id).map(|found| found.id), Some(worker.id));
                let owner = ever.entry(worker.id).or_insert_with(|| Arc::clone(&worker.found.name));
                prop_assert_eq!(&*owner, &worker.found.name, "an id was given to two names");
            }
        }
    }
}
