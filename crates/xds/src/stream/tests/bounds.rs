//! What a client may make us keep, whatever it says.

use proptest::prelude::*;

use super::*;

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
