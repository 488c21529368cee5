//! Where clients are, by a MaxMind database: read into memory by the thread that looks after files, looked at by requests
//! without a lock and without a file.
//!
//! ```text
//! file --another one? once a second--> bytes --checked as a whole--> in force, in one step; open connections ask anew
//!                                        +--> cannot be used: told, the one in force stays until the file changes again
//! ```
//! Into memory and not mapped: a file that is written over while it is mapped changes under who reads it, and ends the process
//! when it gets shorter.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use ambidex_core::zone::Home;
use arc_swap::ArcSwap;
use maxminddb::{PathElement, Reader};

use crate::config::MaxMind;
use crate::tls::{Stamp, stamp};

/// A database that is read anew when its file changes, and the zones of its places.
pub(crate) struct Atlas {
    config: MaxMind,
    places: Places,
    database: ArcSwap<Database>,
    /// Grows with each database.
    edition: AtomicU64,
    seen: Mutex<Stamp>,
    /// Whether the file as it is now cannot be used.
    failing: AtomicBool,
}

/// Zones by codes of places.
struct Places {
    continents: HashMap<String, Home>,
    countries: HashMap<String, Home>,
    /// By country, then by part.
    subdivisions: HashMap<String, HashMap<String, Home>>,
}

/// Why a database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AtlasError {
    /// It cannot be read.
    #[error("the database {} cannot be read: {why}", file.display())]
    File {
        /// Which.
        file: PathBuf,
        /// What the system says.
        why: std::io::Error,
    },
    /// Too much to keep in memory.
    #[error("the database {} has over 512 MiB, which is more than is kept in memory: take one of countries", .0.display())]
    TooLarge(PathBuf),
    /// Something else, or damaged.
    #[error("{} is no sound MaxMind database: {why}; copy it anew, under another name first and then in its place", file.display())]
    Unsound {
        /// Which.
        file: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// It says other things of addresses.
    #[error("the database {} ({kind}) does not say where addresses are: take one of countries or cities", file.display())]
    OfSomethingElse {
        /// Which.
        file: PathBuf,
        /// What it calls itself.
        kind: String,
    },
    /// It knows countries only.
    #[error("the database {} ({kind}) knows no parts of countries: take one of cities, or leave `subdivisions` out", file.display())]
    NoSubdivisions {
        /// Which.
        file: PathBuf,
        /// What it calls itself.
        kind: String,
    },
}

impl Atlas {
    /// Reads the database and checks it as a whole.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub(crate) fn read(config: &MaxMind) -> Result<Self, AtlasError> {
        // The stamp first: a file that changes while it is read is then read again.
        let seen = Mutex::new(stamp(&config.file));
        let database = Database::read(config)?;
        let (edition, failing) = (AtomicU64::new(0), AtomicBool::new(false));
        let (config, places) = (config.clone(), Places::of(config));
        Ok(Self { config, places, database: ArcSwap::from_pointee(database), edition, seen, failing })
    }

    /// Whether it is what this asks for.
    pub(crate) fn is_of(&self, config: &MaxMind) -> bool {
        self.config == *config
    }

    /// Reads it again if its file changed, and says whether another one is in force now. After an error the old one stays, and the
    /// file is left alone until it changes once more.
    pub(crate) fn refresh(&self) -> Result<bool, AtlasError> {
        let now = stamp(&self.config.file);
        {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            if *seen == now {
                return Ok(false);
            }
            *seen = now;
        }
        let read = Database::read(&self.config);
        self.failing.store(read.is_err(), Relaxed);
        self.database.store(Arc::new(read?));
        self.edition.fetch_add(1, Relaxed);
        Ok(true)
    }

    /// Which database is in force: what was found in another one may be another zone.
    pub(crate) fn edition(&self) -> u64 {
        self.edition.load(Relaxed)
    }

    /// Whether the file as it is now cannot be used, so that the one before is in force.
    pub(crate) fn is_failing(&self) -> bool {
        self.failing.load(Relaxed)
    }

    /// The zone of the most exact place that an address is in and that is a zone.
    pub(crate) fn of(&self, client: IpAddr) -> Option<Home> {
        let database = self.database.load();
        let found = database.reader.lookup(client).ok()?;
        let code = |path: &[PathElement<'_>]| found.decode_path::<&str>(path).ok().flatten();
        if self.places.subdivisions.is_empty() && self.places.countries.is_empty() {
            return code(&CONTINENT).and_then(|continent| self.places.continents.get(continent)).copied();
        }
        let country = code(&COUNTRY);
        if let Some(parts) = country.and_then(|country| self.places.subdivisions.get(country)) {
            // From the largest to the smallest.
            let part =
                |at| code(&[PathElement::Key("subdivisions"), PathElement::Index(at), PathElement::Key("iso_code")]);
            let known = (0..MOST_PARTS).map_while(part).filter_map(|part| parts.get(part)).last();
            if let Some(home) = known {
                return Some(*home);
            }
        }
        let of_country = country.and_then(|country| self.places.countries.get(country));
        let of_continent = || code(&CONTINENT).and_then(|continent| self.places.continents.get(continent));
        of_country.or_else(of_continent).copied()
    }
}

