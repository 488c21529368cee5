//! Names of fields that a gateway has to know, found by length and bytes, without a hash and without a copy.

/// The field names that a gateway looks at, and the families that it removes whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is the field of that name")]
#[repr(u8)]
pub enum Known {
    /// None of these.
    Other,
    Accept,
    AcceptEncoding,
    Age,
    /// `Ambidex-*`: what only we may say.
    Ambidex,
    Authorization,
    CacheControl,
    Connection,
    ContentEncoding,
    ContentLength,
    ContentType,
    Cookie,
    Date,
    Etag,
    Expect,
    Forwarded,
    GrpcStatus,
    Host,
    Http2Settings,
    IdempotencyKey,
    KeepAlive,
    LastModified,
    /// `Endpoint-Load-Metrics*`.
    LoadMetrics,
    Location,
    MaxForwards,
    Origin,
    /// `Proxy-*`.
    Proxy,
    Range,
    RetryAfter,
    Server,
    ServerLoad,
    SetCookie,
    Te,
    Traceparent,
    Tracestate,
    Trailer,
    TransferEncoding,
    Upgrade,
    UserAgent,
    Vary,
    Via,
    XForwardedFor,
    XForwardedHost,
    XForwardedProto,
    /// Other `X-Forwarded-*`.
    XForwarded,
    XRealIp,
    XRequestId,
}

impl Known {
    /// Finds a name, in any case.
    #[must_use]
    pub fn of(name: &[u8]) -> Self {
        let Some(first) = name.first() else { return Self::Other };
        // The first byte and the length leave one candidate, or two.
        match (first | 0x20, name.len()) {
            (b'a', 3) if same(name, b"age") => Self::Age,
            (b'a', 6) if same(name, b"accept") => Self::Accept,
            (b'a', 13) if same(name, b"authorization") => Self::Authorization,
            (b'a', 15) if same(name, b"accept-encoding") => Self::AcceptEncoding,
            (b'a', 8..) if begins(name, "ambidex-") => Self::Ambidex,
            (b'c', 6) if same(name, b"cookie") => Self::Cookie,
            (b'c', 10) if same(name, b"connection") => Self::Connection,
            (b'c', 12) if same(name, b"content-type") => Self::ContentType,
            (b'c', 13) if same(name, b"cache-control") => Self::CacheControl,
            (b'c', 14) if same(name, b"content-length") => Self::ContentLength,
            (b'c', 16) if same(name, b"content-encoding") => Self::ContentEncoding,
            (b'd', 4) if same(name, b"date") => Self::Date,
            (b'e', 4) if same(name, b"etag") => Self::Etag,
            (b'e', 6) if same(name, b"expect") => Self::Expect,
            (b'e', 21..) if begins(name, "endpoint-load-metrics") => Self::LoadMetrics,
            (b'f', 9) if same(name, b"forwarded") => Self::Forwarded,
            (b'g', 11) if same(name, b"grpc-status") => Self::GrpcStatus,
            (b'h', 4) if same(name, b"host") => Self::Host,
            (b'h', 14) if same(name, b"http2-settings") => Self::Http2Settings,
            (b'i', 15) if same(name, b"idempotency-key") => Self::IdempotencyKey,
            (b'k', 10) if same(name, b"keep-alive") => Self::KeepAlive,
            (b'l', 8) if same(name, b"location") => Self::Location,
            (b'l', 13) if same(name, b"last-modified") => Self::LastModified,
            (b'm', 12) if same(name, b"max-forwards") => Self::MaxForwards,
            (b'o', 6) if same(name, b"origin") => Self::Origin,
            (b'p', 6..) if begins(name, "proxy-") => Self::Proxy,
            (b'r', 5) if same(name, b"range") => Self::Range,
            (b'r', 11) if same(name, b"retry-after") => Self::RetryAfter,
            (b's', 6) if same(name, b"server") => Self::Server,
            (b's', 10) if same(name, b"set-cookie") => Self::SetCookie,
            (b's', 11) if same(name, b"server-load") => Self::ServerLoad,
            (b't', 2) if same(name, b"te") => Self::Te,
            (b't', 7) if same(name, b"trailer") => Self::Trailer,
            (b't', 10) if same(name, b"tracestate") => Self::Tracestate,
            (b't', 11) if same(name, b"traceparent") => Self::Traceparent,
            (b't', 17) if same(name, b"transfer-encoding") => Self::TransferEncoding,
            (b'u', 7) if same(name, b"upgrade") => Self::Upgrade,
            (b'u', 10) if same(name, b"user-agent") => Self::UserAgent,
            (b'v', 3) if same(name, b"via") => Self::Via,
            (b'v', 4) if same(name, b"vary") => Self::Vary,
            (b'x', 9) if same(name, b"x-real-ip") => Self::XRealIp,
            (b'x', 12) if same(name, b"x-request-id") => Self::XRequestId,
            (b'x', 15) if same(name, b"x-forwarded-for") => Self::XForwardedFor,
            (b'x', 16) if same(name, b"x-forwarded-host") => Self::XForwardedHost,
            (b'x', 17) if same(name, b"x-forwarded-proto") => Self::XForwardedProto,
            (b'x', 12..) if begins(name, "x-forwarded-") => Self::XForwarded,
            (_, _) => Self::Other,
        }
    }
}

