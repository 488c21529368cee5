//! A model as the `load:` section of a scenario, with what the section has no words for as comments.

use std::fmt::{self, Write as _};

use ambidex_core::time::Span;

use super::{Class, Model, Sizes, Skew};

impl Model {
    /// The section, as YAML. With a `trace` it takes its arrivals from that file.
    #[must_use]
    pub fn scenario(&self, trace: Option<&str>) -> String {
        let mut out = String::new();
        // Memory takes all.
        let _ = self.write(trace, &mut out);
        out
    }

    fn write(&self, trace: Option<&str>, out: &mut String) -> fmt::Result {
        writeln!(
            out,
            "# Fitted from {} requests in {:.1} s, recorded at {}%.",
            self.recorded,
            self.seconds,
            round(self.sample * 100.0, 4)
        )?;
        self.write_arrivals(trace, out)?;
        writeln!(out, "  classes:")?;
        for (class, share) in self.classes.iter().zip(percents(&self.classes)) {
            let Class { name, path, cost, method, template, .. } = class;
            let path = serde_json::to_string(path).unwrap_or_default();
            writeln!(out, "    # {method} {}", if template.is_empty() { "of all that is rarer" } else { template })?;
            writeln!(out, "    - {{name: {name}, share: {share}%, path: {path}, cost: {}}}", round(*cost, 2))?;
        }
        for (what, law) in [("keys", &self.keys), ("tenants", &self.tenants)] {
            if let Some(Skew { count, exponent }) = law {
                writeln!(out, "  {what}: {{count: {count}, zipf: {}}}", round(*exponent, 2))?;
            }
        }
        self.write_answers(out)
    }

    fn write_arrivals(&self, trace: Option<&str>, out: &mut String) -> fmt::Result {
        let arrivals = &self.arrivals;
        let (kind, note) = match (arrivals.gap_variation, arrivals.dispersion) {
            (variation, _) if variation < EVEN => ("constant", "as a clock's"),
            (_, dispersion) if dispersion > BURSTS => ("poisson", "BURSTS, which only a trace has (--trace)"),
            (_, _) => ("poisson", "as a Poisson process's"),
        };
        writeln!(
            out,
            "# Arrivals: variance of counts over their mean {:.2}, variation of gaps {:.2}: {note}.",
            arrivals.dispersion, arrivals.gap_variation
        )?;
        if let Some(trace) = trace {
            let file = serde_json::to_string(trace).unwrap_or_default();
            return writeln!(out, "load:\n  arrivals: {{trace: {file}}}");
        }
        let mut steps = arrivals.steps.iter();
        let first = steps.next().map_or(0.0, |step| step.rate);
        writeln!(out, "load:\n  rate: {}", rate(first))?;
        let step = |step: &super::Step| {
            let at = Span::from_millis(Span::from_secs_f64(step.at_s).as_millis());
            format!("{{at: {at}, rate: {}}}", rate(step.rate))
        };
        let later: Vec<String> = steps.map(step).collect();
        if !later.is_empty() {
            writeln!(out, "  rates: [{}]", later.join(", "))?;
        }
        writeln!(out, "  arrivals: {kind}")
    }

    fn write_answers(&self, out: &mut String) -> fmt::Result {
        if let Some(times) = &self.times {
            let far = if times.distance > FAR { "; FAR from what was seen" } else { "" };
            writeln!(
                out,
                "# Workers of this speed: service: {} (distance {:.2}{far}).",
                times.service, times.distance
            )?;
        }
        for (what, sizes) in [("requests", &self.request_bytes), ("answers", &self.answer_bytes)] {
            if let Some(Sizes { count, p50, p99, max }) = sizes {
                writeln!(out, "# Bodies of {count} {what}: p50 {p50}, p99 {p99}, longest {max} bytes.")?;
            }
        }
        writeln!(out, "# Failed: {}%.", round(self.failed_share * 100.0, 2))
    }
}

/// Shares in hundredths, which add up to 100: what rounding leaves goes to the most frequent.
fn percents(classes: &[Class]) -> Vec<f64> {
    let mut rounded: Vec<f64> = classes.iter().map(|class| round(class.share * 100.0, 2)).collect();
    let left = 100.0 - rounded.iter().sum::<f64>();
    if let Some(first) = rounded.first_mut() {
        *first = round(*first + left, 2);
    }
    rounded
}

/// A scenario has no silence.
fn rate(rate: f64) -> f64 {
    round(rate, 2).max(0.01)
}

fn round(number: f64, figures: i32) -> f64 {
    let scale = 10_f64.powi(figures);
    (number * scale).round() / scale
}

/// Variation of gaps under which they are even. Source: ours; a sender on a busy machine is no more exact.
const EVEN: f64 = 0.3;
/// Dispersion over which arrivals come in bursts. Source: ours, half as much again as a Poisson process's.
const BURSTS: f64 = 1.5;
/// Distance over which a distribution is a poor description. Source: ours, one request in ten is elsewhere.
const FAR: f64 = 0.1;
