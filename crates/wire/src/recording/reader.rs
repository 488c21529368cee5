//! Reads a recording line by line, and tells damage from an end that came too early.
//!
//! ```text
//! line ── header ──> a part begins: its times count on from the first part's
//!     \── exchange ─> kept
//!     \── neither, and the last one, without its end ──> torn: named and passed over
//!                \── a header comes next ──────────────> the same
//!                 \─ anything else ────────────────────> refused, with its number
//! ```
//! A process that is killed, and a disk that is full, leave half a line, and only at the end of a part. Half a line in
//! the middle is damage, and a recording that lost some lines silently would answer wrongly for ever.

use std::io::{self, BufRead, Read as _};

use ambidex_core::time::Span;

use super::line::{self, LineFault};
use super::{Exchange, Header, MOST_LINE, VERSION};

/// A recording in memory.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recording {
    /// The header of each part; at least one.
    pub parts: Vec<Header>,
    /// Its exchanges in the order of their requests, times counted from the first part's beginning.
    pub exchanges: Vec<Exchange>,
    /// Numbers of lines that were not written to their ends, from 1.
    pub torn: Vec<u64>,
}

/// Why a recording cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// Something else.
    #[error("line 1 is no header of a recording, which begins with `{{\"ambidex_recording\":1`")]
    NotOne,
    /// There is nothing.
    #[error("it is empty")]
    Empty,
    /// Written by a version that we do not know.
    #[error("line {line} is a header of version {found}; this program reads version {VERSION}")]
    Version {
        /// Where.
        line: u64,
        /// Which.
        found: u64,
    },
    /// A line that cannot be used.
    #[error("line {line}: {why}")]
    Line {
        /// Which.
        line: u64,
        /// What is wrong with it.
        why: String,
    },
    /// A line that is longer than any we write.
    #[error("line {line} is longer than {MOST_LINE} bytes")]
    TooLong {
        /// Which.
        line: u64,
    },
    /// Parts in the wrong order.
    #[error("line {line} begins a part that is older than the first one: put the parts in the order of their times")]
    Order {
        /// Which.
        line: u64,
    },
    /// The system did not give the bytes.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Reads line after line.
#[derive(Debug, Default)]
pub struct Reader {
    recording: Recording,
    line: u64,
    /// From the first part's beginning to that of this one.
    offset: Span,
    /// Why the line before this could not be used, and whether it had its end.
    held_back: Option<(LineFault, bool)>,
}

impl Recording {
    /// Reads all there is, a line at a time.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn read(mut from: impl BufRead) -> Result<Self, RecordingError> {
        let mut reader = Reader::default();
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = from.by_ref().take(MOST_LINE as u64 + 1).read_until(b'\n', &mut line)?;
            if read == 0 {
                return reader.end();
            }
            if read > MOST_LINE {
                return Err(RecordingError::TooLong { line: reader.line + 1 });
            }
            reader.line(&line)?;
        }
    }
}

impl Reader {
    /// Takes the next line, with its `\n` if it has one.
    ///
    /// # Errors
    /// What is wrong with it, or with the one before.
    pub fn line(&mut self, line: &[u8]) -> Result<(), RecordingError> {
        self.line += 1;
        let number = self.line;
        let (line, ended) = line.strip_suffix(b"\n").map_or((line, false), |line| (line, true));
        if line.iter().all(u8::is_ascii_whitespace) {
            return Ok(());
        }
        if let Some(version) = version_of(line) {
            if version != u64::from(VERSION) {
                return Err(RecordingError::Version { line: number, found: version });
            }
            return match line::read::<Header>(line) {
                Ok(header) => self.part(header),
                Err(why) if !ended && !self.recording.parts.is_empty() => self.hold_back(why, ended),
                Err(why) => Err(refused(number, &why)),
            };
        }
        if self.recording.parts.is_empty() {
            return Err(RecordingError::NotOne);
        }
        if let Some((why, _)) = &self.held_back {
            return Err(refused(number - 1, why));
        }
        match line::read::<Exchange>(line) {
            Ok(mut exchange) => {
                exchange.at = exchange.at + self.offset;
                self.recording.exchanges.push(exchange);
                Ok(())
            }
            Err(why) => self.hold_back(why, ended),
        }
    }

    /// What was read.
    ///
    /// # Errors
    /// There was nothing, or the last line is damaged.
    pub fn end(mut self) -> Result<Recording, RecordingError> {
        if self.recording.parts.is_empty() {
            return Err(RecordingError::Empty);
        }
        match self.held_back.take() {
            Some((why, true)) => return Err(refused(self.line, &why)),
            Some((_, false)) => self.recording.torn.push(self.line),
            None => {}
        }
        self.recording.exchanges.sort_by_key(|exchange| exchange.at);
        Ok(self.recording)
    }

    fn hold_back(&mut self, why: LineFault, ended: bool) -> Result<(), RecordingError> {
        self.held_back = Some((why, ended));
        Ok(())
    }

    fn part(&mut self, header: Header) -> Result<(), RecordingError> {
        if self.held_back.take().is_some() {
            self.recording.torn.push(self.line - 1);
        }
        if let Some(first) = self.recording.parts.first() {
            let later = header.began_ms.checked_sub(first.began_ms);
            self.offset = Span::from_millis(later.ok_or(RecordingError::Order { line: self.line })?);
        }
        self.recording.parts.push(header);
        Ok(())
    }
}

fn refused(line: u64, why: &LineFault) -> RecordingError {
    RecordingError::Line { line, why: why.to_string() }
}

/// The version, if the line is a header. Its key stands first, so that no exchange is taken for one, whatever is in it.
fn version_of(line: &[u8]) -> Option<u64> {
    let text = line.trim_ascii_start().strip_prefix(b"{")?.trim_ascii_start();
    let digits = text.strip_prefix(b"\"ambidex_recording\"")?.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
    let end = digits.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(digits.len());
    std::str::from_utf8(&digits[..end]).ok()?.parse().ok()
}
