//! The key of a keyed request: where the keyspace says that it stands, as the bytes that it stands for.
//!
//! One key has one form, however it is written: what a URL may encode is decoded (`%41` is `A`; `+` in a query is a space), and a number
//! in JSON is its digits. A request that names two keys, or none, is refused: whichever was taken, its worker might take the other. Of a
//! member that a JSON object has twice the last one counts.

use ambidex_http1::RequestHead;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use http::HeaderName;
use serde_json::Value;

use crate::config::KeyFrom;
use crate::head::{path_of, query_of};
use crate::reason::Reason;

/// The key of a request with this body.
///
/// # Errors
/// [`Reason::NoShardKey`] without one, [`Reason::BadShardKey`] with two, an empty one, or one that is too long or badly encoded.
pub(crate) fn of(from: &KeyFrom, head: &RequestHead, body: &[u8]) -> Result<Vec<u8>, Reason> {
    let key = match from {
        KeyFrom::Header(name) => header(head, name)?.to_vec(),
        KeyFrom::GrpcMetadata(name) => {
            let text = header(head, name)?;
            if name.as_str().ends_with("-bin") { unpadded(text)? } else { text.to_vec() }
        }
        KeyFrom::Path(segment) => {
            let segment = path_of(head).split('/').skip(1).nth(usize::from(segment.get()) - 1);
            decoded(segment.ok_or(Reason::NoShardKey)?.as_bytes(), false)?
        }
        KeyFrom::Query(name) => query(head, name)?,
        KeyFrom::Json(pointer) => json(body, pointer)?,
        // No route of HTTP leads to such a keyspace.
        KeyFrom::Redis => return Err(Reason::NoShardKey),
    };
    match key.len() {
        0 => Err(Reason::NoShardKey),
        1..=MOST_KEY => Ok(key),
        _ => Err(Reason::BadShardKey),
    }
}

fn header<'h>(head: &'h RequestHead, name: &HeaderName) -> Result<&'h [u8], Reason> {
    let head = head.head();
    let mut lines =
        head.fields().iter().filter(|field| head.name(field).eq_ignore_ascii_case(name.as_str().as_bytes()));
    let line = lines.next().ok_or(Reason::NoShardKey)?;
    if lines.next().is_some() {
        return Err(Reason::BadShardKey);
    }
    Ok(head.value(line).as_bytes())
}

/// What base64 stands for, which gRPC writes with or without its padding.
fn unpadded(text: &[u8]) -> Result<Vec<u8>, Reason> {
    let padded = text.ends_with(b"=");
    let read = if padded { STANDARD.decode(text) } else { STANDARD_NO_PAD.decode(text) };
    read.map_err(|_| Reason::BadShardKey)
}

/// The value of a query parameter, as the bytes that it stands for.
pub(crate) fn query(head: &RequestHead, name: &str) -> Result<Vec<u8>, Reason> {
    let mut found = None;
    for pair in query_of(head).unwrap_or_default().split(|&byte| byte == b'&') {
        let (given, value) = match pair.iter().position(|&byte| byte == b'=') {
            Some(at) => (&pair[..at], &pair[at + 1..]),
            None => (pair, &[][..]),
        };
        // Another parameter may be written however it likes.
        if decoded(given, true).is_ok_and(|given| given == name.as_bytes()) {
            if found.is_some() {
                return Err(Reason::BadShardKey);
            }
            found = Some(decoded(value, true)?);
        }
    }
    found.ok_or(Reason::NoShardKey)
}

fn json(body: &[u8], pointer: &str) -> Result<Vec<u8>, Reason> {
    let value: Value = serde_json::from_slice(body).map_err(|_| Reason::BadShardKey)?;
    match value.pointer(pointer) {
        Some(Value::String(text)) => Ok(text.clone().into_bytes()),
        Some(Value::Number(number)) if number.is_u64() || number.is_i64() => Ok(number.to_string().into_bytes()),
        Some(Value::Null) | None => Err(Reason::NoShardKey),
        Some(Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => Err(Reason::BadShardKey),
    }
}

fn decoded(text: &[u8], plus_is_space: bool) -> Result<Vec<u8>, Reason> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut key = Vec::with_capacity(text.len());
    let mut rest = text.iter().copied();
    while let Some(byte) = rest.next() {
        key.push(match byte {
            b'%' => {
                let pair = rest.next().and_then(digit).zip(rest.next().and_then(digit));
                let (high, low) = pair.ok_or(Reason::BadShardKey)?;
                high << 4 | low
            }
            b'+' if plus_is_space => b' ',
            byte => byte,
        });
    }
    Ok(key)
}

