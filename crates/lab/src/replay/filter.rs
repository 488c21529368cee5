//! Which requests of a recording are replayed: `method=GET path=/api/* status!=500`.
//!
//! All conditions of a filter must hold; of several filters, one. `*` stands for any text, or none.

use std::fmt;
use std::str::FromStr;

use ambidex_wire::recording::Exchange;

/// A filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter(Vec<Condition>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Condition {
    key: Key,
    equal: bool,
    pattern: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    Method,
    Path,
    Host,
    Route,
    Listener,
    Status,
}

/// Why a text is no filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no condition: write KEY=PATTERN or KEY!=PATTERN with one of method, path, host, route, listener, status"
)]
pub struct FilterError(String);

impl Filter {
    /// Whether all its conditions hold. A status is that of the recorded answer; without one it is 0.
    #[must_use]
    pub fn matches(&self, exchange: &Exchange) -> bool {
        let status = || exchange.answer.as_ref().map_or(0, |answer| answer.status).to_string();
        self.0.iter().all(|Condition { key, equal, pattern }| {
            let hit = match key {
                Key::Method => fits(pattern, &exchange.method),
                Key::Path => fits(pattern, exchange.path()),
                Key::Host => fits(pattern, &exchange.host),
                Key::Route => fits(pattern, &exchange.route),
                Key::Listener => fits(pattern, &exchange.listener),
                Key::Status => fits(pattern, &status()),
            };
            hit == *equal
        })
    }
}

impl FromStr for Filter {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        let conditions: Result<Vec<Condition>, FilterError> = text.split_whitespace().map(str::parse).collect();
        let conditions = conditions?;
        if conditions.is_empty() { Err(FilterError(text.to_owned())) } else { Ok(Self(conditions)) }
    }
}

impl FromStr for Condition {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        let wrong = || FilterError(text.to_owned());
        let (key, pattern) = text.split_once('=').ok_or_else(wrong)?;
        let (key, equal) = key.strip_suffix('!').map_or((key, true), |key| (key, false));
        let key = match key {
            "method" => Key::Method,
            "path" => Key::Path,
            "host" => Key::Host,
            "route" => Key::Route,
            "listener" => Key::Listener,
            "status" => Key::Status,
            _ => return Err(wrong()),
        };
        Ok(Self { key, equal, pattern: pattern.to_owned() })
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, Condition { key, equal, pattern }) in self.0.iter().enumerate() {
            let (gap, sign) = (if at > 0 { " " } else { "" }, if *equal { "=" } else { "!=" });
            write!(f, "{gap}{}{sign}{pattern}", format!("{key:?}").to_lowercase())?;
        }
        Ok(())
    }
}

/// Whether `text` is what `pattern` says. Each star takes as little as it can, which is enough: what stands between two
/// stars may as well be found as early as possible.
fn fits(pattern: &str, text: &str) -> bool {
    let mut pieces = pattern.split('*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut pieces: Vec<&str> = pieces.collect();
    let Some(last) = pieces.pop() else { return rest.is_empty() };
    for piece in pieces {
        let Some(at) = rest.find(piece) else { return false };
        rest = &rest[at + piece.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use ambidex_wire::recording::Answer;

    use super::*;

    fn exchange() -> Exchange {
        let answer = Some(Answer { status: 200, ..Answer::default() });
        let (method, target) = ("GET".to_owned(), "/api/v1/items?x=/admin".to_owned());
        Exchange { method, target, host: "shop.example".into(), answer, ..Exchange::default() }
    }

    #[test]
    fn all_conditions_of_a_filter_must_hold() {
        for (filter, expected) in [
            ("method=GET", true),
            ("method=GET path=/api/*", true),
            ("method=POST path=/api/*", false),
            ("method!=POST path=*/items", true),
            ("path=/api", false),
            ("path=*admin*", false),
            ("path=/*/v1/*s", true),
            ("status=2* host=shop.*", true),
            ("status!=200", false),
            ("route=", true),
        ] {
            assert_eq!(filter.parse::<Filter>().expect(filter).matches(&exchange()), expected, "{filter}");
        }
    }

    #[test]
    fn what_is_no_filter_is_refused() {
        for text in ["", "  ", "GET", "verb=GET", "method=GET path"] {
            assert!(text.parse::<Filter>().is_err(), "{text}");
        }
        assert_eq!("method!=GET  path=/a".parse::<Filter>().expect("right").to_string(), "method!=GET path=/a");
    }

    #[test]
    fn a_star_takes_what_is_left_between_two_pieces() {
        for (pattern, text, expected) in [
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("*", "", true),
            ("a*b*c", "a-c-b-c", true),
            ("a*b*c", "a-c-c", false),
            ("**", "x", true),
        ] {
            assert_eq!(fits(pattern, text), expected, "{pattern} {text}");
        }
    }
}
