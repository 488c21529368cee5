//! Format strings, as people have them in the configuration of what wrote the log: nginx's `log_format`, Apache's `LogFormat`, and
//! Envoy's operators. All three become the same parts: text that stands there, and fields by name.

/// A part of a format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// Text that stands in each line.
    Literal(String),
    /// A field.
    Name(String),
}

/// Takes a format string apart. The error says what is wrong with it.
pub(super) fn tokens(format: &str) -> Result<Vec<Token>, String> {
    let format = unwrapped(format.trim());
    let tokens = if format.contains('$') {
        nginx(&format)?
    } else if is_envoy(&format) {
        envoy(&format)?
    } else if format.contains('%') {
        apache(&format)?
    } else {
        return Err("it has no field: neither `$name` (nginx), nor `%h` (Apache), nor `%NAME%` (Envoy)".into());
    };
    checked(tokens)
}

/// Joins neighbours of text, and refuses fields that nothing parts.
fn checked(tokens: Vec<Token>) -> Result<Vec<Token>, String> {
    let mut joined: Vec<Token> = Vec::new();
    for token in tokens {
        match (joined.last_mut(), token) {
            (_, Token::Literal(text)) if text.is_empty() => {}
            (Some(Token::Literal(before)), Token::Literal(text)) => before.push_str(&text),
            // Apache's path and query: the one's end is the other's begin.
            (Some(Token::Name(_)), Token::Name(name)) if name == QUERY => {}
            (Some(Token::Name(one)), Token::Name(other)) => {
                return Err(format!("nothing stands between `{one}` and `{other}`: where one ends cannot be told"));
            }
            (_, token) => joined.push(token),
        }
    }
    Ok(joined)
}

/// The format itself, where the whole directive was given: `log_format main '...' '...';` or `LogFormat "..." name`.
fn unwrapped(format: &str) -> String {
    let is_directive = ["log_format ", "LogFormat "].iter().any(|name| format.starts_with(name));
    if !is_directive {
        return format.to_owned();
    }
    let (mut out, mut quote) = (String::new(), None);
    let mut characters = format.chars();
    while let Some(character) = characters.next() {
        match (quote, character) {
            (None, '\'' | '"') => quote = Some(character),
            (Some(open), close) if open == close => quote = None,
            (Some(_), '\\') => out.extend(characters.next()),
            (Some(_), other) => out.push(other),
            (None, _) => {}
        }
    }
    out
}

fn nginx(format: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut parts = format.split('$');
    tokens.push(Token::Literal(parts.next().unwrap_or_default().to_owned()));
    for part in parts {
        let (name, rest) = match part.strip_prefix('{') {
            Some(braced) => braced.split_once('}').ok_or_else(|| format!("`${part}` has no `}}`"))?,
            None => part.split_at(part.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(part.len())),
        };
        if name.is_empty() {
            return Err(format!("a `$` before `{}` has no name", excerpt(part)));
        }
        tokens.extend([Token::Name(name.to_owned()), Token::Literal(rest.to_owned())]);
    }
    Ok(tokens)
}

/// Whether it has an operator in capitals between two signs: `%START_TIME%`, `%REQ(:METHOD)%`.
fn is_envoy(format: &str) -> bool {
    format.match_indices('%').any(|(at, _)| {
        let rest = &format[at + 1..];
        let end = rest.find(|c: char| !c.is_ascii_uppercase() && c != '_').unwrap_or(rest.len());
        end >= 3 && rest[end..].starts_with(['%', '(', ':'])
    })
}

fn envoy(format: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = format;
    while let Some((text, after)) = rest.split_once('%') {
        tokens.push(Token::Literal(unescaped(text)));
        if let Some(after) = after.strip_prefix('%') {
            tokens.push(Token::Literal("%".into()));
            rest = after;
            continue;
        }
        // An argument may hold the sign itself: `%START_TIME(%s)%`.
        let from = match (after.find('('), after.find('%')) {
            (Some(open), Some(end)) if open < end => after.find(')').unwrap_or(open),
            _ => 0,
        };
        let end = after[from..].find('%').map(|at| at + from);
        let end = end.ok_or_else(|| format!("`%{}` has no second `%`", excerpt(after)))?;
        tokens.push(Token::Name(envoy_name(&after[..end])));
        rest = &after[end + 1..];
    }
    tokens.push(Token::Literal(unescaped(rest)));
    Ok(tokens)
}

/// The name of an operator's value in the table of names.
fn envoy_name(operator: &str) -> String {
    let (name, argument) = match operator.split_once('(') {
        Some((name, rest)) => (name, rest.split_once(')').map_or(rest, |(argument, _)| argument)),
        None => (operator.split(':').next().unwrap_or(operator), ""),
    };
    let field = argument.to_ascii_lowercase();
    match name {
        "REQ" if field.split('?').any(|one| one == ":path") => "path".into(),
        "REQ" => match field.as_str() {
            ":method" | ":authority" => field,
            "x-forwarded-for" | "user-agent" => field.replace('-', "_"),
            other => format!("http_{}", other.split('?').next().unwrap_or(other).replace('-', "_")),
        },
        "RESP" if field == "x-envoy-upstream-service-time" => "upstream_service_time".into(),
        "RESP" => format!("sent_http_{}", field.replace('-', "_")),
        "DURATION" => "duration_ms".into(),
        other => other.to_ascii_lowercase(),
    }
}

