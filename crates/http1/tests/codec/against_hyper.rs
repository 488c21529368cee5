//! The same requests read by hyper: every kind of difference is listed with its reason, any other is a bug.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::rc::Rc;

use ambidex_http1::{Profile, Refusal};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Bytes, Incoming};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::mutation::mutated;
use crate::reading::{Listener, Side};

/// A request as both can tell of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) first: String,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) data: Vec<u8>,
}

/// How the two readers differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Difference {
    /// Hyper goes on where we refuse.
    Stricter(&'static str),
    /// We go on where hyper stops.
    HyperStops,
    /// Both go on, and read different things.
    ReadOtherwise,
}

/// Every kind of difference: what shows it, and why it is so.
const LISTED: [(Difference, &[u8], &str); 22] = [
    (Difference::Stricter("BareLineFeed"), b"GET / HTTP/1.1\nHost: a\r\n\r\n", "RFC 9112, 2.2: MAY; hops differ on it"),
    (
        Difference::Stricter("BadStart"),
        b"\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "one empty line is enough for 2.2",
    ),
    (Difference::Stricter("BadTarget"), b"GET /\" HTTP/1.1\r\nHost: a\r\n\r\n", "no client sends it unescaped"),
    (Difference::Stricter("TargetForm"), b"GET a HTTP/1.1\r\nHost: a\r\n\r\n", "RFC 9112, 3.2: form and method"),
    (Difference::Stricter("BadScheme"), b"GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", "only http and https are served"),
    (
        Difference::Stricter("BadAuthority"),
        b"GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n",
        "RFC 9110, 4.2.4: no userinfo",
    ),
    (
        Difference::Stricter("NoHost"),
        b"GET / HTTP/1.1\r\n\r\n",
        "RFC 9112, 3.2: MUST be 400; hyper leaves it to services",
    ),
    (Difference::Stricter("RepeatedHost"), b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", "the same"),
    (Difference::Stricter("BadHost"), b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "the same"),
    (
        Difference::Stricter("HostAgainstTarget"),
        b"GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n",
        "hops differ on which wins",
    ),
    (
        Difference::Stricter("BadConnection"),
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: a b\r\n\r\n",
        "options are tokens",
    ),
    (
        Difference::Stricter("UnknownExpectation"),
        b"GET / HTTP/1.1\r\nHost: a\r\nExpect: x\r\n\r\n",
        "RFC 9110, 10.1.1: 417",
    ),
    (
        Difference::Stricter("RepeatedLength"),
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n",
        "a leniency that is off",
    ),
    (
        Difference::Stricter("LengthWithCoding"),
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "RFC 9112, 6.3: may be smuggling",
    ),
    (
        Difference::Stricter("OddCaseChunked"),
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n0\r\n\r\n",
        "a leniency that is off",
    ),
    (
        Difference::Stricter("ChunkedTwice"),
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
        "RFC 9112, 6.1: MUST NOT be sent",
    ),
    (
        Difference::Stricter("UnknownCoding"),
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: x, chunked\r\n\r\n0\r\n\r\n",
        "RFC 9112, 6.1: 501",
    ),
    (
        Difference::Stricter("BadCoding"),
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: ,chunked\r\n\r\n0\r\n\r\n",
        "no empty coding",
    ),
    (
        Difference::Stricter("BadChunkSize"),
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0 \r\n\r\n",
        "a leniency that is off",
    ),
    (
        Difference::Stricter("BadExtension"),
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0;=\r\n\r\n",
        "RFC 9112, 7.1.1: the grammar",
    ),
    (
        Difference::Stricter("LongMethod"),
        b"ABCDEFGHIJKLMNOPQRSTUVWXYZ / HTTP/1.1\r\nHost: a\r\n\r\n",
        "RFC 9112, 3: 501",
    ),
    (
        Difference::Stricter("ForbiddenTrailer"),
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nHost: b\r\n\r\n",
        "RFC 9110, 6.5.1: MUST NOT be sent",
    ),
];

async fn hypers(bytes: &[u8]) -> Vec<Told> {
    let told = Rc::new(RefCell::new(Vec::new()));
    let (mut client, server) = tokio::io::duplex(256 << 10);
    let service = {
        let told = Rc::clone(&told);
        hyper::service::service_fn(move |request: Request<Incoming>| {
            let told = Rc::clone(&told);
            async move {
                let (head, body) = request.into_parts();
                if let Ok(body) = body.collect().await {
                    let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
                    let mut fields: Vec<_> = head
                        .headers
                        .iter()
                        .map(|(name, value)| (name.as_str().to_owned(), text(value.as_bytes())))
                        .collect();
                    fields.sort();
                    let first = format!("{} {}", head.method, head.uri);
                    told.borrow_mut().push(Told { first, fields, data: body.to_bytes().to_vec() });
                }
                let answer = Response::builder().status(StatusCode::NOT_FOUND).body(Empty::<Bytes>::new());
                Ok::<_, Infallible>(answer.expect("valid"))
            }
        })
    };
    let serving = async {
        let mut builder = hyper::server::conn::http1::Builder::new();
        let _ = builder.half_close(true).serve_connection(TokioIo::new(server), service).await;
    };
    let asking = async {
        let _ = client.write_all(bytes).await;
        let _ = client.shutdown().await;
        let _ = client.read_to_end(&mut Vec::new()).await;
    };
    tokio::join!(serving, asking);
    told.take()
}

/// What we read up to the end of the connection, and why we refused what followed.
fn ours(bytes: &[u8]) -> (Vec<Told>, Option<Refusal>) {
    let mut listener = Listener::new(Side::Requests, Profile::default());
    listener.hear(bytes);
    let mut told = Vec::new();
    for message in &listener.heard.messages {
        if !message.whole {
            break;
        }
        let mut fields: Vec<_> =
            message.fields.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone())).collect();
        fields.sort();
        told.push(Told { first: message.first.clone(), fields, data: message.data.clone() });
        if !message.persists {
            return (told, None);
        }
    }
    (told, listener.heard.refusal)
}

