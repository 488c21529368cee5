//! The score: what was found beside what was there.

use std::collections::BTreeMap;
use std::fmt;

use ambidex_core::runbook::{FailureMode, Names};
use ambidex_core::time::Span;

use super::{Judged, Labelled, Seen, Went};

/// The score of all modes.
#[derive(Clone, Debug, Default)]
pub struct Table {
    rows: [Row; FailureMode::ALL.len()],
    /// Runs that were judged.
    pub runs: usize,
    /// Of each kind of runs of two or three modes: how many, and those in which exactly these were found.
    pub compounds: BTreeMap<&'static str, (usize, usize)>,
    /// Oscillation by the period of the swing.
    pub periods: BTreeMap<Span, Row>,
    /// Runs that went another way than they were meant to, by kind.
    pub others: BTreeMap<(&'static str, Went), usize>,
    /// What went wrong: kind, seed, and what was found beside what was there.
    pub misses: Vec<String>,
}

/// The score of one mode.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    /// Runs that showed it.
    pub there: usize,
    /// Those of them in which it was found, after it began.
    pub found: usize,
    /// Runs in which it was found and was not there.
    pub wrong: usize,
    /// From its beginning to its finding.
    pub delays: Vec<Span>,
}

impl Row {
    /// Of what was found, what was there; all of nothing.
    #[must_use]
    pub fn precision(&self) -> f64 {
        share(self.found, self.found + self.wrong)
    }

    /// Of what was there, what was found; all of nothing.
    #[must_use]
    pub fn recall(&self) -> f64 {
        share(self.found, self.there)
    }

    /// A run that showed it: after how long it was found, if it was.
    fn note(&mut self, delay: Option<Span>) {
        self.there += 1;
        self.found += usize::from(delay.is_some());
        self.delays.extend(delay);
    }

    fn delay(&self, share: f64) -> Option<Span> {
        let mut delays = self.delays.clone();
        delays.sort_unstable();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place in a list")]
        let at = (share * (delays.len().checked_sub(1)?) as f64).round() as usize;
        delays.get(at).copied()
    }
}

impl Table {
    /// The score of one mode.
    #[must_use]
    pub fn row(&self, mode: FailureMode) -> &Row {
        &self.rows[mode as usize]
    }

    /// Takes one run in.
    pub fn add(&mut self, run: &Judged) {
        let Judged { seed, labelled, went, seen } = run;
        match went {
            Went::AsMeant => {}
            Went::Otherwise => *self.others.entry((labelled.kind, *went)).or_default() += 1,
            Went::DownBefore => {
                *self.others.entry((labelled.kind, *went)).or_default() += 1;
                return;
            }
        }
        self.compare(*seed, labelled, seen);
    }

    fn compare(&mut self, seed: u64, labelled: &Labelled, seen: &[Seen]) {
        self.runs += 1;
        let mut exact = true;
        for mode in FailureMode::ALL {
            let row = &mut self.rows[mode as usize];
            let there = labelled.modes.iter().find(|(known, _)| *known == mode).map(|(_, at)| *at);
            let of_mode = || seen.iter().filter(|seen| seen.finding.evidence.mode() == mode);
            match there {
                Some(from) => {
                    // A finding that is open when the mode begins stands: loops that are set to swing may do so before.
                    let open = |seen: &&Seen| seen.at >= from || seen.until.is_none_or(|until| until > from);
                    let first = of_mode().find(open).map(|seen| seen.at.max(from));
                    let delay = first.map(|at| at - from);
                    row.note(delay);
                    if let Some(period) = labelled.period.filter(|_| mode == FailureMode::Oscillation) {
                        self.periods.entry(period).or_default().note(delay);
                    }
                    exact &= delay.is_some();
                }
                None => {
                    let wrong = of_mode().next().is_some();
                    row.wrong += usize::from(wrong);
                    exact &= !wrong;
                }
            }
        }
        if labelled.modes.len() > 1 {
            let (runs, told_apart) = self.compounds.entry(labelled.kind).or_default();
            *runs += 1;
            *told_apart += usize::from(exact);
        }
        if !exact {
            let there: Vec<_> = labelled.modes.iter().map(|(mode, at)| format!("{} at {at}", mode.word())).collect();
            let names = Names { worker: &|worker| format!("w{}", worker.0), path: &|path| format!("path {path}") };
            let told = |seen: &Seen| {
                let evidence = &seen.finding.evidence;
                format!("{} at {:.1}s ({})", evidence.mode().word(), seen.at.as_secs_f64(), evidence.sentence(&names))
            };
            let found: Vec<_> = seen.iter().map(told).collect();
            let (there, found) = (there.join(", "), found.join(", "));
            self.misses.push(format!("{} seed {seed}: there [{there}], found [{found}]", labelled.kind));
        }
    }

    /// Whether every mode that was there has at least this precision and recall.
    #[must_use]
    pub fn reaches(&self, least: f64) -> bool {
        self.rows.iter().all(|row| row.precision() >= least && row.recall() >= least)
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| mode | runs with it | found | found without it | precision | recall | time to detect p50 | p95 |"
        )?;
        writeln!(f, "|---|---|---|---|---|---|---|---|")?;
        for mode in FailureMode::ALL {
            let row = self.row(mode);
            let delay =
                |share| row.delay(share).map_or_else(|| "-".to_owned(), |at| format!("{:.1} s", at.as_secs_f64()));
            writeln!(
                f,
                "| {mode} | {} | {} | {} | {:.3} | {:.3} | {} | {} |",
                row.there,
                row.found,
                row.wrong,
                row.precision(),
                row.recall(),
                delay(0.5),
                delay(0.95),
            )?;
        }
        if !self.periods.is_empty() {
            writeln!(f, "\n| oscillation with a period of | runs | found | time to detect p50 |\n|---|---|---|---|")?;
        }
        for (period, row) in &self.periods {
            let delay = row.delay(0.5).map_or_else(|| "-".to_owned(), |at| format!("{:.1} s", at.as_secs_f64()));
            writeln!(f, "| {:.0} s | {} | {} | {delay} |", period.as_secs_f64(), row.there, row.found)?;
        }
        writeln!(f, "\n| at once | runs | told apart exactly |\n|---|---|---|")?;
        for (kind, (runs, exact)) in &self.compounds {
            writeln!(f, "| {kind} | {runs} | {exact} |")?;
        }
        for ((kind, went), runs) in &self.others {
            let told = match went {
                Went::AsMeant => continue,
                Went::Otherwise => "did not show all that they were meant to, and count as runs without it",
                Went::DownBefore => "were down before anything went wrong in them, and are not judged",
            };
            writeln!(f, "\nmore runs of {kind}: {runs} {told}")?;
        }
        let of = |part: fn(&(usize, usize)) -> usize| self.compounds.values().map(part).sum::<usize>();
        let (compounds, exact) = (of(|known| known.0), of(|known| known.1));
        writeln!(f, "\n{} runs; of {compounds} with two or three modes {exact} were told apart exactly", self.runs)
    }
}

fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 { 1.0 } else { part as f64 / whole as f64 }
}
