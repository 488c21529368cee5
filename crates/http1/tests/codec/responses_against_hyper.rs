//! The same responses read by hyper's client: every kind of difference is listed with its reason, any other is a bug.

use std::collections::BTreeMap;

use ambidex_http1::{Framing, Profile};
use http::Request;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::against_hyper::{Difference, Told, name};
use crate::mutation::mutated;
use crate::reading::{GET, Listener, Side};

/// Every kind of difference: what shows it, and why it is so.
const LISTED: &[(Difference, &[u8], &str)] = &[
    (Difference::Stricter("BareLineFeed"), b"HTTP/1.1 204 \nA: b\r\n\r\n", "RFC 9112, 2.2: MAY; hops differ on it"),
    (Difference::Stricter("BadStatus"), b"HTTP/1.1 600 \r\nContent-Length: 0\r\n\r\n", "RFC 9110, 15: invalid"),
    (Difference::Stricter("BadConnection"), b"HTTP/1.1 204 \r\nConnection: a b\r\n\r\n", "options are tokens"),
    (
        Difference::Stricter("BadLength"),
        b"HTTP/1.1 204 \r\nContent-Length: x\r\n\r\n",
        "hyper does not look where no body comes",
    ),
    (
        Difference::Stricter("BodyWhereNone"),
        b"HTTP/1.1 204 \r\nContent-Length: 1\r\n\r\na",
        "the same; what follows is not for us",
    ),
    (
        Difference::Stricter("RepeatedLength"),
        b"HTTP/1.1 200 \r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na",
        "a leniency that is off",
    ),
    (
        Difference::Stricter("LengthWithCoding"),
        b"HTTP/1.1 200 \r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "RFC 9112, 6.3: may be splitting",
    ),
    (
        Difference::Stricter("ChunkedNotLast"),
        b"HTTP/1.1 200 \r\nTransfer-Encoding: gzip\r\n\r\na",
        "the client did not ask for the coding",
    ),
    (
        Difference::Stricter("UnknownCoding"),
        b"HTTP/1.1 200 \r\nTransfer-Encoding: x, chunked\r\n\r\n0\r\n\r\n",
        "the same",
    ),
    (Difference::Stricter("BadCoding"), b"HTTP/1.1 200 \r\nTransfer-Encoding: a b\r\n\r\na", "the same"),
    (
        Difference::Stricter("OddCaseChunked"),
        b"HTTP/1.1 200 \r\nTransfer-Encoding: Chunked\r\n\r\n0\r\n\r\n",
        "a leniency that is off",
    ),
    (
        Difference::Stricter("ChunkedTwice"),
        b"HTTP/1.1 200 \r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
        "RFC 9112, 6.1: MUST NOT be sent",
    ),
    (
        Difference::Stricter("BadChunkSize"),
        b"HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n0 \r\n\r\n",
        "a leniency that is off",
    ),
    (
        Difference::Stricter("BadExtension"),
        b"HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n0;=\r\n\r\n",
        "RFC 9112, 7.1.1: the grammar",
    ),
    (
        Difference::Stricter("ForbiddenTrailer"),
        b"HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n0\r\nSet-Cookie: b\r\n\r\n",
        "RFC 9110, 6.5.1: MUST NOT be sent",
    ),
    (
        Difference::Stricter("UnaskedSwitch"),
        b"HTTP/1.1 101 \r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        "hyper leaves it to its user",
    ),
    (Difference::Stricter("ManyInterim"), &INTERIM, "no end of them"),
];

/// Nine interim responses and a final one.
const INTERIM: [u8; 9 * 17 + 17] = {
    let mut all = [0; 9 * 17 + 17];
    let mut at = 0;
    while at < all.len() {
        all[at] = if at < 9 * 17 { b"HTTP/1.1 103 \r\n\r\n"[at % 17] } else { b"HTTP/1.1 204 \r\n\r\n"[at % 17] };
        at += 1;
    }
    all
};

async fn hypers(bytes: &[u8]) -> Option<Told> {
    let (client, mut server) = tokio::io::duplex(256 << 10);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(client)).await.ok()?;
    let answering = async {
        let _ = server.read(&mut [0; 1024]).await;
        let _ = server.write_all(bytes).await;
        let _ = server.shutdown().await;
        let _ = server.read_to_end(&mut Vec::new()).await;
    };
    let asking = async {
        let request = Request::get("/").header("host", "a").body(Empty::<Bytes>::new()).expect("valid");
        let (head, body) = sender.send_request(request).await.ok()?.into_parts();
        let body = body.collect().await.ok()?;
        drop(sender);
        let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
        let field =
            |(name, value): (&http::HeaderName, &http::HeaderValue)| (name.as_str().to_owned(), text(value.as_bytes()));
        let mut fields: Vec<_> = head.headers.iter().map(field).collect();
        fields.sort();
        Some(Told { first: head.status.as_str().to_owned(), fields, data: body.to_bytes().to_vec() })
    };
    let (told, _, ()) = tokio::join!(asking, connection, answering);
    told
}

/// The first final response, when it is whole; or why it is not.
fn ours(bytes: &[u8]) -> Result<Option<Told>, &'static str> {
    let mut listener = Listener::new(Side::Responses(GET), Profile::default());
    listener.hear(bytes);
    let last = listener.heard.messages.iter().find(|message| !message.first.starts_with('1'));
    match (last, listener.heard.refusal) {
        (Some(message), _) if message.whole || message.framing == Framing::UntilClose => {
            let small = |(name, value): &(String, String)| (name.to_ascii_lowercase(), value.clone());
            let mut fields: Vec<_> = message.fields.iter().map(small).collect();
            fields.sort();
            let first = message.first.chars().take(3).collect();
            Ok(Some(Told { first, fields, data: message.data.clone() }))
        }
        (_, Some(refusal)) => Err(name(refusal)),
        (_, None) => Ok(None),
    }
}

fn difference(bytes: &[u8]) -> Option<Difference> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    match (ours(bytes), runtime.block_on(hypers(bytes))) {
        (Err(_) | Ok(None), None) => None,
        (Err(refusal), Some(_)) => Some(Difference::Stricter(refusal)),
        (Ok(Some(_)), None) => Some(Difference::HyperStops),
        (Ok(Some(ours)), Some(hypers)) if ours == hypers => None,
        (Ok(_), Some(_)) => Some(Difference::ReadOtherwise),
    }
}

#[test]
fn every_listed_difference_to_hypers_client_is_one() {
    for (listed, bytes, why) in LISTED {
        assert_eq!(difference(bytes), Some(*listed), "{why}: {}", bytes.escape_ascii());
    }
}

#[test]
fn hyper_reads_mutated_responses_as_we_do_or_the_difference_is_listed() {
    let mut unlisted = BTreeMap::new();
    for (_, seed) in crate::corpus::cases("responses") {
        for round in 1..100 {
            let case = mutated(&seed, round << 20 | seed.len() as u64, 1 + usize::try_from(round % 3).expect("small"));
            if let Some(found) = difference(&case)
                && !LISTED.iter().any(|(listed, ..)| *listed == found)
            {
                unlisted.entry(found).or_insert_with(Vec::new).push(case.escape_ascii().to_string());
            }
        }
    }
    assert!(unlisted.is_empty(), "{unlisted:#?}");
}
