//! Chunk extensions: `;name`, `;name=token` or `;name="text"`, without spaces [RFC 9112, 7.1.1]; checked and dropped.
//!
//! ```text
//! ; -> NameStart -> Name --=--> ValueStart -> Value ----------------> ; or CR
//!                     |             \--"--> Quoted <--> Escaped
//!                     v                       \--"--> Closed ------> ; or CR
//!                  ; or CR
//! ```

use crate::name::{is_token, is_value};
use crate::refusal::Refusal;

/// Where in an extension the next byte is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extension {
    NameStart,
    Name,
    ValueStart,
    Value,
    Quoted,
    Escaped,
    Closed,
}

impl Extension {
    /// Where the byte after `byte` is; `None` when `byte` is the CR that ends the line.
    pub(crate) fn after(self, byte: u8) -> Result<Option<Self>, Refusal> {
        Ok(Some(match (self, byte) {
            (Self::Name | Self::Value | Self::Closed, b'\r') => return Ok(None),
            (Self::Name | Self::Value | Self::Closed, b';') => Self::NameStart,
            (Self::Name, b'=') => Self::ValueStart,
            (Self::ValueStart, b'"') => Self::Quoted,
            (Self::NameStart | Self::Name, _) if is_token(byte) => Self::Name,
            (Self::ValueStart | Self::Value, _) if is_token(byte) => Self::Value,
            (Self::Quoted, b'"') => Self::Closed,
            (Self::Quoted, b'\\') => Self::Escaped,
            (Self::Quoted | Self::Escaped, _) if is_value(byte) => Self::Quoted,
            (_, b'\n') => return Err(Refusal::BareLineFeed),
            (_, _) => return Err(Refusal::BadExtension),
        }))
    }
}
