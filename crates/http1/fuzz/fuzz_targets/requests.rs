//! Streams of requests, for libFuzzer: what the tests of the codec promise, for any bytes.
#![no_main]
#![expect(dead_code, reason = "each target runs half of what the tests share")]

#[path = "../../tests/codec/plans.rs"]
mod plans;
#[path = "../../tests/codec/reading.rs"]
mod reading;
#[path = "../../tests/codec/targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    targets::requests(bytes);
});
