//! The environment, read here and nowhere else.
//!
//! | variable | what it says |
//! |---|---|
//! | `AMBIDEX_DATA` | folder of the journal, the history and the token; default `./ambidex-data` |
//! | `AMBIDEX_TOKEN_FILE` | file with the token of the admin API; default: in the data folder |
//! | `AMBIDEX_ADMIN` | URL of the admin API for the commands that ask it; `--admin` wins |
//! | `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN` | who asks a Prometheus of AWS, where requests are signed |
//! | `AWS_PROFILE`, `AWS_SHARED_CREDENTIALS_FILE`, `HOME` | else the profile (`default`) of the shared file (`~/.aws/credentials`) |
//! | `USER`, `LOGNAME` | who says what in reviews; `--by` wins |
//! | `NO_COLOR` | set and not empty: no colours |
//! | `PATH` | where the laboratory looks for other balancers |

use std::ffi::OsString;
use std::path::PathBuf;

/// The data folder, as configured by `journal.path`, else by the environment, else the default.
pub(crate) fn data_folder(configured: Option<&PathBuf>) -> PathBuf {
    let from_environment = || read("AMBIDEX_DATA").map(PathBuf::from);
    configured.cloned().or_else(from_environment).unwrap_or_else(|| PathBuf::from("ambidex-data"))
}

/// What the environment says of the data folder.
pub(crate) fn data_variable() -> Option<String> {
    read("AMBIDEX_DATA").map(|value| value.to_string_lossy().into_owned())
}

/// The token's file, when the environment names one.
pub(crate) fn token_file() -> Option<PathBuf> {
    read("AMBIDEX_TOKEN_FILE").map(PathBuf::from)
}

/// Where the admin API is, when the environment says so.
pub(crate) fn admin() -> Option<String> {
    read("AMBIDEX_ADMIN").and_then(|text| text.into_string().ok())
}

/// Who is logged in, when the environment says so.
pub(crate) fn user() -> Option<String> {
    ["USER", "LOGNAME"].into_iter().find_map(read).and_then(|name| name.into_string().ok())
}

/// A key of AWS by name, secret and token, as the environment has it; `None` where it lacks name or secret.
pub(crate) fn aws_key() -> Option<(String, String, Option<String>)> {
    let text = |name| read(name).and_then(|value| value.into_string().ok());
    Some((text("AWS_ACCESS_KEY_ID")?, text("AWS_SECRET_ACCESS_KEY")?, text("AWS_SESSION_TOKEN")))
}

/// The profile of AWS that is meant where none is said.
pub(crate) fn aws_profile() -> String {
    read("AWS_PROFILE").and_then(|name| name.into_string().ok()).unwrap_or_else(|| "default".to_owned())
}

/// The file of AWS's shared credentials; `None` where nothing says where it would be.
pub(crate) fn aws_file() -> Option<PathBuf> {
    let usual = || read("HOME").map(|home| PathBuf::from(home).join(".aws/credentials"));
    read("AWS_SHARED_CREDENTIALS_FILE").map(PathBuf::from).or_else(usual)
}

/// Whether the user wants no colours.
pub(crate) fn colorless() -> bool {
    read("NO_COLOR").is_some()
}

/// Folders that programs are looked for in.
pub(crate) fn folders_of_programs() -> Vec<PathBuf> {
    read("PATH").map(|path| std::env::split_paths(&path).collect()).unwrap_or_default()
}

/// The file of this program.
pub(crate) fn binary() -> std::io::Result<PathBuf> {
    std::env::current_exe()
}

#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
fn read(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}
