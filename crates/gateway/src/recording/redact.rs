//! What of a request is left out of a recording, whoever asks for it: values of fields and parameters that carry
//! credentials. The lists here hold always; the configuration adds to them, so that nothing that it forgets comes out.

use ambidex_http1::Head;
use ambidex_wire::recording::{FieldValue, OF_THE_CONNECTION};

use crate::config::Recording;

/// Names whose values are left out.
#[derive(Debug)]
pub(super) struct Redaction {
    fields: Vec<String>,
    parameters: Vec<String>,
}

impl Redaction {
    pub(super) fn new(config: &Recording) -> Self {
        let all = |always: &[&str], more: &[String]| {
            let more = more.iter().map(|name| name.to_ascii_lowercase());
            always.iter().map(|name| (*name).to_owned()).chain(more).collect()
        };
        Self { fields: all(FIELDS, &config.redact), parameters: all(PARAMETERS, &config.redact_query) }
    }

    /// The names of fields.
    pub(super) fn fields(&self) -> &[String] {
        &self.fields
    }

    /// A head's fields as they are recorded: without those of the connection, and without secrets.
    pub(super) fn of(&self, head: &Head) -> Vec<(String, FieldValue)> {
        let named = |field| (String::from_utf8_lossy(head.name(field)).to_ascii_lowercase(), head.value(field));
        let kept = head.fields().iter().map(named).filter(|(name, _)| !OF_THE_CONNECTION.contains(&&**name));
        kept.map(|(name, value)| {
            let value = value.as_bytes();
            let value = if self.fields.contains(&name) {
                FieldValue::Redacted
            } else if name == "referer" {
                // Where a page's own tokens are.
                FieldValue::Plain(value.split(|byte| *byte == b'?').next().unwrap_or_default().to_vec())
            } else {
                FieldValue::Plain(value.to_vec())
            };
            (name, value)
        })
        .collect()
    }

    /// A path with its query, without secrets.
    pub(super) fn target(&self, target: &str) -> String {
        let Some((path, query)) = target.split_once('?') else { return target.to_owned() };
        let parameter = |text: &str| match text.split_once('=') {
            Some((name, _)) if self.parameters.contains(&name.to_ascii_lowercase()) => format!("{name}={INSTEAD}"),
            Some(_) | None => text.to_owned(),
        };
        let query: Vec<String> = query.split('&').map(parameter).collect();
        format!("{path}?{}", query.join("&"))
    }
}

/// What stands for a parameter's value that is left out.
const INSTEAD: &str = "redacted";
/// As `record.redact` says.
const FIELDS: &[&str] = &[
    "authorization",
    "proxy-authorization",
    "cookie",
    "set-cookie",
    "x-api-key",
    "x-auth-token",
    "x-csrf-token",
    "x-amz-security-token",
];
/// As `record.redact_query` says.
const PARAMETERS: &[&str] = &[
    "access_token",
    "api_key",
    "apikey",
    "auth",
    "code",
    "key",
    "password",
    "secret",
    "session",
    "sig",
    "signature",
    "state",
    "token",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::head::tests::read;

    fn redaction() -> Redaction {
        let config = serde_json::json!({"path": "x", "redact": ["X-Mine"], "redact_query": ["Pin"]});
        Redaction::new(&serde_json::from_value(config).expect("right"))
    }

    #[test]
    fn a_secret_of_the_query_is_replaced_and_the_rest_stays() {
        for (target, expected) in [
            ("/a", "/a"),
            ("/a?x=1&Token=abc&y=2", "/a?x=1&Token=redacted&y=2"),
            ("/a?pin=1234", "/a?pin=redacted"),
            ("/a?token", "/a?token"),
            ("/token=1?b", "/token=1?b"),
            ("/a?token=a=b&&c", "/a?token=redacted&&c"),
        ] {
            assert_eq!(redaction().target(target), expected);
        }
    }

    #[test]
    fn fields_that_carry_credentials_keep_their_names_only() {
        let sent = [
            ("Authorization", "Bearer 1"),
            ("x-mine", "2"),
            ("accept", "*/*"),
            ("referer", "http://a/b?token=3"),
            ("connection", "close"),
        ];
        let head = read("GET", "/", &sent);
        let plain = |text: &str| FieldValue::Plain(text.as_bytes().to_vec());
        let expected = [
            ("authorization".to_owned(), FieldValue::Redacted),
            ("x-mine".to_owned(), FieldValue::Redacted),
            ("accept".to_owned(), plain("*/*")),
            ("referer".to_owned(), plain("http://a/b")),
        ];
        assert_eq!(redaction().of(head.head()), expected);
    }
}
