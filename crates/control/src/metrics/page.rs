//! How families are written on the page, whatever they count.

use ambidex_core::stats::histogram::Histogram;
use ambidex_core::time::Span;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

use crate::facts::{Family, Kind};

pub(super) type Labels = Vec<(&'static str, String)>;

/// Writes families; one without samples is left out.
pub(super) struct Page<'a, 'b>(pub(super) &'a mut DescriptorEncoder<'b>);

impl Page<'_, '_> {
    fn each<V>(
        &mut self,
        (name, help, kind): (&str, &str, MetricType),
        samples: impl IntoIterator<Item = (Labels, V)>,
        mut write: impl FnMut(&mut MetricEncoder<'_>, V) -> std::fmt::Result,
    ) -> std::fmt::Result {
        let mut samples = samples.into_iter().peekable();
        if samples.peek().is_none() {
            return Ok(());
        }
        let mut encoder = self.0.encode_descriptor(name, help, None, kind)?;
        for (labels, value) in samples {
            if labels.is_empty() {
                write(&mut encoder, value)?;
            } else {
                write(&mut encoder.encode_family(&labels)?, value)?;
            }
        }
        Ok(())
    }

    pub(super) fn gauges(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (Labels, f64)>,
    ) -> std::fmt::Result {
        self.each((name, help, MetricType::Gauge), samples, |encoder, value| encoder.encode_gauge(&value))
    }

    pub(super) fn counters(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (Labels, u64)>,
    ) -> std::fmt::Result {
        let write = |encoder: &mut MetricEncoder<'_>, value| encoder.encode_counter::<NoLabelSet, _, f64>(&value, None);
        self.each((name, help, MetricType::Counter), samples, write)
    }

    pub(super) fn histograms<'a>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl Iterator<Item = (&'a Labels, &'a Histogram)>,
    ) -> std::fmt::Result {
        let samples = samples.map(|(labels, histogram)| (labels.clone(), histogram));
        self.each((name, help, MetricType::Histogram), samples, |encoder, histogram| {
            let mut below = 0;
            let mut buckets: Vec<(f64, u64)> = BOUNDS_MS
                .iter()
                .map(|&millis| {
                    let limit = Span::from_millis(millis);
                    let up_to = histogram.count_up_to(limit).max(below);
                    let here = up_to - below;
                    below = up_to;
                    (limit.as_secs_f64(), here)
                })
                .collect();
            let count = histogram.count().max(below);
            buckets.push((f64::MAX, count - below));
            encoder.encode_histogram::<NoLabelSet>(histogram.sum().as_secs_f64(), count, &buckets, None)
        })
    }

    pub(super) fn family(&mut self, family: &Family) -> std::fmt::Result {
        let name = format!("ambidex_{}", family.name);
        let samples = || family.samples.iter().take(MOST_SAMPLES).cloned();
        match family.kind {
            Kind::Gauge => self.gauges(&name, family.help, samples()),
            Kind::Counter => {
                let write = |encoder: &mut MetricEncoder<'_>, value: f64| {
                    encoder.encode_counter::<NoLabelSet, _, f64>(&value, None)
                };
                self.each((&name, family.help, MetricType::Counter), samples(), write)
            }
        }
    }
}

/// A sample without labels.
pub(super) fn plain(value: f64) -> (Labels, f64) {
    (Vec::new(), value)
}

/// Samples of one gateway family that are passed on. Source: reliability.md row 11.
const MOST_SAMPLES: usize = 1_000;

/// Upper bounds of the latency histogram in milliseconds. Source: Prometheus' defaults, widened to what a gateway sees.
const BOUNDS_MS: [u64; 18] =
    [1, 2, 5, 10, 15, 25, 50, 75, 100, 150, 250, 500, 750, 1_000, 2_500, 5_000, 10_000, 30_000];
