//! What Envoys counted of a worker, as its report.

use ambidex_core::signal::Report;
use ambidex_wire::report::field::Field;
use ambidex_wire::report::orca;
use ambidex_xds::loads::EndpointLoad;

/// How much came back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Reports that were used.
    pub(super) used: u64,
    /// Reports of workers, carried by Envoys, that no worker can have sent.
    pub(super) refused: u64,
}

impl Counts {
    /// The report that a worker's load makes: what the worker says of itself by ORCA, and over it what Envoys counted. The
    /// latency that follows from their counts stands where the worker says none.
    pub(super) fn report(&mut self, load: &EndpointLoad) -> Option<Report> {
        let mut counted = vec![(Field::Rate, load.rate), (Field::InFlight, load.in_progress as f64)];
        if load.samples > 0 {
            counted.push((Field::Errors, load.failed as f64 / load.samples as f64));
        }
        let presumed: Vec<_> =
            load.latency.map(|latency| (Field::Mean, latency.as_nanos() as f64 / 1e6)).into_iter().collect();
        let figures = load.metrics.iter().map(|(name, value)| (&**name, *value));
        let report = orca::gather(figures, &presumed, &counted).or_else(|_| {
            self.refused += 1;
            orca::gather([], &presumed, &counted)
        });
        self.used += u64::from(report.is_ok());
        report.ok()
    }
}

#[cfg(test)]
mod tests {
    use ambidex_core::time::Span;
    use ambidex_core::view::Address;

    use super::*;

    fn load(metrics: &[(&str, f64)]) -> EndpointLoad {
        EndpointLoad {
            address: Address::Ip(([127, 0, 0, 1], 1).into()),
            rate: 50.0,
            samples: 100,
            failed: 5,
            in_progress: 2,
            latency: Some(Span::from_millis(40)),
            metrics: metrics.iter().map(|(name, value)| ((*name).into(), *value)).collect(),
        }
    }

    #[test]
    fn what_envoys_counted_counts_and_the_workers_word_fills_the_rest() {
        let figures = [("named_metrics.mean_ms", 30.0), ("rps_fractional", 9.0), ("cpu_utilization", 0.5)];
        let report = Counts::default().report(&load(&figures)).expect("sound");
        assert_eq!((report.rate, report.in_flight), (Some(50.0), Some(2)));
        assert_eq!((report.mean, report.cpu), (Some(Span::from_millis(30)), Some(0.5)));
        let report = Counts::default().report(&load(&[])).expect("sound");
        assert_eq!((report.mean, report.errors.map(|share| share.get())), (Some(Span::from_millis(40)), Some(0.05)));
    }

    #[test]
    fn a_figure_that_no_worker_can_have_does_not_cost_what_envoys_counted() {
        let mut counts = Counts::default();
        let report = counts.report(&load(&[("cpu_utilization", -1.0)])).expect("counted");
        assert_eq!((report.rate, report.cpu), (Some(50.0), None));
        assert_eq!(counts, Counts { used: 1, refused: 1 });
    }
}
