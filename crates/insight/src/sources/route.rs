//! A request's route: its method and its path with what names one thing taken out, so that alike requests count as one.
//!
//! ```text
//! GET /users/4711/orders?page=2          -> GET /users/{}/orders
//! GET /static/app.3fd9a81c.js            -> GET /static/app.{}.js
//! ```
//! A log has paths, not routes, and a table of paths by nodes says nothing: most paths are asked for once. Numbers, UUIDs, hex and
//! long tokens are taken for names of things; what is left are the words that a programmer wrote.

/// Writes the route of a request to `out`, in place of what it held. `target` may be a path, with a query, or a whole URL.
pub fn template(method: &str, target: &str, out: &mut String) {
    out.clear();
    out.push_str(known(method));
    out.push(' ');
    let path = path_of(target);
    if path.is_empty() {
        out.push('/');
    }
    for (number, segment) in path.split('/').enumerate() {
        if number > MOST_SEGMENTS {
            out.push_str("/...");
            break;
        }
        if number > 0 {
            out.push('/');
        }
        push_segment(segment, out);
    }
}

/// The method, where it is one: what a client makes up would be a route of its own.
pub(super) fn known(method: &str) -> &'static str {
    METHODS.into_iter().find(|known| known.eq_ignore_ascii_case(method)).unwrap_or("(other)")
}

/// The path of a target: without scheme, host, query and fragment.
fn path_of(target: &str) -> &str {
    let end = target.find(['?', '#']).unwrap_or(target.len());
    let target = &target[..end];
    if target.starts_with('/') {
        return target;
    }
    match target.split_once("://") {
        Some((scheme, rest)) if !scheme.contains('/') => rest.find('/').map_or("", |at| &rest[at..]),
        Some(_) | None => target,
    }
}

fn push_segment(segment: &str, out: &mut String) {
    // Parameters of a segment (`;jsessionid=...`) are as a query is.
    let segment = segment.split(';').next().unwrap_or_default();
    if segment.len() > LONGEST_SEGMENT || is_uuid(segment) {
        return out.push_str(HOLE);
    }
    let begin = out.len();
    let mut rest = segment;
    while !rest.is_empty() {
        let end = rest.find(is_mark).unwrap_or(rest.len());
        let (part, after) = rest.split_at(end);
        push_part(part, begin, out);
        let marks = after.find(|character| !is_mark(character)).unwrap_or(after.len());
        out.push_str(&after[..marks]);
        rest = &after[marks..];
    }
}

fn push_part(part: &str, begin: usize, out: &mut String) {
    if !names_a_thing(part) {
        return out.push_str(part);
    }
    // `{}-{}` would say no more than `{}`.
    let kept = out.trim_end_matches(is_mark).len();
    if kept > begin && out[begin..kept].ends_with(HOLE) {
        out.truncate(kept);
    } else {
        out.push_str(HOLE);
    }
}

/// What separates the parts of a segment.
fn is_mark(character: char) -> bool {
    matches!(character, '-' | '_' | '.' | ',' | ':' | '=' | '~' | '@' | '+' | '*' | '!')
}

/// Whether a part of a segment is the name of one thing of many.
fn names_a_thing(part: &str) -> bool {
    let bytes = part.as_bytes();
    let digits = bytes.iter().filter(|byte| byte.is_ascii_digit()).count();
    if bytes.is_empty() {
        return false;
    }
    let all_hex = bytes.iter().all(u8::is_ascii_hexdigit);
    let mixed = digits > 0 && bytes.iter().any(u8::is_ascii_lowercase) && bytes.iter().any(u8::is_ascii_uppercase);
    digits == bytes.len()
        || (all_hex && digits > 0 && bytes.len() >= SHORTEST_HEX)
        || (mixed && bytes.len() >= SHORTEST_MIXED)
        || (digits > 0 && bytes.len() >= SHORTEST_TOKEN)
        || (bytes.len() >= LONGEST_WORD)
        || part.contains('%')
}

fn is_uuid(segment: &str) -> bool {
    segment.len() == 36
        && segment.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"];
/// What stands in the place of a name.
const HOLE: &str = "{}";
/// Segments of a path that are looked at. Source: ours; deeper ones are files more often than routes.
const MOST_SEGMENTS: usize = 8;
/// Source: ours; no programmer writes a longer one.
const LONGEST_SEGMENT: usize = 80;
/// Hex digits, with a decimal one among them. Source: a commit's short name.
const SHORTEST_HEX: usize = 7;
/// Small and capital letters with digits. Source: names of videos and of short links.
const SHORTEST_MIXED: usize = 8;
/// With a digit. Source: ours; `oauth2callback` has 14.
const SHORTEST_TOKEN: usize = 16;
/// Without one. Source: ours; words of this length are not written without a mark.
const LONGEST_WORD: usize = 32;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn route(method: &str, target: &str) -> String {
        let mut out = String::from("what was there");
        template(method, target, &mut out);
        out
    }

    #[test]
    fn what_names_one_thing_is_taken_out() {
        for (path, expected) in [
            ("/", "/"),
            ("", "/"),
            ("*", "*"),
            ("/users/4711/orders", "/users/{}/orders"),
            ("/api/v1/items", "/api/v1/items"),
            ("/o/123e4567-e89b-12d3-a456-426614174000", "/o/{}"),
            ("/commit/9fceb02", "/commit/{}"),
            ("/deadbeef/cafe", "/deadbeef/cafe"),
            ("/watch/dQw4w9WgXcQ", "/watch/{}"),
            ("/login/oauth2callback", "/login/oauth2callback"),
            ("/reset/eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9abcdef", "/reset/{}"),
            ("/static/app.3fd9a81c.js", "/static/app.{}.js"),
            ("/reports/2026-11-22.csv", "/reports/{}.csv"),
            ("/img/order-12345_2.png", "/img/order-{}.png"),
            ("/search/caf%C3%A9", "/search/{}"),
            ("/a//b/", "/a//b/"),
        ] {
            assert_eq!(route("GET", path), format!("GET {expected}"), "{path}");
        }
    }

    #[test]
    fn queries_fragments_parameters_and_hosts_are_left_out() {
        for target in ["/a/b?c=1/2", "/a/b#c", "/a;v=1/b;jsessionid=7", "https://shop.example:8443/a/b?u=http://x/"] {
            assert_eq!(route("get", target), "GET /a/b", "{target}");
        }
        assert_eq!(route("GET", "http://shop.example"), "GET /");
        assert_eq!(route("GET", "/go?to=http://x/y"), "GET /go");
    }

    #[test]
    fn what_a_client_makes_up_is_no_route_of_its_own() {
        assert_eq!(route("BREW", "/pot"), "(other) /pot");
        assert_eq!(route("GET", "/1/2/3/a/b/c/d/e/f/g"), "GET /{}/{}/{}/a/b/c/d/e/...");
        assert_eq!(route("GET", &format!("/{}", "a-".repeat(60))), "GET /{}");
    }

    proptest! {
        #[test]
        fn any_target_has_a_short_route(method in ".{0,8}", target in ".{0,300}") {
            let route = route(&method, &target);
            prop_assert!(route.len() <= 8 + (MOST_SEGMENTS + 2) * (LONGEST_SEGMENT + 1), "{}", route);
        }

        #[test]
        fn numbers_make_no_routes_of_their_own(one in 0_u64.., other in 0_u64..) {
            prop_assert_eq!(route("GET", &format!("/a/{one}/b")), route("GET", &format!("/a/{other}/b")));
        }
    }
}
