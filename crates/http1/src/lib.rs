//! HTTP/1 without sockets: bytes in, heads and places of data out; heads out, without copying what does not change.
//!
//! ```text
//!  client's bytes --HeadReader::request--> RequestHead --write::request--> worker's bytes
//!                                              | framing
//!                                              v
//!                                          BodyDecoder --places--> BodyEncoder --> [prefix, data, suffix]
//!  client's bytes <--write::response-- ResponseHead <--HeadReader::response-- worker's bytes
//! ```
//! One connection, as its driver sees it; both directions are the same machine:
//!
//! ```text
//!           head                  Length, Chunked, UntilClose           end, both persist, nothing too much came
//!  Head --------------> Body ----------------------------------> End ------------------------------------------> Head
//!   |  \--None----------------------------------------------------^ \--otherwise--> Closed
//!   |  \--Tunnel--> Tunnel: bytes both ways until either side ends
//!   |  \--interim response--> Head
//!   \--refused--> Closed, after an answer where one may still be sent
//! ```
//!
//! | what goes wrong | where | what the client gets | connection |
//! |---|---|---|---|
//! | a request's head is malformed, ambiguous, too big | `HeadReader::request` | [`Refusal::status`] | closed |
//! | a request's body is malformed or too big | `BodyDecoder::next` | the same, unless its answer has begun | closed, and the worker's too |
//! | a client leaves within a request | `BodyDecoder::closed` | nothing | closed, and the worker's too |
//! | a response's head is malformed, ambiguous, too big | `HeadReader::response` | 502 | the worker's is closed |
//! | a response's body is malformed, or ends early | `BodyDecoder` | its answer breaks off | both closed |
//! | a worker sends more than it announced | bytes after [`Event::End`] | its answer | the worker's is never used again |
//! | a worker switches protocols unasked | `HeadReader::response` | 502 | the worker's is closed |
//! | our own side makes more or less than it announced | `BodyEncoder` | its answer breaks off | both closed |
//!
//! Time limits are the driver's, because there is no clock here: from the first byte of a head to its last; between two
//! bytes of a body, either way; from a request's end to the first byte of its answer; between two requests.
//!
//! Pipelining: a head is taken out of its buffer with nothing of what follows. The driver answers in order; it does not
//! begin with the next request before the last answer went out.
//!
//! What is refused, and with which status: [`Refusal`]. What may be borne, and at which risk: [`Leniency`]. Which test
//! covers which requirement of RFC 9112 and 9110: docs/http1.md.

mod decode;
mod encode;
mod extension;
mod fields;
mod framing;
mod head;
mod known;
mod limits;
pub mod make;
mod name;
mod read;
mod refusal;
mod target;
pub mod write;

pub use decode::{BodyDecoder, Event, Step};
pub use encode::{BodyEncoder, Mismatch, Prefix};
pub use fields::{Field, Fields};
pub use framing::{Asked, Framing, Version};
pub use head::{Head, RequestHead, ResponseHead};
pub use known::{Known, KnownSet};
pub use limits::{Leniency, Limits, MAX_FIELDS, MAX_TRAILERS, Profile};
pub use name::{Name, Value};
pub use read::HeadReader;
pub use refusal::Refusal;
pub use target::{Form, Path};
