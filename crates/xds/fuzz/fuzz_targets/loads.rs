//! Load reports of Envoys and gRPC clients, for libFuzzer: messages, each with a byte and two bytes of length. The byte is who
//! reports, and how many seconds later.
//!
//! Whatever comes: nothing panics, nothing is kept of clusters that are not ours, and what comes of it are figures that a
//! worker can have.
#![no_main]

use ambidex_core::time::{Mono, Span};
use ambidex_core::view::Address;
use ambidex_xds::limits::Limits;
use ambidex_xds::loads::Loads;
use ambidex_xds::proto::load::LoadStatsRequest;
use prost::Message as _;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut loads = Loads::new(Span::from_secs(1), Limits::default());
    let (mut now, mut rest) = (Mono::default(), bytes);
    let endpoints: Vec<Address> = (1..4).map(|port| Address::Ip(([127, 0, 0, 1], port).into())).collect();
    while let Some(([who, length @ ..], more)) = rest.split_first_chunk::<3>() {
        let length = usize::from(u16::from_be_bytes(*length)).min(more.len());
        let (message, more) = more.split_at(length);
        rest = more;
        now = now + Span::from_secs(u64::from(who >> 4));
        let from = u64::from(who % 4);
        match LoadStatsRequest::decode(message) {
            Ok(said) => loads.take(now, from, said.cluster_stats, |name| name == "api"),
            Err(_) => loads.forget(from),
        }
        for cluster in loads.sum(now, |name| (name == "api").then(|| endpoints.clone())) {
            assert_eq!((&*cluster.cluster, cluster.endpoints.len()), ("api", endpoints.len()));
            for load in cluster.endpoints {
                assert!(load.rate.is_finite() && load.rate >= 0.0, "{load:?}");
                assert!(load.failed <= load.samples, "{load:?}");
            }
        }
    }
});