fn apache(format: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = format;
    while let Some((text, after)) = rest.split_once('%') {
        tokens.push(Token::Literal(unescaped(text)));
        // Conditions (`%!200,304{Referer}i`) and which of several requests (`%>s`) do not change what stands there.
        let after = after.trim_start_matches(|c: char| matches!(c, '<' | '>' | '!' | ',') || c.is_ascii_digit());
        let (argument, after) = match after.strip_prefix('{') {
            Some(braced) => braced.split_once('}').ok_or_else(|| format!("`%{}` has no `}}`", excerpt(after)))?,
            None => ("", after),
        };
        let mut letters = after.chars();
        let letter = letters.next().ok_or("a `%` at the end has no letter")?;
        rest = letters.as_str();
        if letter == '^' {
            rest = rest.get(2..).ok_or("a `%^` at the end has no letters")?;
        }
        tokens.extend(apache_tokens(letter, argument));
    }
    tokens.push(Token::Literal(unescaped(rest)));
    Ok(tokens)
}

fn apache_tokens(letter: char, argument: &str) -> Vec<Token> {
    let field = argument.to_ascii_lowercase().replace('-', "_");
    let name = match (letter, argument) {
        ('%', _) => return vec![Token::Literal("%".into())],
        ('t', "") => {
            let text = |text: &str| Token::Literal(text.into());
            return vec![text("["), Token::Name("time_local".into()), text("]")];
        }
        ('t', "sec" | "msec" | "usec") => "msec".into(),
        ('t', _) => "time".into(),
        ('h' | 'a', _) => "remote_addr".into(),
        ('A', _) => "server_addr".into(),
        ('r', _) => "request".into(),
        ('s', _) => "status".into(),
        ('b' | 'B', _) => "body_bytes_sent".into(),
        ('O', _) => "bytes_sent".into(),
        ('D', _) | ('T', "us") => "duration_us".into(),
        ('T', "ms") => "duration_ms".into(),
        ('T', _) => "request_time".into(),
        ('v' | 'V', _) => "server_name".into(),
        ('m', _) => "request_method".into(),
        ('U', _) => "request_uri".into(),
        ('q', _) => QUERY.into(),
        ('i', _) => format!("http_{field}"),
        ('o', _) => format!("sent_http_{field}"),
        ('e', _) => format!("env_{field}"),
        ('C', _) => format!("cookie_{field}"),
        ('n', _) => format!("note_{field}"),
        (other, _) => format!("%{other}"),
    };
    vec![Token::Name(name)]
}

/// Quotes and blanks as configurations write them within quotes.
fn unescaped(text: &str) -> String {
    text.replace("\\\"", "\"").replace("\\t", "\t").replace("\\n", "")
}

fn excerpt(text: &str) -> String {
    text.chars().take(20).collect()
}

/// Apache's query, which stands behind its path with nothing between.
const QUERY: &str = "args";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(format: &str) -> String {
        let tokens = tokens(format).expect("a format");
        tokens
            .iter()
            .map(|token| match token {
                Token::Literal(text) => text.clone(),
                Token::Name(name) => format!("<{name}>"),
            })
            .collect()
    }

    #[test]
    fn formats_of_three_products_have_the_same_parts() {
        let combined = "<remote_addr> - <remote_user> [<time_local>] \"<request>\" <status> <body_bytes_sent>";
        assert_eq!(
            written(r#"$remote_addr - ${remote_user} [$time_local] "$request" $status $body_bytes_sent"#),
            combined
        );
        assert_eq!(written(r#"%h - %u %t \"%r\" %>s %b"#), combined.replace("remote_user", "%u"));
        assert_eq!(
            written("[%START_TIME%] \"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%\" %DURATION%\\n"),
            "[<start_time>] \"<:method> <path> <protocol>\" <duration_ms>"
        );
    }

    #[test]
    fn a_whole_directive_is_a_format_too() {
        assert_eq!(
            written("log_format main '$remote_addr [$time_local] '\n  '\"$request\" $upstream_addr';"),
            "<remote_addr> [<time_local>] \"<request>\" <upstream_addr>"
        );
        assert_eq!(
            written(r#"LogFormat "%h %t \"%r\" %D" timed"#),
            "<remote_addr> [<time_local>] \"<request>\" <duration_us>"
        );
    }

    #[test]
    fn arguments_say_which_field_it_is() {
        for (format, expected) in [
            ("%{X-Tenant}i|", "<http_x_tenant>|"),
            ("%{BALANCER_WORKER_NAME}e ", "<env_balancer_worker_name> "),
            ("%U%q ", "<request_uri> "),
            ("%{ms}T %{%Y-%m-%d}t", "<duration_ms> <time>"),
            ("%REQ(X-TENANT)% ", "<http_x_tenant> "),
            ("%REQ(USER-AGENT):20% 1%%", "<user_agent> 1%"),
            ("%START_TIME(%s.%3f)% x", "<start_time> x"),
            ("%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% ", "<upstream_service_time> "),
        ] {
            assert_eq!(written(format), expected.trim_end(), "{format}");
        }
    }

    #[test]
    fn what_is_no_format_says_why() {
        for (format, why) in [
            ("combined2", "no field"),
            ("$a$b", "nothing stands between `a` and `b`"),
            ("${a", "no `}`"),
            ("$ x", "no name"),
            ("%START_TIME% %DURATION", "no second `%`"),
            ("%h %", "no letter"),
            ("%{X", "no `}`"),
        ] {
            let error = tokens(format).expect_err(format);
            assert!(error.contains(why), "{format}: {error}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_format_or_an_error(format in "[$%a-zA-Z{}()'\" :^.?_\\\\-]{0,40}|.{0,40}") {
            let _ = tokens(&format);
        }
    }
}
