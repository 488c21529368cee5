//! What may be kept, and for how long.

use super::*;
use crate::cache::entry::tests::{answer, now};

fn judged_of(status: &str, lines: &str, asked: AskedWith) -> Result<Terms, NotKept> {
    let answer = answer(status, lines);
    judge(asked, answer.status(), answer.head(), now(0).wall, &RouteCache::default())
}

fn judged(lines: &str) -> Result<Terms, NotKept> {
    judged_of("200 OK", lines, AskedWith::default())
}

fn lifetime(lines: &str) -> Option<u64> {
    judged(lines).ok().map(|terms| whole_seconds(terms.lifetime))
}

#[test]
fn the_lifetime_is_the_strictest_that_is_meant_for_shared_caches() {
    for (lines, seconds) in [
        ("cache-control: max-age=10", Some(10)),
        ("cache-control: max-age=10, s-maxage=5", Some(5)),
        ("cache-control: s-maxage=5\r\ncache-control: max-age=10", Some(5)),
        ("cache-control: max-age=10\r\nexpires: Sat, 21 Nov 2026 01:00:00 GMT", Some(10)),
        ("expires: Sat, 21 Nov 2026 01:00:00 GMT", Some(3600)),
        ("date: Sat, 21 Nov 2026 00:30:00 GMT\r\nexpires: Sat, 21 Nov 2026 01:00:00 GMT", Some(1800)),
        ("expires: Saturday, 21-Nov-26 01:00:00 GMT", Some(3600)),
        ("expires: 0", None),
        ("cache-control: max-age=0", None),
        ("cache-control: max-age=99999999999", Some(whole_seconds(FOREVER))),
        ("cdn-cache-control: max-age=60\r\ncache-control: max-age=10", Some(60)),
        ("CDN-Cache-Control: max-age=60\r\nexpires: Sat, 21 Nov 2026 01:00:00 GMT", Some(60)),
        ("cdn-cache-control: max-age=60\r\ncdn-cache-control: s-maxage=20\r\ncache-control: no-store", Some(20)),
        ("cdn-cache-control: max-age = 60\r\ncache-control: max-age=10", Some(10)),
        ("cdn-cache-control: \r\ncache-control: max-age=10", Some(10)),
        ("last-modified: Fri, 20 Nov 2026 00:00:00 GMT", Some(8640)),
        ("last-modified: Wed, 01 Jan 2020 00:00:00 GMT", Some(24 * 3600)),
        ("", None),
    ] {
        assert_eq!(lifetime(lines), seconds, "{lines}");
    }
}

#[test]
fn what_is_stale_when_it_comes_is_kept_only_if_it_can_be_validated_or_served_stale() {
    assert_eq!(judged("cache-control: max-age=0"), Err(NotKept::Useless));
    assert!(judged("cache-control: max-age=0\r\netag: \"a\"").is_ok());
    assert!(judged("cache-control: no-cache\r\netag: \"a\"").is_ok_and(|terms| terms.strict));
    assert!(judged("cache-control: max-age=0, stale-if-error=5").is_ok());
    for old in ["age: 20", "age: x", "age: -1", "age: 0, 0", "age: 0\r\nage: 0", "age: 99999999999999999999999"] {
        assert_eq!(judged(&format!("{old}\r\ncache-control: max-age=10")), Err(NotKept::Useless), "{old}");
    }
}

#[test]
fn what_is_for_one_user_is_not_kept() {
    let authorized = AskedWith { authorization: true, ..AskedWith::default() };
    for (lines, why) in [
        ("cache-control: private, max-age=10", NotKept::Private),
        ("cache-control: private=\"x-a\", max-age=10", NotKept::Private),
        ("cache-control: no-store, max-age=10", NotKept::NoStore),
        ("cdn-cache-control: no-store\r\ncache-control: max-age=10", NotKept::NoStore),
        ("cdn-cache-control: private\r\ncache-control: max-age=10", NotKept::Private),
        ("cache-control: max-age=10\r\nset-cookie: a=1", NotKept::SetCookie),
        ("cache-control: max-age=10\r\nvary: a, *", NotKept::Vary),
    ] {
        assert_eq!(judged(lines), Err(why), "{lines}");
    }
    assert!(judged("cache-control: public, max-age=10\r\nset-cookie: a=1").is_ok());
    assert_eq!(judged_of("200 OK", "cache-control: max-age=10", authorized), Err(NotKept::Authorization));
    for shared in ["public", "s-maxage=10", "must-revalidate"] {
        let lines = format!("cache-control: max-age=10, {shared}");
        assert!(judged_of("200 OK", &lines, authorized).is_ok_and(|terms| terms.for_authorized), "{shared}");
    }
    let no_store = AskedWith { no_store: true, ..AskedWith::default() };
    assert_eq!(judged_of("200 OK", "cache-control: max-age=10", no_store), Err(NotKept::NoStore));
}

#[test]
fn a_status_is_kept_when_it_says_for_how_long_or_is_known_to_be_guessed_of() {
    let modified = "last-modified: Fri, 20 Nov 2026 00:00:00 GMT";
    for (status, explicit, guessed) in [
        ("200 OK", true, true),
        ("204 No Content", true, true),
        ("302 Found", true, false),
        ("404 Not Found", true, true),
        ("403 Forbidden", true, false),
        ("503 Busy", true, false),
        ("599 Odd", true, false),
        ("206 Part", false, false),
    ] {
        // 204 has no length.
        let lines = |lines: &str| judged_of(status, lines, AskedWith::default()).is_ok();
        if status.starts_with("204") {
            continue;
        }
        assert_eq!((lines("cache-control: max-age=10"), lines(modified)), (explicit, guessed), "{status}");
    }
    assert!(judged_of("599 Odd", "cache-control: max-age=10, must-understand", AskedWith::default()).is_err());
    assert!(judged("cache-control: max-age=10, must-understand, no-store").is_ok());
}

#[test]
fn what_must_not_be_served_stale_is_strict() {
    for (word, strict) in
        [("must-revalidate", true), ("proxy-revalidate", true), ("s-maxage=10", true), ("public", false)]
    {
        let terms = judged(&format!("cache-control: max-age=10, {word}")).expect("kept");
        assert_eq!((terms.strict, terms.lifetime), (strict, Span::from_secs(10)), "{word}");
    }
}

#[test]
fn no_head_that_a_worker_can_send_makes_the_judgement_panic() {
    for lines in [
        "age: 18446744073709551615\r\ncache-control: max-age=18446744073709551615",
        "expires: Fri, 31 Dec 9999 23:59:59 GMT\r\ndate: Thu, 01 Jan 1970 00:00:00 GMT",
        "expires: Thu, 01 Jan 1970 00:00:00 GMT\r\ndate: Fri, 31 Dec 9999 23:59:59 GMT",
        "last-modified: Thu, 01 Jan 1970 00:00:00 GMT\r\ndate: Fri, 31 Dec 9999 23:59:59 GMT",
        "cache-control: \u{ff}=\"\\\", max-age=\"\"",
    ] {
        let _ = judged(lines);
    }
}
