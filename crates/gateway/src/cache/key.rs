//! What tells kept answers apart: the resource, and of its answers which one fits a request.
//!
//! ```text
//! Key       pool, scheme, host, path and query        one resource; what a write invalidates
//! Selected  values of what `Vary` and the route name   one of its answers
//! ```

use std::hash::{BuildHasher as _, Hash, Hasher, RandomState};
use std::sync::LazyLock;

use ambidex_http1::{Head, Known, RequestHead};

use super::directives::members;
use super::shared::{Reader, put};
use crate::config::CacheKey;

/// Which resource. It is hashed once, because each request that reads looks in two tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    hash: u64,
    bytes: Box<[u8]>,
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

/// Where a resource is, but for its path.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    /// The pool, so that two routes that lead to different pools never share answers.
    pub(crate) pool: &'a str,
    /// As the worker is told: a redirect to `https` must not be kept for `https`.
    pub(crate) scheme: &'a str,
    /// Host and port, as named.
    pub(crate) authority: &'a [u8],
}

impl Key {
    /// The key of a path with its query.
    pub(crate) fn of(place: Place<'_>, path: &[u8], how: &CacheKey) -> Self {
        let path = if how.ignore_query { path.split(|&byte| byte == b'?').next().unwrap_or(b"") } else { path };
        let path = if path.is_empty() { b"/" } else { path };
        let authority = bare(place.scheme, place.authority);
        let host = place.pool.len() + place.scheme.len() + 2;
        let mut text = Vec::with_capacity(host + authority.len() + 1 + path.len());
        for part in [place.pool.as_bytes(), place.scheme.as_bytes(), authority] {
            text.extend_from_slice(part);
            text.push(0);
        }
        text.extend_from_slice(path);
        text[host..host + authority.len()].make_ascii_lowercase();
        Self { hash: HASHER.hash_one(&text[..]), bytes: text.into() }
    }

    /// The key of what a response's `Location` or `Content-Location` names, if it is of the same place.
    pub(crate) fn named(place: Place<'_>, base: &[u8], reference: &[u8], how: &CacheKey) -> Option<Self> {
        let reference = reference.split(|&byte| byte == b'#').next().unwrap_or(b"");
        let same_host =
            |authority: &[u8]| bare(place.scheme, authority).eq_ignore_ascii_case(bare(place.scheme, place.authority));
        let below = |rest: &[u8]| {
            let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(rest.len());
            same_host(&rest[..end]).then(|| rest[end..].to_vec())
        };
        let path = if let Some(rest) = reference.strip_prefix(b"//") {
            below(rest)?
        } else if let Some(at) = scheme_end(reference) {
            if !reference[..at].eq_ignore_ascii_case(place.scheme.as_bytes()) {
                return None;
            }
            below(reference[at..].strip_prefix(b"://")?)?
        } else {
            resolved(base, reference)
        };
        Some(Self::of(place, &path, how))
    }

    /// Its bytes.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Their hash.
    pub(crate) fn hashed(&self) -> u64 {
        self.hash
    }
}

/// Where the scheme of an absolute reference ends.
fn scheme_end(reference: &[u8]) -> Option<usize> {
    let at = reference.iter().position(|byte| !(byte.is_ascii_alphanumeric() || b"+-.".contains(byte)))?;
    (at > 0 && reference[at] == b':').then_some(at)
}

/// A relative reference at its base [RFC 3986, 5.2].
fn resolved(base: &[u8], reference: &[u8]) -> Vec<u8> {
    let path = base.split(|&byte| byte == b'?').next().unwrap_or(b"");
    match reference.first() {
        None => base.to_vec(),
        Some(b'?') => [path, reference].concat(),
        Some(b'/') => without_dots(reference),
        Some(_) => {
            let folder = path.iter().rposition(|&byte| byte == b'/').map_or(&b"/"[..], |at| &path[..=at]);
            without_dots(&[folder, reference].concat())
        }
    }
}

