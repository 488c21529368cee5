//! One stream, event by event.

use std::collections::HashMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::picture::Picture;
use crate::proto::Status;
use crate::testing::{cluster, picture};

/// A stream with its catalog, and what it did last.
struct Scene {
    stream: Stream,
    catalog: Catalog,
}

impl Scene {
    fn new(dialect: Dialect, clusters: &[(&str, f64)]) -> Self {
        Self { stream: Stream::new(dialect, Limits::default()), catalog: catalog(clusters, &Catalog::default()) }
    }

    fn on(&mut self, event: Event) -> Vec<Effect> {
        let mut out = Vec::new();
        self.stream.on(event, &self.catalog, &mut out);
        out
    }

    fn change(&mut self, clusters: &[(&str, f64)]) -> Vec<Effect> {
        self.catalog = catalog(clusters, &self.catalog);
        self.on(Event::Changed)
    }

    fn ask(&mut self, kind: Kind, names: &[&str]) -> Vec<Effect> {
        let event = match self.stream.dialect {
            Dialect::StateOfTheWorld => Event::World(world(kind, names, "", None)),
            Dialect::Delta => Event::Delta(delta(kind, names)),
        };
        self.on(event)
    }

    /// The client's word on an answer; in the state of the world with all names that it wants.
    fn say(&mut self, kind: Kind, nonce: u64, names: &[&str], error: Option<&str>) -> Vec<Effect> {
        let nonce = nonce.to_string();
        let error = error.map(|text| Status { code: 13, message: text.into() });
        let event = match self.stream.dialect {
            Dialect::StateOfTheWorld => Event::World(world(kind, names, &nonce, error)),
            Dialect::Delta => {
                Event::Delta(DeltaDiscoveryRequest { response_nonce: nonce, error_detail: error, ..delta(kind, &[]) })
            }
        };
        self.on(event)
    }
}

fn catalog(clusters: &[(&str, f64)], before: &Catalog) -> Catalog {
    // Beside an endpoint that stays as it is, so that the weight is seen.
    Catalog::of(&picture(clusters.iter().map(|(name, weight)| cluster(name, &[1.0, *weight]))), before)
}

fn node() -> Option<Node> {
    Some(Node { id: "n".into(), ..Node::default() })
}

fn world(kind: Kind, names: &[&str], nonce: &str, error_detail: Option<Status>) -> DiscoveryRequest {
    DiscoveryRequest {
        node: node(),
        resource_names: names.iter().map(ToString::to_string).collect(),
        type_url: kind.url().into(),
        response_nonce: nonce.into(),
        error_detail,
        ..DiscoveryRequest::default()
    }
}

fn delta(kind: Kind, subscribe: &[&str]) -> DeltaDiscoveryRequest {
    DeltaDiscoveryRequest {
        node: node(),
        type_url: kind.url().into(),
        resource_names_subscribe: subscribe.iter().map(ToString::to_string).collect(),
        ..DeltaDiscoveryRequest::default()
    }
}

/// What was sent, as (nonce, names, removed).
fn sent(effects: &[Effect]) -> Vec<(u64, Vec<String>, Vec<String>)> {
    let of = |effect: &Effect| match effect {
        Effect::Send(answer) => Some((
            answer.nonce,
            answer.resources.iter().map(|(name, _)| name.to_string()).collect(),
            answer.removed.iter().map(ToString::to_string).collect(),
        )),
        Effect::Introduced(_)
        | Effect::Accepted { .. }
        | Effect::Refused(_)
        | Effect::Unserved(_)
        | Effect::Close(_) => None,
    };
    effects.iter().filter_map(of).collect()
}

fn one(effects: &[Effect]) -> (u64, Vec<String>, Vec<String>) {
    let sent = sent(effects);
    assert_eq!(sent.len(), 1, "{effects:?}");
    sent[0].clone()
}

fn names(some: &[&str]) -> Vec<String> {
    some.iter().map(ToString::to_string).collect()
}

const BOTH: [Dialect; 2] = [Dialect::StateOfTheWorld, Dialect::Delta];
const EDS: Kind = Kind::Endpoints;
const CDS: Kind = Kind::Clusters;

