//! Where the data of a body is: bytes in, places out, for every framing.
//!
//! ```text
//! None     --------------------------------------------------------------------> End
//! Length   --data, until all came----------------------------------------------> End
//! UntilClose, Tunnel --data, until the connection ends-------------------------> (the driver sees the end)
//! Chunked  Size --CR--> SizeEnd --LF, size > 0--> Data --> DataCr --> DataLf --> Size
//!            |  ;  ^        \--LF, size 0--> TrailerStart --CR--> LastLf ------> End
//!            v     |                           |        ^
//!          Extension                           v        | LF
//!                                         TrailerLine --CR--> TrailerLf
//! ```
//! Every byte of the framing is looked at once and kept in the state, never in the buffer, so that any split of the bytes
//! gives the same data, and a driver's buffer is free after each step. Only a trailer section is copied, bounded.

use core::ops::Range;

use crate::extension::Extension;
use crate::fields::{self, Fields};
use crate::framing::Framing;
use crate::known::KnownSet;
use crate::limits::{CHUNK_DIGITS, MAX_TRAILERS, Profile};
use crate::name::Value;
use crate::refusal::Refusal;

/// What the next bytes of a body are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Nothing yet: read more.
    More,
    /// Data, at this place of the input.
    Data(Range<usize>),
    /// The body ended; bytes after [`Step::used`] are not its own.
    End,
}

/// What happened, and how many bytes of the input are done with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Bytes to drop from the front of the input, once the data among them was passed on.
    pub used: usize,
    /// What they are.
    pub event: Event,
}

/// Finds the data of one body.
#[derive(Clone, Debug)]
pub struct BodyDecoder {
    state: State,
    /// Of the chunk whose line is read.
    size: u64,
    profile: Profile,
    /// Data that may still come.
    room: u64,
    extension_room: u32,
    trailer: Vec<u8>,
    fields: Fields,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Done,
    Length(u64),
    Open,
    Size { digits: u8 },
    SizeSpace,
    SizeEnd,
    Extension(Extension),
    Data(u64),
    DataCr,
    DataLf,
    TrailerStart,
    TrailerLine,
    TrailerLf,
    LastLf,
}

impl BodyDecoder {
    /// For the body that a head announces.
    #[must_use]
    pub fn new(framing: Framing, profile: &Profile) -> Self {
        let state = match framing {
            Framing::None | Framing::Length(0) => State::Done,
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::Size { digits: 0 },
            Framing::UntilClose | Framing::Tunnel => State::Open,
        };
        Self {
            state,
            size: 0,
            profile: *profile,
            room: if framing == Framing::Tunnel { u64::MAX } else { profile.limits.body_bytes.unwrap_or(u64::MAX) },
            extension_room: profile.limits.extension_bytes,
            trailer: Vec::new(),
            fields: Fields::default(),
        }
    }

    /// Says what `input` begins with. Call again with what remains after [`Step::used`], until it is `More` or `End`.
    ///
    /// # Errors
    /// The refusal. The connection is of no use then.
    pub fn next(&mut self, input: &[u8]) -> Result<Step, Refusal> {
        let mut at = 0;
        loop {
            match self.state {
                State::Done => return Ok(Step { used: at, event: Event::End }),
                _ if at == input.len() => return Ok(Step { used: at, event: Event::More }),
                State::Length(left) => {
                    let take = within(left, input.len());
                    let left = left - take as u64;
                    self.state = if left == 0 { State::Done } else { State::Length(left) };
                    return Ok(data(0..take));
                }
                State::Open => {
                    self.spend(input.len() as u64)?;
                    return Ok(data(0..input.len()));
                }
                State::Data(left) => {
                    let take = within(left, input.len() - at);
                    let left = left - take as u64;
                    self.state = if left == 0 { State::DataCr } else { State::Data(left) };
                    return Ok(data(at..at + take));
                }
                State::DataCr if input[at..].starts_with(b"\r\n") => {
                    self.size = 0;
                    self.state = State::Size { digits: 0 };
                    at += 2;
                }
                State::Size { digits: 0 } => at += self.size_line(&input[at..])?,
                State::Size { .. }
                | State::SizeSpace
                | State::SizeEnd
                | State::Extension(_)
                | State::DataCr
                | State::DataLf
                | State::TrailerStart
                | State::TrailerLine
                | State::TrailerLf
                | State::LastLf => {
                    self.state = self.after(input[at])?;
                    at += 1;
                }
            }
        }
    }

