//! The environment, read here and nowhere else in this crate: passwords by the names that the configuration gives.

/// The variable's value; none when it is not set, empty, or no text.
#[expect(clippy::disallowed_methods, reason = "this is the one place of the crate that reads the environment")]
pub(crate) fn read(name: &str) -> Option<String> {
    std::env::var_os(name).and_then(|value| value.into_string().ok()).filter(|value| !value.is_empty())
}
