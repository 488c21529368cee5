//! The two forms in which WebSocket is asked for, and the way from each to the other (RFC 8441).
//!
//! ```text
//! HTTP/1.1   GET /chat, Connection: upgrade, Upgrade: websocket, Sec-WebSocket-Key: K   101, Sec-WebSocket-Accept: A(K)
//! HTTP/2     CONNECT, :protocol = websocket, :path = /chat                              200
//! ```
//! Between listener and worker a request has the first form whatever it came in, so that routes, retries and log know
//! one. HTTP/2 has no key: one is made, and the worker's proof of having read it is checked, because then nobody else
//! does.

use ambidex_http1::Head;
use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use http::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use hyper::ext::Protocol;
use hyper::upgrade::OnUpgrade;

/// A stream that its client wants to be a WebSocket.
pub(crate) struct Asked {
    /// The stream, once it is answered.
    pub(crate) stream: OnUpgrade,
    accept: Option<HeaderValue>,
}

impl Asked {
    /// Gives an extended CONNECT the form of HTTP/1.1, if it asks for what `allowed` lists; `bits` make its key.
    pub(crate) fn take<B>(request: &mut Request<B>, allowed: &[String], bits: impl FnOnce() -> u128) -> Option<Self> {
        if *request.method() != Method::CONNECT {
            return None;
        }
        let protocol = request.extensions().get::<Protocol>()?;
        if protocol.as_str() != NAME || !allowed.iter().any(|one| one == NAME) {
            return None;
        }
        let stream = hyper::upgrade::on(&mut *request);
        let key = HeaderValue::from_str(&base64(&bits().to_be_bytes())).ok()?;
        let accept = accept(&key);
        *request.method_mut() = Method::GET;
        let headers = request.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static(NAME));
        headers.insert(SEC_WEBSOCKET_KEY, key);
        Some(Self { stream, accept })
    }

    /// Whether the worker that agreed has read the key.
    pub(crate) fn is_proved_by(&self, answer: &Head) -> bool {
        let proof = answer.get(SEC_WEBSOCKET_ACCEPT.as_str().as_bytes());
        self.accept.as_ref().zip(proof).is_some_and(|(accept, proof)| accept.as_bytes() == proof.as_bytes())
    }
}

/// Gives a request that asks for WebSocket the form of HTTP/2. `None` when it asks for something else.
pub(crate) fn connect<B>(request: &mut Request<B>) -> Option<HeaderValue> {
    let named = request.headers_mut().remove(UPGRADE)?;
    if !named.as_bytes().eq_ignore_ascii_case(NAME.as_bytes()) {
        return None;
    }
    let key = request.headers_mut().remove(SEC_WEBSOCKET_KEY)?;
    *request.method_mut() = Method::CONNECT;
    request.extensions_mut().insert(Protocol::from_static(NAME));
    Some(key)
}

/// Gives the answer of a worker that agreed by HTTP/2 the form of HTTP/1.1.
pub(crate) fn agreed<B>(response: &mut Response<B>, key: &HeaderValue) {
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("upgrade"));
    response.headers_mut().insert(UPGRADE, HeaderValue::from_static(NAME));
    if let Some(accept) = accept(key) {
        response.headers_mut().insert(SEC_WEBSOCKET_ACCEPT, accept);
    }
}

/// What proves that `key` was read (RFC 6455, 4.2.2).
fn accept(key: &HeaderValue) -> Option<HeaderValue> {
    let proof = [key.as_bytes(), b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"].concat();
    HeaderValue::from_str(&base64(digest(&SHA1_FOR_LEGACY_USE_ONLY, &proof).as_ref())).ok()
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().chain(&[0, 0]).take(3).fold(0, |group, byte| group << 8 | u32::from(*byte));
        for place in 0..4 {
            let digit = DIGITS[(group >> (18 - 6 * place) & 63) as usize];
            text.push(if place <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

/// The one protocol that HTTP/2 carries so and that has an HTTP/1.1 form. Names of protocols are in small letters in
/// HTTP/2.
const NAME: &str = "websocket";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_proof_is_that_of_the_standards_example() {
        let key = HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(accept(&key), Some(HeaderValue::from_static("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")));
    }

    #[test]
    fn base64_fills_up_the_last_group() {
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }
}
