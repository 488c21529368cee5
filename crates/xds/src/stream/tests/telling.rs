//! What is sent, and when: what differs, the newest, and nothing twice.

use super::*;
use crate::picture::{Offer, Picture};
use crate::testing::cluster;

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
fn a_cluster_that_changed_is_followed_by_its_endpoints() {
    for dialect in BOTH {
        let mut scene = Scene::new(dialect, &[("a", 1.0)]);
        let (clusters, ..) = one(&scene.ask(CDS, &[]));
        scene.say(CDS, clusters, &[], None);
        let (endpoints, ..) = one(&scene.ask(EDS, &["a"]));
        scene.say(EDS, endpoints, &["a"], None);
        let mut changed = (*cluster("a", &[1.0, 1.0])).clone();
        let Offer::Envoy(offer) = &mut changed.offer else { panic!("offered") };
        offer.http2 = true;
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