    /// Reads a chunk's line at once when it is whole and plain, which nearly every one is; else one byte of it. Says how
    /// many bytes it read.
    fn size_line(&mut self, input: &[u8]) -> Result<usize, Refusal> {
        let mut size = 0;
        for (at, &byte) in input.iter().enumerate().take(PLAIN_DIGITS + 1) {
            let digit = DIGITS[usize::from(byte)];
            if digit == NO_DIGIT {
                if size > 0 && input[at..].starts_with(b"\r\n") {
                    self.spend(size)?;
                    self.state = State::Data(size);
                    return Ok(at + 2);
                }
                break;
            }
            size = size << 4 | u64::from(digit);
        }
        self.state = self.after(input[0])?;
        Ok(1)
    }

    /// The connection ended: says whether the body is whole.
    ///
    /// # Errors
    /// [`Refusal::Truncated`] when more was announced.
    pub fn closed(&mut self) -> Result<(), Refusal> {
        if matches!(self.state, State::Done | State::Open) {
            self.state = State::Done;
            return Ok(());
        }
        Err(Refusal::Truncated)
    }

    /// Whether the body ended.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Bytes of data that come without any framing between them: what may be moved without being looked at. Tell by
    /// [`BodyDecoder::moved`] how many were.
    #[must_use]
    pub fn plain(&self) -> u64 {
        match self.state {
            State::Length(left) | State::Data(left) => left,
            State::Open => self.room,
            State::Done
            | State::Size { .. }
            | State::SizeSpace
            | State::SizeEnd
            | State::Extension(_)
            | State::DataCr
            | State::DataLf
            | State::TrailerStart
            | State::TrailerLine
            | State::TrailerLf
            | State::LastLf => 0,
        }
    }

    /// So many bytes of [`BodyDecoder::plain`] went from socket to socket.
    pub fn moved(&mut self, bytes: u64) {
        let left = self.plain();
        let bytes = bytes.min(left);
        let left = left - bytes;
        if let State::Length(_) = self.state {
            self.state = if left == 0 { State::Done } else { State::Length(left) };
        } else if let State::Data(_) = self.state {
            self.state = if left == 0 { State::DataCr } else { State::Data(left) };
        } else {
            self.room -= bytes;
        }
    }

    /// The trailer fields, once the body ended: names and values.
    pub fn trailers(&self) -> impl Iterator<Item = (&[u8], Value<'_>)> {
        let done = self.is_done();
        let fields = self.fields.0.iter().filter(move |_| done);
        fields.map(|field| (&self.trailer[field.name()], Value::read(&self.trailer[field.value()])))
    }

    fn after(&mut self, byte: u8) -> Result<State, Refusal> {
        match self.state {
            State::Size { digits } => self.after_size(digits, byte),
            State::SizeSpace => match byte {
                b' ' | b'\t' => self.extension(State::SizeSpace),
                b';' => self.extension(State::Extension(Extension::NameStart)),
                b'\r' => Ok(State::SizeEnd),
                _ => Err(Refusal::BadChunkSize),
            },
            State::SizeEnd if byte == b'\n' && self.size == 0 => Ok(State::TrailerStart),
            State::SizeEnd if byte == b'\n' => {
                self.spend(self.size)?;
                Ok(State::Data(self.size))
            }
            State::SizeEnd => Err(Refusal::BareCarriageReturn),
            State::Extension(part) => match part.after(byte)? {
                None => Ok(State::SizeEnd),
                Some(next) => self.extension(State::Extension(next)),
            },
            State::DataCr if byte == b'\r' => Ok(State::DataLf),
            State::DataLf if byte == b'\n' => {
                self.size = 0;
                Ok(State::Size { digits: 0 })
            }
            State::DataCr | State::DataLf => Err(Refusal::BadChunkEnd),
            State::TrailerStart | State::TrailerLine | State::TrailerLf | State::LastLf => self.after_trailer(byte),
            done @ (State::Done | State::Length(_) | State::Open | State::Data(_)) => Ok(done),
        }
    }

