//! The target of a request, in its four forms [RFC 9112, 3.2].
//!
//! ```text
//! origin      /path?query                 every method but CONNECT
//! absolute    http://authority/path       every method but CONNECT; the authority is the host
//! authority   host:port                   CONNECT only
//! asterisk    *                           OPTIONS only
//! ```
//! Nothing is decoded or normalized: `%c0%af`, `..` and `//` go on as they came, once. Allowed are the visible ASCII bytes
//! that browsers send unescaped (the WHATWG's percent-encode sets of paths and queries), which are a few more than
//! RFC 3986 has; a fragment, quotes, angle brackets, and a backslash within a path are not.

use core::ops::Range;

use http::Method;

use crate::refusal::Refusal;

/// The form of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `/path?query`
    Origin,
    /// `http://authority/path?query`
    Absolute,
    /// `host:port`
    Authority,
    /// `*`
    Asterisk,
}

/// Where a target's parts are, counted from its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Parts {
    pub(crate) form: Form,
    pub(crate) https: bool,
    authority: (u32, u32),
    path: u32,
}

impl Parts {
    pub(crate) fn authority(&self) -> Range<usize> {
        self.authority.0 as usize..self.authority.1 as usize
    }

    pub(crate) fn path(&self) -> usize {
        self.path as usize
    }

    /// Finds the parts and checks all bytes. `text` is shorter than the head's limit, so its places fit 32 bits.
    pub(crate) fn find(method: &Method, text: &[u8]) -> Result<Self, Refusal> {
        let at = |place: usize| u32::try_from(place).map_err(|_| Refusal::LongTarget);
        if *method == Method::CONNECT {
            let name = authority(text).ok_or(Refusal::BadAuthority)?;
            if name == text.len() {
                return Err(Refusal::BadAuthority); // CONNECT names a port.
            }
            let end = at(text.len())?;
            return Ok(Self { form: Form::Authority, https: false, authority: (0, end), path: end });
        }
        match text {
            [b'/', ..] => {
                check_path(text)?;
                Ok(Self { form: Form::Origin, https: false, authority: (0, 0), path: 0 })
            }
            b"*" if *method == Method::OPTIONS => {
                Ok(Self { form: Form::Asterisk, https: false, authority: (0, 0), path: 0 })
            }
            b"*" => Err(Refusal::TargetForm),
            _ => {
                let Some(colon) = text.windows(3).position(|three| three == b"://") else {
                    return Err(if authority(text).is_some() { Refusal::TargetForm } else { Refusal::BadTarget });
                };
                let scheme = &text[..colon];
                let https = scheme.eq_ignore_ascii_case(b"https");
                if !https && !scheme.eq_ignore_ascii_case(b"http") {
                    return Err(Refusal::BadScheme);
                }
                let start = colon + 3;
                let length = text[start..].iter().position(|byte| matches!(byte, b'/' | b'?' | b'#'));
                let end = length.map_or(text.len(), |length| start + length);
                authority(&text[start..end]).ok_or(Refusal::BadAuthority)?;
                check_path(&text[end..])?;
                Ok(Self { form: Form::Absolute, https, authority: (at(start)?, at(end)?), path: at(end)? })
            }
        }
    }
}

/// A path with its query that may be written as a target: begins with a slash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Path<'a>(&'a [u8]);

impl<'a> Path<'a> {
    /// A path from outside; `None` when it cannot be written.
    #[must_use]
    pub fn checked(text: &'a [u8]) -> Option<Self> {
        (text.first() == Some(&b'/') && check_path(text).is_ok()).then_some(Self(text))
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &'a [u8] {
        self.0
    }
}

fn check_path(text: &[u8]) -> Result<(), Refusal> {
    let class = text.iter().fold(0, |class, &byte| class | CLASSES[usize::from(byte)]);
    if class & (NEVER | QUERY_ONLY) == 0 {
        return Ok(());
    }
    let path = text.split(|&byte| byte == b'?').next().unwrap_or(text);
    let wrong = class & NEVER != 0 || path.contains(&b'\\');
    if wrong { Err(Refusal::BadTarget) } else { Ok(()) }
}

const NEVER: u8 = 1;
const QUERY_ONLY: u8 = 2;
/// Not of a host's name.
const NO_NAME: u8 = 4;