#[test]
fn what_is_asked_for_is_sent_and_then_only_what_changed() {
    for dialect in BOTH {
        let mut scene = Scene::new(dialect, &[("a", 1.0), ("b", 1.0)]);
        let (nonce, first, _) = one(&scene.ask(EDS, &["a", "b"]));
        assert_eq!(first, names(&["a", "b"]));
        assert!(sent(&scene.say(EDS, nonce, &["a", "b"], None)).is_empty());
        let (_, changed, removed) = one(&scene.change(&[("a", 1.0), ("b", 2.0)]));
        assert_eq!((changed, removed), (names(&["b"]), vec![]), "{dialect:?}");
    }
}

#[test]
fn nothing_goes_out_while_an_answer_is_not_spoken_of_and_then_the_newest() {
    for dialect in BOTH {
        let mut scene = Scene::new(dialect, &[("a", 1.0)]);
        let (nonce, ..) = one(&scene.ask(EDS, &["a"]));
        assert!(scene.change(&[("a", 2.0)]).is_empty());
        assert!(scene.change(&[("a", 3.0)]).is_empty());
        let effects = scene.say(EDS, nonce, &["a"], None);
        let newest = scene.catalog.get(EDS, "a").expect("there").version;
        let Some(Effect::Send(answer)) = effects.last() else { panic!("{effects:?}") };
        assert_eq!(answer.resources[0].1.version, newest, "{dialect:?}");
    }
}

#[test]
fn what_was_refused_is_told_and_not_sent_again_before_it_changes() {
    for dialect in BOTH {
        let mut scene = Scene::new(dialect, &[("a", 1.0)]);
        let (nonce, ..) = one(&scene.ask(EDS, &["a"]));
        let effects = scene.say(EDS, nonce, &["a"], Some("no such thing"));
        assert!(sent(&effects).is_empty());
        assert!(
            matches!(&effects[0], Effect::Refused(Refused { text, parted: false, .. }) if &**text == "no such thing")
        );
        assert!(scene.on(Event::Changed).is_empty());
        assert!(!scene.stream.is_settled(&scene.catalog));
        let (nonce, ..) = one(&scene.change(&[("a", 2.0)]));
        assert!(matches!(scene.say(EDS, nonce, &["a"], None)[..], [Effect::Accepted { .. }]));
        assert!(scene.stream.is_settled(&scene.catalog));
    }
}

#[test]
fn a_refusal_stands_until_its_resource_changes_whatever_else_is_accepted() {
    for dialect in BOTH {
        let mut scene = Scene::new(dialect, &[("bad", 1.0), ("good", 1.0)]);
        let (nonce, ..) = one(&scene.ask(EDS, &["bad"]));
        scene.say(EDS, nonce, &["bad"], Some("no"));
        let (nonce, ..) = one(&scene.ask(EDS, if dialect == Dialect::Delta { &["good"] } else { &["bad", "good"] }));
        scene.say(EDS, nonce, &["bad", "good"], None);
        let refusals: Vec<_> =
            scene.stream.refusals(&scene.catalog).map(|(_, name, text)| (&**name, &**text)).collect();
        assert_eq!(refusals, [("bad", "no")], "{dialect:?}");
        scene.change(&[("bad", 2.0), ("good", 1.0)]);
        assert_eq!(scene.stream.refusals(&scene.catalog).count(), 0, "{dialect:?}");
    }
}

#[test]
fn a_bad_resource_does_not_hold_back_good_ones() {
    for dialect in BOTH {
        let mut scene = Scene::new(dialect, &[("bad", 1.0), ("good", 1.0)]);
        let both = ["bad", "good"];
        let (nonce, ..) = one(&scene.ask(EDS, &both));
        let (nonce, alone, _) = one(&scene.say(EDS, nonce, &both, Some("bad is bad")));
        assert_eq!(alone, names(&["bad"]));
        let (nonce, alone, _) = one(&scene.say(EDS, nonce, &both, Some("bad is bad")));
        assert_eq!(alone, names(&["good"]));
        assert!(sent(&scene.say(EDS, nonce, &both, None)).is_empty());
        assert!(scene.on(Event::Changed).is_empty());
    }
}

