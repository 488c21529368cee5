//! What instances and agents answer, for libFuzzer. A reply ends at the same place however it comes; what is taken apart is whole.
#![no_main]

use ambidex_redis::envelope::{Answer, last};
use ambidex_redis::frame::Meter;
use ambidex_redis::value::Value;
use bytes::Bytes;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let whole = Meter::default().end(bytes);
    let mut meter = Meter::default();
    let mut pieces = (0..=bytes.len()).map(|end| meter.end(&bytes[..end]));
    let first = pieces.find(|end| !matches!(end, Ok(None)));
    assert_eq!(first.unwrap_or(Ok(None)), whole);
    if let Ok(Some(end)) = whole {
        let reply = Bytes::copy_from_slice(&bytes[..end]);
        let _ = Value::read_all(&reply, 1);
        if let Some(answer) = Answer::read(&reply) {
            assert_eq!(Answer::read(&answer.encode()), Some(answer));
        }
    }
    let _ = last(&Bytes::copy_from_slice(bytes), 3);
});