/// Whether a name is this one but for case. Arrays, without an early end, because the compiler compares those by a few
/// instructions. `known` is of small letters, digits and `-`: 0x20 is what a capital letter lacks, and nothing else may.
#[inline(always)]
fn same<const LENGTH: usize>(name: &[u8], known: &[u8; LENGTH]) -> bool {
    let Ok(name) = <&[u8; LENGTH]>::try_from(name) else { return false };
    let mut differs = 0;
    for (&byte, &known) in name.iter().zip(known) {
        let letter = known & 0x40;
        differs |= (byte | letter >> 1) ^ known;
    }
    differs == 0
}

fn begins(name: &[u8], with: &str) -> bool {
    name.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with.as_bytes()))
}

/// A set of known names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KnownSet(u64);

impl KnownSet {
    /// What belongs to one connection only, or is made anew on every hop: never copied.
    pub const MANAGED: Self = Self::of(&[
        Known::Connection,
        Known::ContentLength,
        Known::Expect,
        Known::Host,
        Known::Http2Settings,
        Known::KeepAlive,
        Known::Proxy,
        Known::Te,
        Known::TransferEncoding,
        Known::Upgrade,
    ]);

    /// What no trailer section may have: framing, routing and what a head decides by [RFC 9110, 6.5.1].
    pub const NO_TRAILER: Self = Self::of(&[
        Known::Ambidex,
        Known::Authorization,
        Known::CacheControl,
        Known::ContentEncoding,
        Known::ContentType,
        Known::Cookie,
        Known::Forwarded,
        Known::MaxForwards,
        Known::Range,
        Known::SetCookie,
        Known::Trailer,
        Known::XForwarded,
        Known::XForwardedFor,
        Known::XForwardedHost,
        Known::XForwardedProto,
        Known::XRealIp,
    ])
    .and(Self::MANAGED);

    /// What `Connection` cannot take away: without these a message is another one.
    pub const END_TO_END: Self = Self::of(&[
        Known::Authorization,
        Known::CacheControl,
        Known::ContentEncoding,
        Known::ContentLength,
        Known::ContentType,
        Known::Cookie,
        Known::Host,
        Known::SetCookie,
        Known::TransferEncoding,
    ]);

    /// A set of these.
    #[must_use]
    pub const fn of(names: &[Known]) -> Self {
        let mut bits = 0;
        let mut at = 0;
        while at < names.len() {
            bits |= 1 << names[at] as u8;
            at += 1;
        }
        Self(bits)
    }

    /// Both sets.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether a name is in it. [`Known::Other`] never is, unless it was put in.
    #[must_use]
    #[inline]
    pub const fn has(self, name: Known) -> bool {
        self.0 & (1 << name as u8) != 0
    }

    /// Whether a name is in both.
    #[must_use]
    #[inline]
    pub const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    #[inline]
    pub(crate) fn put(&mut self, name: Known) {
        self.0 |= 1 << name as u8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_in_any_case() {
        assert_eq!(Known::of(b"Transfer-ENCODING"), Known::TransferEncoding);
        assert_eq!(Known::of(b"te"), Known::Te);
        assert_eq!(Known::of(b"X-Forwarded-Port"), Known::XForwarded);
        assert_eq!(Known::of(b"proxy-authorization"), Known::Proxy);
        assert_eq!(Known::of(b""), Known::Other);
        // 0x20 folds these two bytes together, and they are not letters.
        assert_eq!(Known::of(b"content\rlength"), Known::Other);
    }
}
