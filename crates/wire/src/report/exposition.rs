//! Prometheus's text exposition, line by line: a worker's own metrics, as it shows them to whoever scrapes [R-S5].
//!
//! ```text
//! # HELP http_requests_total Requests.          not read
//! http_requests_total{code="200",path="/"} 1027 1395066363000
//! \______ name ______/\______ labels _____/ value  \_ not read
//! ```
//! Source: Prometheus, "Exposition formats", text 0.0.4; OpenMetrics' text reads alike. A line that cannot be read is passed
//! over: of a page of thousands, most are none of ours.

use std::borrow::Cow;

/// One line of a page.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample<'t> {
    /// The metric's name.
    pub name: &'t str,
    /// Its labels, in their order.
    pub labels: Labels<'t>,
    /// Its value.
    pub value: f64,
}

/// Names of labels with their values.
pub type Labels<'t> = Vec<(&'t str, Cow<'t, str>)>;

impl Sample<'_> {
    /// The value of a label.
    #[must_use]
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(known, _)| *known == name).map(|(_, value)| &**value)
    }
}

/// The samples of a page whose names `wanted` wants.
pub fn samples<'t>(page: &'t str, wanted: impl Fn(&str) -> bool) -> impl Iterator<Item = Sample<'t>> {
    page.lines().filter_map(move |line| {
        let line = line.trim_start();
        let end = line.find(|c: char| c == '{' || c.is_ascii_whitespace())?;
        let (name, rest) = line.split_at(end);
        if name.starts_with('#') || !wanted(name) {
            return None;
        }
        let (labels, rest) = match rest.strip_prefix('{') {
            Some(inner) => labels(inner)?,
            None => (Vec::new(), rest),
        };
        let value = rest.split_ascii_whitespace().next()?;
        Some(Sample { name, labels, value: number(value)? })
    })
}

/// Labels up to the closing brace, and what follows.
fn labels(mut rest: &str) -> Option<(Labels<'_>, &str)> {
    let mut labels = Vec::new();
    loop {
        rest = rest.trim_start_matches([' ', ',']);
        if let Some(after) = rest.strip_prefix('}') {
            return Some((labels, after));
        }
        if labels.len() >= MOST_LABELS {
            return None;
        }
        let (name, quoted) = rest.split_once('=')?;
        let (value, after) = quoted_text(quoted.trim_start().strip_prefix('"')?)?;
        labels.push((name.trim(), value));
        rest = after;
    }
}

/// A label's value up to its closing quote, and what follows.
fn quoted_text(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let end = text.find(['"', '\\'])?;
    if text[end..].starts_with('"') {
        return Some((Cow::Borrowed(&text[..end]), &text[end + 1..]));
    }
    let mut plain = String::from(&text[..end]);
    let mut chars = text[end..].char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return Some((Cow::Owned(plain), &text[end + at + 1..])),
            '\\' => match chars.next()?.1 {
                'n' => plain.push('\n'),
                other => plain.push(other),
            },
            other => plain.push(other),
        }
    }
    None
}

fn number(text: &str) -> Option<f64> {
    match text {
        "+Inf" | "Inf" => Some(f64::INFINITY),
        "-Inf" => Some(f64::NEG_INFINITY),
        other => other.parse().ok(),
    }
}

/// Labels of one sample. Source: ours; Prometheus's own servers warn at 30.
const MOST_LABELS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn all(page: &str) -> Vec<Sample<'_>> {
        samples(page, |_| true).collect()
    }

    #[test]
    fn names_labels_and_values_are_read_and_the_rest_is_passed_over() {
        let page = "# HELP a Help.\n# TYPE a counter\na 1\nb{} 2 1395066363000\n  c{x=\"1\",y=\"a\\\"b\\\\c\\nd\",} +Inf\n\
                    broken{x=\"1\" 3\nworse{x=1} 3\nd{x=\"}\"} 4e-1\nnot a number\n# EOF\n";
        let read = all(page);
        let names: Vec<_> = read.iter().map(|sample| (sample.name, sample.value)).collect();
        assert_eq!(names, [("a", 1.0), ("b", 2.0), ("c", f64::INFINITY), ("d", 0.4)]);
        assert_eq!((read[2].label("x"), read[2].label("y")), (Some("1"), Some("a\"b\\c\nd")));
        assert_eq!(read[3].label("x"), Some("}"));
    }

    #[test]
    fn only_what_is_wanted_is_read() {
        let read: Vec<_> = samples("a 1\nab 2\n", |name| name == "ab").collect();
        assert_eq!(read.len(), 1);
    }

    proptest::proptest! {
        #[test]
        fn whatever_a_page_holds_it_is_read_to_its_end(page in "[a-c{}=\"\\\\, \n0-9.#+-]{0,200}") {
            let _ = all(&page);
        }
    }
}
