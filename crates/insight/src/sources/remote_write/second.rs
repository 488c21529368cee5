//! The message of remote write 2.0 (`io.prometheus.write.v2.Request`): texts stand once in a table, and series refer to it.
//!
//! ```text
//! symbols  ["", "__name__", "node_load1", "instance", "h1"]      the first is empty
//! series   labels_refs [1, 2, 3, 4]   samples [(value, ms)]       two references a label: its name, its value
//! ```
//! A series whose references are no pairs, or point beyond the table, is left out and told; the others are taken, and the sender is told how
//! much was written, as the specification wants it. When a counter began (`created_timestamp`, `start_timestamp`), metadata and
//! exemplars are passed over. Numbers of fields are those of Prometheus's `io/prometheus/write/v2/types.proto`; of a sample these
//! are the same in the drafts before and after its start moved into it.

use prost::Message;

use super::RemoteWrite;
use super::messages::{Native, Sample};

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Request {
    #[prost(string, repeated, tag = "4")]
    pub(crate) symbols: Vec<String>,
    #[prost(message, repeated, tag = "5")]
    pub(crate) timeseries: Vec<Series>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Series {
    #[prost(uint32, repeated, tag = "1")]
    pub(crate) labels_refs: Vec<u32>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) samples: Vec<Sample>,
    /// Native ones: that there are some is all that is read.
    #[prost(message, repeated, tag = "3")]
    pub(crate) histograms: Vec<Native>,
}

/// What became of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Written {
    /// Samples that were taken.
    pub(crate) samples: u64,
    /// Series that are wrong, and why the first is.
    pub(crate) wrong: Option<(u64, String)>,
}

impl RemoteWrite {
    /// Takes what was sent.
    pub(crate) fn write_second(&mut self, request: &Request) -> Written {
        let mut written = Written::default();
        for (number, series) in request.timeseries.iter().enumerate() {
            match labels(&request.symbols, &series.labels_refs) {
                Ok(labels) => {
                    self.series(&labels, &series.samples, series.histograms.len());
                    written.samples += series.samples.len() as u64;
                }
                Err(why) => {
                    let first = || (0, format!("series {number} (counted from 0): {why}"));
                    written.wrong.get_or_insert_with(first).0 += 1;
                }
            }
        }
        self.wrong += written.wrong.as_ref().map_or(0, |(many, _)| *many);
        self.taken();
        written
    }
}

/// The labels that references stand for.
fn labels<'r>(symbols: &'r [String], refs: &[u32]) -> Result<Vec<(&'r str, &'r str)>, String> {
    let text = |at: &u32| {
        let text = symbols.get(*at as usize).map(String::as_str);
        text.ok_or_else(|| format!("reference {at} is beyond the {} symbols", symbols.len()))
    };
    let (pairs, rest) = refs.as_chunks::<2>();
    if !rest.is_empty() || pairs.is_empty() {
        return Err(format!("{} references to labels are no pairs of name and value", refs.len()));
    }
    let (pairs, more) = pairs.split_at(pairs.len().min(super::MOST_LABELS));
    more.iter().flatten().try_for_each(|at| text(at).map(drop))?;
    pairs.iter().map(|[name, value]| Ok((text(name)?, text(value)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Metric, Recorder};
    use crate::sources::pushed::Options;

    /// 2026-11-22T10:00:00Z, in milliseconds.
    const BEGIN: i64 = 1_795_341_600_000;

    fn symbols() -> Vec<String> {
        ["", "__name__", "node_load1", "instance", "h1", "job", "node", "http_request_duration_seconds"]
            .map(str::to_owned)
            .to_vec()
    }

    fn taken(request: &Request) -> (Written, crate::history::History) {
        let mut write = RemoteWrite::new(Options::default(), None).expect("options");
        let written = write.write_second(request);
        let recorder: Recorder = write.into_recorder();
        (written, recorder.finish("x".into()))
    }

    fn load(labels_refs: &[u32]) -> Series {
        let samples = vec![Sample { value: 2.0, timestamp: BEGIN }, Sample { value: 4.0, timestamp: BEGIN + 15_000 }];
        Series { labels_refs: labels_refs.to_vec(), samples, histograms: Vec::new() }
    }

    #[test]
    fn texts_are_looked_up_in_the_table() {
        let (written, history) = taken(&Request { symbols: symbols(), timeseries: vec![load(&[1, 2, 3, 4, 5, 6])] });
        assert_eq!(written, Written { samples: 2, wrong: None });
        let mean = history.figure(&Metric::Named("load1".into()), 0, BEGIN / 300_000).map(|figure| figure.mean);
        assert_eq!((history.nodes[0].name.as_str(), mean), ("h1", Some(3.0)));
    }

    #[test]
    fn a_message_by_hand_is_read() {
        // symbols (4) "", "__name__", "node_load1", "instance", "h"; series (5): refs packed (1), a sample (2) of 1.5 at 5 ms.
        let bytes = [
            &b"\x22\x00\x22\x08__name__\x22\x0anode_load1\x22\x08instance\x22\x01h"[..],
            b"\x2a\x13\x0a\x04\x01\x02\x03\x04\x12\x0b\x09\x00\x00\x00\x00\x00\x00\xf8\x3f\x10\x05",
        ]
        .concat();
        let request = Request::decode(&bytes[..]).expect("a message");
        assert_eq!(request.symbols, ["", "__name__", "node_load1", "instance", "h"]);
        let series = &request.timeseries[0];
        assert_eq!(
            (&series.labels_refs[..], series.samples[0]),
            (&[1, 2, 3, 4][..], Sample { value: 1.5, timestamp: 5 })
        );
        // A start of the newer draft (field 3 of a sample), an exemplar (4), metadata (5) and a beginning (6) are passed over.
        let more = b"\x2a\x10\x0a\x04\x01\x02\x03\x04\x12\x02\x18\x07\x22\x00\x2a\x00\x30\x07";
        let request = Request::decode(&[&bytes[..], more].concat()[..]).expect("a message");
        assert_eq!(request.timeseries[1].samples, [Sample { value: 0.0, timestamp: 0 }]);
    }

    #[test]
    fn series_that_refer_to_nothing_are_told_and_the_others_are_taken() {
        let wrong = [load(&[1, 2, 3]), load(&[]), load(&[1, 99])];
        let timeseries = [&wrong[..], &[load(&[1, 2, 3, 4])]].concat();
        let (written, history) = taken(&Request { symbols: symbols(), timeseries });
        let (many, why) = written.wrong.expect("three are wrong");
        assert_eq!((written.samples, many), (2, 3));
        assert!(why.contains("series 0") && why.contains("3 references"), "{why}");
        assert!(history.remarks.iter().any(|remark| remark.what.contains("refer to no labels") && remark.times == 3));
        let beyond = labels(&symbols(), &[1, 99]).expect_err("there are eight");
        assert_eq!(beyond, "reference 99 is beyond the 8 symbols");
    }

    #[test]
    fn native_histograms_are_left_out_by_name() {
        let native = Series { histograms: vec![Native {}, Native {}], ..load(&[1, 7, 3, 4]) };
        let native = Series { samples: Vec::new(), ..native };
        let (written, history) = taken(&Request { symbols: symbols(), timeseries: vec![native] });
        assert_eq!(written, Written { samples: 0, wrong: None });
        let told = history.remarks.iter().find(|remark| remark.what.contains("native histograms")).expect("it is told");
        assert!(told.times == 2 && told.what.contains("http_request_duration_seconds"), "{told:?}");
    }
}
