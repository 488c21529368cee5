//! The placement key of a request, hashed: equal keys go to the same worker while the ring stands.

use std::net::SocketAddr;

use ambidex_http1::{Known, RequestHead};
use xxhash_rust::xxh3::xxh3_64;

use crate::config::Key;
use crate::head::{path_of, query_of};

/// The hash of what `key` names in this request; `None` when the request has no such thing.
pub(crate) fn of(key: &Key, head: &RequestHead, client: Option<SocketAddr>) -> Option<u64> {
    match key {
        Key::Header(name) => head.head().get(name.as_str().as_bytes()).map(|value| xxh3_64(value.as_bytes())),
        Key::Cookie(name) => {
            let lines = head.head().all(Known::Cookie);
            let mut crumbs = lines.flat_map(|line| line.as_bytes().split(|&b| b == b';'));
            crumbs.find_map(|crumb| value_of(crumb.trim_ascii(), name)).map(xxh3_64)
        }
        Key::Query(name) => {
            let mut pairs = query_of(head)?.split(|&byte| byte == b'&');
            pairs.find_map(|pair| value_of(pair, name)).map(xxh3_64)
        }
        Key::Path => Some(xxh3_64(path_of(head).as_bytes())),
        Key::ClientIp => match client?.ip().to_canonical() {
            std::net::IpAddr::V4(address) => Some(xxh3_64(&address.octets())),
            std::net::IpAddr::V6(address) => Some(xxh3_64(&address.octets())),
        },
    }
}

fn value_of<'a>(pair: &'a [u8], name: &str) -> Option<&'a [u8]> {
    pair.strip_prefix(name.as_bytes())?.strip_prefix(b"=")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::head::tests::read;

    #[test]
    fn each_kind_of_key_is_found_where_it_is() {
        let head = read("GET", "/a/b?user=7&x=1", &[("cookie", "a=1; user=8"), ("x-user", "9")]);
        let client = Some(([10, 0, 0, 1], 99).into());
        for (key, expected) in [
            (Key::Query("user".into()), Some(xxh3_64(b"7"))),
            (Key::Cookie("user".into()), Some(xxh3_64(b"8"))),
            (Key::Header("x-user".into()), Some(xxh3_64(b"9"))),
            (Key::Path, Some(xxh3_64(b"/a/b"))),
            (Key::ClientIp, Some(xxh3_64(&[10, 0, 0, 1]))),
            (Key::Cookie("use".into()), None),
        ] {
            assert_eq!(of(&key, &head, client), expected, "{key:?}");
        }
    }
}
