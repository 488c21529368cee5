//! Names and values that may be written: checked when made, so that the writer cannot say anything malformed.

use core::fmt;

use http::HeaderValue;

use crate::known::{Known, KnownSet};

/// A field name that may be written: a token, and none that the writer makes itself.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Name<'a>(&'a [u8]);

impl<'a> Name<'a> {
    /// A name known when this is compiled: in a constant, or in `const { }`, it costs nothing.
    ///
    /// # Panics
    /// While compiling, when it cannot be written.
    #[must_use]
    pub const fn literal(text: &'static str) -> Name<'static> {
        let bytes = text.as_bytes();
        assert!(!bytes.is_empty(), "an empty name");
        let mut at = 0;
        while at < bytes.len() {
            assert!(is_token(bytes[at]), "a name is a token");
            at += 1;
        }
        let mut managed = 0;
        while managed < MANAGED_NAMES.len() {
            assert!(!bytes.eq_ignore_ascii_case(MANAGED_NAMES[managed].as_bytes()), "the writer makes it itself");
            managed += 1;
        }
        Name(bytes)
    }

    /// A name from outside; `None` when it is no token, too long, or one that the writer makes itself.
    #[must_use]
    pub fn checked(text: &'a [u8]) -> Option<Self> {
        let fits =
            !text.is_empty() && text.len() <= crate::limits::NAME_BYTES && text.iter().all(|&byte| is_token(byte));
        (fits && !KnownSet::MANAGED.has(Known::of(text))).then_some(Self(text))
    }

    /// Its bytes.
    #[must_use]
    #[inline]
    pub fn as_bytes(&self) -> &'a [u8] {
        self.0
    }
}

impl fmt::Debug for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.escape_ascii(), f)
    }
}

/// A field value that may be written: no control characters but HTAB, no space at either end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Value<'a>(&'a [u8]);

impl<'a> Value<'a> {
    /// A value from outside; `None` when it cannot be written.
    #[must_use]
    pub fn checked(text: &'a [u8]) -> Option<Self> {
        let edge = |byte: Option<&u8>| byte.is_some_and(|byte| matches!(byte, b' ' | b'\t'));
        let are_values = |bytes: &[u8]| bytes.iter().all(|&byte| is_value(byte));
        let (eights, rest) = text.as_chunks();
        let plain = |eight: &[u8; 8]| are_plain(*eight) || are_values(eight);
        let fits = eights.iter().all(plain) && are_values(rest) && !edge(text.first()) && !edge(text.last());
        fits.then_some(Self(text))
    }

    /// What another version of HTTP brought, without the spaces around it; the type has checked the rest.
    #[must_use]
    #[inline]
    pub fn of(value: &'a HeaderValue) -> Self {
        Self(value.as_bytes().trim_ascii())
    }

    /// Of a field that was read: checked when it was.
    #[inline]
    pub(crate) fn read(text: &'a [u8]) -> Self {
        Self(text)
    }

    /// Its bytes.
    #[must_use]
    #[inline]
    pub fn as_bytes(&self) -> &'a [u8] {
        self.0
    }
}

impl fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.escape_ascii(), f)
    }
}

/// The names of [`KnownSet::MANAGED`], for the compiler.
const MANAGED_NAMES: [&str; 9] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "te",
    "transfer-encoding",
    "upgrade",
];

/// Whether a token may have this byte [RFC 9110, 5.6.2].
#[must_use]
pub(crate) const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
        )
}

/// Whether a field value may have all of these bytes, by one look at all: `false` also where HTAB is among them. A program
/// that is built small takes them one by one otherwise.
const fn are_plain(bytes: [u8; 8]) -> bool {
    let bytes = u64::from_ne_bytes(bytes);
    // Borrows into the highest bit of a byte that is less than what is taken from each; of no other first.
    let less = bytes.wrapping_sub(EACH * 0x20) & !bytes;
    let from_delete = bytes ^ (EACH * 0x7f);
    let delete = from_delete.wrapping_sub(EACH) & !from_delete;
    (less | delete) & (EACH * 0x80) == 0
}

/// A one in each byte.
const EACH: u64 = u64::from_ne_bytes([1; 8]);

/// Whether a field value may have this byte [RFC 9110, 5.5].
pub(crate) const fn is_value(byte: u8) -> bool {
    (byte == b'\t') | (byte >= b' ') & (byte != 0x7f)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_writer_makes_itself_cannot_be_named() {
        for name in ["host", "Content-Length", "Transfer-Encoding", "connection", "", "a b", "a:", "\u{e9}"] {
            assert!(Name::checked(name.as_bytes()).is_none(), "{name}");
        }
        assert!(Name::checked(b"x-a").is_some());
    }

    #[test]
    fn a_value_is_the_same_wherever_in_it_a_byte_is() {
        for (byte, at) in (0..=u8::MAX).flat_map(|byte| (1..20).map(move |at| (byte, at))) {
            for around in [b'a', b'\t', b'\xff'] {
                let mut text = [around; 21];
                (text[0], text[20], text[at]) = (b'a', b'a', byte);
                assert_eq!(Value::checked(&text).is_some(), is_value(byte), "{byte} at {at} in {around}");
            }
        }
    }

    #[test]
    fn a_value_has_no_line_end_and_no_space_around_it() {
        for value in [&b"a\r\nb"[..], b"a\nb", b"a\0", b" a", b"a\t", b"\x7f"] {
            assert!(Value::checked(value).is_none(), "{}", value.escape_ascii());
        }
        assert!([&b""[..], b"a\tb", b"\xff"].iter().all(|value| Value::checked(value).is_some()));
    }

    #[test]
    fn what_a_value_of_the_http_crate_has_beside_spaces_is_a_value() {
        for byte in 0..=u8::MAX {
            let Ok(value) = HeaderValue::from_bytes(&[b' ', byte, b'a', byte, b'\t']) else { continue };
            assert!(Value::checked(Value::of(&value).as_bytes()).is_some(), "{byte}");
        }
    }
}
