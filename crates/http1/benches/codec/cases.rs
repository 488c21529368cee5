//! The cases: heads as a browser, a small client and a worker send them, and bodies in chunks.

use std::hint::black_box;

use ambidex_http1::write::{self, Connection, Edits, RequestPlan, ResponsePlan};
use ambidex_http1::{
    Asked, BodyDecoder, Event, Fields, Framing, HeadReader, Known, KnownSet, Name, Profile, Value, Version,
};
use bytes::BytesMut;

/// One run of what is counted.
pub(crate) type Operation = Box<dyn FnMut()>;

/// A case by its name.
pub(crate) struct Case {
    /// As it stands in instructions.json.
    pub(crate) name: String,
    make: fn() -> Operation,
}

impl Case {
    /// Ready to run, with caches warm.
    pub(crate) fn prepared(&self) -> Operation {
        let mut run = (self.make)();
        (0..3).for_each(|_| run());
        run
    }
}

/// Every case.
pub(crate) fn all() -> Vec<Case> {
    type Make = fn() -> Operation;
    let cases: [(&str, Make); 8] = [
        ("read a request of 3 fields", || read_request(SMALL)),
        ("read a request of a browser, 15 fields", || read_request(BROWSER)),
        ("read a response of 4 fields", read_response),
        ("write a request of 3 fields", || write_request(SMALL)),
        ("write a request of a browser, 15 fields", || write_request(BROWSER)),
        ("write a response of 4 fields", write_response),
        ("decode 16 chunks of 1 KiB", decode),
        ("refuse a request with length and coding", refuse),
    ];
    cases.map(|(name, make)| Case { name: name.to_owned(), make }).into()
}

fn read_request(head: &'static [u8]) -> Operation {
    let mut fields = Fields::default();
    let profile = Profile::default();
    let mut reader = HeadReader::default();
    let mut buffer = BytesMut::with_capacity(16 << 10);
    Box::new(move || {
        buffer.extend_from_slice(head);
        let head = reader.request(&mut buffer, &mut fields, &profile).expect("valid").expect("whole");
        fields = black_box(head).recycle();
        buffer.reserve(8 << 10);
    })
}

fn read_response() -> Operation {
    let mut fields = Fields::default();
    let profile = Profile::default();
    let mut reader = HeadReader::default();
    let mut buffer = BytesMut::with_capacity(16 << 10);
    Box::new(move || {
        buffer.extend_from_slice(ANSWER);
        let head = reader.response(&mut buffer, &mut fields, &profile, PLAIN).expect("valid").expect("whole");
        fields = black_box(head).recycle();
        buffer.reserve(8 << 10);
    })
}

/// As the gateway does it: what strangers claim is left out, the client is introduced.
fn write_request(head: &'static [u8]) -> Operation {
    let mut input = BytesMut::from(head);
    let head = HeadReader::default().request(&mut input, &mut Fields::default(), &Profile::default());
    let head = head.expect("valid").expect("whole");
    let mut out = Vec::with_capacity(4096);
    Box::new(move || {
        out.clear();
        let value = |text: &'static [u8]| Value::checked(text).expect("a value");
        let add = [
            (const { Name::literal("forwarded") }, value(b"for=10.0.0.1;host=\"example.org\";proto=https")),
            (const { Name::literal("x-forwarded-for") }, value(b"10.0.0.1")),
            (const { Name::literal("x-forwarded-proto") }, value(b"https")),
            (const { Name::literal("x-request-id") }, value(b"0123456789abcdef0123456789abcdef")),
        ];
        let drop = KnownSet::of(&[
            Known::Forwarded,
            Known::XForwarded,
            Known::XForwardedFor,
            Known::XForwardedHost,
            Known::XForwardedProto,
            Known::XRealIp,
            Known::XRequestId,
            Known::ServerLoad,
            Known::LoadMetrics,
            Known::Ambidex,
        ]);
        let edits = Edits { drop, remove: &[], add: &add, lines: None };
        let connection = Connection::default();
        let plan = RequestPlan { host: None, path: None, edits, connection, framing: Framing::None };
        write::request(&mut out, &head, &plan).expect("valid");
        black_box(&out);
    })
}

fn write_response() -> Operation {
    let mut input = BytesMut::from(ANSWER);
    let profile = Profile::default();
    let head = HeadReader::default().response(&mut input, &mut Fields::default(), &profile, PLAIN);
    let head = head.expect("valid").expect("whole");
    let mut out = Vec::with_capacity(4096);
    Box::new(move || {
        out.clear();
        let edits = Edits { drop: KnownSet::of(&[Known::ServerLoad, Known::LoadMetrics]), ..Edits::default() };
        let framing = head.head().framing();
        let connection = Connection::default();
        let plan = ResponsePlan { edits, connection, framing, asked: PLAIN, to: Version::Http11 };
        write::response(&mut out, &head, &plan).expect("valid");
        black_box(&out);
    })
}

fn decode() -> Operation {
    let mut bytes = [b"400\r\n", &[b'x'; 1024][..], b"\r\n"].concat().repeat(16);
    bytes.extend_from_slice(b"0\r\n\r\n");
    let profile = Profile::default();
    Box::new(move || {
        let mut body = BodyDecoder::new(Framing::Chunked, &profile);
        let mut at = 0;
        loop {
            let step = body.next(black_box(&bytes[at..])).expect("valid");
            at += step.used;
            if step.event == Event::End {
                break;
            }
        }
    })
}

fn refuse() -> Operation {
    let profile = Profile::default();
    Box::new(move || {
        let mut input = BytesMut::from(BOTH);
        black_box(HeadReader::default().request(&mut input, &mut Fields::default(), &profile)).expect_err("refused");
    })
}

const PLAIN: Asked = Asked { head: false, connect: false, upgrade: false };

const SMALL: &[u8] = b"GET /small HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nUser-Agent: oha/1.0\r\nAccept: */*\r\n\r\n";

const BROWSER: &[u8] = b"GET /search?q=a+gateway&page=2 HTTP/1.1\r\nHost: www.example.org\r\n\
User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n\
Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\nAccept-Language: en-US,en;q=0.5\r\n\
Accept-Encoding: gzip, deflate, br, zstd\r\nReferer: https://www.example.org/\r\nDNT: 1\r\nConnection: keep-alive\r\n\
Cookie: session=0123456789abcdef0123456789abcdef; theme=dark\r\nUpgrade-Insecure-Requests: 1\r\n\
Sec-Fetch-Dest: document\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Site: same-origin\r\nPriority: u=0, i\r\n\r\n";

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 200\r\n\
Server-Load: in_flight=3, capacity=8\r\nDate: Sat, 21 Nov 2026 09:00:00 GMT\r\n\r\n";

const BOTH: &[u8] = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