#[test]
fn going_back_to_what_the_client_has_sends_nothing() {
    for dialect in BOTH {
        let mut scene = Scene::new(dialect, &[("a", 1.0)]);
        let (nonce, ..) = one(&scene.ask(EDS, &["a"]));
        scene.say(EDS, nonce, &["a"], None);
        let (nonce, ..) = one(&scene.change(&[("a", 2.0)]));
        scene.say(EDS, nonce, &["a"], Some("no"));
        assert!(scene.change(&[("a", 1.0)]).is_empty());
        assert!(scene.stream.is_settled(&scene.catalog));
    }
}

#[test]
fn words_on_an_old_answer_change_nothing() {
    for dialect in BOTH {
        let mut scene = Scene::new(dialect, &[("a", 1.0)]);
        let (first, ..) = one(&scene.ask(EDS, &["a"]));
        scene.say(EDS, first, &["a"], None);
        let (second, ..) = one(&scene.change(&[("a", 2.0)]));
        assert!(scene.say(EDS, first, &["a"], Some("late")).is_empty());
        assert!(matches!(scene.say(EDS, second, &["a"], None)[..], [Effect::Accepted { .. }]));
    }
}

#[test]
fn all_clusters_in_the_state_of_the_world_are_sent_whole_and_what_lacks_is_gone() {
    let mut scene = Scene::new(Dialect::StateOfTheWorld, &[("a", 1.0), ("b", 1.0)]);
    let (nonce, ..) = one(&scene.ask(CDS, &[]));
    scene.say(CDS, nonce, &[], None);
    let (nonce, there, _) = one(&scene.change(&[("a", 1.0)]));
    assert_eq!(there, names(&["a"]));
    scene.say(CDS, nonce, &[], None);
    assert!(scene.on(Event::Changed).is_empty());
}

#[test]
fn in_delta_what_goes_away_is_told_as_removed_and_comes_again() {
    let mut scene = Scene::new(Dialect::Delta, &[("a", 1.0), ("b", 1.0)]);
    let (nonce, ..) = one(&scene.ask(CDS, &["*"]));
    scene.say(CDS, nonce, &[], None);
    let (nonce, there, gone) = one(&scene.change(&[("a", 1.0)]));
    assert_eq!((there, gone), (vec![], names(&["b"])));
    scene.say(CDS, nonce, &[], None);
    assert_eq!(one(&scene.change(&[("a", 1.0), ("b", 1.0)])).1, names(&["b"]));
}

#[test]
fn a_name_that_there_is_nothing_for_is_told_once_in_delta_and_sent_when_it_comes() {
    let mut scene = Scene::new(Dialect::Delta, &[]);
    let (nonce, _, gone) = one(&scene.ask(EDS, &["later"]));
    assert_eq!(gone, names(&["later"]));
    assert!(sent(&scene.say(EDS, nonce, &[], None)).is_empty());
    assert_eq!(one(&scene.change(&[("later", 1.0)])).1, names(&["later"]));
    let mut scene = Scene::new(Dialect::StateOfTheWorld, &[]);
    assert!(sent(&scene.ask(EDS, &["later"])).is_empty());
    assert_eq!(one(&scene.change(&[("later", 1.0)])).1, names(&["later"]));
}

#[test]
fn one_who_wants_all_is_told_even_that_there_is_nothing() {
    for dialect in BOTH {
        let mut scene = Scene::new(dialect, &[]);
        let (_, there, _) = one(&scene.ask(CDS, &[]));
        assert!(there.is_empty());
    }
}

#[test]
fn a_client_that_says_what_it_has_is_sent_what_differs() {
    let mut scene = Scene::new(Dialect::Delta, &[("a", 1.0), ("b", 1.0)]);
    let version = |name| scene.catalog.get(EDS, name).expect("there").version.to_string();
    let has = HashMap::from([("a".into(), version("a")), ("b".into(), "of another server".into())]);
    let request = DeltaDiscoveryRequest { initial_resource_versions: has, ..delta(EDS, &["a", "b"]) };
    assert_eq!(one(&scene.on(Event::Delta(request))).1, names(&["b"]));
}

