//! Where a replay's exchanges come from: our recordings, HAR, GoReplay.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use ambidex_core::share::Share;
use ambidex_core::time::Span;
use ambidex_wire::recording::{Exchange, Header, Recording, RecordingError};

use super::{gor, har};

/// The exchanges of one file, in the order of their requests.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Source {
    /// They.
    pub exchanges: Vec<Exchange>,
    /// Which shares of what came are in it; nothing where nobody says.
    pub samples: Vec<Share>,
    /// Numbers of lines that were not written to their ends.
    pub torn: Vec<u64>,
}

/// Why a file gives no exchanges.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// It cannot be read.
    #[error("{}: {cause}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// It is no recording of ours.
    #[error("{}: {cause}", path.display())]
    Recording {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        cause: RecordingError,
    },
    /// It is no HAR.
    #[error("HAR: {0}")]
    Har(String),
    /// It is no file of GoReplay.
    #[error("GoReplay: {0}")]
    Gor(String),
}

impl Source {
    /// Reads the file at `path`: HAR by `.har`, GoReplay's by `.gor`, else a recording of ours; `-` is standard input.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn open(path: &Path) -> Result<Self, SourceError> {
        let io = |cause| SourceError::Io { path: path.to_owned(), cause };
        let input: Box<dyn Read> =
            if path == Path::new("-") { Box::new(io::stdin()) } else { Box::new(File::open(path).map_err(io)?) };
        let mut input = BufReader::new(input);
        let whole = |input: &mut BufReader<Box<dyn Read>>| {
            let mut bytes = Vec::new();
            input.read_to_end(&mut bytes).map(|_| bytes).map_err(io)
        };
        let foreign = |exchanges| Self { exchanges, ..Self::default() };
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("har") => har::read(&whole(&mut input)?).map(foreign),
            Some("gor") => gor::read(&whole(&mut input)?).map(foreign),
            Some(_) | None => {
                let wrong = |cause| SourceError::Recording { path: path.to_owned(), cause };
                let Recording { parts, exchanges, torn } = Recording::read(input).map_err(wrong)?;
                Ok(Self { samples: samples(&parts, &exchanges), exchanges, torn })
            }
        }
    }

    /// From the first request to the last.
    #[must_use]
    pub fn length(&self) -> Span {
        match (self.exchanges.first(), self.exchanges.last()) {
            (Some(first), Some(last)) => Span::from_nanos(last.at.as_nanos() - first.at.as_nanos()),
            (_, _) => Span::ZERO,
        }
    }
}

/// The shares of each part, and those of routes that were recorded otherwise.
fn samples(parts: &[Header], exchanges: &[Exchange]) -> Vec<Share> {
    let mut samples: Vec<Share> = Vec::new();
    let usual = exchanges.iter().any(|exchange| exchange.sample.is_none()) || exchanges.is_empty();
    let usual = parts.iter().filter(|_| usual).map(|part| part.sample);
    for share in usual.chain(exchanges.iter().filter_map(|exchange| exchange.sample)) {
        if !samples.contains(&share) {
            samples.push(share);
        }
    }
    samples
}
