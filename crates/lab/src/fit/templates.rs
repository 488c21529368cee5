//! Paths as templates: `/items/17/pictures` and `/items/18/pictures` are one, `/items/*/pictures`.
//!
//! A segment is a name of something when it looks like one (digits, an id), or when so many different ones stand in its
//! place that nobody has written a handler for each.

use std::collections::BTreeMap;

/// The template of each path, in their order.
pub(super) fn of<'p>(paths: impl Iterator<Item = &'p str>) -> Vec<String> {
    let split: Vec<Vec<&str>> = paths.map(|path| path.trim_start_matches('/').split('/').collect()).collect();
    let mut templates = vec![String::new(); split.len()];
    grow(&split, (0..split.len()).collect(), 0, &mut templates);
    templates
}

/// Adds the segment at `depth` to the templates of these paths, which are alike before it.
fn grow(paths: &[Vec<&str>], which: Vec<usize>, depth: usize, templates: &mut [String]) {
    let mut branches: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for at in which {
        if let Some(segment) = paths[at].get(depth) {
            let segment = if looks_like_a_name(segment) { NAME } else { segment };
            branches.entry(segment).or_default().push(at);
        }
    }
    if branches.len() > MOST_HANDLERS {
        let all = branches.into_values().flatten().collect();
        branches = BTreeMap::from([(NAME, all)]);
    }
    for (segment, which) in branches {
        for &at in &which {
            templates[at].push('/');
            templates[at].push_str(segment);
        }
        grow(paths, which, depth + 1, templates);
    }
}

fn looks_like_a_name(segment: &str) -> bool {
    let digits = segment.bytes().filter(u8::is_ascii_digit).count();
    let id = |byte: u8| byte.is_ascii_hexdigit() || byte == b'-';
    let all_digits = digits > 0 && digits == segment.len();
    all_digits || (segment.len() >= 8 && digits > 0 && segment.bytes().all(id)) || (segment.len() >= 20 && digits > 2)
}

/// What stands for a name.
pub(super) const NAME: &str = "*";
/// Different segments in one place, at most, that are told apart. Source: ours; more handlers than that in one place are
/// rare, and more names are the rule.
const MOST_HANDLERS: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_name_is_one() {
        let paths =
            ["/", "/items/17", "/items/18/pictures", "/v1/f47ac10b-58cc-4372-a567-0e02b2c3d479", "/deadbeef", "/a/"];
        let expected = ["/", "/items/*", "/items/*/pictures", "/v1/*", "/deadbeef", "/a/"];
        assert_eq!(of(paths.into_iter()), expected);
    }

    #[test]
    fn so_many_words_in_one_place_are_names() {
        let paths: Vec<String> = (0..30_u8)
            .map(|n| format!("/user/{}/home", char::from(b'a' + n % 26).to_string().repeat(usize::from(n / 26) + 1)))
            .collect();
        let templates = of(paths.iter().map(String::as_str).chain(["/user"]));
        assert!(templates[..30].iter().all(|template| template == "/user/*/home"), "{templates:?}");
        assert_eq!(templates[30], "/user");
    }
}