#[test]
fn what_is_subscribed_to_again_is_sent_again() {
    let mut scene = Scene::new(Dialect::Delta, &[("a", 1.0)]);
    let (nonce, ..) = one(&scene.ask(EDS, &["a"]));
    scene.say(EDS, nonce, &[], None);
    assert_eq!(one(&scene.ask(EDS, &["a"])).1, names(&["a"]));
}

#[test]
fn what_is_wanted_no_more_is_not_sent() {
    let mut scene = Scene::new(Dialect::Delta, &[("a", 1.0), ("b", 1.0)]);
    let (nonce, ..) = one(&scene.ask(EDS, &["a", "b"]));
    scene.say(EDS, nonce, &[], None);
    let request = DeltaDiscoveryRequest { resource_names_unsubscribe: vec!["a".into()], ..delta(EDS, &[]) };
    assert!(scene.on(Event::Delta(request)).is_empty());
    assert!(scene.change(&[("a", 2.0), ("b", 1.0)]).is_empty());
    let mut scene = Scene::new(Dialect::StateOfTheWorld, &[("a", 1.0), ("b", 1.0)]);
    let (nonce, ..) = one(&scene.ask(EDS, &["a", "b"]));
    scene.say(EDS, nonce, &["b"], None);
    assert!(scene.change(&[("a", 2.0), ("b", 1.0)]).is_empty());
}

#[test]
fn a_cluster_that_changed_is_followed_by_its_endpoints() {
    for dialect in BOTH {
        let mut scene = Scene::new(dialect, &[("a", 1.0)]);
        let (clusters, ..) = one(&scene.ask(CDS, &[]));
        scene.say(CDS, clusters, &[], None);
        let (endpoints, ..) = one(&scene.ask(EDS, &["a"]));
        scene.say(EDS, endpoints, &["a"], None);
        let mut changed = (*cluster("a", &[1.0, 1.0])).clone();
        changed.offer.as_mut().expect("offered").http2 = true;
        scene.catalog = Catalog::of(&Picture { revision: 2, clusters: vec![Arc::new(changed)] }, &scene.catalog);
        let effects = scene.on(Event::Changed);
        let kinds: Vec<Kind> = effects
            .iter()
            .filter_map(|effect| match effect {
                Effect::Send(answer) => Some(answer.kind),
                Effect::Introduced(_)
                | Effect::Accepted { .. }
                | Effect::Refused(_)
                | Effect::Unserved(_)
                | Effect::Close(_) => None,
            })
            .collect();
        assert_eq!(kinds, [CDS, EDS], "{dialect:?}");
    }
}

#[test]
fn a_type_that_is_not_served_is_told_and_not_answered() {
    let mut scene = Scene::new(Dialect::Delta, &[]);
    let request = DeltaDiscoveryRequest { type_url: "type.googleapis.com/x".into(), ..delta(EDS, &[]) };
    let effects = scene.on(Event::Delta(request));
    assert!(matches!(&effects[..], [Effect::Introduced(_), Effect::Unserved(url)] if url.ends_with("/x")));
}

#[test]
fn a_stream_ends_with_the_reason_when_a_bound_is_reached() {
    let limits = Limits { most_names: 2, most_name_bytes: 3, most_node_bytes: 4, ..Limits::default() };
    let closed = |request: DiscoveryRequest| {
        let mut out = Vec::new();
        let mut stream = Stream::new(Dialect::StateOfTheWorld, limits);
        stream.on(Event::World(request), &Catalog::default(), &mut out);
        match out.pop() {
            Some(Effect::Close(fault)) => fault,
            other => panic!("{other:?}"),
        }
    };
    let with = |id: &str| Some(Node { id: id.into(), ..Node::default() });
    assert_eq!(closed(world(EDS, &["a", "b", "c"], "", None)), Fault::ManyNames { count: 3, most: 2 });
    assert_eq!(closed(world(EDS, &["long"], "", None)), Fault::LongName { length: 4, most: 3 });
    assert_eq!(
        closed(DiscoveryRequest { node: with("a name"), ..world(EDS, &[], "", None) }),
        Fault::LongNode { length: 6, most: 4 }
    );
    assert_eq!(closed(DiscoveryRequest { node: None, ..world(EDS, &[], "", None) }), Fault::NoNode);
    assert_eq!(closed(DiscoveryRequest { type_url: String::new(), ..world(EDS, &[], "", None) }), Fault::NoType);
}

