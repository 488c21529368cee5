//! The report as one HTML file: loads nothing, needs no script, light or dark as the reader has it.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::Report;
use super::arm::{Arm, Kind, State, measured};
use super::goal::Verdict;
use super::plot::{Line, Plot};
use crate::measure::{Figures, Metric, Series};

impl Report {
    /// The report as a page.
    #[must_use]
    pub fn html(&self) -> String {
        let head = &self.head;
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'";
                    title { (head.name) " - " (head.title) }
                    style { (PreEscaped(STYLE)) }
                }
                body {
                    header {
                        p.kind { "ambidex lab, " (self.experiment) }
                        h1 { b { (head.name) } " " (head.title) }
                        ul.about { @for line in &head.lines { li { (line) } } }
                        p.fine { (head.duration) " measured after " (head.warm_up) ", seed " (head.seed) "; " (self.machine) }
                    }
                    (self.warnings())
                    (self.goals())
                    (self.effects())
                    (self.figures())
                    (self.side_by_side())
                    @for arm in &self.arms { (self.arm(arm)) }
                }
            }
        };
        page.into_string()
    }

    fn warnings(&self) -> Markup {
        html! {
            @for arm in &self.arms {
                @if let Some(why) = arm.invalid() {
                    p.warning { b { "Invalid: " (arm.name) ". " } (why) ". What is struck through says nothing of the balancer." }
                }
                @if let Some(why) = arm.left_out() {
                    p.warning { b { "Left out: " (arm.name) ". " } (why) "." }
                }
                @if let Some(cores) = arm.strained() {
                    p.warning { b { "Strained: " (arm.name) ". " } (format!("{cores:.2}")) " cores; over 0.40 its own cost counts as much as whom it chooses." }
                }
                @if let State::Skipped { why, install } = &arm.state {
                    p.warning { b { "Skipped: " (arm.name) ". " } (why) "; " code { (install) } }
                }
            }
        }
    }

    fn goals(&self) -> Markup {
        html! {
            @if !self.goals.is_empty() {
                section {
                    h2 { "Goals" }
                    ul.goals {
                        @for goal in &self.goals {
                            @let class = match goal.verdict {
                                Verdict::Met => "met",
                                Verdict::Missed { .. } => "missed",
                                Verdict::Invalid(_) | Verdict::NotJudged(_) => "open",
                            };
                            li class=(class) { span { (goal) } " " b { (goal.verdict) } }
                        }
                    }
                }
            }
        }
    }

    fn effects(&self) -> Markup {
        html! {
            @if !self.effects.is_empty() {
                section {
                    h2 { "Effect of each against the baseline" }
                    p.fine { "95 % intervals by Student's t over the logarithms of ratios, in pairs of the same seed." }
                    div.wide {
                        table {
                            thead { tr { th { "feature" } th { "metric" } th.n { "change" } th.n { "pairs" } th {} } }
                            tbody {
                                @for effect in &self.effects {
                                    tr.faint[!effect.is_clear()] {
                                        th { (effect.feature) } td { (effect.metric) } td.n { (effect.text()) } td.n { (effect.pairs) }
                                        td { @if !effect.is_clear() { "not clear of chance" } }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    fn figures(&self) -> Markup {
        let metrics = measured(&self.arms);
        if let [only] = &self.arms[..] {
            return html! {
                section {
                    h2 { "Figures" }
                    table.few {
                        tbody {
                            @for metric in &metrics {
                                tr { th { (metric) " " span.unit { (metric.unit()) } } (cell(only, *metric)) }
                            }
                        }
                    }
                }
            };
        }
        html! {
            section {
                h2 { "Figures" }
                div.wide {
                    table {
                        thead { tr { th {} @for metric in &metrics { th.n { (metric) " " span.unit { (metric.unit()) } } } } }
                        tbody {
                            @for arm in &self.arms {
                                tr.ours[arm.kind == Kind::Ours] {
                                    th { (arm.name) }
                                    @for metric in &metrics { (cell(arm, *metric)) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    /// All arms in one plot: their tails, and what they give to the workers that something is wrong with.
    fn side_by_side(&self) -> Markup {
        let ran = || self.arms.iter().filter_map(|arm| Some((arm, arm.typical()?))).take(COLOURS);
        if ran().count() < 2 {
            return html! {};
        }
        let line = |place: usize, arm: &Arm, points| Line {
            name: arm.name.clone(),
            class: format!("c{place}"),
            steps: false,
            points,
        };
        let tails =
            ran().enumerate().map(|(place, (arm, run))| line(place, arm, latency(&run.series, &run.series.p99_ms)));
        let tails = Plot { title: "p99", unit: "ms", spread: true, lines: reversed(tails), ..self.plot() };
        let troubled =
            ran().enumerate().map(|(place, (arm, run))| line(place, arm, share(&run.series, &self.head.troubled)));
        let shares =
            Plot { title: "Share of the workers in trouble", unit: "%", lines: reversed(troubled), ..self.plot() };
        html! {
            section {
                h2 { "Side by side" }
                (some(tails.draw()))
                @if !self.head.troubled.is_empty() { (some(shares.draw())) }
            }
        }
    }

    fn arm(&self, arm: &Arm) -> Markup {
        let only = self.arms.len() == 1;
        html! {
            details open[only] {
                summary { h2 { (arm.name) } }
                @if !arm.setup.is_empty() { pre { @for line in &arm.setup { (line) "\n" } } }
                @if let Some(run) = arm.typical() {
                    @if arm.runs().len() > 1 { p.fine { "Of " (arm.runs().len()) " runs, the one with the middle p99." } }
                    (some(self.latencies(run).draw()))
                    (some(self.failures(run).draw()))
                    (some(self.shares(run).draw()))
                    (some(self.weights(run).draw()))
                    (workers(run))
                }
            }
        }
    }

    fn plot(&self) -> Plot<'_> {
        let seconds = self.head.duration.as_secs_f64();
        let event = self.head.event.map(ambidex_core::time::Span::as_secs_f64);
        Plot { seconds, event, shades: &self.head.shades, ..Plot::default() }
    }

    fn latencies(&self, run: &Figures) -> Plot<'_> {
        let of = |name: &str, class: &str, values: &[Option<f64>]| Line {
            name: name.into(),
            class: class.into(),
            steps: false,
            points: latency(&run.series, values),
        };
        let lines = vec![of("p50", "c0", &run.series.p50_ms), of("p99", "c1", &run.series.p99_ms)];
        Plot { title: "Latency", unit: "ms", spread: true, lines, ..self.plot() }
    }

    fn failures(&self, run: &Figures) -> Plot<'_> {
        let lines = if run.failures.total() == 0 {
            Vec::new()
        } else {
            let failed = &run.series.failed;
            let together = together(&run.series);
            let second = |(at, bins): (usize, &[u32])| {
                let width = bins.len() as f64 * run.series.bin_s;
                let count: f64 = bins.iter().map(|count| f64::from(*count)).sum();
                ((at * together) as f64 * run.series.bin_s, Some(count / width))
            };
            let points = failed.chunks(together).enumerate().map(second).collect();
            vec![Line { name: "failed".into(), class: "bad".into(), steps: true, points }]
        };
        Plot { title: "Failed requests", unit: "/s", lines, ..self.plot() }
    }

    fn shares(&self, run: &Figures) -> Plot<'_> {
        let points = |worker: usize| share(&run.series, &[worker]);
        Plot { title: "Shares", unit: "%", lines: self.by_worker(run, false, points), ..self.plot() }
    }

    fn weights(&self, run: &Figures) -> Plot<'_> {
        let points = |worker: usize| {
            let at = |tick: &crate::measure::WeightsAt| (tick.at_s, tick.shares.get(worker).map(|share| share * 100.0));
            run.series.weights.iter().map(at).collect()
        };
        Plot { title: "Weights, of their sum", unit: "%", lines: self.by_worker(run, true, points), ..self.plot() }
    }

    /// A line for each worker: those in trouble in colour and in front, few others in colour, many in grey.
    fn by_worker(&self, run: &Figures, steps: bool, points: impl Fn(usize) -> Vec<(f64, Option<f64>)>) -> Vec<Line> {
        let count = if run.series.by_worker.is_empty() { 0 } else { run.workers.len() };
        let is_named = |worker: usize| count <= FEW_WORKERS || self.head.troubled.contains(&worker);
        let mut named: Vec<usize> = (0..count).filter(|worker| is_named(*worker)).collect();
        named.sort_by_key(|worker| !self.head.troubled.contains(worker));
        named.truncate(COLOURS);
        let others = (0..count).filter(|worker| !named.contains(worker));
        let mut lines: Vec<Line> = others
            .enumerate()
            .map(|(place, worker)| Line {
                name: if place == 0 { "the other workers".into() } else { String::new() },
                class: "rest".into(),
                steps,
                points: points(worker),
            })
            .collect();
        lines.extend(named.iter().enumerate().rev().map(|(place, worker)| Line {
            name: run.workers[*worker].name.clone(),
            class: format!("c{place}"),
            steps,
            points: points(*worker),
        }));
        lines
    }
}

fn cell(arm: &Arm, metric: Metric) -> Markup {
    let invalid = metric.needs_the_rate_held() && arm.invalid().is_some();
    html! {
        td.n.invalid[invalid] {
            @match (arm.summary(metric), &arm.state) {
                (Some(summary), _) => {
                    (metric.show(summary.median()))
                    @let (least, most) = summary.range();
                    @if metric.show(least) != metric.show(most) {
                        br; small { (metric.show(least)) " .. " (metric.show(most)) }
                    }
                }
                (None, State::Skipped { .. }) => { "skipped" }
                (None, State::Ran(_)) => { "-" }
            }
        }
    }
}

fn workers(run: &Figures) -> Markup {
    html! {
        div.wide {
            table {
                thead { tr { th { "worker" } @for title in ["requests", "share %", "busy %", "failed", "p50 ms", "p99 ms"] { th.n { (title) } } } }
                tbody {
                    @for worker in run.workers.iter().take(MOST_ROWS) {
                        tr {
                            th { (worker.name) }
                            td.n { (worker.requests) }
                            td.n { (format!("{:.1}", worker.share * 100.0)) }
                            td.n { @if let Some(busy) = worker.utilization { (format!("{:.0}", busy * 100.0)) } @else { "-" } }
                            td.n { (worker.failed) }
                            td.n { (Metric::P50.show(worker.latency.p50_ms)) }
                            td.n { (Metric::P99.show(worker.latency.p99_ms)) }
                        }
                    }
                }
            }
        }
    }
}

/// What is drawn last lies on top: the first arm, and the workers in trouble.
fn reversed(lines: impl Iterator<Item = Line>) -> Vec<Line> {
    let mut lines: Vec<Line> = lines.collect();
    lines.reverse();
    lines
}

fn some(markup: Option<Markup>) -> Markup {
    markup.unwrap_or_default()
}

/// Percentiles with the middle of their steps.
fn latency(series: &Series, values: &[Option<f64>]) -> Vec<(f64, Option<f64>)> {
    let step = series.latency_step_s;
    values.iter().enumerate().map(|(at, value)| ((at as f64 + 0.5) * step, *value)).collect()
}

/// The share of some workers in percent, second by second.
fn share(series: &Series, workers: &[usize]) -> Vec<(f64, Option<f64>)> {
    let together = together(series);
    let bins = series.by_worker.first().map_or(0, Vec::len);
    let count = |worker: usize, from: usize| {
        let all = series.by_worker.get(worker).map_or(&[][..], |bins| &bins[from..(from + together).min(bins.len())]);
        all.iter().map(|count| u64::from(*count)).sum::<u64>()
    };
    let point = |from: usize| {
        let of_these: u64 = workers.iter().map(|worker| count(*worker, from)).sum();
        let all: u64 = (0..series.by_worker.len()).map(|worker| count(worker, from)).sum();
        let middle = (from as f64 + together as f64 / 2.0) * series.bin_s;
        (middle, (all > 0).then(|| of_these as f64 / all as f64 * 100.0))
    };
    (0..bins).step_by(together).map(point).collect()
}

/// How many bins a second is.
fn together(series: &Series) -> usize {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 1 to 10 bins")]
    let bins = (1.0 / series.bin_s.max(1e-3)).round() as usize;
    bins.max(1)
}

const STYLE: &str = include_str!("page.css");
/// So many workers can each have a colour without hiding those in trouble. Source: ours.
const FEW_WORKERS: usize = 6;
/// Colours of lines in the style.
const COLOURS: usize = 12;
/// Rows of a page; the JSON has them all.
const MOST_ROWS: usize = 200;
