//! What a client refuses: told, not sent again as it was, and no hindrance for the rest.

use super::*;

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
