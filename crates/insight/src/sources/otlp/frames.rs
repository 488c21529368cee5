//! Files of exports that are no lines: protobuf, or packed one by one.
//!
//! ```text
//! length u32 (big endian) | export          as the collector's file exporter writes it with `format: proto`
//! length                  | zstd( export )  and with `compression: zstd`, of protobuf and of JSON alike
//! ```
//! A file of protobuf does not say which signal it has: spans, metrics and logs have the same two levels around them. What the fields
//! of the first record are tells it.

use std::io::{self, BufRead, Read};

use prost::{Message, decode_length_delimiter};

use super::Otlp;
use super::file::{LONGEST, taken as json};
use super::messages::{Metrics, Traces};

/// What an export of protobuf has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Signal {
    Traces,
    Metrics,
    Logs,
    Nothing,
}

/// One export of a file, or why it is none.
pub(super) enum Frame {
    Whole(Vec<u8>),
    /// It ends in the midst.
    Half,
    /// It is no length that an export has: nothing behind it can be found.
    Lost(u32),
}

/// Whether a file begins as one of these does: the first byte of a length that may be is none of a text.
pub(super) fn begins(reader: &mut impl BufRead) -> io::Result<bool> {
    Ok(reader.fill_buf()?.first().is_some_and(|first| *first < b'\t'))
}

/// The next one; `None` at the end.
pub(super) fn next(reader: &mut impl Read) -> io::Result<Option<Frame>> {
    let mut head = Vec::with_capacity(4);
    Read::by_ref(reader).take(4).read_to_end(&mut head)?;
    let Ok(length) = <[u8; 4]>::try_from(&head[..]).map(u32::from_be_bytes) else {
        return Ok((!head.is_empty()).then_some(Frame::Half));
    };
    if length as usize > LONGEST {
        return Ok(Some(Frame::Lost(length)));
    }
    let mut export = Vec::new();
    Read::by_ref(reader).take(length.into()).read_to_end(&mut export)?;
    Ok(Some(if export.len() < length as usize { Frame::Half } else { Frame::Whole(export) }))
}

/// Takes an export.
pub(super) fn taken(export: &[u8], otlp: &mut Otlp) -> Result<(), String> {
    if export.starts_with(ZSTD) {
        let mut plain = Vec::new();
        let decoder = zstd::Decoder::new(export).map_err(|error| format!("its zstd cannot be unpacked: {error}"))?;
        let read = decoder.take(LONGEST as u64 + 1).read_to_end(&mut plain);
        read.map_err(|error| format!("its zstd cannot be unpacked: {error}"))?;
        if plain.len() > LONGEST {
            return Err(format!("it is longer than {LONGEST} bytes when it is unpacked"));
        }
        return plainly(&plain, otlp);
    }
    plainly(export, otlp)
}

fn plainly(export: &[u8], otlp: &mut Otlp) -> Result<(), String> {
    if export.first() == Some(&b'{') {
        return json(export.trim_ascii(), otlp);
    }
    let signal = signal(export).ok_or("it is no protobuf of OpenTelemetry")?;
    let wrong = |error: prost::DecodeError| error.to_string();
    match signal {
        Signal::Traces => otlp.traces(&Traces::decode(export).map_err(wrong)?),
        Signal::Metrics => otlp.metrics(&Metrics::decode(export).map_err(wrong)?),
        Signal::Logs => otlp.logs(),
        Signal::Nothing => {}
    }
    Ok(())
}

/// What an export has: by the first record that tells it. `None` of what is no protobuf.
fn signal(export: &[u8]) -> Option<Signal> {
    for resource in Field::all(export)?.iter().filter_map(|field| field.message(1)) {
        for scope in Field::all(resource)?.iter().filter_map(|field| field.message(2)) {
            for record in Field::all(scope)?.iter().filter_map(|field| field.message(2)) {
                if let Some(signal) = told(&Field::all(record)?) {
                    return Some(signal);
                }
            }
        }
    }
    Some(Signal::Nothing)
}

