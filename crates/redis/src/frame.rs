//! RESP on the wire: commands of clients are read strictly, replies of instances are measured.
//!
//! A command is an array of bulk strings with lengths in their shortest form; nothing else is taken (no inline commands, no nesting), so
//! that its bytes can be passed on as they came: there is no second way to read them. A reply can be anything of RESP 2 or 3 but
//! streamed types. It is not taken apart: [`Meter`] finds its end, with one counter in place of a stack, so that no reply is too deep.

use bytes::{BufMut, Bytes, BytesMut};
use memchr::memchr;

/// A command as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// All its bytes.
    pub raw: Bytes,
    /// Its words, at least one.
    pub args: Vec<Bytes>,
}

/// How much one command may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Words.
    pub args: usize,
    /// Bytes.
    pub bytes: usize,
}

/// What is no RESP. The connection cannot go on: where the next message begins is not known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Something else stands where a type should.
    #[error("expected '{expected}', got {got:?}")]
    Type {
        /// What is expected.
        expected: char,
        /// What came.
        got: char,
    },
    /// A number that is none, or has more digits than it needs.
    #[error("a length that is no number in its shortest form")]
    Number,
    /// A line or a string that does not end as it must.
    #[error("something stands where a line should end")]
    End,
    /// More than is taken.
    #[error("too large: at most {0} {1} are taken")]
    Large(usize, &'static str),
}

/// Takes the next command out of a buffer; none until all of it is there.
///
/// # Errors
/// What is no command, or too large.
pub fn command(buffer: &mut BytesMut, bounds: Bounds) -> Result<Option<Command>, Fault> {
    let Some((spans, end)) = spans(buffer, bounds)? else { return Ok(None) };
    let raw = buffer.split_to(end).freeze();
    let args = spans.into_iter().map(|(from, to)| raw.slice(from..to)).collect();
    Ok(Some(Command { raw, args }))
}

type Spans = Vec<(usize, usize)>;

fn spans(bytes: &[u8], bounds: Bounds) -> Result<Option<(Spans, usize)>, Fault> {
    let large = Fault::Large(bounds.bytes, "bytes");
    let Some((count, mut at)) = length(bytes, 0, b'*')? else { return Ok(None) };
    if count == 0 {
        return Err(Fault::Number);
    }
    if count > bounds.args {
        return Err(Fault::Large(bounds.args, "words"));
    }
    // Memory is taken as words come, not as they are announced.
    let mut spans = Vec::with_capacity(count.min(16));
    for _ in 0..count {
        let Some((size, from)) = length(bytes, at, b'$')? else {
            return if bytes.len() > bounds.bytes { Err(large) } else { Ok(None) };
        };
        let to = from.saturating_add(size);
        if to > bounds.bytes {
            return Err(large);
        }
        match bytes.get(to..to + 2) {
            Some(b"\r\n") => {}
            Some(_) => return Err(Fault::End),
            None => return Ok(None),
        }
        spans.push((from, to));
        at = to + 2;
    }
    Ok(Some((spans, at)))
}

/// A type's byte with a length after it: the length, and where the next thing begins.
fn length(bytes: &[u8], at: usize, kind: u8) -> Result<Option<(usize, usize)>, Fault> {
    let Some(&first) = bytes.get(at) else { return Ok(None) };
    if first != kind {
        return Err(Fault::Type { expected: char::from(kind), got: char::from(first) });
    }
    let Some(line) = line(bytes, at + 1, MOST_DIGITS)? else { return Ok(None) };
    Ok(Some((number(line)?, at + 1 + line.len() + 2)))
}

/// What stands before the end of the line; none until that is there.
fn line(bytes: &[u8], from: usize, most: usize) -> Result<Option<&[u8]>, Fault> {
    let rest = bytes.get(from..).unwrap_or_default();
    let seen = &rest[..rest.len().min(most + 1)];
    match memchr(b'\r', seen) {
        Some(end) => match rest.get(end + 1) {
            Some(b'\n') => Ok(Some(&rest[..end])),
            Some(_) => Err(Fault::End),
            None => Ok(None),
        },
        None if rest.len() > most => Err(Fault::Large(most, "bytes in a line")),
        None => Ok(None),
    }
}

/// A whole number in its shortest form.
///
/// # Errors
/// Anything else.
pub fn number(text: &[u8]) -> Result<usize, Fault> {
    let shortest = text == b"0" || text.first().is_some_and(|first| matches!(first, b'1'..=b'9'));
    if !shortest || text.len() > MOST_DIGITS {
        return Err(Fault::Number);
    }
    text.iter().try_fold(0_usize, |sum, digit| match digit {
        b'0'..=b'9' => Ok(sum * 10 + usize::from(digit - b'0')),
        _ => Err(Fault::Number),
    })
}