/// Hyper leaves out an empty path, and writes schemes and hosts in its own case.
fn same(ours: &Told, hypers: &Told) -> bool {
    let bare = |first: &str| first.replace("http://", "").replace("/?", "?").trim_end_matches('/').to_ascii_lowercase();
    bare(&ours.first) == bare(&hypers.first) && ours.fields == hypers.fields && ours.data == hypers.data
}

fn difference(bytes: &[u8]) -> Option<Difference> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let hypers = runtime.block_on(hypers(bytes));
    let (ours, refusal) = ours(bytes);
    let common = ours.iter().zip(&hypers).take_while(|(ours, hypers)| same(ours, hypers)).count();
    match (ours.get(common), hypers.get(common), refusal) {
        (None, None, _) => None,
        (None, Some(_), Some(refusal)) => Some(Difference::Stricter(name(refusal))),
        (Some(_), None, _) => Some(Difference::HyperStops),
        (Some(_), Some(_), _) | (None, Some(_), None) => Some(Difference::ReadOtherwise),
    }
}

pub(crate) fn name(refusal: Refusal) -> &'static str {
    format!("{refusal:?}").leak()
}

#[test]
fn every_listed_difference_to_hyper_is_one() {
    for (listed, bytes, why) in LISTED {
        assert_eq!(difference(bytes), Some(listed), "{why}: {}", bytes.escape_ascii());
    }
}

#[test]
fn hyper_reads_mutated_requests_as_we_do_or_the_difference_is_listed() {
    let mut unlisted = BTreeMap::new();
    for (_, seed) in crate::corpus::cases("requests") {
        for round in 1..100 {
            let case = mutated(&seed, round << 20 | seed.len() as u64, 1 + usize::try_from(round % 3).expect("small"));
            if let Some(found) = difference(&case)
                && !LISTED.iter().any(|(listed, ..)| *listed == found)
            {
                unlisted.entry(found).or_insert_with(|| case.escape_ascii().to_string());
            }
        }
    }
    assert!(unlisted.is_empty(), "{unlisted:#?}");
}
