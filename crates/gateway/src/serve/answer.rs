//! How answers are written, whichever HTTP their clients speak: what of them is ours to say, and where they end.

use ambidex_http1::write::{Connection, Edits, Lines, ResponsePlan};
use ambidex_http1::{Asked, Framing, Name, Value, Version};
use arrayvec::ArrayVec;
use http::StatusCode;

use super::exchange::{Own, Relayed};
use crate::head::OURS;
use crate::reason::Reason;

/// Lines of ours on an answer, beside those that every answer of its kind has, as they are written.
#[derive(Default)]
pub(crate) struct Notes(Lines);

impl Notes {
    /// Adds a line. One whose text is no header's value is left out.
    pub(crate) fn add(&mut self, name: Name<'_>, text: &str) {
        if let Some(value) = Value::checked(text.as_bytes()) {
            self.0.add(name, value);
        }
    }

    /// Whether a line of this name was added.
    pub(crate) fn names(&self, name: &[u8]) -> bool {
        self.0.iter().any(|(known, _)| known.eq_ignore_ascii_case(name))
    }
}

impl Relayed {
    /// Hands `write` the plan by which the answer is written to a client that asked for `asked`.
    pub(crate) fn planned<T>(
        &self,
        asked: Asked,
        to: Version,
        connection: Connection<'_>,
        write: impl FnOnce(&ResponsePlan<'_>) -> T,
    ) -> T {
        let framing = match (self.head.head().framing(), to) {
            // A length without a body: HEAD, 304.
            (Framing::None, _) if self.head.status() != StatusCode::NO_CONTENT => {
                self.head.head().announced().map_or(Framing::None, Framing::Length)
            }
            (Framing::Chunked | Framing::UntilClose, Version::Http11) => Framing::Chunked,
            (Framing::Chunked, Version::Http10) => Framing::UntilClose,
            (framing, _) => framing,
        };
        let connection = Connection { close: connection.close || framing == Framing::UntilClose, ..connection };
        let edits = Edits { drop: OURS, lines: Some(&self.notes.0), ..Edits::default() };
        write(&ResponsePlan { edits, connection, framing, asked, to })
    }
}

impl Own {
    /// Hands `write` the plan by which the answer is written.
    pub(crate) fn planned<T>(
        &self,
        asked: Asked,
        to: Version,
        connection: Connection<'_>,
        write: impl FnOnce(&ResponsePlan<'_>) -> T,
    ) -> T {
        let lines = [
            (const { Name::literal("ambidex-error") }, self.reason.word()),
            (const { Name::literal("content-type") }, "text/plain; charset=utf-8"),
            (const { Name::literal("cache-control") }, "no-store"),
            (const { Name::literal("allow") }, "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"),
        ];
        let lines = &lines[..if self.reason == Reason::BadMethod { 4 } else { 3 }];
        let own = lines.iter().filter_map(|(name, text)| Some((*name, Value::checked(text.as_bytes())?)));
        let add: ArrayVec<_, 4> = own.collect();
        let framing = Framing::Length(self.reason.sentence().len() as u64);
        let edits = Edits { add: &add, lines: Some(&self.notes.0), ..Edits::default() };
        write(&ResponsePlan { edits, connection, framing, asked, to })
    }
}
