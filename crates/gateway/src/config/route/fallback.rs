//! The fallback chain of a route: what answers when no worker of its pool does, tier after tier.

use std::path::{Path, PathBuf};

use ambidex_core::again::fallback::{MOST_TIERS, Tier as Kind};
use ambidex_core::size::Size;
use ambidex_core::time::Span;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One tier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "FallbackTier")]
pub enum Tier {
    /// The pool's workers in this zone.
    Zone(String),
    /// The workers of this pool.
    Pool(String),
    /// The pool's workers, asked under this path: a simpler endpoint.
    Path(String),
    /// The last good answer to the same question.
    Snapshot(Snapshot),
    /// A fixed answer.
    Static(Static),
}

/// The last good answers of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Snapshot {
    /// How old a kept answer must be before the next good one replaces it. Default 30s; source: R-B3.
    #[schemars(with = "String")]
    pub refresh: Span,
    /// The oldest that is still shown. Default 1h; source: ours.
    #[schemars(with = "String")]
    pub max_age: Span,
    /// Bytes of all that is kept for the route; answers over a quarter of it are not kept. Default 8MiB; source: ours.
    pub max_bytes: Size,
}

impl Default for Snapshot {
    fn default() -> Self {
        Self { refresh: Span::from_secs(30), max_age: Span::from_secs(3_600), max_bytes: Size::mib(8) }
    }
}

/// A fixed answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Static {
    /// Its status, 200 to 599. Default 503; source: architecture.md "Configuration".
    pub status: u16,
    /// Its body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// The file that its body is read from, at start and reload, at most 1MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub file: Option<PathBuf>,
    /// Its `Content-Type`. Default: by the file's ending, else `text/plain; charset=utf-8`; source: ours.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
}

impl Default for Static {
    fn default() -> Self {
        Self { status: 503, body: None, file: None, kind: None }
    }
}

/// Why a chain cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// More tiers than a request goes through.
    #[error("fallback: {0} tiers are more than {MOST_TIERS}")]
    Long(usize),
    /// It comes back to where it was.
    #[error("fallback: tier {tier} asks pool `{pool}` again, which was asked before; name each pool once")]
    Loops {
        /// Which tier, from 1.
        tier: usize,
        /// Which pool.
        pool: String,
    },
    /// The same tier twice.
    #[error("fallback: tier {0} is the same as one before it; it would fail in the same way")]
    Twice(usize),
    /// What always answers is not last.
    #[error("fallback: `static` always answers, so tier {0} would never have its turn; put `static` last")]
    Unreached(usize),
    /// A path that no request has.
    #[error("fallback: `{0}` is no path: it must begin with `/` and hold neither `?` nor `#`")]
    Path(String),
    /// No fixed answer.
    #[error("fallback.static: status {0} is outside 200 to 599, or has no body")]
    Status(u16),
    /// Two bodies.
    #[error("fallback.static: `body` and `file` exclude each other; keep one")]
    TwoBodies,
    /// A type that is no header's value.
    #[error("fallback.static: `{0}` is no type; write one such as `application/json`")]
    Kind(String),
    /// A snapshot that is never shown, or holds nothing.
    #[error("fallback.snapshot: max_age {max_age} and max_bytes {max_bytes}: use at least 1s and 4KiB")]
    Snapshot {
        /// Oldest.
        max_age: Span,
        /// Most.
        max_bytes: Size,
    },
}

/// Checks the chain of a route to `home`.
pub(super) fn check(home: &str, tiers: &[Tier]) -> Result<(), ChainError> {
    if tiers.len() > MOST_TIERS {
        return Err(ChainError::Long(tiers.len()));
    }
    for (at, tier) in tiers.iter().enumerate() {
        if tiers[..at].iter().any(|before| matches!(before, Tier::Static(_))) {
            return Err(ChainError::Unreached(at + 1));
        }
        tier.check()?;
        if let Tier::Pool(pool) = tier
            && (pool == home || tiers[..at].contains(tier))
        {
            return Err(ChainError::Loops { tier: at + 1, pool: pool.clone() });
        }
        if tiers[..at].iter().any(|before| before == tier || before.is_snapshot() && tier.is_snapshot()) {
            return Err(ChainError::Twice(at + 1));
        }
    }
    Ok(())
}

impl Tier {
    /// What kind of tier it is to the machine.
    pub(crate) const fn kind(&self) -> Kind {
        match self {
            Self::Zone(_) => Kind::Zone,
            Self::Pool(_) => Kind::Pool,
            Self::Path(_) => Kind::Simpler,
            Self::Snapshot(_) => Kind::Snapshot,
            Self::Static(_) => Kind::Static,
        }
    }

    const fn is_snapshot(&self) -> bool {
        matches!(self, Self::Snapshot(_))
    }

    /// Takes a relative path of a file as beside `folder`.
    pub(super) fn beside(&mut self, folder: &Path) {
        if let Self::Static(Static { file: Some(file), .. }) = self {
            *file = folder.join(&file);
        }
    }

    fn check(&self) -> Result<(), ChainError> {
        match self {
            Self::Zone(_) | Self::Pool(_) => Ok(()),
            Self::Path(path) => {
                super::matches::checked_path(path.clone()).map(drop).map_err(|_| ChainError::Path(path.clone()))
            }
            Self::Snapshot(Snapshot { max_age, max_bytes, .. }) => {
                let fits = *max_age >= Span::from_secs(1) && *max_bytes >= Size::kib(4);
                let (max_age, max_bytes) = (*max_age, *max_bytes);
                if fits { Ok(()) } else { Err(ChainError::Snapshot { max_age, max_bytes }) }
            }
            Self::Static(Static { status, body, file, kind }) => {
                let bodiless = matches!(status, 204 | 205 | 304);
                if !(200..=599).contains(status) || bodiless {
                    return Err(ChainError::Status(*status));
                }
                if body.is_some() && file.is_some() {
                    return Err(ChainError::TwoBodies);
                }
                match kind {
                    Some(kind) if kind.is_empty() || kind.parse::<http::HeaderValue>().is_err() => {
                        Err(ChainError::Kind(kind.clone()))
                    }
                    Some(_) | None => Ok(()),
                }
            }
        }
    }
}
