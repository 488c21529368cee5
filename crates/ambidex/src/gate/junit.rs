//! The report as JUnit XML, which pipelines show: a suite a pool, a case a check. What cannot be told is an error there:
//! not a failure of the change, and not nothing either.

use std::fmt::Write as _;

use super::{Check, Report, Verdict};

/// The whole file.
pub(crate) fn junit(report: &Report) -> String {
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let counts = |checks: &[&Check]| {
        let of = |verdict| checks.iter().filter(|check| check.verdict == verdict).count();
        format!(
            "tests=\"{}\" failures=\"{}\" errors=\"{}\"",
            checks.len(),
            of(Verdict::Fail),
            of(Verdict::Inconclusive)
        )
    };
    let all: Vec<&Check> = report.checks.iter().collect();
    let _ = writeln!(text, "<testsuites name=\"ambidex gate\" {}>", counts(&all));
    for checks in report.checks.chunk_by(|a, b| a.pool == b.pool) {
        let checks: Vec<&Check> = checks.iter().collect();
        let pool = escaped(&checks[0].pool);
        let _ = writeln!(text, "  <testsuite name=\"{pool}\" {}>", counts(&checks));
        for check in checks {
            case(&mut text, &pool, check);
        }
        text.push_str("  </testsuite>\n");
    }
    text.push_str("</testsuites>\n");
    text
}

fn case(text: &mut String, pool: &str, check: &Check) {
    let (name, why) = (check.subject.word(), escaped(&check.why));
    let _ = write!(text, "    <testcase classname=\"ambidex.gate.{pool}\" name=\"{name}\">");
    let _ = match check.verdict {
        Verdict::Pass => write!(text, "<system-out>{why}</system-out>"),
        Verdict::Fail => write!(text, "<failure message=\"{why}\"/>"),
        Verdict::Inconclusive => write!(text, "<error message=\"{why}\"/>"),
    };
    text.push_str("</testcase>\n");
}

/// Text as XML takes it: what no XML may hold becomes the replacement character.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            char if char.is_control() => out.push('\u{fffd}'),
            char => out.push(char),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::judge::Subject;
    use super::*;

    #[test]
    fn each_check_is_a_case_and_names_cannot_break_out() {
        let check = |pool: &str, verdict, why: &str| Check {
            pool: pool.into(),
            subject: Subject::Balance,
            verdict,
            why: why.into(),
            run: None,
            baseline: None,
        };
        let checks = vec![
            check("a\"/><x>", Verdict::Pass, "fine"),
            check("b", Verdict::Fail, "w & \u{1b}"),
            check("b", Verdict::Inconclusive, "too few"),
        ];
        let text = junit(&Report { verdict: Verdict::Fail, limit: 0.25, most_change: 0.05, checks });
        assert!(text.contains(r#"<testsuites name="ambidex gate" tests="3" failures="1" errors="1">"#), "{text}");
        assert!(
            text.contains(r#"<testsuite name="a&quot;/&gt;&lt;x&gt;" tests="1" failures="0" errors="0">"#),
            "{text}"
        );
        assert!(
            text.contains("<failure message=\"w &amp; \u{fffd}\"/>") && text.contains(r#"<error message="too few"/>"#),
            "{text}"
        );
    }
}
