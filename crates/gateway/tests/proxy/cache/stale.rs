//! What is stale: asked about, served meanwhile, served after an error, and never served.

use serde_json::json;

use super::{Scripted, answer, on};
use crate::common::eventually;

#[test]
fn a_worker_is_asked_whether_what_is_kept_is_still_right() {
    let worker = Scripted::new(|number, request| {
        if number == 0 {
            return answer(
                "cache-control: max-age=0\r\netag: \"a\"\r\nlast-modified: Wed, 01 Jan 2020 00:00:00 GMT\r\nx-a: 1",
                "kept",
            );
        }
        assert!(request.contains("if-none-match: \"a\"\r\n"), "{request}");
        assert!(request.contains("if-modified-since: Wed, 01 Jan 2020 00:00:00 GMT\r\n"), "{request}");
        assert!(!request.contains("range") && !request.contains("\"theirs\""), "{request}");
        "HTTP/1.1 304 Not Modified\r\netag: \"a\"\r\nx-a: 2\r\ncache-control: max-age=60\r\n\r\n".to_owned()
    });
    let setup = worker.behind(on());
    setup.get("/", "");
    let got = setup.get("/", "if-none-match: \"theirs\"\r\nrange: bytes=0-0");
    assert_eq!((got.status(), got.body.as_str(), got.field("x-a")), ("206", "k", Some("2")));
    assert_eq!(got.cache(), "ambidex; fwd=stale; fwd-status=304; stored");
    let got = setup.get("/", "");
    assert_eq!((got.status(), got.body.as_str(), got.field("x-a")), ("200", "kept", Some("2")));
    assert_eq!(setup.get("/", "if-none-match: \"a\"").status(), "304");
    let stats = setup.gateway.stats().cache;
    assert_eq!((stats.validated, stats.hits, worker.asked()), (1, 2, 2));
    eventually("no try is left", || setup.in_flight() == 0);
}

#[test]
fn what_is_said_of_another_answer_does_not_make_this_one_fresh() {
    let worker = Scripted::new(|number, request| match number {
        0 => answer("cache-control: max-age=0\r\netag: \"a\"", "old"),
        1 => "HTTP/1.1 304 Not Modified\r\netag: \"b\"\r\ncache-control: max-age=60\r\n\r\n".to_owned(),
        _ => {
            assert!(!request.contains("if-none-match"), "{request}");
            answer("cache-control: max-age=60\r\netag: \"b\"", "new")
        }
    });
    let setup = worker.behind(on());
    setup.get("/", "");
    assert!(!setup.get("/", "").cache().contains("; stored"));
    assert_eq!(setup.get("/", "").body, "new");
}

#[test]
fn a_tier_that_finds_it_right_does_not_make_it_fresh() {
    let once = Scripted::new(|number, _| {
        if number == 0 { answer("cache-control: max-age=0\r\netag: \"a\"", "kept") } else { String::new() }
    });
    let spare = Scripted::new(|_, request| {
        if request.contains("if-none-match: \"a\"") {
            return "HTTP/1.1 304 Not Modified\r\netag: \"a\"\r\ncache-control: max-age=60\r\n\r\n".to_owned();
        }
        answer("", "of the tier")
    });
    let route = json!({"cache": on(), "fallback": [{"pool": "spare"}], "retries": 0});
    let setup = crate::common::Wanted::before(&[once.address]).spare(&[spare.address]).route(route).start();
    let bodies = [(); 3].map(|()| setup.get("/", "").body);
    assert_eq!(bodies, ["kept", "kept", "of the tier"]);
}

