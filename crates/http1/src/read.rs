//! Reads heads: bytes in, a head or a refusal out, the same whichever way the bytes were split.
//!
//! ```text
//! Start --a byte that begins no message--> refused
//!   |  one empty line before a request is skipped [RFC 9112, 2.2]
//!   v
//! Line --LF: judged at once, so that rubbish is answered at once--> refused
//!   |  longer than a target may be: 414
//!   v
//! Lines --empty line: httparse, then our own checks--> head | refused
//!      longer than a head may be: 431
//! ```
//! A head that comes whole, which nearly every head does, is read by `httparse` at the first look. Only one that comes in
//! pieces is searched for its end, each byte once: a head of 64 KiB that comes byte by byte must not cost 64 Ki readings.
//! Which refusal a head gets follows the order drawn above, so it does not depend on the pieces.
//!
//! What `httparse` bears and we do not: LF alone, any number of empty lines, non-ASCII targets, any status of three digits.

use core::mem::MaybeUninit;

use bytes::BytesMut;
use http::{Method, StatusCode};
use httparse::Status;

use crate::fields::{self, Fields, Said};
use crate::framing::{self, Asked, Version};
use crate::head::{Head, RequestHead, ResponseHead};
use crate::limits::{MAX_FIELDS, METHOD_BYTES, Profile};
use crate::name::is_token;
use crate::refusal::Refusal;
use crate::target::{self, Parts};

/// Reads the heads of one connection, one after the other.
#[derive(Clone, Copy, Debug, Default)]
pub struct HeadReader {
    /// Bytes already searched for the head's end.
    searched: usize,
    /// The first line was judged.
    line: bool,
    /// The one empty line was skipped.
    skipped: bool,
    /// Interim responses since the last final one.
    interim: u8,
}

/// What the first look at the bytes found: parts of a head as places.
struct Found<First> {
    first: First,
    said: Said,
    version: Version,
    end: usize,
}

impl HeadReader {
    /// Takes a request's head out of `input`, or says that more is needed. `fields` is given to the head; it comes back by
    /// [`RequestHead::recycle`].
    ///
    /// # Errors
    /// The refusal. The connection is of no use then.
    pub fn request(
        &mut self,
        input: &mut BytesMut,
        fields: &mut Fields,
        profile: &Profile,
    ) -> Result<Option<RequestHead>, Refusal> {
        if self.searched == 0 && !self.begin_request(input)? {
            return Ok(None);
        }
        let read = |bytes: &[u8], fields: &mut Fields| read_request(bytes, fields, profile);
        let Some(found) = self.find(input, fields, profile, profile.limits.line_bytes(), judge_request_line, read)?
        else {
            return Ok(None);
        };
        if let Some(refusal) = found.said.no_request {
            return Err(refusal);
        }
        let framing = framing::of_request(found.version, &found.said, profile.limits.body_bytes)?;
        let (method, target, parts) = found.first;
        *self = Self::default();
        let bytes = input.split_to(found.end).freeze();
        let head = Head { bytes, fields: core::mem::take(fields), said: found.said, version: found.version, framing };
        let head = RequestHead { head, method, target, parts };
        check_host(&head)?;
        Ok(Some(head))
    }

    /// Takes a response's head out of `input`, or says that more is needed. Interim ones are counted until the final one.
    ///
    /// # Errors
    /// The refusal. The connection is of no use then.
    pub fn response(
        &mut self,
        input: &mut BytesMut,
        fields: &mut Fields,
        profile: &Profile,
        asked: Asked,
    ) -> Result<Option<ResponseHead>, Refusal> {
        match input.first() {
            None => return Ok(None),
            Some(b'H') => {}
            Some(_) => return Err(Refusal::BadStart),
        }
        let read = |bytes: &[u8], fields: &mut Fields| read_response(bytes, fields, profile);
        let Some(found) =
            self.find(input, fields, profile, profile.limits.head_bytes as usize, judge_status_line, read)?
        else {
            return Ok(None);
        };
        let (status, reason) = found.first;
        let framing = framing::of_response(found.version, status, &found.said, asked, profile.limits.body_bytes)?;
        let bytes = input.split_to(found.end).freeze();
        let head = Head { bytes, fields: core::mem::take(fields), said: found.said, version: found.version, framing };
        let head = ResponseHead { head, status, reason };
        let interim = if head.is_interim() { self.interim.saturating_add(1) } else { 0 };
        if interim > profile.limits.interim {
            return Err(Refusal::ManyInterim);
        }
        *self = Self { interim, ..Self::default() };
        Ok(Some(head))
    }

    /// The connection ended: says whether it ended between messages.
    ///
    /// # Errors
    /// [`Refusal::Truncated`] when a head has begun.
    pub fn closed(&self, input: &[u8]) -> Result<(), Refusal> {
        if input.is_empty() { Ok(()) } else { Err(Refusal::Truncated) }
    }

