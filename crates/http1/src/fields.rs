//! The field lines of a head: found once, kept as places in its bytes, with what they say of framing and connection.
//!
//! A field costs 16 bytes of index and no copy. The list is made once and used again by its owner ([`Fields`]).

use core::ops::Range;

use crate::known::{Known, KnownSet};
use crate::limits::{CONNECTION_OPTIONS, Leniency, NAME_BYTES};
use crate::name::is_token;
use crate::refusal::Refusal;

/// Where one field is in the bytes of its head.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    start: u32,
    value: u32,
    end: u32,
    name: u16,
    known: Known,
    marks: u8,
}

impl Field {
    /// Which name it is.
    #[must_use]
    #[inline]
    pub fn known(&self) -> Known {
        self.known
    }

    /// Whether it belongs to this connection only, because `Connection` names it.
    #[must_use]
    #[inline]
    pub fn is_hop(&self) -> bool {
        self.marks & HOP != 0
    }

    /// The place of its name.
    #[must_use]
    #[inline]
    pub fn name(&self) -> Range<usize> {
        self.start as usize..self.start as usize + usize::from(self.name)
    }

    /// The place of its value.
    #[must_use]
    #[inline]
    pub fn value(&self) -> Range<usize> {
        self.value as usize..self.end as usize
    }

    /// The whole line with its end, when it is written as we write it.
    #[inline]
    pub(crate) fn canonical(&self) -> Option<Range<usize>> {
        (self.marks & CANONICAL != 0).then_some(self.start as usize..self.end as usize + 2)
    }
}

/// A list of fields to use again: a thread keeps a few, so that no head allocates.
#[derive(Clone, Debug, Default)]
pub struct Fields(pub(crate) Vec<Field>);

/// What `Transfer-Encoding` says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Coding {
    #[default]
    Absent,
    Chunked,
}

/// What the fields of a head say together.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Said {
    pub(crate) known: KnownSet,
    pub(crate) length: Option<u64>,
    pub(crate) coding: Coding,
    pub(crate) host: Option<usize>,
    pub(crate) options: Options,
    pub(crate) has_upgrade: bool,
    pub(crate) expects: bool,
    /// What no request may say, and what means nothing in a response: those fields are of requests only.
    pub(crate) no_request: Option<Refusal>,
    pub(crate) te_trailers: bool,
}

/// What `Connection` says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) close: bool,
    pub(crate) keep_alive: bool,
    pub(crate) upgrade: bool,
    named: bool,
    count: usize,
}

/// Makes the index of `lines`, which are slices of `bytes`, whose last byte is the head's last.
pub(crate) fn index(
    bytes: &[u8],
    lines: &[httparse::Header<'_>],
    fields: &mut Fields,
    leniency: Leniency,
) -> Result<Said, Refusal> {
    let mut said = Said::default();
    fields.0.clear();
    fields.0.reserve(lines.len());
    for line in lines {
        let field = place(bytes, line)?;
        if bytes.get(field.start as usize - 2) != Some(&b'\r') && !leniency.bare_line_feed {
            return Err(Refusal::BareLineFeed);
        }
        said.take(field, line.value, fields, leniency)?;
    }
    if !bytes.ends_with(b"\r\n\r\n") && !leniency.bare_line_feed {
        return Err(Refusal::BareLineFeed);
    }
    said.mark_hops(bytes, fields);
    Ok(said)
}

/// The place of a line that is about to be written at `start`, as we write lines. The value was checked.
pub(crate) fn made(start: usize, name: &[u8], value: &[u8]) -> Result<Field, Refusal> {
    if name.len() > NAME_BYTES {
        return Err(Refusal::LongFieldName);
    }
    let known = Known::of(name);
    // Of HTTP/2 the http crate takes names with quotation marks.
    if known == Known::Other && !name.iter().all(|&byte| is_token(byte)) {
        return Err(Refusal::BadFieldName);
    }
    let narrow = |place: usize| u32::try_from(place).map_err(|_| Refusal::LongHead);
    let after = start + name.len() + 2;
    Ok(Field {
        start: narrow(start)?,
        value: narrow(after)?,
        end: narrow(after + value.len())?,
        name: u16::try_from(name.len()).map_err(|_| Refusal::LongFieldName)?,
        known,
        marks: CANONICAL,
    })
}

pub(crate) fn place(bytes: &[u8], line: &httparse::Header<'_>) -> Result<Field, Refusal> {
    if line.name.len() > NAME_BYTES {
        return Err(Refusal::LongFieldName);
    }
    let at = |slice: &[u8]| slice.as_ptr() as usize - bytes.as_ptr() as usize;
    let (start, value) = (at(line.name.as_bytes()), at(line.value));
    let (after_name, end) = (start + line.name.len(), value + line.value.len());
    let canonical = value == after_name + 2
        && bytes.get(after_name + 1) == Some(&b' ')
        && bytes.get(end..end + 2) == Some(b"\r\n".as_slice());
    let narrow = |place: usize| u32::try_from(place).map_err(|_| Refusal::LongHead);
    Ok(Field {
        start: narrow(start)?,
        value: narrow(value)?,
        end: narrow(end)?,
        name: u16::try_from(line.name.len()).map_err(|_| Refusal::LongFieldName)?,
        known: Known::of(line.name.as_bytes()),
        marks: if canonical { CANONICAL } else { 0 },
    })
}

impl Said {
    /// Takes a line into the list, and what it says.
    #[inline]
    pub(crate) fn take(
        &mut self,
        field: Field,
        value: &[u8],
        fields: &mut Fields,
        leniency: Leniency,
    ) -> Result<(), Refusal> {
        self.known.put(field.known);
        if field.known != Known::Other {
            self.hear(field.known, value, fields.0.len(), leniency)?;
        }
        fields.0.push(field);
        Ok(())
    }

    /// Marks the fields that `Connection` names, when all lines are in.
    #[inline]
    pub(crate) fn mark_hops(&self, bytes: &[u8], fields: &mut Fields) {
        if self.options.named {
            mark_hops(bytes, fields);
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "most names say nothing of framing")]
    fn hear(&mut self, name: Known, value: &[u8], at: usize, leniency: Leniency) -> Result<(), Refusal> {
        match name {
            Known::Host if self.host.is_some() => self.no_request = self.no_request.or(Some(Refusal::RepeatedHost)),
            Known::Host => self.host = Some(at),
            Known::ContentLength => {
                let length = number(value).ok_or(Refusal::BadLength)?;
                if self.length.is_some_and(|before| before != length || !leniency.repeated_equal_length) {
                    return Err(Refusal::RepeatedLength);
                }
                self.length = Some(length);
            }
            Known::TransferEncoding => self.coding = coding(self.coding, value, leniency)?,
            Known::Connection => self.options.hear(value)?,
            Known::Upgrade => self.has_upgrade = true,
            Known::Expect if value.eq_ignore_ascii_case(b"100-continue") => self.expects = true,
            Known::Expect => self.no_request = self.no_request.or(Some(Refusal::UnknownExpectation)),
            Known::Te => self.te_trailers |= elements(value).any(|one| one.eq_ignore_ascii_case(b"trailers")),
            _ => {}
        }
        Ok(())
    }
}

impl Options {
    fn hear(&mut self, value: &[u8]) -> Result<(), Refusal> {
        for option in elements(value) {
            self.count += 1;
            if self.count > CONNECTION_OPTIONS || !option.iter().all(|&byte| is_token(byte)) {
                return Err(Refusal::BadConnection);
            }
            if option.eq_ignore_ascii_case(b"close") {
                self.close = true;
            } else if option.eq_ignore_ascii_case(b"keep-alive") {
                self.keep_alive = true;
            } else if option.eq_ignore_ascii_case(b"upgrade") {
                self.upgrade = true;
            } else {
                self.named = true;
            }
        }
        Ok(())
    }
}

/// Elements of a list without the empty ones [RFC 9110, 5.6.1.2].
fn elements(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii).filter(|one| !one.is_empty())
}