impl MaxMind {
    /// Whether its file can be used as it is now.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self) -> Result<(), AtlasError> {
        Database::read(self).map(drop)
    }
}

impl std::fmt::Debug for Atlas {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Atlas").field("file", &self.config.file).finish_non_exhaustive()
    }
}

impl Places {
    fn of(config: &MaxMind) -> Self {
        let home = |(place, zone): (&String, &String)| (place.clone(), Home::of(zone));
        let mut subdivisions = HashMap::<String, HashMap<String, Home>>::new();
        for ((country, part), zone) in &config.subdivisions {
            subdivisions.entry(country.clone()).or_default().insert(part.clone(), Home::of(zone));
        }
        Self {
            continents: config.continents.iter().map(home).collect(),
            countries: config.countries.iter().map(home).collect(),
            subdivisions,
        }
    }
}

/// A database in memory.
struct Database {
    reader: Reader<Vec<u8>>,
}

impl Database {
    fn read(config: &MaxMind) -> Result<Self, AtlasError> {
        let file = || config.file.clone();
        let unsound = |why: maxminddb::MaxMindDbError| AtlasError::Unsound { file: file(), why: why.to_string() };
        let bytes = bytes(&config.file)?;
        let reader = Reader::from_source(bytes).map_err(unsound)?;
        reader.verify().map_err(unsound)?;
        let kind = reader.metadata().database_type.clone();
        if kind.ends_with("Country") && !config.subdivisions.is_empty() {
            return Err(AtlasError::NoSubdivisions { file: file(), kind });
        }
        let mut says = false;
        for found in reader.networks(Default::default()).map_err(unsound)?.take(SAMPLE) {
            let found = found.map_err(unsound)?;
            let code = |path: &[PathElement<'_>]| found.decode_path::<&str>(path).map_err(unsound);
            says |= code(&COUNTRY)?.is_some() || code(&CONTINENT)?.is_some();
        }
        if says { Ok(Self { reader }) } else { Err(AtlasError::OfSomethingElse { file: file(), kind }) }
    }
}

fn bytes(path: &Path) -> Result<Vec<u8>, AtlasError> {
    let unreadable = |why| AtlasError::File { file: path.to_owned(), why };
    let about = std::fs::metadata(path).map_err(unreadable)?;
    if !about.is_file() {
        // Opening a pipe would wait for somebody to write to it.
        return Err(unreadable(std::io::Error::other("it is no plain file")));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(about.len().min(MOST_BYTES)).unwrap_or(0));
    let file = File::open(path).map_err(unreadable)?;
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MOST_BYTES { Err(AtlasError::TooLarge(path.to_owned())) } else { Ok(bytes) }
}

const CONTINENT: [PathElement<'static>; 2] = [PathElement::Key("continent"), PathElement::Key("code")];
const COUNTRY: [PathElement<'static>; 2] = [PathElement::Key("country"), PathElement::Key("iso_code")];
/// Parts of parts. Source: MaxMind's databases have two.
const MOST_PARTS: usize = 4;
/// Networks that are looked at to see what a database is of. Source: ours; those without a place lie together.
const SAMPLE: usize = 10_000;
/// Source: ours; the largest of MaxMind's databases that say where an address is has a third of it.
const MOST_BYTES: u64 = 512 << 20;

#[cfg(test)]
mod sample;
#[cfg(test)]
mod tests;