#[test]
fn a_client_can_have_it_asked_about_at_any_time() {
    let worker = Scripted::new(|number, request| {
        let asks = request.contains("if-none-match: \"a\"");
        if number > 0 && asks {
            return "HTTP/1.1 304 Not Modified\r\netag: \"a\"\r\n\r\n".to_owned();
        }
        answer("cache-control: max-age=60\r\netag: \"a\"", "kept")
    });
    let setup = worker.behind(on());
    setup.get("/", "");
    for line in ["cache-control: no-cache", "pragma: no-cache", "cache-control: min-fresh=100"] {
        let got = setup.get("/", line);
        assert_eq!(
            (got.body.as_str(), got.cache()),
            ("kept", "ambidex; fwd=request; fwd-status=304; stored"),
            "{line}"
        );
    }
    assert_eq!(worker.asked(), 4);
}

#[test]
fn a_new_answer_takes_the_place_of_the_old_one() {
    let worker = Scripted::new(|number, _| {
        let age = if number == 0 { 0 } else { 60 };
        answer(&format!("cache-control: max-age={age}\r\netag: \"{number}\""), &format!("answer {number}"))
    });
    let setup = worker.behind(on());
    for expected in ["answer 0", "answer 1", "answer 1"] {
        assert_eq!(setup.get("/", "").body, expected);
    }
}

#[test]
fn a_stale_answer_is_served_while_it_is_asked_for_anew() {
    let worker = Scripted::numbering("cache-control: max-age=0, stale-while-revalidate=60");
    let setup = worker.behind(on());
    assert_eq!(setup.get("/", "").body, "answer 0");
    let got = setup.get("/", "");
    assert_eq!((got.body.as_str(), got.field("age")), ("answer 0", Some("0")));
    assert!(got.cache().ends_with("; detail=stale-while-revalidate"), "{}", got.cache());
    eventually("it was asked for anew", || setup.gateway.stats().cache.stored == 2);
    assert_eq!(setup.get("/", "").body, "answer 1");
    eventually("nothing is left of the requests behind", || setup.in_flight() == 0);
}

#[test]
fn a_route_can_say_for_how_long_stale_answers_are_served_where_they_do_not() {
    let worker = Scripted::numbering("cache-control: max-age=0\r\netag: \"a\"");
    let setup = worker.behind(json!({"stale_while_revalidate": "60s"}));
    for _ in 0..2 {
        assert_eq!(setup.get("/", "").body, "answer 0");
    }
    let strict = Scripted::numbering("cache-control: max-age=0, must-revalidate\r\netag: \"a\"");
    let setup = strict.behind(json!({"stale_while_revalidate": "60s"}));
    for number in 0..2 {
        assert_eq!(setup.get("/", "").body, format!("answer {number}"));
    }
}

/// A worker that answers once and fails from then on.
fn failing(lines: &'static str, failure: &'static str) -> Scripted {
    Scripted::new(move |number, _| if number == 0 { answer(lines, "kept") } else { failure.to_owned() })
}

#[test]
fn a_stale_answer_is_served_when_no_good_one_comes_and_only_where_that_is_allowed() {
    let busy = "HTTP/1.1 503 Busy\r\ncontent-length: 4\r\n\r\nbusy";
    for failure in ["", busy, "rubbish"] {
        let worker = failing("cache-control: max-age=0, stale-if-error=60", failure);
        let setup = worker.behind(on());
        setup.get("/", "");
        let got = setup.get("/", "");
        assert_eq!((got.status(), got.body.as_str()), ("200", "kept"), "{failure}");
        assert!(got.cache().ends_with("; detail=stale-if-error"), "{}", got.cache());
        // What broke off on a connection that had served before is sent once more.
        assert_eq!((setup.gateway.stats().cache.stale, worker.asked() > 1), (1, true));
        eventually("no try is left", || setup.in_flight() == 0);
        for lines in [
            "cache-control: max-age=0\r\netag: \"a\"",
            "cache-control: max-age=0, stale-if-error=60, must-revalidate\r\netag: \"a\"",
        ] {
            let setup = failing(lines, failure).behind(on());
            setup.get("/", "");
            assert!(setup.get("/", "").status().starts_with('5'), "{failure} {lines}");
        }
    }
}
