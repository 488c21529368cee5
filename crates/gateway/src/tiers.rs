//! The tiers of fallback chains, compiled: pools by their places, files read, snapshots with their room.

use std::borrow::Cow;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ambidex_core::time::Mono;
use ambidex_core::worker::PoolId;
use bytes::Bytes;
use http::StatusCode;

use crate::config::{Static, Tier};
use crate::front::FrontError;
use crate::snapshots::Snapshots;
use crate::stored::Stored;

/// One tier.
#[derive(Debug)]
pub(crate) enum TierWay {
    /// A zone of the route's pool.
    Zone(Arc<str>),
    /// Another pool.
    Pool {
        id: PoolId,
        /// Which of the ways leads to it.
        way: usize,
        name: Arc<str>,
    },
    /// Another path.
    Path(Arc<str>),
    /// Good answers that were kept.
    Snapshot(Arc<Snapshots>),
    /// A fixed answer.
    Static(Arc<Stored>),
}

/// Why a fixed answer cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum TierError {
    /// Its file cannot be read.
    #[error("fallback.static: {} cannot be read: {why}", .file.display())]
    File {
        /// Which file.
        file: PathBuf,
        /// Why.
        why: std::io::Error,
    },
    /// Its file is too large.
    #[error("fallback.static: {} has {bytes} bytes, more than 1MiB", .0.display(), bytes = .1)]
    Large(PathBuf, u64),
}

impl TierWay {
    /// The word for `Ambidex-Tier` and the log.
    pub(crate) fn says(&self) -> Cow<'_, str> {
        match self {
            Self::Zone(zone) => format!("zone={zone}").into(),
            Self::Pool { name, .. } => format!("pool={name}").into(),
            Self::Path(path) => format!("path={path}").into(),
            Self::Snapshot(_) => "snapshot".into(),
            Self::Static(_) => "static".into(),
        }
    }

    /// Compiles a tier; `find` tells id and way of a pool's name, or fails. `kept` are the snapshots that the route has
    /// already.
    pub(crate) fn compile(
        tier: &Tier,
        find: &mut impl FnMut(&str) -> Result<(PoolId, usize), FrontError>,
        kept: Option<&Arc<Snapshots>>,
    ) -> Result<Self, FrontError> {
        Ok(match tier {
            Tier::Zone(zone) => Self::Zone(zone.as_str().into()),
            Tier::Pool(name) => {
                let (id, way) = find(name)?;
                Self::Pool { id, way, name: name.as_str().into() }
            }
            Tier::Path(path) => Self::Path(path.as_str().into()),
            Tier::Snapshot(config) => {
                let same = kept.filter(|kept| kept.config() == config);
                Self::Snapshot(same.map_or_else(|| Arc::new(Snapshots::new(*config)), Arc::clone))
            }
            Tier::Static(fixed) => Self::Static(Arc::new(fixed_answer(fixed)?)),
        })
    }
}

fn fixed_answer(fixed: &Static) -> Result<Stored, TierError> {
    let Static { status, body, file, kind } = fixed;
    let data = match file {
        Some(file) => {
            let why = |why| TierError::File { file: file.clone(), why };
            let size = fs::metadata(file).map_err(why)?.len();
            if size > MOST_BYTES {
                return Err(TierError::Large(file.clone(), size));
            }
            Bytes::from(fs::read(file).map_err(why)?)
        }
        None => Bytes::from(body.clone().unwrap_or_default()),
    };
    let kind = kind.as_deref().unwrap_or_else(|| kind_of(file.as_deref()));
    let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    let fields = [("content-type", kind), ("cache-control", "no-store")];
    Ok(Stored::made(status, &fields, data, Mono::default()))
}

fn kind_of(file: Option<&Path>) -> &'static str {
    match file.and_then(Path::extension).and_then(std::ffi::OsStr::to_str) {
        Some("json") => "application/json",
        Some("html" | "htm") => "text/html; charset=utf-8",
        Some("xml") => "application/xml",
        Some(_) | None => "text/plain; charset=utf-8",
    }
}

/// Of a fixed answer. Source: ours; a page, not a download.
const MOST_BYTES: u64 = 1 << 20;
