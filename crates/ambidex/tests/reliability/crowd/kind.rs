//! The kinds of hostile clients: what each sends, how long it is borne, and what it may be told at its end.

/// What a client does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Connects, and says nothing.
    Silent,
    /// The beginning of a head, and nothing more.
    HalfHead,
    /// A head that goes on, a line at a time.
    SlowHead,
    /// The beginning of HTTP/2's first bytes.
    HalfPreface,
    /// A body is announced, and does not come.
    NoBody,
    /// A body that comes byte by byte.
    SlowBody,
    /// The same in chunks.
    SlowChunks,
    /// One good request, and nothing more.
    Idle,
    /// Asks for a great answer, and does not read it.
    NeverReads,
    /// Asks on and on, and reads nothing.
    AsksAndNeverReads,
    /// A head whose lines have no end, as fast as they are taken.
    EndlessHead,
    /// A head longer than the listener allows.
    LongHead,
    /// A target longer than any.
    LongTarget,
    /// A body longer than the listener allows, announced.
    LongBody,
    /// The same in chunks.
    LongChunks,
    /// A chunk whose extensions have no end.
    EndlessExtensions,
    /// Trailers without end.
    EndlessTrailers,
    /// What is no HTTP.
    Garbage,
    /// A TLS handshake where none is spoken.
    TlsHello,
    /// Asks what takes long, and ends its side.
    Leaves,
}

/// How long a client is borne.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    /// The listener's `header_timeout`.
    Header,
    /// Its `idle_timeout`.
    Idle,
    /// Not at all.
    None,
}

impl Kind {
    /// Those that stay as long as they are let.
    pub(crate) const LASTING: [Self; 10] = [
        Self::Silent,
        Self::HalfHead,
        Self::SlowHead,
        Self::HalfPreface,
        Self::NoBody,
        Self::SlowBody,
        Self::SlowChunks,
        Self::Idle,
        Self::NeverReads,
        Self::AsksAndNeverReads,
    ];

    /// Those that are sent away as soon as they are known.
    pub(crate) const PASSING: [Self; 10] = [
        Self::EndlessHead,
        Self::LongHead,
        Self::LongTarget,
        Self::LongBody,
        Self::LongChunks,
        Self::EndlessExtensions,
        Self::EndlessTrailers,
        Self::Garbage,
        Self::TlsHello,
        Self::Leaves,
    ];

    pub(crate) fn limit(self) -> Limit {
        match self {
            Self::Silent | Self::HalfHead | Self::SlowHead | Self::HalfPreface => Limit::Header,
            Self::NoBody
            | Self::SlowBody
            | Self::SlowChunks
            | Self::Idle
            | Self::NeverReads
            | Self::AsksAndNeverReads => Limit::Idle,
            Self::EndlessHead
            | Self::LongHead
            | Self::LongTarget
            | Self::LongBody
            | Self::LongChunks
            | Self::EndlessExtensions
            | Self::EndlessTrailers
            | Self::Garbage
            | Self::TlsHello
            | Self::Leaves => Limit::None,
        }
    }

    /// Whether it reads what it is told.
    pub(crate) fn reads(self) -> bool {
        !matches!(self, Self::NeverReads | Self::AsksAndNeverReads)
    }

