//! What goes around the data of a body, for vectored writes: `[prefix, data, suffix]`, the data never copied.
//!
//! The encoder counts, so that no more and no less is sent than the head announced.

use thiserror::Error;

use crate::framing::Framing;
use crate::known::{Known, KnownSet};
use crate::name::{Name, Value};

/// What does not go with the head that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Mismatch {
    /// More data than announced.
    #[error("{over} bytes more than the head announced; end the connection")]
    Over {
        /// How many.
        over: u64,
    },
    /// Less data than announced.
    #[error("{left} bytes of the body that the head announced are missing; end the connection")]
    Short {
        /// How many.
        left: u64,
    },
    /// Trailers where no chunks are, or one that no trailer section may have.
    #[error("a trailer that cannot be sent here")]
    Trailer,
}

/// Frames one body.
#[derive(Clone, Copy, Debug)]
pub struct BodyEncoder(Left);

#[derive(Clone, Copy, Debug)]
enum Left {
    Bytes(u64),
    Chunks,
    Open,
}

/// A chunk's line, or nothing.
#[derive(Clone, Copy, Debug)]
pub struct Prefix {
    text: [u8; 18],
    start: u8,
}

impl Prefix {
    const EMPTY: Self = Self { text: [0; 18], start: 18 };

    /// What to write before the data.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.text[usize::from(self.start)..]
    }

    fn of(mut size: usize) -> Self {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [0; 18];
        text[16..].copy_from_slice(b"\r\n");
        let mut start = 16;
        while size > 0 {
            start -= 1;
            text[usize::from(start)] = DIGITS[size & 15];
            size >>= 4;
        }
        Self { text, start }
    }
}

impl BodyEncoder {
    /// For the body that a head announces.
    #[must_use]
    pub fn new(framing: Framing) -> Self {
        Self(match framing {
            Framing::None => Left::Bytes(0),
            Framing::Length(length) => Left::Bytes(length),
            Framing::Chunked => Left::Chunks,
            Framing::UntilClose | Framing::Tunnel => Left::Open,
        })
    }

    /// What to write before and after so many bytes of data. No data makes no chunk: that would end the body.
    ///
    /// # Errors
    /// [`Mismatch::Over`]: nothing of this may be written.
    pub fn data(&mut self, bytes: usize) -> Result<(Prefix, &'static [u8]), Mismatch> {
        match &mut self.0 {
            Left::Bytes(left) => {
                let bytes = bytes as u64;
                *left = left.checked_sub(bytes).ok_or_else(|| Mismatch::Over { over: bytes - *left })?;
                Ok((Prefix::EMPTY, b""))
            }
            Left::Chunks if bytes > 0 => Ok((Prefix::of(bytes), b"\r\n")),
            Left::Chunks | Left::Open => Ok((Prefix::EMPTY, b"")),
        }
    }

    /// What to write after all data. `UntilClose` ends by closing.
    ///
    /// # Errors
    /// [`Mismatch::Short`]: the connection must be broken, so that the other side sees it.
    pub fn end(&self) -> Result<&'static [u8], Mismatch> {
        match self.0 {
            Left::Bytes(0) | Left::Open => Ok(b""),
            Left::Bytes(left) => Err(Mismatch::Short { left }),
            Left::Chunks => Ok(b"0\r\n\r\n"),
        }
    }

    /// Whether trailers can be said.
    #[must_use]
    pub fn takes_trailers(&self) -> bool {
        matches!(self.0, Left::Chunks)
    }

    /// Writes the end with trailers.
    ///
    /// # Errors
    /// [`Mismatch::Trailer`] and [`Mismatch::Short`]; nothing was written then.
    pub fn end_with<'a>(
        &self,
        trailers: impl Iterator<Item = (Name<'a>, Value<'a>)> + Clone,
        out: &mut Vec<u8>,
    ) -> Result<(), Mismatch> {
        if trailers.clone().next().is_none() {
            out.extend_from_slice(self.end()?);
            return Ok(());
        }
        let forbidden = |(name, _): (Name<'_>, _)| KnownSet::NO_TRAILER.has(Known::of(name.as_bytes()));
        if !self.takes_trailers() || trailers.clone().any(forbidden) {
            return Err(Mismatch::Trailer);
        }
        out.extend_from_slice(b"0\r\n");
        for (name, value) in trailers {
            crate::write::line(out, name.as_bytes(), value.as_bytes());
        }
        out.extend_from_slice(b"\r\n");
        Ok(())
    }
}
