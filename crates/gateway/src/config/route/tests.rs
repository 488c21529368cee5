//! Routes as they are written, read back, and refused.

use super::*;

fn read(json: &str) -> Result<Route, String> {
    serde_json::from_str(json).map_err(|error| error.to_string())
}

#[test]
fn a_route_with_only_a_pool_takes_everything() {
    assert_eq!(read(r#"{"pool": "api"}"#), Ok(Route::all_to("api")));
}

#[test]
fn a_route_reads_back_as_it_was_written() {
    for json in [
        r#"{"pool": "api", "key": {"header": "x-user"}, "deadline": "2s", "retries": 0}"#,
        r#"{"pool": "api", "key": "client-ip", "match": {"host": "*.example.org", "path": "/a"}}"#,
        r#"{"pool": "api", "match": {"path_prefix": "/a", "methods": ["GET"], "headers": {"x-a": "b"}}}"#,
        r#"{"pool": "api", "hedge": {}, "quorum": {"ask": 2}, "first_try": {}, "retry": {}, "repeat": "idempotent"}"#,
        r#"{"pool": "api", "fallback": [{"zone": "b"}, {"pool": "c"}, {"path": "/d"}, {"snapshot": {}},
            {"static": {"status": 200, "body": "e"}}], "fallback_after": "1s", "fallback_mode": "observe"}"#,
    ] {
        let route = read(json).expect("right");
        assert_eq!(read(&serde_json::to_string(&route).expect("json")), Ok(route));
    }
}

#[test]
fn a_wrong_value_is_told_with_what_would_be_right() {
    for (json, told) in [
        (r#"{"pool": "a", "match": {"path": "/a", "path_prefix": "/b"}}"#, "exclude each other"),
        (r#"{"pool": "a", "match": {"path": "a"}}"#, "must begin with `/`"),
        (r#"{"pool": "a", "match": {"host": "http://a"}}"#, "without scheme"),
        (r#"{"pool": "a", "match": {"host": "*"}}"#, "*.example.org"),
        (r#"{"pool": "a", "match": {"methods": ["get"]}}"#, "such as GET"),
        (r#"{"pool": "a", "match": {"headers": {"x a": "b"}}}"#, "`x a: b` is no header"),
        (r#"{"pool": "a", "deadline": "0s"}"#, "outside 1ms to 24h"),
        (r#"{"pool": "a", "retries": 9}"#, "more than 3"),
        (r#"{"pool": "a", "matches": {}}"#, "unknown field `matches`"),
        (r#"{"pool": "a", "keep_body": "2MiB"}"#, "more than 1MiB"),
        (r#"{"pool": "a", "hedge": {}, "match": {"methods": ["POST"]}}"#, "none of the methods POST may run twice"),
        (r#"{"pool": "a", "fallback": [{"pool": "a"}]}"#, "asks pool `a` again"),
        (r#"{"pool": "a", "fallback": [{"pool": "b"}, {"pool": "b"}]}"#, "tier 2 asks pool `b` again"),
        (r#"{"pool": "a", "fallback": [{"static": {}}, {"zone": "b"}]}"#, "put `static` last"),
        (r#"{"pool": "a", "fallback": [{"zone": "b"}, {"zone": "b"}]}"#, "tier 2 is the same as one before it"),
        (r#"{"pool": "a", "fallback": [{"path": "b"}]}"#, "must begin with `/`"),
        (r#"{"pool": "a", "fallback": [{"static": {"status": 204}}]}"#, "outside 200 to 599"),
        (r#"{"pool": "a", "fallback": [{"static": {"body": "a", "file": "b"}}]}"#, "exclude each other"),
        (r#"{"pool": "a", "fallback": [{"snapshot": {"max_age": "0s"}}]}"#, "at least 1s"),
        (r#"{"pool": "a", "deadline": "1s", "fallback_after": "1s"}"#, "1ms to the deadline"),
    ] {
        let error = read(json).expect_err(json);
        assert!(error.contains(told), "{json}: {error}");
    }
}
