//! What is not there yet, goes away, or is wanted no more.

use super::*;

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
fn a_type_that_is_not_served_is_told_and_not_answered() {
    let mut scene = Scene::new(Dialect::Delta, &[]);
    let request = DeltaDiscoveryRequest { type_url: "type.googleapis.com/x".into(), ..delta(EDS, &[]) };
    let effects = scene.on(Event::Delta(request));
    assert!(matches!(&effects[..], [Effect::Introduced(_), Effect::Unserved(url)] if url.ends_with("/x")));
}