/// Bytes of a key. Source: ours; in a header to its worker it may be three times as long, and heads have their bounds.
const MOST_KEY: usize = 1_024;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::Keyspace;
    use crate::head::tests::read;

    fn from(json: Value) -> KeyFrom {
        let keyspace: Keyspace =
            serde_json::from_value(serde_json::json!({"pool": "p", "key": json})).expect("a keyspace");
        keyspace.key
    }

    fn key(from_json: Value, target: &str, fields: &[(&str, &str)], body: &[u8]) -> Result<String, Reason> {
        let key = of(&from(from_json), &read("POST", target, fields), body)?;
        Ok(String::from_utf8_lossy(&key).into_owned())
    }

    #[test]
    fn each_kind_of_key_is_found_where_it_stands() {
        let fields = [("cart-id", "a b"), ("user-bin", "YS9i"), ("padded-bin", "YQ==")];
        let body = br#"{"cart": {"id": "x", "number": 7, "a/b": "y"}}"#;
        for (from, expected) in [
            (serde_json::json!({"header": "Cart-Id"}), "a b"),
            (serde_json::json!({"path": 2}), "c/1"),
            (serde_json::json!({"query": "id"}), "p q"),
            (serde_json::json!({"json": "/cart/id"}), "x"),
            (serde_json::json!({"json": "/cart/number"}), "7"),
            (serde_json::json!({"json": "/cart/a~1b"}), "y"),
            (serde_json::json!({"grpc_metadata": "user-bin"}), "a/b"),
            (serde_json::json!({"grpc_metadata": "padded-bin"}), "a"),
            (serde_json::json!({"grpc_metadata": "cart-id"}), "a b"),
        ] {
            assert_eq!(
                key(from.clone(), "/carts/c%2F1/items?x=%&id=p+%71", &fields, body),
                Ok(expected.into()),
                "{from}"
            );
        }
    }

    #[test]
    fn a_request_without_a_key_is_told_so() {
        for (from, target, body) in [
            (serde_json::json!({"header": "Cart-Id"}), "/", &b"{}"[..]),
            (serde_json::json!({"path": 2}), "/carts", b"{}"),
            (serde_json::json!({"path": 2}), "/carts//items", b"{}"),
            (serde_json::json!({"query": "id"}), "/?x=1", b"{}"),
            (serde_json::json!({"query": "id"}), "/?id", b"{}"),
            (serde_json::json!({"json": "/id"}), "/", b"{}"),
            (serde_json::json!({"json": "/id"}), "/", br#"{"id": null}"#),
        ] {
            assert_eq!(key(from.clone(), target, &[], body), Err(Reason::NoShardKey), "{from} {target}");
        }
    }

    #[test]
    fn a_key_that_could_be_read_in_two_ways_is_refused() {
        let long = "a".repeat(1_025);
        for (from, target, fields, body) in [
            (serde_json::json!({"header": "Cart-Id"}), "/", &[("cart-id", "a"), ("Cart-Id", "a")][..], &b""[..]),
            (serde_json::json!({"header": "Cart-Id"}), "/", &[("cart-id", &*long)], b""),
            (serde_json::json!({"query": "id"}), "/?id=1&i%64=2", &[], b""),
            (serde_json::json!({"query": "id"}), "/?id=%4", &[], b""),
            (serde_json::json!({"path": 1}), "/%zz", &[], b""),
            (serde_json::json!({"json": "/id"}), "/", &[], b"{"),
            (serde_json::json!({"json": "/id"}), "/", &[], br#"{"id": 1.5}"#),
            (serde_json::json!({"json": "/id"}), "/", &[], br#"{"id": ["a"]}"#),
            (serde_json::json!({"grpc_metadata": "id-bin"}), "/", &[("id-bin", "!")], b""),
        ] {
            assert_eq!(key(from.clone(), target, fields, body), Err(Reason::BadShardKey), "{from} {target}");
        }
    }

    proptest! {
        #[test]
        fn a_key_in_a_path_is_what_was_encoded(key in proptest::collection::vec(any::<u8>(), 1..64)) {
            let target: String = key.iter().map(|byte| format!("%{byte:02x}")).collect();
            let head = read("GET", &format!("/{target}"), &[]);
            prop_assert_eq!(of(&from(serde_json::json!({"path": 1})), &head, b""), Ok(key));
        }
    }
}
