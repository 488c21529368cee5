//! The words in braces of a query, and what is put in their places.

use ambidex_core::time::Span;

/// What stands for `{selector}`, `{rate}`, `{by}` and `{range}`.
#[derive(Clone, Debug)]
pub(super) struct Words {
    pub(super) selector: String,
    pub(super) rate: String,
    pub(super) by: String,
    pub(super) range: String,
}

impl Words {
    /// The query with its words put in.
    pub(super) fn put(&self, promql: &str) -> String {
        // The selector is the user's, and last: what stands in it is not read again.
        promql
            .replace("{rate}", &self.rate)
            .replace("{by}", &self.by)
            .replace("{range}", &self.range)
            .replace("{selector}", &self.selector)
    }
}

/// A length of time as PromQL writes it: in whole seconds, at least 1.
pub(super) fn length(span: Span) -> String {
    format!("{}s", span.as_millis().div_ceil(1_000).max(1))
}

/// Puts a name with or without matchers, as tables hold it, together with matchers: `up`, `up{a="b"}`.
pub(super) fn narrowed(series: &str, selector: &str) -> String {
    match series.strip_suffix('}') {
        Some(open) => format!("{open},{selector}}}"),
        None => format!("{series}{{{selector}}}"),
    }
}

/// Checks matchers as people write them: `job="node",zone=~"a|b"`. Says what is wrong with one.
pub(super) fn checked(matchers: &str) -> Result<(), String> {
    let mut rest = matchers.trim().trim_end_matches(',');
    while !rest.is_empty() {
        rest = matcher(rest)?;
        rest = match rest.trim_start().strip_prefix(',') {
            Some(more) => more.trim_start(),
            None if rest.trim().is_empty() => "",
            None => return Err(format!("a comma was expected before `{rest}`")),
        };
    }
    Ok(())
}

/// Reads one, and says what follows it.
fn matcher(text: &str) -> Result<&str, String> {
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(text.len());
    let (label, rest) = text.split_at(end);
    if label.is_empty() || label.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(format!("the name of a label was expected at `{text}`"));
    }
    let rest = rest.trim_start();
    let after = ["=~", "!~", "!=", "="].iter().find_map(|sign| rest.strip_prefix(sign));
    let Some(value) = after.map(str::trim_start) else {
        return Err(format!("=, !=, =~ or !~ was expected after `{label}`"));
    };
    let Some(quoted) = value.strip_prefix('"') else {
        return Err(format!("the value of `{label}` must stand in double quotes"));
    };
    let mut escaped = false;
    for (at, c) in quoted.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Ok(&quoted[at + 1..]),
            _ => {}
        }
    }
    Err(format!("the value of `{label}` has no end"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_are_put_in() {
        let words = Words { selector: r#"a="{rate}""#.into(), rate: "60s".into(), by: "x".into(), range: "3h".into() };
        let put = words.put("sum by ({by}) (rate(m{{selector}}[{rate}]))");
        assert_eq!(put, r#"sum by (x) (rate(m{a="{rate}"}[60s]))"#);
        assert_eq!(length(Span::from_millis(1)), "1s");
        assert_eq!(narrowed("up", r#"a="b""#), r#"up{a="b"}"#);
        assert_eq!(narrowed(r#"up{x!=""}"#, ""), r#"up{x!="",}"#);
    }

    #[test]
    fn matchers_are_checked_before_anything_is_asked() {
        for good in ["", r#"job="node""#, r#"job="a", zone=~"b|c","#, r#"a!~"\"x\\""#, r#"a = "}" "#] {
            assert_eq!(checked(good), Ok(()), "{good}");
        }
        let table = [
            ("job", "was expected after `job`"),
            ("job=node", "double quotes"),
            (r#"job="node"#, "no end"),
            (r#"job="a"} or up{x="b""#, "a comma was expected"),
            (r#"="a""#, "the name of a label"),
            (r#"9a="a""#, "the name of a label"),
            (r#"a=="b""#, "double quotes"),
        ];
        for (bad, part) in table {
            let said = checked(bad).expect_err(bad);
            assert!(said.contains(part), "{bad}: {said}");
        }
    }

    proptest! {
        #[test]
        fn no_matchers_make_it_panic(text in "\\PC{0,40}") {
            let _ = checked(&text);
        }
    }
}