fn without_dots(reference: &[u8]) -> Vec<u8> {
    let end = reference.iter().position(|&byte| byte == b'?').unwrap_or(reference.len());
    let (path, query) = reference.split_at(end);
    let mut kept: Vec<&[u8]> = Vec::new();
    let last = path.rsplit(|&byte| byte == b'/').next().unwrap_or(b"");
    for segment in path.split(|&byte| byte == b'/').skip(1) {
        match segment {
            b"." => {}
            b".." => _ = kept.pop(),
            _ => kept.push(segment),
        }
    }
    if matches!(last, b"." | b"..") {
        kept.push(b"");
    }
    [b"/", &kept.join(&b'/')[..], query].concat()
}

/// An authority without the port that its scheme has anyway.
fn bare<'a>(scheme: &str, authority: &'a [u8]) -> &'a [u8] {
    let port: &[u8] = if scheme == "https" { b":443" } else { b":80" };
    authority.strip_suffix(port).unwrap_or(authority)
}

/// One thing of a request that its answer depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Header(Box<[u8]>),
    Cookie(Box<[u8]>),
}

impl Part {
    /// What a request says of it.
    fn value(&self, head: &Head) -> Option<Box<[u8]>> {
        match self {
            Self::Header(name) => {
                let lines = head.fields().iter().filter(|field| head.name(field).eq_ignore_ascii_case(name));
                let mut lines = lines.map(|field| head.value(field).as_bytes()).peekable();
                lines.peek()?;
                Some(lines.collect::<Vec<_>>().join(&b", "[..]).into())
            }
            Self::Cookie(name) => {
                let pairs = head.all(Known::Cookie).flat_map(|value| value.as_bytes().split(|&byte| byte == b';'));
                let value = |pair: &[u8]| {
                    let at = pair.iter().position(|&byte| byte == b'=')?;
                    (pair[..at].trim_ascii() == &**name).then(|| pair[at + 1..].trim_ascii().into())
                };
                pairs.into_iter().find_map(value)
            }
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Header(name) | Self::Cookie(name) => name.len(),
        }
    }
}

/// For which requests to its resource an answer is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Selected(Box<[(Part, Said)]>);

/// What a request says of a part, if anything.
type Said = Option<Box<[u8]>>;

impl Selected {
    /// By what the answer's `Vary` and the route name, as `request` said it. `None`: it names more than is looked at.
    pub(crate) fn of(answer: &Head, request: &RequestHead, how: &CacheKey) -> Option<Self> {
        let mut parts: Vec<Part> = how.headers.iter().map(|name| Part::Header(lower(name.as_bytes()))).collect();
        parts.extend(how.cookies.iter().map(|name| Part::Cookie(name.as_bytes().into())));
        for value in answer.all(Known::Vary) {
            for name in members(value.as_bytes()) {
                let part = Part::Header(lower(name));
                if !parts.contains(&part) {
                    parts.push(part);
                }
            }
        }
        let with_value = |part: Part| {
            let value = part.value(request.head());
            (part, value)
        };
        (parts.len() <= MOST_NAMES).then(|| Self(parts.into_iter().map(with_value).collect()))
    }

    /// Whether a request selects the answer.
    pub(crate) fn fits(&self, request: &RequestHead) -> bool {
        self.0.iter().all(|(part, value)| part.value(request.head()) == *value)
    }

    /// What a request says of the same things, added to a key.
    pub(crate) fn extend(&self, key: &mut Vec<u8>, request: &RequestHead) {
        for (part, _) in &self.0 {
            match part.value(request.head()) {
                Some(value) => {
                    key.push(1);
                    key.extend_from_slice(&value);
                }
                None => key.push(2),
            }
        }
    }

    /// Writes it as text.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.push(u8::try_from(self.0.len()).unwrap_or(u8::MAX));
        for (part, value) in &self.0 {
            let (kind, name) = match part {
                Part::Header(name) => (0, name),
                Part::Cookie(name) => (1, name),
            };
            out.extend([kind, u8::from(value.is_some())]);
            put(out, name);
            put(out, value.as_deref().unwrap_or_default());
        }
    }

    /// Reads what was written; `None`: it is damaged.
    pub(crate) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let [count] = *reader.take::<1>()?;
        let mut parts = Vec::new();
        for _ in 0..count {
            let [kind, said] = *reader.take::<2>()?;
            let (name, value) = (reader.text()?.into(), reader.text()?.into());
            let part = if kind == 0 { Part::Header(name) } else { Part::Cookie(name) };
            parts.push((part, (said != 0).then_some(value)));
        }
        Some(Self(parts.into()))
    }

    /// Bytes that it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.0.iter().map(|(part, value)| 48 + part.bytes() + value.as_ref().map_or(0, |value| value.len())).sum()
    }
}