    /// What it sends at once.
    pub(crate) fn first(self) -> Vec<u8> {
        match self {
            Self::Silent => Vec::new(),
            Self::HalfHead => format!("GET / HTTP/1.1\r\nhost: a\r\nx-half: {}", "h".repeat(1_000)).into(),
            Self::SlowHead | Self::EndlessHead => "GET / HTTP/1.1\r\nhost: a\r\n".into(),
            Self::HalfPreface => "PRI * HTTP/2.0\r\n\r\n".into(),
            Self::NoBody | Self::SlowBody => post("content-length: 50000", ""),
            Self::SlowChunks => post(CHUNKED, ""),
            Self::Idle => "GET / HTTP/1.1\r\nhost: a\r\n\r\n".into(),
            Self::NeverReads | Self::AsksAndNeverReads => GREAT.into(),
            Self::LongHead => format!("GET / HTTP/1.1\r\nhost: a\r\nx-long: {}\r\n\r\n", "l".repeat(LONG_HEAD)).into(),
            Self::LongTarget => format!("GET /{} HTTP/1.1\r\nhost: a\r\n\r\n", "l".repeat(LONG_TARGET)).into(),
            Self::LongBody => post(&format!("content-length: {}", 2 * MOST_BODY), "begins"),
            Self::LongChunks => {
                let chunk = format!("{MOST_BODY:x}\r\n{}\r\n", "c".repeat(MOST_BODY));
                post(CHUNKED, &chunk.repeat(2))
            }
            Self::EndlessExtensions => post(CHUNKED, "1;e=e"),
            Self::EndlessTrailers => post(CHUNKED, "1\r\nx\r\n0\r\nx-trailer: t\r\n"),
            Self::Garbage => b"\x00\x01\x02 this is no HTTP\r\n\r\n".into(),
            Self::TlsHello => b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".into(),
            Self::Leaves => "GET /never HTTP/1.1\r\nhost: a\r\n\r\n".into(),
        }
    }

    /// What it sends again and again after that, if anything.
    pub(crate) fn then(self) -> Option<Drip> {
        let drip = |bytes: &str, slow| Some(Drip { bytes: bytes.into(), slow });
        match self {
            Self::SlowHead => drip("x-slow: s\r\n", true),
            Self::SlowBody => drip("b", true),
            Self::SlowChunks => drip("1\r\nc\r\n", true),
            Self::AsksAndNeverReads => drip(&GREAT.repeat(64), false),
            Self::EndlessHead => drip(&"x-endless: e\r\n".repeat(64), false),
            Self::EndlessExtensions => drip(&";extension=e".repeat(64), false),
            Self::EndlessTrailers => drip(&"x-trailer: t\r\n".repeat(64), false),
            Self::Silent
            | Self::HalfHead
            | Self::HalfPreface
            | Self::NoBody
            | Self::Idle
            | Self::NeverReads
            | Self::LongHead
            | Self::LongTarget
            | Self::LongBody
            | Self::LongChunks
            | Self::Garbage
            | Self::TlsHello
            | Self::Leaves => None,
        }
    }

    /// The status that it hears at its end; 0 is none.
    pub(crate) fn hears(self) -> u16 {
        match self {
            // Nothing was asked, or nobody knows by which protocol.
            Self::Silent | Self::HalfPreface => 0,
            Self::HalfHead | Self::SlowHead | Self::NoBody | Self::SlowBody | Self::SlowChunks => 408,
            // The answer to its one request.
            Self::Idle => 200,
            Self::EndlessHead | Self::LongHead | Self::EndlessTrailers => 431,
            Self::LongTarget => 414,
            Self::LongBody | Self::LongChunks => 413,
            Self::EndlessExtensions | Self::Garbage | Self::TlsHello => 400,
            Self::NeverReads | Self::AsksAndNeverReads | Self::Leaves => 0,
        }
    }

    /// Whether it may miss what it is told: who writes on when the connection is closed is reset, at once or when the
    /// gateway has read enough of what it does not want.
    pub(crate) fn may_miss(self) -> bool {
        matches!(self, Self::EndlessHead | Self::EndlessExtensions | Self::EndlessTrailers | Self::LongChunks)
    }
}

/// What is sent on and on.
pub(crate) struct Drip {
    pub(crate) bytes: Vec<u8>,
    /// With a pause between, or as fast as it is taken.
    pub(crate) slow: bool,
}

fn post(line: &str, body: &str) -> Vec<u8> {
    format!("POST / HTTP/1.1\r\nhost: a\r\n{line}\r\n\r\n{body}").into()
}

/// Asks for an answer that has no end.
const GREAT: &str = "GET /great HTTP/1.1\r\nhost: a\r\n\r\n";
const CHUNKED: &str = "transfer-encoding: chunked";
/// More than the listener's `max_header_bytes`.
const LONG_HEAD: usize = 17 << 10;
/// More than any target may have, and less than a head.
const LONG_TARGET: usize = 9 << 10;
/// The listener's `max_body`.
pub(crate) const MOST_BODY: usize = 64 << 10;
