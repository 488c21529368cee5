//! Lines of text by a format: what stands between fields says where they end.
//!
//! ```text
//! format   $remote_addr - $remote_user [$time_local] "$request" $status $upstream_addr $request_time
//! line     10.0.0.9 - - [22/Nov/2026:10:15:30 +0000] "GET /a HTTP/1.1" 200 10.0.1.1:80, 10.0.1.2:80 0.103
//!          \______/   |  \________________________/   \______________/     \____________________/ \___/
//! ```
//! A field ends where the text that follows it in the format stands for the first time, with two exceptions: a quote that a
//! backslash is before does not end a quoted field, and a list of tries (`a, b : c`) goes on after its own blanks.

use memchr::memchr;

use super::entry::{Entry, Value};
use super::field::Target;
use super::line::Wrong;
use super::names::Names;
use super::syntax::{Token, tokens};

/// A format, ready to read lines by.
#[derive(Clone, Debug)]
pub(super) struct Template {
    parts: Vec<Part>,
}

#[derive(Clone, Debug)]
enum Part {
    Literal(Box<str>),
    Field(Slot),
}

#[derive(Clone, Debug)]
struct Slot {
    name: Box<str>,
    targets: Vec<Target>,
    list: bool,
    /// Between quotes, of which one within is written with a backslash.
    quoted: bool,
    /// At the end of a line whose fields are parted by blanks: one more blank would be one more field.
    one_word: bool,
}

impl Template {
    /// Reads a format string. The error says what is wrong with it.
    pub(super) fn new(format: &str, names: &Names) -> Result<Self, String> {
        let tokens = tokens(format)?;
        let text = |at: Option<usize>| match at.and_then(|at| tokens.get(at)) {
            Some(Token::Literal(text)) => text.as_str(),
            Some(Token::Name(_)) | None => "",
        };
        let parts = tokens.iter().enumerate().map(|(at, token)| match token {
            Token::Literal(text) => Part::Literal(text.as_str().into()),
            Token::Name(name) => {
                let (before, after) = (text(at.checked_sub(1)), text(Some(at + 1)));
                let targets = names.of(name);
                let list = name.starts_with("upstream_") || targets.iter().any(|target| target.field.is_list());
                let quoted = before.ends_with('"') && after.starts_with('"');
                let one_word = at + 1 == tokens.len() && before.ends_with(' ') && name != REST;
                Part::Field(Slot { name: name.as_str().into(), targets, list, quoted, one_word })
            }
        });
        Ok(Self { parts: parts.collect() })
    }

    /// What its fields stand for.
    pub(super) fn targets(&self) -> impl Iterator<Item = (&str, Target)> {
        self.parts.iter().flat_map(|part| match part {
            Part::Field(slot) => slot.targets.iter().map(|target| (&*slot.name, *target)).collect(),
            Part::Literal(_) => Vec::new(),
        })
    }

    /// Takes a line apart.
    pub(super) fn read<'a>(&self, line: &'a str, entry: &mut Entry<'a>) -> Result<(), Wrong> {
        let mut at = 0;
        for (number, part) in self.parts.iter().enumerate() {
            match part {
                Part::Literal(text) => {
                    if !line.as_bytes()[at..].starts_with(text.as_bytes()) {
                        return Err(Wrong::Part(number));
                    }
                    at += text.len();
                }
                Part::Field(slot) => {
                    let end = match self.parts.get(number + 1) {
                        Some(Part::Literal(after)) => slot.end(line, at, after).ok_or(Wrong::Part(number + 1))?,
                        Some(Part::Field(_)) | None => line.len(),
                    };
                    let value = line.get(at..end).ok_or(Wrong::Part(number))?;
                    if slot.one_word && !slot.list && value.contains(' ') {
                        return Err(Wrong::Rest);
                    }
                    for target in &slot.targets {
                        entry.set(*target, Value::Text(value.into()));
                    }
                    at = end;
                }
            }
        }
        if at == line.len() { Ok(()) } else { Err(Wrong::Rest) }
    }

    /// What was expected where a line did not have it.
    pub(super) fn expected(&self, number: usize) -> String {
        let before = number.checked_sub(1).and_then(|at| self.parts.get(at));
        match (self.parts.get(number), before) {
            (Some(Part::Literal(text)), Some(Part::Field(slot))) => format!("`{text}` after ${}", slot.name),
            (Some(Part::Literal(text)), _) => format!("`{text}`"),
            (Some(Part::Field(slot)), _) => format!("${}", slot.name),
            (None, _) => "the end of the line".to_owned(),
        }
    }
}