#[test]
fn names_that_pile_up_over_several_requests_are_bounded_too() {
    let limits = Limits { most_names: 3, ..Limits::default() };
    let mut scene = Scene { stream: Stream::new(Dialect::Delta, limits), catalog: Catalog::default() };
    scene.ask(EDS, &["a", "b"]);
    let effects = scene.ask(EDS, &["c", "d"]);
    assert!(matches!(effects[..], [Effect::Close(Fault::ManyNames { count: 4, most: 3 })]), "{effects:?}");
}

/// Any request at all, near enough to a real one to get far.
fn any_request() -> impl Strategy<Value = DeltaDiscoveryRequest> {
    let name = || prop_oneof![Just("a".to_owned()), Just("b".to_owned()), Just("*".to_owned()), "[a-z]{0,5}"];
    let names = || prop::collection::vec(name(), 0..5);
    let url = prop_oneof![Just(EDS.url().to_owned()), Just(CDS.url().to_owned()), Just("x".to_owned())];
    let has = prop::collection::hash_map(name(), "[0-9a-f]{0,17}", 0..4);
    let refused = prop::option::of(Just(Status { code: 1, message: "no".into() }));
    (url, names(), names(), has, "[0-9]{0,2}", refused).prop_map(|(type_url, more, less, has, nonce, error_detail)| {
        DeltaDiscoveryRequest {
            node: node(),
            type_url,
            resource_names_subscribe: more,
            resource_names_unsubscribe: less,
            initial_resource_versions: has,
            response_nonce: nonce,
            error_detail,
        }
    })
}

proptest! {
    /// A client that keeps to no protocol costs what the bounds allow, and nothing more is out than one answer of a kind.
    #[test]
    fn whatever_a_client_says_a_stream_stays_within_its_bounds(
        requests in prop::collection::vec(any_request(), 0..16), whole: bool
    ) {
        let limits = Limits { most_names: 12, ..Limits::default() };
        let dialect = BOTH[usize::from(whole)];
        let first = catalog(&[("a", 1.0), ("b", 1.0)], &Catalog::default());
        let mut scene = Scene { stream: Stream::new(dialect, limits), catalog: first };
        for (turn, request) in requests.into_iter().enumerate() {
            let event = match dialect {
                Dialect::Delta => Event::Delta(request),
                Dialect::StateOfTheWorld => Event::World(DiscoveryRequest {
                    node: request.node,
                    resource_names: request.resource_names_subscribe,
                    type_url: request.type_url,
                    response_nonce: request.response_nonce,
                    error_detail: request.error_detail,
                    ..DiscoveryRequest::default()
                }),
            };
            let mut effects = scene.on(event);
            effects.extend(scene.change(&[("a", (turn % 3) as f64), ("b", 1.0)]));
            prop_assert!(effects.iter().filter(|effect| matches!(effect, Effect::Send(_))).count() <= 2);
            prop_assert!(Kind::ALL.iter().all(|kind| scene.stream.wanted(*kind).unwrap_or(0) <= limits.most_names));
            if effects.iter().any(|effect| matches!(effect, Effect::Close(_))) {
                break;
            }
        }
    }
}

/// What may happen to a stream and a client that keeps to the protocol.
#[derive(Clone, Debug)]
enum Step {
    Change(Vec<(usize, u8)>),
    Accept,
    Refuse,
    Want(Vec<usize>),
}

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let some = || prop::collection::vec((0..NAMES.len(), 1..4_u8), 0..5);
    let step = prop_oneof![
        some().prop_map(Step::Change),
        Just(Step::Accept),
        Just(Step::Accept),
        Just(Step::Refuse),
        prop::collection::vec(0..NAMES.len(), 0..4).prop_map(Step::Want),
    ];
    prop::collection::vec(step, 0..40)
}

