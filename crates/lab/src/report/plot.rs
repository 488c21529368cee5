//! A plot: lines over seconds, with the faults' curves behind them. Drawn stretched to the width that there is, with
//! its labels as text beside it, so that it can be read on a narrow screen and copied from.

use std::fmt::Write as _;

use maud::{Markup, html};

use super::head::Shade;

/// Lines on one axis of seconds.
#[derive(Clone, Debug, Default)]
pub(super) struct Plot<'a> {
    pub(super) title: &'static str,
    pub(super) unit: &'static str,
    pub(super) seconds: f64,
    pub(super) event: Option<f64>,
    pub(super) shades: &'a [Shade],
    pub(super) lines: Vec<Line>,
    /// Whether values are spread over so many sizes that each ten times needs the same room.
    pub(super) spread: bool,
}

/// One line.
#[derive(Clone, Debug, Default)]
pub(super) struct Line {
    pub(super) name: String,
    /// Its colour: a class of the page's style.
    pub(super) class: String,
    /// Whether a value holds until the next.
    pub(super) steps: bool,
    pub(super) points: Vec<(f64, Option<f64>)>,
}

impl Plot<'_> {
    /// The plot; nothing when no line has a value.
    pub(super) fn draw(&self) -> Option<Markup> {
        let scale = Scale::of(self)?;
        let x = |seconds: f64| seconds / self.seconds * 100.0;
        Some(html! {
            figure {
                figcaption { (self.title) " " span.unit { (self.unit) } }
                div.plot {
                    div.y { @for tick in &scale.ticks { span style=(format!("bottom:{:.2}%", scale.y(*tick) * 100.0)) { (short(*tick)) } } }
                    div.area {
                        svg viewBox="0 0 1000 1000" preserveAspectRatio="none" role="img" aria-label=(self.title) {
                            @for shade in self.shades { path.shade d=(self.shade(shade)) { title { (shade.label) } } }
                            @for tick in &scale.ticks {
                                @let at = format!("{:.1}", 1000.0 - scale.y(*tick) * 1000.0);
                                line.grid x1="0" x2="1000" y1=(at) y2=(at) {}
                            }
                            @if let Some(event) = self.event {
                                @let at = format!("{:.1}", x(event) * 10.0);
                                line.event x1=(at) x2=(at) y1="0" y2="1000" {}
                            }
                            @for line in &self.lines {
                                path class=(format!("line {}", line.class)) d=(self.path(line, &scale)) { title { (line.name) } }
                            }
                        }
                    }
                    div.x { @for tick in ticks(0.0, self.seconds, 6) { span style=(format!("left:{:.2}%", x(tick))) { (short(tick)) " s" } } }
                }
                ul.legend {
                    @for line in self.lines.iter().rev().filter(|line| !line.name.is_empty()) {
                        li { i class=(line.class) {} (line.name) }
                    }
                    @for shade in self.shades { li { i.shade {} (shade.label) } }
                }
            }
        })
    }

    fn path(&self, line: &Line, scale: &Scale) -> String {
        let (mut path, mut pen_is_down, mut height) = (String::new(), false, 0.0);
        for (seconds, value) in &line.points {
            let Some(value) = value else {
                pen_is_down = false;
                continue;
            };
            let (x, y) = ((seconds / self.seconds * 1000.0).clamp(0.0, 1000.0), 1000.0 - scale.y(*value) * 1000.0);
            // Writing to a String cannot fail.
            let _ = match (pen_is_down, line.steps) {
                (false, _) => write!(path, "M{x:.1} {y:.1}"),
                (true, true) => write!(path, "L{x:.1} {height:.1}L{x:.1} {y:.1}"),
                (true, false) => write!(path, "L{x:.1} {y:.1}"),
            };
            (pen_is_down, height) = (true, y);
        }
        if line.steps && pen_is_down {
            let _ = write!(path, "L1000 {height:.1}");
        }
        path
    }

    fn shade(&self, shade: &Shade) -> String {
        let (mut path, mut height) = (String::from("M0 1000"), 1000.0);
        for (seconds, level) in &shade.points {
            let (x, y) = (seconds / self.seconds * 1000.0, 1000.0 - level * 1000.0);
            // Writing to a String cannot fail.
            let _ = write!(path, "L{x:.1} {height:.1}L{x:.1} {y:.1}");
            height = y;
        }
        let _ = write!(path, "L1000 {height:.1}L1000 1000Z");
        path
    }
}

