//! By what a request is known: its key, read strictly, and the digests of what the key is bound to.

use ambidex_core::again::dedup::{Keyed, Name, Print, Tenant};
use ambidex_http1::{Known, RequestHead};
use aws_lc_rs::digest::{Context, SHA256};
use http::HeaderName;

use crate::config::Deduplicate;

/// The key of a request, as its client wrote it.
pub(crate) struct Named(Vec<u8>);

/// Why a request has no usable key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unnamed {
    /// It has none.
    Missing,
    /// It has several, or one that is none.
    Bad,
}

impl Named {
    /// Reads the key: a string of structured fields (RFC 9651, 3.3.3), or the same text bare, as most clients write it.
    pub(crate) fn read(head: &RequestHead, header: &HeaderName) -> Result<Self, Unnamed> {
        let mut lines = values(head, header);
        let line = lines.next().ok_or(Unnamed::Missing)?;
        if lines.next().is_some() {
            return Err(Unnamed::Bad);
        }
        let text = if line.starts_with(b"\"") { quoted(line) } else { bare(line) };
        text.filter(|text| (1..=MOST_KEY).contains(&text.len())).map(Self).ok_or(Unnamed::Bad)
    }

    /// What the request is known by, on the route of this `label`. The body is held whole.
    pub(crate) fn bind(&self, settings: &Deduplicate, label: &str, head: &RequestHead, body: &[u8]) -> Keyed {
        let tenant = settings.tenant.as_ref().map(|header| values(head, header).next().unwrap_or_default());
        let authority = head.authority().map_or(&[][..], |host| host.as_bytes()).to_ascii_lowercase();
        let name = digest(&[tenant.unwrap_or_default(), label.as_bytes(), &authority, &self.0]);
        // Who has no tenant is told apart by what it shows: nobody is given the answer of another one.
        let credentials = head.head().first(Known::Authorization).filter(|_| tenant.is_none());
        let credentials = credentials.map_or(&[][..], |shown| shown.as_bytes());
        let print = digest(&[head.method().as_str().as_bytes(), head.path(), credentials, body]);
        let (print, _) = print.split_first_chunk().expect("a digest has 32 bytes");
        Keyed { name: Name(name), print: Print(*print), tenant: tenant.map_or_else(Tenant::default, numbered) }
    }
}

fn values<'a>(head: &'a RequestHead, header: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
    let head = head.head();
    let wanted = header.as_str().as_bytes().to_vec();
    let fields = head.fields().iter().filter(move |field| head.name(field).eq_ignore_ascii_case(&wanted));
    fields.map(|field| head.value(field).as_bytes().trim_ascii())
}

/// A quoted string; what parameters follow it says nothing.
fn quoted(line: &[u8]) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    let mut rest = line.get(1..)?.iter();
    loop {
        match rest.next()? {
            b'"' => break,
            b'\\' => text.push(*rest.next().filter(|escaped| matches!(escaped, b'"' | b'\\'))?),
            byte @ 0x20..=0x7e => text.push(*byte),
            _ => return None,
        }
    }
    let rest = rest.as_slice().trim_ascii();
    (rest.is_empty() || rest.starts_with(b";")).then_some(text)
}

/// Text without quotes: visible, and no list.
fn bare(line: &[u8]) -> Option<Vec<u8>> {
    line.iter().all(|byte| byte.is_ascii_graphic() && !b"\",;".contains(byte)).then(|| line.to_vec())
}

fn numbered(tenant: &[u8]) -> Tenant {
    let digest = digest(&[tenant]);
    let (bytes, _) = digest.split_first_chunk().expect("a digest has 32 bytes");
    Tenant(u64::from_be_bytes(*bytes).max(1))
}

/// A digest of these texts; each is told with its length, so that none can run into the next.
fn digest(texts: &[&[u8]]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    for text in texts {
        context.update(&(text.len() as u64).to_be_bytes());
        context.update(text);
    }
    context.finish().as_ref().try_into().expect("SHA-256 has 32 bytes")
}

/// Longest key. Source: what Stripe's API takes.
const MOST_KEY: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::head::tests::read;

    fn key(lines: &[(&str, &str)]) -> Result<Vec<u8>, Unnamed> {
        Named::read(&read("POST", "/", lines), &"idempotency-key".parse().expect("a name")).map(|named| named.0)
    }

    #[test]
    fn a_key_is_the_same_quoted_and_bare_and_nothing_else_is_one() {
        for text in ["\"a-1\"", "a-1", "\"a-1\";v=1"] {
            assert_eq!(key(&[("Idempotency-Key", text)]), Ok(b"a-1".to_vec()), "{text}");
        }
        assert_eq!(key(&[("idempotency-key", r#""a\"\\ b""#)]), Ok(br#"a"\ b"#.to_vec()));
        assert_eq!(key(&[]), Err(Unnamed::Missing));
        let long = "x".repeat(256);
        for text in ["", "\"\"", "\"a", "\"a\\b\"", "a,b", "\"a\", \"b\"", "a b", "a;b", &long] {
            assert_eq!(key(&[("idempotency-key", text)]), Err(Unnamed::Bad), "{text}");
        }
        assert_eq!(key(&[("idempotency-key", "a"), ("idempotency-key", "a")]), Err(Unnamed::Bad));
    }

    #[test]
    fn a_key_is_of_its_tenant_route_and_authority_and_bound_to_the_request() {
        let settings: Deduplicate = serde_json::from_str("{}").expect("right");
        let of_tenant: Deduplicate = serde_json::from_str(r#"{"tenant": "x-tenant"}"#).expect("right");
        let bound = |settings: &Deduplicate, label: &str, target: &str, more: &[(&str, &str)], body: &str| {
            let mut lines = vec![("idempotency-key", "k")];
            lines.extend(more);
            let head = read("POST", target, &lines);
            let named = Named::read(&head, &settings.header).expect("a key");
            named.bind(settings, label, &head, body.as_bytes())
        };
        let one = bound(&settings, "/a", "/x", &[], "b");
        assert_eq!(bound(&settings, "/a", "/x", &[("x-other", "1")], "b"), one);
        for other in [
            bound(&settings, "/a", "/x?y", &[], "b"),
            bound(&settings, "/a", "/x", &[], "c"),
            bound(&settings, "/a", "/x", &[("authorization", "Bearer a")], "b"),
        ] {
            assert!(other.name == one.name && other.print != one.print);
        }
        assert_ne!(bound(&settings, "/b", "/x", &[], "b").name, one.name);
        let (first, second) = (
            bound(&of_tenant, "/a", "/x", &[("x-tenant", "1"), ("authorization", "a")], "b"),
            bound(&of_tenant, "/a", "/x", &[("x-tenant", "2"), ("authorization", "b")], "b"),
        );
        assert!(first.name != second.name && first.tenant != second.tenant && first.print == second.print);
    }
}