    /// Skips the one empty line, looks at the first byte. False: more is needed.
    fn begin_request(&mut self, input: &mut BytesMut) -> Result<bool, Refusal> {
        if input.first() == Some(&b'\r') && !self.skipped {
            match input.get(1) {
                None => return Ok(false),
                Some(b'\n') => bytes::Buf::advance(input, 2),
                Some(_) => return Err(Refusal::BadStart),
            }
            self.skipped = true;
        }
        match input.first() {
            None => Ok(false),
            Some(&byte) if is_token(byte) => Ok(true),
            Some(_) => Err(Refusal::BadStart),
        }
    }

    fn find<First>(
        &mut self,
        input: &[u8],
        fields: &mut Fields,
        profile: &Profile,
        line_bytes: usize,
        judge: fn(&[u8], &Profile) -> Result<(), Refusal>,
        read: impl Fn(&[u8], &mut Fields) -> Result<Option<Found<First>>, Refusal>,
    ) -> Result<Option<Found<First>>, Refusal> {
        let longest = profile.limits.head_bytes as usize;
        if self.searched == 0
            && let Ok(Some(found)) = read(input, fields)
            && found.end <= longest
        {
            return Ok(Some(found));
        }
        if !self.line {
            let line = input[self.searched..].iter().position(|&byte| byte == b'\n').map(|at| self.searched + at);
            if line.unwrap_or(input.len()) >= line_bytes {
                let head = line_bytes == longest;
                return Err(if head { Refusal::LongHead } else { Refusal::LongTarget });
            }
            let Some(line) = line else {
                self.searched = input.len();
                return Ok(None);
            };
            judge(&input[..line], profile)?;
            self.line = true;
            self.searched = line;
        }
        let Some(end) = end_of_head(input, self.searched) else {
            if input.len() >= longest {
                return Err(Refusal::LongHead);
            }
            self.searched = input.len();
            return Ok(None);
        };
        if end > longest {
            return Err(Refusal::LongHead);
        }
        // A whole head that is no head was diagnosed; this is what remains for a reader that disagrees with the search.
        read(&input[..end], fields)?.map_or(Err(Refusal::BadRequestLine), |found| Ok(Some(found)))
    }
}

/// Where the first empty line ends. `from` was searched before, and may have ended within it.
fn end_of_head(input: &[u8], from: usize) -> Option<usize> {
    let mut at = from.saturating_sub(2);
    while let Some(found) = input[at..].iter().position(|&byte| byte == b'\n') {
        at += found + 1;
        match &input[at..] {
            [b'\n', ..] => return Some(at + 1),
            [b'\r', b'\n', ..] => return Some(at + 2),
            _ => {}
        }
    }
    None
}

type RequestLine = (Method, (u32, u32), Parts);

fn read_request(bytes: &[u8], fields: &mut Fields, profile: &Profile) -> Result<Option<Found<RequestLine>>, Refusal> {
    let mut lines = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let room = usize::from(profile.limits.fields).min(MAX_FIELDS);
    let mut request = httparse::Request::new(&mut []);
    let end = match request.parse_with_uninit_headers(bytes, &mut lines[..room]) {
        Ok(Status::Complete(end)) => end,
        Ok(Status::Partial) => return Ok(None),
        Err(why) => return Err(diagnose(bytes, why)),
    };
    let (Some(method), Some(text), Some(minor)) = (request.method, request.path, request.version) else {
        return Err(Refusal::BadRequestLine);
    };
    let first = request_line(method.as_bytes(), text.as_bytes(), profile)?;
    let start = u32::try_from(method.len() + 1).map_err(|_| Refusal::LongMethod)?;
    let stop = u32::try_from(text.len()).map_err(|_| Refusal::LongTarget)? + start;
    let said = fields::index(&bytes[..end], request.headers, fields, profile.leniency)?;
    Ok(Some(Found { first: (first.0, (start, stop), first.1), said, version: version(minor), end }))
}

fn request_line(method: &[u8], text: &[u8], profile: &Profile) -> Result<(Method, Parts), Refusal> {
    if method.len() > METHOD_BYTES {
        return Err(Refusal::LongMethod);
    }
    let method = Method::from_bytes(method).map_err(|_| Refusal::BadMethod)?;
    let parts = target_parts(&method, text, profile)?;
    Ok((method, parts))
}

pub(crate) fn target_parts(method: &Method, text: &[u8], profile: &Profile) -> Result<Parts, Refusal> {
    if text.len() > profile.limits.target_bytes as usize {
        return Err(Refusal::LongTarget);
    }
    Parts::find(method, text)
}

pub(crate) fn check_host(request: &RequestHead) -> Result<(), Refusal> {
    let said = request.head.said.host.map(|at| request.head.value(&request.head.fields.0[at]));
    let Some(host) = said else {
        return if request.head.version == Version::Http10 { Ok(()) } else { Err(Refusal::NoHost) };
    };
    target::authority(host.as_bytes()).ok_or(Refusal::BadHost)?;
    let named = &request.target()[request.parts.authority()];
    if !named.is_empty() && !target::same_authority(named, host.as_bytes(), request.parts.https) {
        return Err(Refusal::HostAgainstTarget);
    }
    Ok(())
}

