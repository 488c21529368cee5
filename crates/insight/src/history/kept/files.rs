//! The folder: which files there are, and how one is written so that it is whole or not there.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use time::{Date, Month, OffsetDateTime};

use super::KeptError;
use super::form::FORM;
use super::piece::HOUR;

/// A folder of hours.
#[derive(Debug)]
pub(super) struct Files(PathBuf);

impl Files {
    /// A folder that there must be.
    pub(super) fn to_read(folder: &Path) -> Result<Self, KeptError> {
        let files = Self(folder.to_path_buf());
        match files.form()? {
            Some(_) => Ok(files),
            None => Err(KeptError::Missing(folder.to_path_buf())),
        }
    }

    /// A folder that is made where there is none, and the lock on it.
    pub(super) fn to_write(folder: &Path) -> Result<(Self, File), KeptError> {
        let failed = |error| KeptError::Folder { folder: folder.to_path_buf(), error };
        fs::create_dir_all(folder).map_err(failed)?;
        let files = Self(folder.to_path_buf());
        if files.form()?.is_none() && files.holds_other_things().map_err(failed)? {
            return Err(KeptError::Foreign(folder.to_path_buf()));
        }
        let open = || OpenOptions::new().create(true).truncate(false).write(true).open(folder.join(LOCK));
        let lock = open().map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(KeptError::InUse(folder.to_path_buf())),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        if files.form()?.is_none() {
            files.put(MARK, format!("{MARKED}{FORM}\n").as_bytes()).map_err(failed)?;
        }
        files.clean().map_err(failed)?;
        Ok((files, lock))
    }

    pub(super) fn folder(&self) -> PathBuf {
        self.0.clone()
    }

    /// Where an hour is.
    pub(super) fn path(&self, hour: i64) -> PathBuf {
        self.0.join(name(hour))
    }

    /// The hours that there are, with their sizes.
    pub(super) fn hours(&self) -> io::Result<BTreeMap<i64, u64>> {
        let mut hours = BTreeMap::new();
        for entry in fs::read_dir(&self.0)? {
            let entry = entry?;
            let Some(hour) = entry.file_name().to_str().and_then(hour_of) else { continue };
            match entry.metadata() {
                Ok(data) => {
                    hours.insert(hour, data.len());
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(hours)
    }

    pub(super) fn read(&self, hour: i64) -> io::Result<Vec<u8>> {
        fs::read(self.path(hour))
    }

    /// Writes an hour whole: whoever reads sees the old file or the new one.
    pub(super) fn write(&self, hour: i64, bytes: &[u8]) -> io::Result<()> {
        self.put(&name(hour), bytes)
    }

    pub(super) fn remove(&self, hour: i64) -> io::Result<()> {
        fs::remove_file(self.path(hour))
    }

    /// Puts a file out of the way that cannot be read; says where.
    pub(super) fn put_aside(&self, hour: i64) -> io::Result<PathBuf> {
        let aside = self.0.join(format!("{}{DAMAGED}", name(hour)));
        fs::rename(self.path(hour), &aside)?;
        Ok(aside)
    }

    fn put(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let half = self.0.join(format!("{name}{HALF}"));
        let written = (|| {
            let mut file = File::create(&half)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&half, self.0.join(name))?;
            // The name lasts when the folder is on the disk.
            File::open(&self.0)?.sync_all()
        })();
        if written.is_err() {
            // A full disk has room again.
            let _ = fs::remove_file(&half);
        }
        written
    }

    /// The form that the folder says it has; `None`: it does not say that it is a history.
    fn form(&self) -> Result<Option<u32>, KeptError> {
        let file = self.0.join(MARK);
        let text = match fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(None);
            }
            Err(error) => return Err(KeptError::Folder { folder: self.folder(), error }),
        };
        let form = text.strip_prefix(MARKED).and_then(|rest| rest.trim().parse::<u32>().ok());
        match form {
            Some(form) if form > FORM => Err(KeptError::Newer { file, form }),
            Some(form) => Ok(Some(form)),
            None => Err(KeptError::Foreign(self.folder())),
        }
    }

    fn holds_other_things(&self) -> io::Result<bool> {
        for entry in fs::read_dir(&self.0)? {
            let name = entry?.file_name();
            if name != LOCK && !name.to_str().is_some_and(|name| name.ends_with(HALF)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Removes what a process left that died while it wrote.
    fn clean(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.0)? {
            let name = entry?.file_name();
            let half = name.to_str().and_then(|name| name.strip_suffix(HALF));
            if half.is_some_and(|name| name == MARK || hour_of(name).is_some()) {
                fs::remove_file(self.0.join(&name))?;
            }
        }
        Ok(())
    }
}

/// What an hour's file is called: its begin by UTC.
fn name(hour: i64) -> String {
    let Ok(begin) = OffsetDateTime::from_unix_timestamp(hour.saturating_mul(HOUR / 1_000)) else {
        // Moments are bounded by the years that can be written.
        return format!("{hour}{HOURS}");
    };
    let (year, month, day) = begin.to_calendar_date();
    format!("{year:04}{:02}{day:02}T{:02}Z{HOURS}", u8::from(month), begin.hour())
}

fn hour_of(name: &str) -> Option<i64> {
    let text = name.strip_suffix(HOURS)?.strip_suffix('Z')?;
    let (date, hour) = text.split_once('T').filter(|(date, hour)| date.len() == 8 && hour.len() == 2)?;
    let number = |text: Option<&str>| text?.parse::<u16>().ok();
    let month = Month::try_from(u8::try_from(number(date.get(4..6))?).ok()?).ok()?;
    let day = u8::try_from(number(date.get(6..8))?).ok()?;
    let date = Date::from_calendar_date(i32::from(number(date.get(..4))?), month, day).ok()?;
    let hour = number(Some(hour)).filter(|hour| *hour < 24)?;
    Some(date.midnight().assume_utc().unix_timestamp() * 1_000 / HOUR + i64::from(hour))
}

const MARK: &str = "ambidex-history";
const MARKED: &str = "a history of ambidex, form ";
const LOCK: &str = "lock";
const HOURS: &str = ".hour";
const HALF: &str = ".half";
const DAMAGED: &str = ".damaged";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hours_file_is_called_by_its_begin_and_known_by_its_name() {
        assert_eq!(name(498_706), "20261122T10Z.hour");
        for hour in [0, 498_706, 498_706 + 14, 600_000] {
            assert_eq!(hour_of(&name(hour)), Some(hour));
        }
        for other in ["lock", "20261122T24Z.hour", "20261322T10Z.hour", "2026112éT1Z.hour", "20261122T10Z.hour.half"] {
            assert_eq!(hour_of(other), None, "{other}");
        }
    }
}
