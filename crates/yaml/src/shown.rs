//! Texts that quote what was written: of bounded length, and without the credentials of URLs.
//!
//! A file is refused with the line that is wrong, and that line goes to logs, pages and the journal.

/// The text with a `*` for each character between `://` and the `@` of a URL, colons apart. Places in it stay.
#[must_use]
pub fn without_credentials(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(BEFORE) {
        let (start, url) = rest.split_at(at + BEFORE.len());
        out.push_str(start);
        let ends = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`');
        let word = &url[..url.find(ends).unwrap_or(url.len())];
        // A second URL in the word has credentials of its own.
        let word = &word[..word.find(BEFORE).unwrap_or(word.len())];
        let secret = word.rfind('@').unwrap_or(0);
        out.extend(url[..secret].chars().map(|c| if c == ':' { ':' } else { '*' }));
        rest = &url[secret..];
    }
    out.push_str(rest);
    out
}

/// The text, with its middle left out when it is longer than `most` characters.
#[must_use]
pub fn shortened(text: &str, most: usize) -> String {
    let count = text.chars().count();
    if count <= most {
        return text.to_owned();
    }
    let end = most / 3;
    let start: String = text.chars().take(most - end).collect();
    let last: String = text.chars().skip(count - end).collect();
    format!("{start}[..]{last}")
}

const BEFORE: &str = "://";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_starred_and_nothing_else_moves() {
        for (text, shown) in [
            ("url: http://me:hunter2@a:80 x@y", "url: http://**:*******@a:80 x@y"),
            ("[\"http://token@a\", \"http://b\"] # me@b", "[\"http://*****@a\", \"http://b\"] # me@b"),
            ("`http://a:p@ss/w@b` is none", "`http://*:******@b` is none"),
            ("http://a,http://b:c@d", "http://a,http://*:*@d"),
            ("nothing", "nothing"),
        ] {
            assert_eq!(without_credentials(text), shown);
        }
    }

    #[test]
    fn a_long_text_keeps_its_start_and_its_end() {
        let long = format!("`{}` is wrong", "ä".repeat(100));
        assert_eq!(shortened(&long, 18), "`äääääääääää[..] wrong");
        assert_eq!(shortened("short", 5), "short");
    }
}