/// Judges a request line without its LF.
fn judge_request_line(line: &[u8], profile: &Profile) -> Result<(), Refusal> {
    let line = ended(line, profile)?;
    let mut words = line.split(|&byte| byte == b' ');
    let method = words.next().unwrap_or_default();
    if method.is_empty() || !method.iter().all(|&byte| is_token(byte)) {
        return Err(Refusal::BadMethod);
    }
    let text = words.next().filter(|text| !text.is_empty()).ok_or(Refusal::BadRequestLine)?;
    let Some(named) = words.next() else { return Err(Refusal::NoVersion) };
    if words.next().is_some() {
        return Err(Refusal::BadRequestLine);
    }
    judge_version(named)?;
    request_line(method, text, profile).map(|_| ())
}

fn judge_version(text: &[u8]) -> Result<(), Refusal> {
    match text {
        b"HTTP/1.0" | b"HTTP/1.1" => Ok(()),
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor] if major.is_ascii_digit() && minor.is_ascii_digit() => {
            Err(Refusal::OtherVersion)
        }
        _ => Err(Refusal::BadVersion),
    }
}

/// A first line without CR, which must be there, and nowhere else.
fn ended<'a>(line: &'a [u8], profile: &Profile) -> Result<&'a [u8], Refusal> {
    let line = match line {
        [line @ .., b'\r'] => line,
        line if profile.leniency.bare_line_feed => line,
        _ => return Err(Refusal::BareLineFeed),
    };
    if line.contains(&b'\r') { Err(Refusal::BareCarriageReturn) } else { Ok(line) }
}

fn version(minor: u8) -> Version {
    if minor == 0 { Version::Http10 } else { Version::Http11 }
}

type StatusLine = (StatusCode, (u32, u32));

fn read_response(bytes: &[u8], fields: &mut Fields, profile: &Profile) -> Result<Option<Found<StatusLine>>, Refusal> {
    let mut lines = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let room = usize::from(profile.limits.fields).min(MAX_FIELDS);
    let mut response = httparse::Response::new(&mut []);
    let config = httparse::ParserConfig::default();
    let end = match config.parse_response_with_uninit_headers(&mut response, bytes, &mut lines[..room]) {
        Ok(Status::Complete(end)) => end,
        Ok(Status::Partial) => return Ok(None),
        Err(why) => return Err(diagnose(bytes, why)),
    };
    let (Some(code), Some(minor)) = (response.code, response.version) else { return Err(Refusal::BadStatusLine) };
    let status = known_status(code)?;
    let reason = response
        .reason
        .filter(|reason| !reason.is_empty())
        .map_or((0, 0), |reason| (STATUS_LINE, STATUS_LINE + u32::try_from(reason.len()).unwrap_or(0)));
    let said = fields::index(&bytes[..end], response.headers, fields, profile.leniency)?;
    Ok(Some(Found { first: (status, reason), said, version: version(minor), end }))
}

pub(crate) fn known_status(code: u16) -> Result<StatusCode, Refusal> {
    StatusCode::from_u16(code).ok().filter(|status| status.as_u16() < 600).ok_or(Refusal::BadStatus)
}

/// Judges a status line without its LF. The space before an empty reason may be missing: nothing is ambiguous then.
fn judge_status_line(line: &[u8], profile: &Profile) -> Result<(), Refusal> {
    let line = ended(line, profile)?;
    let (named, rest) = line.split_at_checked(8).ok_or(Refusal::BadStatusLine)?;
    judge_version(named)?;
    let (digits, reason) = match rest {
        [b' ', digits @ ..] if digits.len() == 3 => (digits, &[][..]),
        [b' ', one, two, three, b' ', reason @ ..] => (&[*one, *two, *three][..], reason),
        _ => return Err(Refusal::BadStatusLine),
    };
    let code = fields::number(digits).and_then(|code| u16::try_from(code).ok()).ok_or(Refusal::BadStatusLine)?;
    if !reason.iter().all(|&byte| crate::name::is_value(byte)) {
        return Err(Refusal::BadStatusLine);
    }
    known_status(code).map(|_| ())
}

/// Says what is wrong with a head whose first line is well.
fn diagnose(bytes: &[u8], why: httparse::Error) -> Refusal {
    match why {
        httparse::Error::TooManyHeaders => Refusal::ManyFields,
        httparse::Error::HeaderName
        | httparse::Error::HeaderValue
        | httparse::Error::NewLine
        | httparse::Error::Status
        | httparse::Error::Token
        | httparse::Error::Version => {
            let first = bytes.iter().position(|&byte| byte == b'\n').map_or(bytes.len(), |at| at + 1);
            fields::diagnose(&bytes[first..])
        }
    }
}

/// `HTTP/1.1 200 `: where a reason begins.
const STATUS_LINE: u32 = 13;