static CLASSES: [u8; 256] = {
    let mut classes = [NEVER | NO_NAME; 256];
    let mut byte = b'!';
    while byte < 0x7f {
        classes[byte as usize] = match byte {
            b'"' | b'#' | b'<' | b'>' => NEVER | NO_NAME,
            b'\\' => QUERY_ONLY | NO_NAME,
            b'-' | b'.' | b'_' | b'~' => 0,
            plain if plain.is_ascii_alphanumeric() => 0,
            _ => NO_NAME,
        };
        byte += 1;
    }
    classes
};

/// Whether this is a host with an optional port, and where the host's name ends. Stricter than RFC 3986: names are of
/// letters, digits, `-._~`; no user, no escapes; a port is 0 to 65535.
pub(crate) fn authority(text: &[u8]) -> Option<usize> {
    let end = match text {
        [b'[', rest @ ..] => {
            let inside = rest.iter().position(|&byte| byte == b']')?;
            core::str::from_utf8(&rest[..inside]).ok()?.parse::<core::net::Ipv6Addr>().ok()?;
            inside + 2
        }
        plain => plain.iter().position(|&byte| CLASSES[usize::from(byte)] & NO_NAME != 0).unwrap_or(plain.len()),
    };
    let port_fits = match &text[end..] {
        [] => true,
        [b':', digits @ ..] => crate::fields::number(digits).is_some_and(|port| port <= u64::from(u16::MAX)),
        _ => false,
    };
    (end > 0 && port_fits).then_some(end)
}

/// Whether two authorities name the same place: case and a scheme's own port make no difference.
pub(crate) fn same_authority(one: &[u8], other: &[u8], https: bool) -> bool {
    let own: &[u8] = if https { b":443" } else { b":80" };
    let bare = |text: &[u8]| text.len() - if text.ends_with(own) { own.len() } else { 0 };
    one[..bare(one)].eq_ignore_ascii_case(&other[..bare(other)])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(method: &Method, text: &[u8]) -> Result<Form, Refusal> {
        Parts::find(method, text).map(|parts| parts.form)
    }

    #[test]
    fn a_form_goes_with_its_methods_only() {
        assert_eq!(form(&Method::GET, b"/"), Ok(Form::Origin));
        assert_eq!(form(&Method::GET, b"http://a"), Ok(Form::Absolute));
        assert_eq!(form(&Method::OPTIONS, b"*"), Ok(Form::Asterisk));
        assert_eq!(form(&Method::GET, b"*"), Err(Refusal::TargetForm));
        assert_eq!(form(&Method::CONNECT, b"a:443"), Ok(Form::Authority));
        assert_eq!(form(&Method::CONNECT, b"a"), Err(Refusal::BadAuthority));
        assert_eq!(form(&Method::CONNECT, b"/"), Err(Refusal::BadAuthority));
        assert_eq!(form(&Method::GET, b"a:443"), Err(Refusal::TargetForm));
        assert_eq!(form(&Method::GET, b"ftp://a/"), Err(Refusal::BadScheme));
        assert_eq!(form(&Method::GET, b"http:///x"), Err(Refusal::BadAuthority));
        assert_eq!(form(&Method::GET, b"http://u@a/"), Err(Refusal::BadAuthority));
        assert_eq!(form(&Method::GET, b"x/y"), Err(Refusal::BadTarget));
    }

    #[test]
    fn a_target_has_visible_ascii_without_fragment_and_quotes() {
        for good in [&b"/a?b[]=1&c={|}^`\\"[..], b"/%c0%af/%zz", b"/../..//;x", b"/?%00"] {
            assert_eq!(form(&Method::GET, good), Ok(Form::Origin), "{}", good.escape_ascii());
        }
        for bad in [&b"/#a"[..], b"/\x01", b"/\x7f", b"/\xc3\xa9", b"/a\\b", b"/<", b"/\"", b"/ ", b"http://a#x"] {
            assert_eq!(form(&Method::GET, bad), Err(Refusal::BadTarget), "{}", bad.escape_ascii());
        }
    }

    #[test]
    fn an_authority_is_a_host_and_perhaps_a_port() {
        for (text, end) in [("a", 1), ("a.b:80", 3), ("[::1]:8", 5), ("1.2.3.4", 7), ("a:65535", 1)] {
            assert_eq!(authority(text.as_bytes()), Some(end), "{text}");
        }
        for text in ["", ":1", "a:", "a:65536", "a:+1", "a b", "a/b", "a@b", "[::g]", "[::1", "[::1]x", "a,b", "a%41"] {
            assert_eq!(authority(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn a_schemes_own_port_makes_no_difference() {
        assert!(same_authority(b"A.b:80", b"a.B", false));
        assert!(!same_authority(b"a:80", b"a", true));
        assert!(!same_authority(b"a", b"b", false));
    }
}