fn lower(name: &[u8]) -> Box<[u8]> {
    name.to_ascii_lowercase().into()
}

/// Outsiders choose what is hashed, so they must not be able to choose where it lands.
static HASHER: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// Names of `Vary` and of the route. Source: an answer that depends on more is for nobody else.
const MOST_NAMES: usize = 24;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::head::tests::read;

    const PLACE: Place<'_> = Place { pool: "api", scheme: "http", authority: b"A.example:80" };

    fn key(path: &str) -> Key {
        Key::of(PLACE, path.as_bytes(), &CacheKey::default())
    }

    #[test]
    fn the_same_path_is_another_resource_by_another_scheme_and_of_another_pool() {
        let of = |place| Key::of(place, b"/a", &CacheKey::default());
        assert_eq!(of(PLACE), of(Place { authority: b"a.example", ..PLACE }));
        assert_ne!(of(PLACE), of(Place { scheme: "https", authority: b"a.example:443", ..PLACE }));
        assert_ne!(of(PLACE), of(Place { pool: "other", ..PLACE }));
    }

    #[test]
    fn host_and_default_port_are_the_same_however_they_are_written() {
        let plain = Place { authority: b"a.example", ..PLACE };
        assert_eq!(Key::of(plain, b"/", &CacheKey::default()), key(""));
        for other in
            [Place { pool: "b", ..PLACE }, Place { scheme: "https", ..PLACE }, Place { authority: b"b", ..PLACE }]
        {
            assert_ne!(Key::of(other, b"/", &CacheKey::default()), key("/"));
        }
    }

    #[test]
    fn queries_tell_resources_apart_unless_the_route_ignores_them() {
        assert_ne!(key("/a?x"), key("/a?y"));
        let how = CacheKey { ignore_query: true, ..CacheKey::default() };
        assert_eq!(Key::of(PLACE, b"/a?x", &how), Key::of(PLACE, b"/a?y", &how));
    }

    #[test]
    fn what_a_location_names_is_found_when_it_is_of_the_same_place() {
        let named = |reference: &str| Key::named(PLACE, b"/a/b?c", reference.as_bytes(), &CacheKey::default());
        for (reference, path) in [
            ("/x?y", "/x?y"),
            ("x", "/a/x"),
            ("../x", "/x"),
            ("./x/..", "/a/"),
            ("?z", "/a/b?z"),
            ("", "/a/b?c"),
            ("http://a.EXAMPLE/x#f", "/x"),
            ("HTTP://a.example:80?q", "?q"),
            ("//a.example/x", "/x"),
        ] {
            assert_eq!(named(reference), Some(key(path)), "{reference}");
        }
        for foreign in ["https://a.example/x", "http://b.example/x", "//b/x", "mailto:a@b", "http://a.example:8080/"] {
            assert_eq!(named(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn an_answer_fits_requests_that_say_the_same_of_what_it_varies_by() {
        let answer = read("GET", "/", &[("vary", "Foo, , bar"), ("vary", "foo")]);
        let request = read("GET", "/", &[("foo", "1"), ("foo", "2")]);
        let selected = Selected::of(answer.head(), &request, &CacheKey::default()).expect("few");
        assert!(selected.fits(&read("GET", "/", &[("FOO", "1, 2")])));
        for lines in [&[("foo", "1")][..], &[], &[("foo", "1, 2"), ("bar", "")]] {
            assert!(!selected.fits(&read("GET", "/", lines)), "{lines:?}");
        }
    }

    #[test]
    fn a_cookie_of_the_route_is_a_part_alone_of_what_the_cookies_say() {
        let how = CacheKey { cookies: vec!["lang".into()], ..CacheKey::default() };
        let request = read("GET", "/", &[("cookie", "a=1; lang=de")]);
        let selected = Selected::of(read("GET", "/", &[]).head(), &request, &how).expect("few");
        assert!(selected.fits(&read("GET", "/", &[("cookie", "lang=de; b=2")])));
        assert!(!selected.fits(&read("GET", "/", &[("cookie", "lang=fr")])));
    }
}