proptest! {
    /// Whatever happens, a client that accepts in the end has all that it wants and that there is, and no more comes.
    #[test]
    fn a_client_that_accepts_in_the_end_has_what_there_is(steps in steps(), whole: bool) {
        let dialect = BOTH[usize::from(whole)];
        let mut scene = Scene::new(dialect, &[("a", 1.0)]);
        let mut client = Client::default();
        let first = scene.ask(EDS, &["a"]);
        client.wanted = vec!["a".into()];
        client.take(&first);
        for step in steps {
            client.step(&mut scene, &step);
        }
        for _ in 0..32 {
            client.step(&mut scene, &Step::Accept);
        }
        prop_assert!(client.out.is_none());
        for name in &client.wanted {
            let there = scene.catalog.get(EDS, name).map(|resource| resource.version);
            let refused = client.refused.contains_key(name) && client.refused.get(name) == there.as_ref();
            prop_assert!(there.is_none() || refused || client.has.get(name) == there.as_ref(), "{name}");
        }
    }
}

/// A client that keeps to the protocol.
#[derive(Default)]
struct Client {
    wanted: Vec<String>,
    has: HashMap<String, Version>,
    refused: HashMap<String, Version>,
    out: Option<(u64, Vec<(String, Version)>)>,
}

impl Client {
    fn take(&mut self, effects: &[Effect]) {
        for effect in effects {
            if let Effect::Send(answer) = effect {
                assert!(self.out.is_none(), "an answer before the word on the last one");
                let of = |(name, resource): &(Arc<str>, Resource)| (name.to_string(), resource.version);
                self.out = Some((answer.nonce, answer.resources.iter().map(of).collect()));
            }
        }
    }

    fn step(&mut self, scene: &mut Scene, step: &Step) {
        let effects = match step {
            Step::Change(some) => {
                let clusters: Vec<_> = some.iter().map(|(at, weight)| (NAMES[*at], f64::from(*weight))).collect();
                scene.change(&clusters)
            }
            Step::Want(some) => self.want(scene, some),
            Step::Accept | Step::Refuse => {
                let Some((nonce, what)) = self.out.take() else { return };
                let refuse = matches!(step, Step::Refuse);
                let what = what.into_iter().filter(|(name, _)| self.wanted.contains(name));
                if refuse {
                    self.refused.extend(what)
                } else {
                    self.has.extend(what)
                }
                let wanted: Vec<&str> = self.wanted.iter().map(String::as_str).collect();
                scene.say(EDS, nonce, &wanted, refuse.then_some("no"))
            }
        };
        self.take(&effects);
    }

    fn want(&mut self, scene: &mut Scene, some: &[usize]) -> Vec<Effect> {
        let mut wanted: Vec<String> = some.iter().map(|at| NAMES[*at].to_owned()).collect();
        wanted.sort();
        wanted.dedup();
        let before = std::mem::replace(&mut self.wanted, wanted);
        let gone: Vec<String> = before.iter().filter(|name| !self.wanted.contains(name)).cloned().collect();
        let new: Vec<String> = self.wanted.iter().filter(|name| !before.contains(name)).cloned().collect();
        self.has.retain(|name, _| !gone.contains(name));
        self.refused.retain(|name, _| !gone.contains(name));
        match scene.stream.dialect {
            Dialect::StateOfTheWorld => {
                // With the nonce of the last answer that reached it: one that is under way makes the request stale.
                let last = scene.stream.nonce.to_string();
                let nonce = if self.out.is_some() { "0" } else { last.as_str() };
                let wanted: Vec<&str> = self.wanted.iter().map(String::as_str).collect();
                scene.on(Event::World(world(EDS, &wanted, nonce, None)))
            }
            Dialect::Delta => scene.on(Event::Delta(DeltaDiscoveryRequest {
                resource_names_subscribe: new,
                resource_names_unsubscribe: gone,
                ..delta(EDS, &[])
            })),
        }
    }
}