/// From a value to its height, 0 to 1.
struct Scale {
    least: f64,
    most: f64,
    spread: bool,
    ticks: Vec<f64>,
}

impl Scale {
    fn of(plot: &Plot<'_>) -> Option<Self> {
        let values = || plot.lines.iter().flat_map(|line| line.points.iter().filter_map(|(_, value)| *value));
        let most = values().filter(|value| value.is_finite()).fold(f64::NEG_INFINITY, f64::max);
        if most.is_infinite() || plot.seconds <= 0.0 {
            return None;
        }
        let least = values().filter(|value| *value > 0.0).fold(f64::INFINITY, f64::min);
        if plot.spread && least.is_finite() && most / least > MANY_SIZES {
            let (least, most) = (10_f64.powf(least.log10().floor()), 10_f64.powf(most.log10().ceil()));
            let decades =
                std::iter::successors(Some(least), |tick| Some(tick * 10.0)).take_while(|tick| *tick <= most * 1.01);
            return Some(Self { least, most, spread: true, ticks: decades.collect() });
        }
        let ticks = ticks(0.0, if most > 0.0 { most * 1.05 } else { 1.0 }, 4);
        let step = ticks.get(1).copied().unwrap_or(1.0);
        let top = ticks.last().copied().unwrap_or(0.0) + step;
        let top = if top - step >= most { top - step } else { top };
        let ticks = if top > *ticks.last().unwrap_or(&0.0) { ticks.into_iter().chain([top]).collect() } else { ticks };
        Some(Self { least: 0.0, most: top, spread: false, ticks })
    }

    fn y(&self, value: f64) -> f64 {
        let part = if self.spread {
            (value.max(self.least) / self.least).log10() / (self.most / self.least).log10()
        } else {
            (value - self.least) / (self.most - self.least)
        };
        part.clamp(0.0, 1.0)
    }
}

/// About so many round numbers from `from` to `to`.
fn ticks(from: f64, to: f64, about: u32) -> Vec<f64> {
    let raw = (to - from) / f64::from(about);
    let size = 10_f64.powf(raw.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|times| times * size).into_iter().find(|step| *step >= raw).unwrap_or(raw);
    std::iter::successors(Some(0.0_f64), |count| Some(count + 1.0))
        .map(|count| from + count * step)
        .take_while(|tick| *tick <= to + step * 1e-9)
        .collect()
}

/// A number as short as it can be read.
fn short(value: f64) -> String {
    if value >= 1e4 {
        return format!("{}k", short(value / 1e3));
    }
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The largest over the least from which on a logarithmic axis reads better. Source: ours.
const MANY_SIZES: f64 = 30.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_cover_the_axis() {
        assert_eq!(ticks(0.0, 60.0, 6), [0.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0]);
        assert_eq!(ticks(0.0, 0.37, 4).last().map(|tick| (tick * 10.0).round()), Some(3.0));
        assert_eq!([0.0, 0.2, 10.0, 25_000.0].map(short), ["0", "0.2", "10", "25k"]);
    }

    #[test]
    fn a_line_breaks_where_there_is_no_value() {
        let points = vec![(0.0, Some(1.0)), (5.0, None), (10.0, Some(1.0))];
        let line = Line { points, ..Line::default() };
        let plot = Plot { seconds: 10.0, lines: vec![line], ..Plot::default() };
        let path = plot.path(&plot.lines[0], &Scale::of(&plot).expect("values"));
        assert_eq!(path.matches('M').count(), 2, "{path}");
    }

    #[test]
    fn values_of_many_sizes_get_the_same_room_for_each_ten_times() {
        let points = vec![(0.0, Some(5.0)), (1.0, Some(4_000.0))];
        let plot =
            Plot { seconds: 1.0, spread: true, lines: vec![Line { points, ..Line::default() }], ..Plot::default() };
        let scale = Scale::of(&plot).expect("values");
        assert_eq!(scale.ticks, [1.0, 10.0, 100.0, 1_000.0, 10_000.0]);
        assert!((scale.y(100.0) - 0.5).abs() < 1e-9);
    }

    #[test]
    fn a_plot_without_values_is_left_out() {
        assert!(Plot { seconds: 1.0, ..Plot::default() }.draw().is_none());
    }
}