/// Finds the end of one reply, whose bytes come piece by piece. What was seen of it is not looked at again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meter {
    at: usize,
    /// Values that are still to come.
    open: u64,
}

impl Default for Meter {
    fn default() -> Self {
        Self { at: 0, open: 1 }
    }
}

impl Meter {
    /// Where the reply ends that these bytes begin with; none until all of it is there. To be called with the same bytes and more.
    ///
    /// # Errors
    /// What is no reply, or too large.
    pub fn end(&mut self, bytes: &[u8]) -> Result<Option<usize>, Fault> {
        while self.open > 0 {
            let Some(&kind) = bytes.get(self.at) else { return Ok(None) };
            if !TYPES.contains(&kind) {
                return Err(Fault::Type { expected: '*', got: char::from(kind) });
            }
            let Some(line) = line(bytes, self.at + 1, MOST_LINE)? else { return Ok(None) };
            let next = self.at + 1 + line.len() + 2;
            let (next, more) = match kind {
                b'+' | b'-' | b':' | b',' | b'#' | b'(' | b'_' => (next, 0),
                b'$' | b'=' | b'!' => match count(line)? {
                    None => (next, 0),
                    Some(size) => {
                        let end = next.saturating_add(size);
                        if end > MOST_REPLY {
                            return Err(Fault::Large(MOST_REPLY, "bytes of a reply"));
                        }
                        match bytes.get(end..end + 2) {
                            Some(b"\r\n") => (end + 2, 0),
                            Some(_) => return Err(Fault::End),
                            None => return Ok(None),
                        }
                    }
                },
                b'*' | b'~' | b'>' => (next, count(line)?.unwrap_or(0) as u64),
                b'%' => (next, 2 * count(line)?.unwrap_or(0) as u64),
                // What it stands before is still to come.
                b'|' => (next, 2 * count(line)?.unwrap_or(0) as u64 + 1),
                other => return Err(Fault::Type { expected: '*', got: char::from(other) }),
            };
            if next > MOST_REPLY {
                return Err(Fault::Large(MOST_REPLY, "bytes of a reply"));
            }
            self.at = next;
            self.open = self.open - 1 + more;
        }
        Ok(Some(self.at))
    }
}

/// A length of a reply; none for what is not there.
fn count(line: &[u8]) -> Result<Option<usize>, Fault> {
    if line == b"-1" { Ok(None) } else { number(line).map(Some) }
}

/// A command of these words.
#[must_use]
pub fn encode(words: &[&[u8]]) -> BytesMut {
    let size: usize = words.iter().map(|word| word.len() + 16).sum();
    let mut out = BytesMut::with_capacity(size + 16);
    put(&mut out, words);
    out
}

/// Writes a command of these words behind others.
pub fn put(out: &mut BytesMut, words: &[&[u8]]) {
    head(out, b'*', words.len());
    for word in words {
        head(out, b'$', word.len());
        out.put_slice(word);
        out.put_slice(b"\r\n");
    }
}

/// Writes a type's byte and a length.
pub fn head(out: &mut BytesMut, kind: u8, length: usize) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    let mut left = length;
    loop {
        at -= 1;
        digits[at] = b'0' + u8::try_from(left % 10).unwrap_or(0);
        left /= 10;
        if left == 0 {
            break;
        }
    }
    out.put_u8(kind);
    out.put_slice(&digits[at..]);
    out.put_slice(b"\r\n");
}

/// A bulk string.
#[must_use]
pub fn bulk(bytes: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(bytes.len() + 16);
    head(&mut out, b'$', bytes.len());
    out.put_slice(bytes);
    out.put_slice(b"\r\n");
    out.freeze()
}

/// An error in one line: `CODE what`. What would end the line is written as a space.
#[must_use]
pub fn error(text: &str) -> Bytes {
    let mut out = BytesMut::with_capacity(text.len() + 3);
    out.put_u8(b'-');
    out.extend(text.bytes().map(|byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { byte }));
    out.put_slice(b"\r\n");
    out.freeze()
}

