//! What a listener may bear of old clients, each with its risk. All off unless named.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A bad manner of HTTP/1 that a listener may bear. What is passed on is well formed in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Lenient {
    /// Lines of a head that end with LF alone (RFC 9112, 2.2 allows it). Risk: a hop before us that sees no end of line
    /// there takes two lines for one.
    BareLineFeed,
    /// `Transfer-Encoding: Chunked` in any case. Risk: a hop that compares bytes sees no body.
    ChunkedInAnyCase,
    /// Spaces after a chunk's size. Risk: hops differ on where the number ends.
    SpaceAfterChunkSize,
    /// `Content-Length` more than once, with one value (RFC 9110, 8.6 allows it). Risk: a hop that takes the first and
    /// one that takes the last differ when values differ in form.
    RepeatedEqualLength,
    /// A client that ends its sending side waits for its answer. Without this it is taken to have left, and its worker is
    /// freed. Risk: workers go on for clients that are gone.
    HalfClose,
}
