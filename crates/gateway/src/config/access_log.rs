//! Where the access log goes and how its lines look.

use std::fmt;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings of the access log; without them there is none, and it costs nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AccessLog {
    /// `-` for standard output, else a file that is appended to, and opened again on SIGHUP or when it was renamed.
    #[schemars(with = "String")]
    pub path: LogPath,
    /// How a line looks. Default json; source: every value is escaped and named, whatever a client sends.
    #[serde(default)]
    pub format: LogFormat,
}

impl AccessLog {
    /// Takes a relative path as beside `folder`.
    pub fn beside(&mut self, folder: &Path) {
        if let LogPath::File(path) = &mut self.path {
            *path = folder.join(&path);
        }
    }
}

/// Where lines go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum LogPath {
    /// Standard output, written `-`.
    Stdout,
    /// A file.
    File(PathBuf),
}

impl From<String> for LogPath {
    fn from(text: String) -> Self {
        if text == "-" { Self::Stdout } else { Self::File(text.into()) }
    }
}

impl From<LogPath> for String {
    fn from(path: LogPath) -> Self {
        path.to_string()
    }
}

impl fmt::Display for LogPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdout => f.write_str("-"),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

/// How a line of the access log looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One JSON object a line.
    #[default]
    Json,
    /// Apache's combined format, for tools that read that; fields that it has no place for are left out.
    Combined,
}
