//! What must hold for any bytes at all: the laws, the checked-in corpus and the fuzzers run these.

use ambidex_http1::write::{self, Connection, RequestPlan, ResponsePlan};
use ambidex_http1::{Asked, Head};
use ambidex_http1::{
    Fields, Framing, HeadReader, Known, KnownSet, Leniency, Limits, Profile, RequestHead, ResponseHead, Value,
};
use bytes::BytesMut;

use crate::reading::{GET, Heard, Listener, Side};

/// Reads a stream of requests whole and in pieces, strictly and with all that may be borne, and writes each first head
/// that was accepted: what is written must be read back by a strict reader.
pub(crate) fn requests(bytes: &[u8]) -> Heard {
    requests_by(lenient(), bytes);
    requests_by(Profile::default(), bytes)
}

fn requests_by(profile: Profile, bytes: &[u8]) -> Heard {
    let heard = in_pieces(Side::Requests, profile, bytes);
    let mut input = BytesMut::from(bytes);
    if let Ok(Some(head)) = HeadReader::default().request(&mut input, &mut Fields::default(), &profile) {
        written_request_is_read_back(&head);
    }
    heard
}

/// The same for responses to a plain request, to HEAD, and to a wish for another protocol.
pub(crate) fn responses(bytes: &[u8]) {
    for asked in [GET, Asked { head: true, ..GET }, Asked { upgrade: true, ..GET }] {
        for profile in [lenient(), Profile::default()] {
            in_pieces(Side::Responses(asked), profile, bytes);
            let mut input = BytesMut::from(bytes);
            let head = HeadReader::default().response(&mut input, &mut Fields::default(), &profile, asked);
            if let Ok(Some(head)) = head {
                written_response_is_read_back(&head, asked);
            }
        }
    }
}

fn lenient() -> Profile {
    let leniency = Leniency {
        bare_line_feed: true,
        chunked_in_any_case: true,
        space_after_chunk_size: true,
        repeated_equal_length: true,
    };
    Profile { leniency, ..Profile::default() }
}

fn in_pieces(side: Side, profile: Profile, bytes: &[u8]) -> Heard {
    let whole = read(side, profile, bytes, bytes.len().max(1), 1);
    // The lengths of the pieces follow from the bytes, so that a fuzzer reaches all of them.
    let seed = bytes.iter().fold(bytes.len(), |sum, &byte| sum.wrapping_mul(31).wrapping_add(usize::from(byte)));
    for (longest, seed) in [(1, seed), (7, seed), (97, seed)] {
        assert_eq!(
            whole,
            read(side, profile, bytes, longest, seed),
            "pieces of up to {longest}: {}",
            bytes.escape_ascii()
        );
    }
    whole
}

fn read(side: Side, profile: Profile, bytes: &[u8], longest: usize, seed: usize) -> Heard {
    let mut listener = Listener::new(side, profile);
    let (mut rest, mut seed) = (bytes, seed);
    while !rest.is_empty() {
        let piece = if longest >= bytes.len() { rest.len() } else { (seed % longest + 1).min(rest.len()) };
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407).rotate_right(17);
        let (now, later) = rest.split_at(piece);
        listener.hear(now);
        assert!(listener.heard.rest <= Limits::default().head_bytes as usize, "memory is bounded by the longest head");
        rest = later;
    }
    listener.heard
}

/// A profile that bears what writing adds: a host, spaces after colons.
fn wide() -> Profile {
    let limits = Limits { fields: 128, head_bytes: 1 << 20, target_bytes: 16 << 10, ..Limits::default() };
    Profile { limits, ..Profile::default() }
}

fn kept(head: &Head) -> Vec<(&[u8], &[u8])> {
    let fields = head.fields().iter().filter(|field| !field.is_hop() && !KnownSet::MANAGED.has(field.known()));
    fields.map(|field| (head.name(field), head.value(field).as_bytes())).collect()
}

pub(crate) fn written_request_is_read_back(head: &RequestHead) {
    let worker = Value::checked(b"worker:80");
    let host = if head.authority().is_none() { worker } else { None };
    let plan = RequestPlan { host, framing: head.head().framing(), ..crate::plans::PLAN };
    let mut out = Vec::new();
    write::request(&mut out, head, &plan).expect("what was read can be written");
    let again = HeadReader::default().request(&mut BytesMut::from(&out[..]), &mut Fields::default(), &wide());
    let again = again.expect("what we write is not refused").expect("it is whole");
    assert_eq!(again.head().bytes().len(), out.len(), "nothing follows the head that was written");
    assert_eq!((again.method(), again.head().framing()), (head.method(), head.head().framing()));
    assert_eq!(kept(again.head()), kept(head.head()));
    let named = head.authority().or(worker).map(|value| value.as_bytes().to_vec());
    assert_eq!(again.authority().map(|value| value.as_bytes().to_vec()), named);
    assert!(head.path().is_empty() || again.path().ends_with(head.path()));
    let mut twice = Vec::new();
    write::request(&mut twice, &again, &plan).expect("what was read can be written");
    assert_eq!(out, twice, "written once more, it is the same");
}

pub(crate) fn written_response_is_read_back(head: &ResponseHead, asked: Asked) {
    let framing = match (head.head().framing(), head.head().announced()) {
        (Framing::None, Some(length)) if asked.head || head.status() == 304 => Framing::Length(length),
        (framing, _) => framing,
    };
    // RFC 9110, 8.6: no length with 1xx and 204, also not for HEAD.
    let bare = head.status().is_informational() || head.status() == 204;
    let framing = if bare && framing != Framing::Tunnel { Framing::None } else { framing };
    let upgrade = if framing == Framing::Tunnel { ambidex_http1::Name::checked(b"websocket") } else { None };
    let connection = Connection { close: framing == Framing::UntilClose, upgrade, ..Connection::default() };
    let plan = ResponsePlan { framing, asked, connection, ..crate::plans::ANSWER };
    let mut out = Vec::new();
    write::response(&mut out, head, &plan).expect("what was read can be written");
    let again = HeadReader::default().response(&mut BytesMut::from(&out[..]), &mut Fields::default(), &wide(), asked);
    let again = again.expect("what we write is not refused").expect("it is whole");
    assert_eq!(again.head().bytes().len(), out.len(), "nothing follows the head that was written");
    assert_eq!((again.status(), again.head().framing()), (head.status(), head.head().framing()));
    assert_eq!(kept(again.head()), kept(head.head()));
    assert_eq!(again.head().all(Known::ContentLength).count(), usize::from(matches!(framing, Framing::Length(_))));
}
