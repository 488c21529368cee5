//! How answers are written, whichever HTTP their clients speak: what of them is ours to say, and where they end.

use ambidex_http1::write::{Connection, Edits, ResponsePlan};
use ambidex_http1::{Asked, Framing, KnownSet, Name, Value, Version};
use http::StatusCode;

use super::exchange::{Own, Relayed};
use crate::head::OURS;
use crate::reason::Reason;

impl Relayed {
    /// Hands `write` the plan by which the answer is written to a client that asked for `asked`.
    pub(crate) fn planned<T>(
        &self,
        asked: Asked,
        to: Version,
        connection: Connection<'_>,
        write: impl FnOnce(&ResponsePlan<'_>) -> T,
    ) -> T {
        let text = (self.tries > 1).then(|| self.tries.to_string());
        let tries = text.as_ref().and_then(|text| Value::checked(text.as_bytes()));
        let attempts = tries.map(|tries| [(const { Name::literal("ambidex-attempts") }, tries)]);
        let add = attempts.as_ref().map_or(&[][..], |line| &line[..]);
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
        let edits = Edits { drop: OURS, remove: &[], add };
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
        let add: Vec<_> =
            lines.iter().filter_map(|(name, text)| Some((*name, Value::checked(text.as_bytes())?))).collect();
        let framing = Framing::Length(self.reason.sentence().len() as u64);
        let edits = Edits { drop: KnownSet::default(), remove: &[], add: &add };
        write(&ResponsePlan { edits, connection, framing, asked, to })
    }
}
