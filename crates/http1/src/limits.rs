//! What a message may cost, and what of old clients' bad manners is borne.

/// Bounds of one message. Every default names its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a head, with its last empty line. Default 64 KiB; source: HAProxy's and nginx's buffers are 16 to 32 KiB,
    /// and single sign-on sends heads over that.
    pub head_bytes: u32,
    /// Field lines of a head; [`MAX_FIELDS`] at most. Default 100; source: hyper's default.
    pub fields: u8,
    /// Bytes of a request's target. Default 8 KiB; source: RFC 9110, 4.1 recommends at least 8000.
    pub target_bytes: u32,
    /// Bytes of all chunk extensions of a body. Default 4 KiB; source: no known client sends any, hyper bears 16 KiB.
    pub extension_bytes: u32,
    /// Bytes of a trailer section, with its last empty line. Default 8 KiB; source: a head of usual size.
    pub trailer_bytes: u32,
    /// Field lines of a trailer section; [`MAX_TRAILERS`] at most. Default 32; source: gRPC sends 3.
    pub trailers: u8,
    /// Bytes of a body, after decoding. Default none: routes set it.
    pub body_bytes: Option<u64>,
    /// Interim responses (1xx) before a final one. Default 8; source: 100, a few of 102 and one or two of 103.
    pub interim: u8,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head_bytes: 64 << 10,
            fields: 100,
            target_bytes: 8 << 10,
            extension_bytes: 4 << 10,
            trailer_bytes: 8 << 10,
            trailers: 32,
            body_bytes: None,
            interim: 8,
        }
    }
}

/// What is borne though it is not well formed. All off by default; each is a risk that someone chose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Leniency {
    /// A line of a head may end with LF alone [RFC 9112, 2.2: MAY]. For programs that write `\n`. Risk: a hop that sees no
    /// line end there joins two lines. What is forwarded ends its lines with CRLF.
    pub bare_line_feed: bool,
    /// `Transfer-Encoding: Chunked` in any case [RFC 9112, 7: names are case-insensitive]. Risk: a hop that compares
    /// bytes sees no body. What is forwarded says `chunked`.
    pub chunked_in_any_case: bool,
    /// SP and HTAB after a chunk's size [old servers pad it]. Risk: hops differ on where a number ends.
    pub space_after_chunk_size: bool,
    /// More than one `Content-Length` when all say the same [RFC 9110, 8.6: MAY]. Risk: none while all hops compare
    /// numbers. What is forwarded says it once.
    pub repeated_equal_length: bool,
}

/// Bounds and leniency of one listener or pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    /// Bounds.
    pub limits: Limits,
    /// What is borne.
    pub leniency: Leniency,
}

impl Limits {
    /// A request line longer than this has a target that is too long, or no target at all.
    pub(crate) fn line_bytes(&self) -> usize {
        (self.target_bytes as usize + LINE_SLACK).min(self.head_bytes as usize)
    }
}

/// What [`Limits::fields`] can be at most: the place for field lines is on the stack.
pub const MAX_FIELDS: usize = 128;

/// What [`Limits::trailers`] can be at most.
pub const MAX_TRAILERS: usize = 32;

/// A longer method is none that anybody implements. Source: the longest registered one has 17 bytes.
pub(crate) const METHOD_BYTES: usize = 24;

/// Longer field names are refused. Source: no registered one has over 50 bytes.
pub(crate) const NAME_BYTES: usize = 256;

/// Options of `Connection` are matched with every field, so they are few. Source: real ones name one to three.
pub(crate) const CONNECTION_OPTIONS: usize = 32;

/// Digits of a chunk's size. Source: 16 hold every 64-bit number.
pub(crate) const CHUNK_DIGITS: u8 = 16;

/// Method, two spaces, version and line end around a target.
const LINE_SLACK: usize = 64;