impl Slot {
    /// Where the field that begins at `begin` ends: before `after`.
    fn end(&self, line: &str, begin: usize, after: &str) -> Option<usize> {
        let bytes = line.as_bytes();
        let mut from = begin;
        loop {
            let end = find(bytes, from, after.as_bytes())?;
            let goes_on = self.list && bytes[begin..end].ends_with(b",");
            if goes_on || (self.quoted && escaped(&bytes[begin..end])) {
                from = end + 1;
            } else if self.list && bytes[end..].starts_with(b" : ") {
                from = end + 3;
            } else {
                return Some(end);
            }
        }
    }
}

/// Where `text` stands for the first time at or after `from`.
fn find(line: &[u8], from: usize, text: &[u8]) -> Option<usize> {
    let first = *text.first()?;
    let mut from = from;
    loop {
        let at = from + memchr(first, line.get(from..)?)?;
        if line[at..].starts_with(text) {
            return Some(at);
        }
        from = at + 1;
    }
}

/// Whether what follows is escaped: by an odd number of backslashes.
fn escaped(before: &[u8]) -> bool {
    before.iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1
}

/// A name for all that follows in a line, and says nothing here.
pub(super) const REST: &str = "rest";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::access_log::field::Field;

    const NGINX: &str =
        "$remote_addr [$time_local] \"$request\" $status $upstream_addr $upstream_status $upstream_response_time";

    fn template(format: &str) -> Template {
        Template::new(format, &Names::default()).expect("a format")
    }

    #[track_caller]
    fn reads(format: &str, line: &str, expected: &[(Field, &str)]) {
        let mut entry = Entry::new();
        template(format).read(line, &mut entry).expect("a line of the format");
        for (field, text) in expected {
            assert_eq!(entry.text(*field), Some(*text), "{field:?} of {line}");
        }
    }

    #[test]
    fn a_list_of_tries_is_one_field() {
        for (node, status, time) in [
            ("10.0.1.1:80", "200", "0.103"),
            ("10.0.1.1:80, 10.0.1.2:80", "502, 200", "0.100, 0.003"),
            ("10.0.1.1:80 : 10.0.1.2:80, unix:/run/b.sock", "404 : 502, 200", "0.001 : 0.100, 0.003"),
        ] {
            let line = format!("10.0.0.9 [22/Nov/2026:10:15:30 +0000] \"GET /a HTTP/1.1\" 200 {node} {status} {time}");
            reads(NGINX, &line, &[(Field::Node, node), (Field::TryStatus, status), (Field::TryTook, time)]);
        }
    }

    #[test]
    fn a_quote_with_a_backslash_does_not_end_a_field() {
        let line = r#""GET /\"a\" HTTP/1.1" "x \\" 200"#;
        reads(
            r#""$request" "$http_user_agent" $status"#,
            line,
            &[(Field::Request, r#"GET /\"a\" HTTP/1.1"#), (Field::Agent, r"x \\"), (Field::Status, "200")],
        );
    }

    #[test]
    fn a_line_that_does_not_fit_says_what_was_expected() {
        let template = template(NGINX);
        for (line, expected) in [
            ("10.0.0.9 - - x", "` [` after $remote_addr"),
            ("10.0.0.9 [now] GET", "`] \"` after $time_local"),
            ("10.0.0.9 [now] \"GET / HTTP/1.1\" 200", "` ` after $status"),
            ("", "` [` after $remote_addr"),
        ] {
            match template.read(line, &mut Entry::new()) {
                Err(Wrong::Part(number)) => assert_eq!(template.expected(number), expected, "{line}"),
                other => panic!("{line}: {other:?}"),
            }
        }
    }

    #[test]
    fn more_fields_than_the_format_has_are_not_taken_for_the_last_one() {
        let template = template("\"$request\" $status $body_bytes_sent");
        assert_eq!(template.read("\"GET /\" 200 5 0.1", &mut Entry::new()), Err(Wrong::Rest));
        assert_eq!(template.read("\"GET /\" 200 5", &mut Entry::new()), Ok(()));
    }
}
