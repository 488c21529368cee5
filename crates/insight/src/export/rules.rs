//! Recording and alert rules for a Prometheus.
//!
//! Alerts are the doctor's as far as PromQL can say them: what stays is `avg_over_time` over three hours together with the part of
//! quarters of an hour beyond; spread has a window of 30 minutes and one of 5, and goes on firing until it is well under its limit.
//! What they cannot say is why: their text names the command that does.

use std::fmt::Write as _;

use super::{is_left, loads, recorded};
use crate::analysis::headroom;
use crate::doctor::limits::{CRITICAL_SPREAD, HOT, TWICE, WARN_SPREAD};
use crate::sources::prometheus::Exported;

/// The rules of these sets, as YAML.
#[must_use]
pub fn yaml(sets: &[Exported]) -> String {
    let mut out = String::from(
        "# Made by `ambidex export rules`: the thresholds of `ambidex diagnose`. `promtool check rules FILE` checks it.\ngroups:\n",
    );
    for set in sets {
        let _ = writeln!(out, "  - name: ambidex-{}\n    interval: 1m\n    rules:", set.name);
        for (metric, query) in loads(set) {
            let name = recorded(metric);
            record(&mut out, set, &name, query);
            let (service, own) = (&set.service, format!("{name}{{set=\"{}\"}}", set.name));
            let mean = format!("on ({service}) group_left () avg by ({service}) ({own})");
            record(&mut out, set, &format!("{name}:relative"), &format!("{own} / {mean}"));
            let spread = format!(
                "stddev by ({service}) ({own}) / avg by ({service}) ({own}) and count by ({service}) ({own}) > 1"
            );
            record(&mut out, set, &format!("{name}:spread"), &spread);
            stands_out(&mut out, set, &name);
            uneven(&mut out, set, &name);
            if is_left(metric) {
                let theta = headroom::THETA;
                record(
                    &mut out,
                    set,
                    &format!("{name}:left"),
                    &format!("({theta} - quantile_over_time(0.95, {own}[1h])) / {theta}"),
                );
                nearly_full(&mut out, set, &name);
            }
        }
    }
    out
}

fn record(out: &mut String, set: &Exported, name: &str, query: &str) {
    let _ = writeln!(
        out,
        "      - record: {name}\n        expr: |-\n{}\n        labels: {{set: {}}}",
        indented(query),
        set.name
    );
}

/// One node, for hours.
fn stands_out(out: &mut String, set: &Exported, name: &str) {
    let relative = format!("{name}:relative{{set=\"{}\"}}", set.name);
    let own = format!("{name}{{set=\"{}\"}}", set.name);
    let service = &set.service;
    for (level, limit) in [("warning", HOT), ("critical", TWICE)] {
        let query = format!(
            "avg_over_time({relative}[3h]) >= {limit}\nand avg_over_time(({relative} >= bool {STRUCTURAL})[3h:15m]) >= 0.6\n\
             and on ({service}) count by ({service}) ({own}) > 2"
        );
        let summary = format!(
            "{{{{ $labels.{} }}}} has {{{{ $value | printf \"%.2f\" }}}} times its part of {name} for hours",
            set.node
        );
        alert(
            out,
            &Alert { name: "AmbidexNodeStandsOut", query: &query, level, wait: "15m", keep: "15m", summary: &summary },
        );
    }
}

/// A service as a whole.
fn uneven(out: &mut String, set: &Exported, name: &str) {
    let spread = format!("{name}:spread{{set=\"{}\"}}", set.name);
    for (level, limit, clear) in [("warning", WARN_SPREAD, 0.20), ("critical", CRITICAL_SPREAD, 0.30)] {
        // It begins over the limit in both windows, and goes on until the longer one is under the lower limit.
        let begins = format!("(avg_over_time({spread}[30m]) > {limit} and avg_over_time({spread}[5m]) > {limit})");
        let goes_on = format!(
            "(avg_over_time({spread}[30m]) > {clear}\n and on ({}) ALERTS{{alertname=\"AmbidexLoadUneven\", severity=\"{level}\", alertstate=\"firing\", set=\"{}\"}})",
            set.service, set.name
        );
        let query = format!("{begins}\nor {goes_on}");
        let summary = format!("{name} lies unevenly: spread {{{{ $value | printf \"%.2f\" }}}}");
        alert(
            out,
            &Alert { name: "AmbidexLoadUneven", query: &query, level, wait: "5m", keep: "0s", summary: &summary },
        );
    }
}

/// What is left of a node.
fn nearly_full(out: &mut String, set: &Exported, name: &str) {
    let left = format!("{name}:left{{set=\"{}\"}}", set.name);
    for (level, limit) in [("warning", headroom::WARN), ("critical", headroom::CRITICAL)] {
        let summary = format!(
            "{{{{ $labels.{} }}}} has {{{{ $value | humanizePercentage }}}} left of what may be used of {name}",
            set.node
        );
        let query = format!("{left} < {limit}");
        alert(
            out,
            &Alert { name: "AmbidexNearlyFull", query: &query, level, wait: "15m", keep: "15m", summary: &summary },
        );
    }
}

struct Alert<'a> {
    name: &'a str,
    query: &'a str,
    level: &'a str,
    wait: &'a str,
    keep: &'a str,
    summary: &'a str,
}

fn alert(out: &mut String, alert: &Alert<'_>) {
    let Alert { name, query, level, wait, keep, summary } = alert;
    let _ = writeln!(out, "      - alert: {name}\n        expr: |-\n{}\n        for: {wait}", indented(query));
    if *keep != "0s" {
        let _ = writeln!(out, "        keep_firing_for: {keep}");
    }
    let _ = writeln!(
        out,
        "        labels: {{severity: {level}}}\n        annotations:\n          summary: '{summary}'\n          description: 'Why: ambidex \
         diagnose --prom URL'"
    );
}

fn indented(query: &str) -> String {
    let lines: Vec<String> = query.lines().map(|line| format!("          {}", line.trim_start())).collect();
    lines.join("\n")
}

/// Beyond it in most quarters of an hour. Source: diagnosis.md "structural".
const STRUCTURAL: f64 = 1.25;
