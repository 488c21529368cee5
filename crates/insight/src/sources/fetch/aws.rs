//! Who asks AWS: a key's name, its secret, and a token where the key is for a while; from wherever people keep them.
//!
//! ```text
//! the environment (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, with AWS_SESSION_TOKEN)
//!   -> else the shared file (~/.aws/credentials), of a profile
//! ```
//! Nothing here prints a secret: neither errors nor what debugging shows.

use std::fmt;

use super::FetchError;

/// Who asks.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    name: String,
    secret: String,
    token: Option<String>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Credentials {
    /// Of a key; the token goes along with one that is for a while.
    ///
    /// # Errors
    /// Where one of them cannot be sent: empty, or not one word of printable ASCII.
    pub fn new(name: &str, secret: &str, token: Option<&str>) -> Result<Self, FetchError> {
        let parts = [("the key's name (access key ID)", name), ("its secret", secret)];
        for (what, text) in parts.into_iter().chain(token.map(|token| ("the session token", token))) {
            if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(FetchError::Credentials(format!(
                    "{what} is empty or holds what no key of AWS has (spaces, quotes around it, a line end)"
                )));
            }
        }
        Ok(Self { name: name.to_owned(), secret: secret.to_owned(), token: token.map(str::to_owned) })
    }

    /// A profile of a shared file, which people call `file`.
    ///
    /// # Errors
    /// Where the profile is not there, or lacks a key.
    pub fn of_profile(file: &str, text: &str, profile: &str) -> Result<Self, FetchError> {
        let (mut inside, mut found) = (false, false);
        let (mut name, mut secret, mut token) = (None, None, None);
        let mut others: Vec<&str> = Vec::new();
        for line in text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';'])) {
            if let Some(section) = line.strip_prefix('[').and_then(|line| line.split(']').next()) {
                let section = section.trim();
                inside = section == profile;
                found |= inside;
                others.push(section);
            } else if let (true, Some((key, value))) = (inside, line.split_once('=')) {
                let value = Some(value.trim());
                match key.trim().to_ascii_lowercase().as_str() {
                    "aws_access_key_id" => name = value,
                    "aws_secret_access_key" => secret = value,
                    "aws_session_token" => token = value.filter(|token| !token.is_empty()),
                    _ => {}
                }
            }
        }
        if !found {
            let there = if others.is_empty() { "none".to_owned() } else { others.join(", ") };
            let why = format!("{file} has no profile `{profile}`; there are: {there}");
            return Err(FetchError::Credentials(why));
        }
        let lacks = |key: &str| {
            let why = format!(
                "profile `{profile}` of {file} has no `{key}`: a profile that signs on or assumes a role is not taken; \
                 `aws configure export-credentials --format env` makes variables of it"
            );
            FetchError::Credentials(why)
        };
        let name = name.ok_or_else(|| lacks("aws_access_key_id"))?;
        let secret = secret.ok_or_else(|| lacks("aws_secret_access_key"))?;
        Self::new(name, secret, token)
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn secret(&self) -> &str {
        &self.secret
    }

    pub(super) fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# mine\n[default]\naws_access_key_id = AKIA1\naws_secret_access_key=geheim1\n\n\
                        [ work ]\nAWS_ACCESS_KEY_ID=AKIA2\naws_secret_access_key = geheim2\naws_session_token = marke\nregion = x\n\
                        [sso]\nsso_session = corp\n";

    #[test]
    fn a_profile_of_the_shared_file_is_read() {
        let of = |profile| Credentials::of_profile("f", FILE, profile).expect(profile);
        let (first, work) = (of("default"), of("work"));
        assert_eq!((first.name(), first.secret(), first.token()), ("AKIA1", "geheim1", None));
        assert_eq!((work.name(), work.secret(), work.token()), ("AKIA2", "geheim2", Some("marke")));
    }

    #[test]
    fn what_is_missing_is_named_and_no_secret_is_shown() {
        let table = [
            (Credentials::of_profile("f", FILE, "none"), "f has no profile `none`; there are: default, work, sso"),
            (Credentials::of_profile("f", FILE, "sso"), "profile `sso` of f has no `aws_access_key_id`"),
            (Credentials::of_profile("f", "", "default"), "there are: none"),
            (Credentials::new("AKIA", "geheim\n", None), "its secret is empty or holds"),
            (Credentials::new("", "geheim", None), "access key ID"),
            (Credentials::new("AKIA", "geheim", Some("")), "the session token"),
        ];
        for (credentials, part) in table {
            let said = credentials.expect_err(part).to_string();
            assert!(said.contains(part) && !said.contains("geheim"), "{said}");
        }
        let shown = format!("{:?}", Credentials::new("AKIA", "geheim", Some("marke")));
        assert!(shown.contains("AKIA") && !shown.contains("geheim") && !shown.contains("marke"), "{shown}");
    }
}