    fn after_size(&mut self, digits: u8, byte: u8) -> Result<State, Refusal> {
        let digit = DIGITS[usize::from(byte)];
        match byte {
            _ if digit != NO_DIGIT => {}
            _ if digits == 0 => return Err(Refusal::BadChunkSize),
            b'\r' => return Ok(State::SizeEnd),
            b';' => return self.extension(State::Extension(Extension::NameStart)),
            b' ' | b'\t' if self.profile.leniency.space_after_chunk_size => return self.extension(State::SizeSpace),
            b'\n' => return Err(Refusal::BareLineFeed),
            _ => return Err(Refusal::BadChunkSize),
        }
        if digits == CHUNK_DIGITS {
            return Err(Refusal::BadChunkSize);
        }
        self.size = self.size << 4 | u64::from(digit);
        Ok(State::Size { digits: digits + 1 })
    }

    fn extension(&mut self, next: State) -> Result<State, Refusal> {
        self.extension_room = self.extension_room.checked_sub(1).ok_or(Refusal::LongExtensions)?;
        Ok(next)
    }

    fn after_trailer(&mut self, byte: u8) -> Result<State, Refusal> {
        let next = match (self.state, byte) {
            (State::LastLf, b'\n') if self.trailer.is_empty() => return Ok(State::Done),
            (State::LastLf, b'\n') => State::Done,
            (State::TrailerLf, b'\n') => State::TrailerStart,
            (State::LastLf | State::TrailerLf, _) => return Err(Refusal::BareCarriageReturn),
            (_, b'\n') => return Err(Refusal::BareLineFeed),
            (State::TrailerStart, b'\r') if self.trailer.is_empty() => return Ok(State::LastLf),
            (State::TrailerStart, b'\r') => State::LastLf,
            (_, b'\r') => State::TrailerLf,
            (_, _) => State::TrailerLine,
        };
        if self.trailer.len() >= self.profile.limits.trailer_bytes as usize {
            return Err(Refusal::LongTrailers);
        }
        self.trailer.push(byte);
        if next == State::Done {
            self.index_trailers()?;
        }
        Ok(next)
    }

    fn index_trailers(&mut self) -> Result<(), Refusal> {
        let mut lines = [httparse::EMPTY_HEADER; MAX_TRAILERS];
        let room = usize::from(self.profile.limits.trailers).min(MAX_TRAILERS);
        let lines = match httparse::parse_headers(&self.trailer, &mut lines[..room]) {
            Ok(httparse::Status::Complete((_, lines))) => lines,
            Ok(httparse::Status::Partial) => return Err(Refusal::BareLineFeed),
            Err(httparse::Error::TooManyHeaders) => return Err(Refusal::ManyTrailers),
            Err(
                httparse::Error::HeaderName
                | httparse::Error::HeaderValue
                | httparse::Error::NewLine
                | httparse::Error::Status
                | httparse::Error::Token
                | httparse::Error::Version,
            ) => return Err(fields::diagnose(&self.trailer)),
        };
        let mut found = Vec::with_capacity(lines.len());
        for line in lines {
            let field = fields::place(&self.trailer, line)?;
            if KnownSet::NO_TRAILER.has(field.known()) {
                return Err(Refusal::ForbiddenTrailer);
            }
            found.push(field);
        }
        self.fields = Fields(found);
        Ok(())
    }

    fn spend(&mut self, bytes: u64) -> Result<(), Refusal> {
        self.room = self.room.checked_sub(bytes).ok_or(Refusal::LongBody)?;
        Ok(())
    }
}

fn data(place: Range<usize>) -> Step {
    Step { used: place.end, event: Event::Data(place) }
}

fn within(left: u64, have: usize) -> usize {
    usize::try_from(left).map_or(have, |left| left.min(have))
}

/// Lines of up to so many digits are read at once. Source: chunks of up to 4 GiB.
const PLAIN_DIGITS: usize = 8;

const NO_DIGIT: u8 = 0xff;

static DIGITS: [u8; 256] = {
    let mut digits = [NO_DIGIT; 256];
    let mut at = 0_u8;
    while at < 16 {
        digits[b"0123456789abcdef"[at as usize] as usize] = at;
        digits[b"0123456789ABCDEF"[at as usize] as usize] = at;
        at += 1;
    }
    digits
};
