//! How reports and alerts say moments, levels and verdicts.

use crate::analysis::blame::Blame;
use crate::analysis::structure::Verdict;
use crate::doctor::{Callers, Cause, Finding, Hypothesis, Level, Split, Spread, UsualSpread};
use crate::history::At;

/// `2026-11-22 07:05`, by UTC.
pub(super) fn moment(at: At) -> String {
    let minutes = at.0.div_euclid(60_000);
    let (days, minute) = (minutes.div_euclid(1_440), minutes.rem_euclid(1_440));
    let (year, month, day) = date(days);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}", minute / 60, minute % 60)
}

/// `2026-11-22T07:05:09Z`.
#[must_use]
pub fn rfc3339(at: At) -> String {
    let seconds = at.0.div_euclid(1_000);
    let minute = moment(At(seconds.div_euclid(60) * 60_000)).replace(' ', "T");
    format!("{minute}:{:02}Z", seconds.rem_euclid(60))
}

/// The civil date of a day since 1970, by counting eras of 400 years from 1 March of year 0.
fn date(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// One word.
pub(super) const fn level(level: Level) -> &'static str {
    match level {
        Level::Well => "even",
        Level::Notice => "notice",
        Level::Warn => "warning",
        Level::Critical => "critical",
    }
}

/// A shape, so that no colour is needed to tell them apart.
pub(super) const fn shape(level: Level) -> &'static str {
    match level {
        Level::Well => "·",
        Level::Notice => "○",
        Level::Warn => "◆",
        Level::Critical => "▲",
    }
}

/// In a few words.
#[must_use]
pub const fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Structural => "structural: it stays",
        Verdict::Emerging => "emerging: in most of the newest windows",
        Verdict::Transient => "transient: one window made most of it",
        Verdict::Recurring => "recurring: at the same hours of three days or more",
        Verdict::Resolved => "resolved",
        Verdict::Well => "well",
        Verdict::Insufficient => "insufficient: too few windows to say whether it stays",
    }
}

/// The reasons that are told: the first three, without "none of these" where another one is before it.
pub fn reasons(finding: &Finding) -> impl Iterator<Item = &Hypothesis> {
    let known = finding.hypotheses.iter().take_while(|one| one.cause != Cause::Unknown).count();
    finding.hypotheses.iter().take(known.clamp(1, 3))
}

/// What a finding costs, in phrases; empty where nothing is known of it.
#[must_use]
pub fn costs(finding: &Finding) -> Vec<String> {
    let impact = &finding.impact;
    let mut all = Vec::new();
    all.extend(impact.p99_ratio.filter(|ratio| *ratio >= 1.1).map(|ratio| format!("p99 {ratio:.1} times its peers'")));
    all.extend(
        impact
            .errors
            .filter(|points| *points >= 0.001)
            .map(|points| format!("{:.1} points more errors", points * 100.0)),
    );
    if impact.stranded >= 0.01 {
        all.push(format!("{:.0} % of the group's capacity cannot be used while it is so", impact.stranded * 100.0));
    }
    all.extend(impact.cmi.map(|cmi| format!("{:.0} % left of what may be used (CMI {cmi:.2})", cmi.max(0.0) * 100.0)));
    all
}

/// What is usual of a spread, where it is told by what was learned and not by what is fixed.
pub(crate) fn usual(spread: &Spread) -> String {
    let learned = spread.usual.filter(UsualSpread::differs);
    learned.map_or_else(String::new, |usual| {
        format!(", usual at these hours: {:.3}, told over {:.3}", usual.median, usual.warn)
    })
}

/// Whose doing it is that requests lie unevenly, in parts of what chance does not make.
pub(super) fn blame(blame: &Blame) -> String {
    let Blame { nodes, services, instances, routes, zones, .. } = blame;
    let part = |of: &[crate::analysis::blame::Share]| blame.part(of) * 100.0;
    if part(&[*nodes, *services, *instances, *routes]) < 1.0 {
        return "what unevenness there is, chance may have made".to_owned();
    }
    let zones = zones.as_ref().map_or_else(String::new, |zones| {
        let of = |between: f64, within: f64| 100.0 * between / (between + within).max(f64::MIN_POSITIVE);
        format!(
            "; between zones lies {:.0} % of the nodes' part and {:.0} % of the callers'",
            of(zones.nodes_between, zones.nodes_within),
            of(zones.callers_between, zones.callers_within)
        )
    });
    format!(
        "of their unevenness all callers share {:.0} %, calling services make {:.0} %, single instances {:.0} %, routes {:.0} %{zones}",
        part(&[*nodes]),
        part(&[*services]),
        part(&[*instances]),
        part(&[*routes])
    )
}

/// Who called, and of how many it is not known.
pub(super) fn called(callers: &Callers) -> String {
    let others = callers.others / (callers.requests + callers.others).max(f64::MIN_POSITIVE) * 100.0;
    let rest = if others >= 1.0 { format!(" ({others:.0} % more are of others)") } else { String::new() };
    let hops = callers.hops.iter().filter(|hop| hop.from.is_some()).count();
    let from = if hops > 1 { format!(" of {hops} calling services") } else { String::new() };
    format!("callers: {:.0} requests{from}{rest}; {}", callers.requests, blame(&callers.blame))
}

/// A group that may be two.
pub(super) fn split(split: &Split) -> String {
    let side = |nodes: &[String]| {
        let more = nodes.len().saturating_sub(3);
        let named = nodes[..nodes.len().min(3)].join(", ");
        if more > 0 { format!("{named} and {more} more") } else { named }
    };
    let times = split
        .ratio
        .map_or_else(|| "what the others have nothing of".to_owned(), |ratio| format!("{ratio:.2} times as much"));
    format!(
        "Two kinds of nodes? Of {} {} have {times}, {} less, and nobody is between. If that is meant so, `--split` judges each kind by \
         itself; if not, one kind has too much.",
        split.metric,
        side(&split.high),
        side(&split.low)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_told_by_the_calendar() {
        assert_eq!(moment(At(0)), "1970-01-01 00:00");
        assert_eq!(moment(At(951_782_399_000)), "2000-02-28 23:59");
        assert_eq!(moment(At(951_868_799_000)), "2000-02-29 23:59");
        assert_eq!(moment(At(1_795_343_400_000)), "2026-11-22 10:30");
        assert_eq!(moment(At(-60_000)), "1969-12-31 23:59");
    }
}
