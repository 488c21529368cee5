//! The token that every change through the admin API needs, and off loopback every read: made at the first start, kept
//! in a file that only its owner reads. It stands in no log and on no page.

use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustix::rand::{GetRandomFlags, getrandom};

/// The secret.
#[derive(Clone)]
pub(crate) struct Token {
    secret: String,
    path: PathBuf,
}

/// What an `Authorization` header shows. By which scheme matters: browsers send a password on their own, to whatever a
/// foreign page makes them ask, and never a bearer's token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// No header.
    Nothing,
    /// Something else than the token.
    Wrong,
    /// The token, as a bearer's.
    Bearer,
    /// The token, as the password of any user.
    Password,
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file or its folder cannot be read or written.
    #[error("the token's file {path} cannot be used: {source}; make the folder writable or set AMBIDEX_DATA")]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Others may read the file.
    #[error("the token's file {0} can be read by others: `chmod 600` it, or delete it to get a new token")]
    Open(PathBuf),
    /// The file holds something else.
    #[error("the token's file {0} holds no token of at least 32 characters: delete it to get a new one")]
    Short(PathBuf),
    /// The system gave no random bytes.
    #[error("the system gave no random bytes for a token")]
    Random,
}

impl Token {
    /// The token in the data folder; a new one if there is none.
    pub(crate) fn open(data: &Path) -> Result<Self, TokenError> {
        Self::at(data.join(FILE))
    }

    /// The token that gateways show to a coordinator, in the file that is named, else in the data folder.
    pub(crate) fn of_gateways(data: &Path, named: Option<PathBuf>) -> Result<Self, TokenError> {
        Self::at(named.unwrap_or_else(|| data.join(GATEWAYS_FILE)))
    }

    /// The token that coordinators show to agents that hold slices of keyspaces.
    pub(crate) fn of_agents(data: &Path) -> Result<Self, TokenError> {
        Self::at(data.join(AGENTS_FILE))
    }

    fn at(path: PathBuf) -> Result<Self, TokenError> {
        let at = |source| TokenError::File { path: path.clone(), source };
        match std::fs::read_to_string(&path) {
            Ok(text) => {
                let mode = std::fs::metadata(&path).map_err(at)?.permissions().mode();
                if mode & 0o077 != 0 {
                    return Err(TokenError::Open(path));
                }
                let secret = text.trim().to_owned();
                if secret.len() < 32 { Err(TokenError::Short(path)) } else { Ok(Self { secret, path }) }
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let mut bytes = [0_u8; 32];
                if getrandom(&mut bytes, GetRandomFlags::empty()) != Ok(bytes.len()) {
                    return Err(TokenError::Random);
                }
                let secret: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                path.parent().map_or(Ok(()), std::fs::create_dir_all).map_err(at)?;
                let mut file =
                    std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map_err(at)?;
                writeln!(file, "{secret}").map_err(at)?;
                tracing::info!(path = %path.display(), "made a token; whoever is to be let in needs it");
                Ok(Self { secret, path })
            }
            Err(error) => Err(at(error)),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What an `Authorization` header shows. Takes the same time wherever it differs.
    pub(crate) fn shown(&self, authorization: &str) -> Shown {
        let (scheme, given) = authorization.split_once(' ').unwrap_or((authorization, ""));
        if scheme.eq_ignore_ascii_case("bearer") && self.is(given.trim().as_bytes()) {
            Shown::Bearer
        } else if scheme.eq_ignore_ascii_case("basic") && password(given).is_some_and(|given| self.is(&given)) {
            Shown::Password
        } else {
            Shown::Wrong
        }
    }

    fn is(&self, given: &[u8]) -> bool {
        verify_slices_are_equal(given, self.secret.as_bytes()).is_ok()
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Token({})", self.path.display())
    }
}

/// What stands behind the first colon of `user:password` in base64 (RFC 7617: a user's name has none).
fn password(credentials: &str) -> Option<Vec<u8>> {
    let mut pair = STANDARD.decode(credentials.trim()).ok()?;
    let colon = pair.iter().position(|byte| *byte == b':')?;
    Some(pair.split_off(colon + 1))
}

/// Its name in the data folder.
const FILE: &str = "token";
/// The name of the one for gateways.
const GATEWAYS_FILE: &str = "gateways-token";
/// The name of the one for agents.
const AGENTS_FILE: &str = "agents-token";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_made_once_for_its_owner_alone_and_is_never_shown() {
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().join("new");
        let first = Token::open(&data).expect("made");
        let second = Token::open(&data).expect("read");
        let mode = std::fs::metadata(first.path()).expect("there").permissions().mode();
        assert_eq!((mode & 0o777, &first.secret), (0o600, &second.secret));
        assert!(!format!("{first:?}").contains(&first.secret));
    }

    #[test]
    fn only_the_whole_token_is_let_in() {
        let folder = tempfile::tempdir().expect("a folder");
        let token = Token::open(folder.path()).expect("made");
        let whole = format!("Bearer {}", token.secret);
        assert_eq!(token.shown(&whole), Shown::Bearer);
        for wrong in ["", "Bearer", "Bearer ", &whole[..whole.len() - 1], &whole[7..]] {
            assert_eq!(token.shown(wrong), Shown::Wrong, "{wrong:?}");
        }
    }

    #[test]
    fn the_token_is_the_password_of_any_user() {
        let folder = tempfile::tempdir().expect("a folder");
        let token = Token::open(folder.path()).expect("made");
        let secret = &token.secret;
        let basic = |pair: String| format!("Basic {}", STANDARD.encode(pair));
        for user in ["", "admin", "Zoë"] {
            assert_eq!(token.shown(&basic(format!("{user}:{secret}"))), Shown::Password, "{user}");
        }
        let wrong =
            [secret.clone(), format!("{secret}:"), format!(":{secret}x"), format!("a:b:{secret}"), ":".to_owned()];
        for pair in wrong {
            assert_eq!(token.shown(&basic(pair.clone())), Shown::Wrong, "{pair}");
        }
        assert_eq!(token.shown("Basic not/base64!"), Shown::Wrong);
    }

    #[test]
    fn a_token_that_others_may_read_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let token = Token::open(folder.path()).expect("made");
        std::fs::set_permissions(token.path(), std::fs::Permissions::from_mode(0o644)).expect("ours");
        assert!(matches!(Token::open(folder.path()), Err(TokenError::Open(_))));
    }
}