/// Of replies.
const TYPES: &[u8] = b"+-:,#(_$=!*~>%|";
/// Digits of a length. Source: those of the largest value that an instance holds, and some.
const MOST_DIGITS: usize = 12;
/// A line of a reply: an error, a status, a number. Source: ours; instances write much shorter ones.
const MOST_LINE: usize = 64 << 10;
/// A reply. Source: the most that an instance keeps in one value (`proto-max-bulk-len`, 512 MiB), and as much again around it.
const MOST_REPLY: usize = 1 << 30;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BOUNDS: Bounds = Bounds { args: 64, bytes: 4_096 };

    fn read(bytes: &[u8]) -> Result<Option<Command>, Fault> {
        command(&mut BytesMut::from(bytes), BOUNDS)
    }

    #[test]
    fn only_arrays_of_bulk_strings_in_their_shortest_form_are_commands() {
        for bytes in [
            &b"PING\r\n"[..],
            b"*0\r\n",
            b"*-1\r\n",
            b"*01\r\n$1\r\na\r\n",
            b"*1\r\n$01\r\na\r\n",
            b"*1\r\n$-1\r\n",
            b"*1\r\n+a\r\n",
            b"*1\r\n*1\r\n$1\r\na\r\n",
            b"*1\r\n$1\r\nab\r\n",
            b"*1\r\r",
            b"*+1\r\n$1\r\na\r\n",
            b"* 1\r\n",
        ] {
            assert!(read(bytes).is_err(), "{:?}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn what_is_too_large_is_refused_before_it_is_there() {
        assert_eq!(read(b"*65\r\n"), Err(Fault::Large(64, "words")));
        assert_eq!(read(b"*1\r\n$4096\r\n"), Err(Fault::Large(4_096, "bytes")));
        assert_eq!(read(b"*1\r\n$999999999999\r\n"), Err(Fault::Large(4_096, "bytes")));
        assert!(matches!(read(b"*1234567890123456789\r\n"), Err(Fault::Large(12, _))));
    }

    #[test]
    fn replies_of_every_type_end_where_they_end() {
        for reply in [
            "+OK\r\n",
            "-ERR no\r\n",
            ":-7\r\n",
            "$3\r\nabc\r\n",
            "$-1\r\n",
            "*-1\r\n",
            "*0\r\n",
            "*2\r\n$1\r\na\r\n*1\r\n:1\r\n",
            "_\r\n",
            ",1.5\r\n",
            "#t\r\n",
            "(123456789012345678901234567890\r\n",
            "=7\r\ntxt:abc\r\n",
            "!5\r\nERR a\r\n",
            "%2\r\n+a\r\n:1\r\n+b\r\n~1\r\n:2\r\n",
            "|1\r\n+k\r\n+v\r\n*1\r\n:1\r\n",
            ">2\r\n+message\r\n+a\r\n",
        ] {
            let long = format!("{reply}+next\r\n");
            assert_eq!(Meter::default().end(long.as_bytes()), Ok(Some(reply.len())), "{reply:?}");
        }
    }

    #[test]
    fn what_is_no_reply_is_a_fault() {
        for bytes in [&b"?\r\n"[..], b"$?\r\n", b"$3\r\nabcd\r\n", b"*x\r\n", b"\r\n", b"$99999999999\r\n"] {
            assert!(Meter::default().end(bytes).is_err(), "{:?}", String::from_utf8_lossy(bytes));
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back_however_it_is_cut(
            commands in proptest::collection::vec(proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 1..6), 1..5),
            cut in 1..40_usize,
        ) {
            let mut wire = BytesMut::new();
            for words in &commands {
                put(&mut wire, &words.iter().map(Vec::as_slice).collect::<Vec<_>>());
            }
            let (mut buffer, mut read) = (BytesMut::new(), Vec::new());
            for piece in wire.chunks(cut) {
                buffer.extend_from_slice(piece);
                while let Some(Command { args, .. }) = command(&mut buffer, BOUNDS).expect("right") {
                    read.push(args.iter().map(|word| word.to_vec()).collect::<Vec<_>>());
                }
            }
            prop_assert_eq!(read, commands);
            prop_assert!(buffer.is_empty());
        }

        #[test]
        fn a_reply_ends_at_the_same_place_however_it_comes(
            strings in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..30), 0..6), cut in 1..20_usize,
        ) {
            // A command is a reply as well: an array of strings.
            let mut wire = BytesMut::new();
            put(&mut wire, &strings.iter().map(Vec::as_slice).collect::<Vec<_>>());
            let whole = wire.len();
            wire.extend_from_slice(b"+next\r\n");
            let mut meter = Meter::default();
            let ends = (1..=wire.len().div_ceil(cut)).find_map(|pieces| {
                let seen = &wire[..wire.len().min(pieces * cut)];
                meter.end(seen).expect("right")
            });
            prop_assert_eq!(ends, Some(whole));
        }

        #[test]
        fn nothing_that_comes_makes_it_fail(bytes: Vec<u8>) {
            let _ = read(&bytes);
            let _ = Meter::default().end(&bytes);
        }
    }
}