/// The signal of which a record with these fields is; `None`: it could be of several.
fn told(fields: &[Field<'_>]) -> Option<Signal> {
    let any = |is: fn(u32, Wire) -> bool| fields.iter().any(|field| is(field.tag, field.wire));
    if any(|tag, wire| matches!((tag, wire), (7 | 8, Wire::Eight) | (6, Wire::Varint) | (16, Wire::Four))) {
        // Begin, end, kind and flags of a span.
        Some(Signal::Traces)
    } else if any(|tag, wire| {
        matches!((tag, wire), (1 | 11, Wire::Eight) | (2 | 7, Wire::Varint) | (6, Wire::Bytes) | (8, Wire::Four))
    }) {
        // When it was written and seen, how grave it is, attributes and flags of a line of a log.
        Some(Signal::Logs)
    } else if any(|tag, wire| wire == Wire::Bytes && tag == 1)
        && any(|tag, wire| wire == Wire::Bytes && [5, 7, 9, 10, 11].contains(&tag))
    {
        // The name of a metric, and its points. A span with such fields has a begin.
        Some(Signal::Metrics)
    } else {
        None
    }
}

/// A field of a message.
struct Field<'b> {
    tag: u32,
    wire: Wire,
    /// Of a message or a text.
    bytes: &'b [u8],
}

/// How a field is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wire {
    Varint,
    Eight,
    Bytes,
    Four,
}

impl<'b> Field<'b> {
    /// Of a message; `None` where it is none.
    fn all(mut message: &'b [u8]) -> Option<Vec<Self>> {
        let mut all = Vec::new();
        while !message.is_empty() {
            let key = decode_length_delimiter(&mut message).ok()?;
            let tag = u32::try_from(key >> 3).ok().filter(|tag| *tag > 0)?;
            let (wire, length) = match key & 7 {
                0 => {
                    decode_length_delimiter(&mut message).ok()?;
                    (Wire::Varint, 0)
                }
                1 => (Wire::Eight, 8),
                2 => (Wire::Bytes, decode_length_delimiter(&mut message).ok()?),
                5 => (Wire::Four, 4),
                _ => return None,
            };
            let (bytes, rest) = message.split_at_checked(length)?;
            message = rest;
            all.push(Self { tag, wire, bytes });
        }
        Some(all)
    }

    fn message(&self, tag: u32) -> Option<&'b [u8]> {
        (self.tag == tag && self.wire == Wire::Bytes).then_some(self.bytes)
    }
}

const ZSTD: &[u8] = b"\x28\xb5\x2f\xfd";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_fields_of_records_tell_signals_apart() {
        let traces = include_bytes!("../../../tests/otlp/traces.bin");
        let metrics = include_bytes!("../../../tests/otlp/metrics.bin");
        assert_eq!((signal(traces), signal(metrics)), (Some(Signal::Traces), Some(Signal::Metrics)));
        // resource_logs { scope_logs { log_records { .. } } }
        let log = |record: &[u8]| {
            let around = |tag: u8, inner: &[u8]| {
                let head = [tag << 3 | 2, u8::try_from(inner.len()).expect("short")];
                [&head[..], inner].concat()
            };
            around(1, &around(2, &around(2, record)))
        };
        let dated = [&[0x09][..], &[1; 8], &[0x2a, 3, 0x0a, 1, b'x']].concat();
        assert_eq!(signal(&log(&dated)), Some(Signal::Logs));
        assert_eq!(signal(&log(&[0x10, 9, 0x2a, 3, 0x0a, 1, b'x'])), Some(Signal::Logs));
        assert_eq!((signal(b""), signal(b"prose of no kind")), (Some(Signal::Nothing), None));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), cut in 0_usize..2_000) {
            let _ = signal(&bytes);
            let metrics = include_bytes!("../../../tests/otlp/metrics.bin");
            let _ = signal(&metrics[..cut.min(metrics.len())]);
            drop(next(&mut &bytes[..]));
        }
    }
}