fn mark_hops(bytes: &[u8], fields: &mut Fields) {
    for at in 0..fields.0.len() {
        if fields.0[at].known != Known::Connection {
            continue;
        }
        let value = fields.0[at].value();
        for option in elements(&bytes[value]) {
            for field in &mut fields.0 {
                if !KnownSet::END_TO_END.has(field.known) && bytes[field.name()].eq_ignore_ascii_case(option) {
                    field.marks |= HOP;
                }
            }
        }
    }
}

/// `1*DIGIT`, within 64 bits.
pub(crate) fn number(text: &[u8]) -> Option<u64> {
    let digit = |number: u64, &byte: &u8| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    };
    if text.is_empty() { None } else { text.iter().try_fold(0, digit) }
}

fn coding(before: Coding, value: &[u8], leniency: Leniency) -> Result<Coding, Refusal> {
    if before == Coding::Absent && value == b"chunked" {
        return Ok(Coding::Chunked);
    }
    let codings: Vec<&[u8]> = value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii).collect();
    let is_coding = |one: &&[u8]| !one.is_empty() && one.iter().all(|&byte| is_token(byte));
    if !codings.iter().all(is_coding) {
        return Err(Refusal::BadCoding);
    }
    let chunked = |one: &[u8]| one.eq_ignore_ascii_case(b"chunked");
    let times = codings.iter().filter(|one| chunked(one)).count() + usize::from(before == Coding::Chunked);
    if times > 1 {
        return Err(Refusal::ChunkedTwice);
    }
    if let Some(unknown) = codings.iter().find(|one| !chunked(one)) {
        let registered = REGISTERED.iter().any(|name| unknown.eq_ignore_ascii_case(name.as_bytes()));
        let last = codings.last().is_some_and(|one| chunked(one));
        return Err(if registered && !last { Refusal::ChunkedNotLast } else { Refusal::UnknownCoding });
    }
    // Here it is one `chunked`, though not in lower case.
    if codings[0] == b"chunked" || leniency.chunked_in_any_case {
        Ok(Coding::Chunked)
    } else {
        Err(Refusal::OddCaseChunked)
    }
}

/// Codings that have a name and do not tell their own end to a reader of HTTP.
const REGISTERED: [&str; 6] = ["gzip", "deflate", "compress", "x-gzip", "x-compress", "identity"];

/// Says what is wrong with field lines that `httparse` refused. `lines` begins after the first line.
pub(crate) fn diagnose(lines: &[u8]) -> Refusal {
    for line in lines.split_inclusive(|&byte| byte == b'\n') {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            break;
        }
        if matches!(line[0], b' ' | b'\t') {
            return Refusal::FoldedLine;
        }
        if line.contains(&b'\r') {
            return Refusal::BareCarriageReturn;
        }
        let Some(colon) = line.iter().position(|&byte| byte == b':') else { return Refusal::NoColon };
        let (name, value) = line.split_at(colon);
        if matches!(name.last(), Some(b' ' | b'\t')) {
            return Refusal::SpaceBeforeColon;
        }
        if name.is_empty() || !name.iter().all(|&byte| is_token(byte)) {
            return Refusal::BadFieldName;
        }
        if !value.iter().all(|&byte| crate::name::is_value(byte)) {
            return Refusal::BadFieldValue;
        }
    }
    Refusal::ManyFields
}

const CANONICAL: u8 = 1;
const HOP: u8 = 2;
