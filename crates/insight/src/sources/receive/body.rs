//! Bodies: read within their bounds, and unpacked within others.

use std::io::Read;

use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};

use super::Limits;
use super::answer::Refusal;

/// Reads a body.
pub(super) async fn read(body: Incoming, headers: &HeaderMap, limits: &Limits) -> Result<Bytes, Refusal> {
    let told = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if told.is_some_and(|length| length > limits.body) {
        return Err(Refusal::Large(limits.body));
    }
    match tokio::time::timeout(limits.within.into(), Limited::new(body, limits.body).collect()).await {
        Err(_) => Err(Refusal::Late),
        Ok(Ok(whole)) => Ok(whole.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Refusal::Large(limits.body)),
        Ok(Err(_)) => Err(Refusal::Broken),
    }
}

/// Unpacks what the head says to be packed.
pub(super) fn unpacked(body: Bytes, headers: &HeaderMap, limits: &Limits) -> Result<Bytes, Refusal> {
    let packing = headers.get(CONTENT_ENCODING).map(|packing| packing.as_bytes().to_ascii_lowercase());
    let all = |reader: &mut dyn Read, packing: &str| {
        let mut out = Vec::new();
        let read = reader.take(limits.unpacked as u64 + 1).read_to_end(&mut out);
        read.map_err(|error| Refusal::Wrong(format!("its {packing} is broken: {error}")))?;
        if out.len() > limits.unpacked { Err(Refusal::Large(limits.unpacked)) } else { Ok(Bytes::from(out)) }
    };
    match packing.as_deref() {
        None | Some(b"" | b"identity") => Ok(body),
        Some(b"gzip") => all(&mut flate2::read::MultiGzDecoder::new(&body[..]), "gzip"),
        Some(b"zstd") => {
            let decoder = zstd::Decoder::new(&body[..]);
            let mut decoder = decoder.map_err(|error| Refusal::Wrong(format!("its zstd is broken: {error}")))?;
            all(&mut decoder, "zstd")
        }
        Some(other) => {
            let other = String::from_utf8_lossy(other).into_owned();
            Err(Refusal::Kind(format!("its encoding `{other}` is not known here: gzip, zstd or none")))
        }
    }
}

/// Unpacks a block of snappy.
pub(super) fn unsnapped(body: &[u8], limits: &Limits) -> Result<Vec<u8>, Refusal> {
    let wrong = |error: snap::Error| Refusal::Wrong(format!("it is no block of snappy: {error}"));
    if snap::raw::decompress_len(body).map_err(wrong)? > limits.unpacked {
        return Err(Refusal::Large(limits.unpacked));
    }
    snap::raw::Decoder::new().decompress_vec(body).map_err(wrong)
}
