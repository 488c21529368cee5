//! The generated file: read whole, replaced at once.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// What is in the file; `None` where it is not there. Off the loop's thread.
pub(super) async fn read(path: &Path) -> Result<Option<String>, String> {
    let path = path.to_path_buf();
    off_loop(move || read_now(&path)).await
}

/// Has the file be this, or not be there: written beside, on the disk, and renamed, so that nobody reads a half.
pub(super) async fn put(path: &Path, text: Option<String>) -> Result<(), String> {
    let path = path.to_path_buf();
    off_loop(move || {
        put_now(&path, text.as_deref()).map_err(|error| {
            let path = path.display();
            format!("{path} cannot be written: {error}; this process needs the right to write into its folder")
        })
    })
    .await
}

async fn off_loop<T: Send + 'static>(work: impl FnOnce() -> Result<T, String> + Send + 'static) -> Result<T, String> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(format!("the file's disk broke off: {error}")))
}

fn read_now(path: &Path) -> Result<Option<String>, String> {
    let wrong = |error: io::Error| format!("{} cannot be read: {error}", path.display());
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(wrong(error)),
    };
    let mut text = String::new();
    file.take(MOST_BYTES + 1).read_to_string(&mut text).map_err(wrong)?;
    if text.len() as u64 > MOST_BYTES {
        return Err(format!("{} has more than {MOST_BYTES} bytes: it is not the generated file", path.display()));
    }
    Ok(Some(text))
}

fn put_now(path: &Path, text: Option<&str>) -> io::Result<()> {
    // A link stays one; the file that it names is replaced.
    let path = fs::canonicalize(path).unwrap_or_else(|_| PathBuf::from(path));
    let Some(text) = text else {
        return match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        };
    };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let readable = fs::metadata(&path).map_or_else(|_| fs::Permissions::from_mode(0o644), |known| known.permissions());
    let mut fresh = tempfile::Builder::new().prefix(".ambidex-").permissions(readable).tempfile_in(folder)?;
    fresh.write_all(text.as_bytes())?;
    fresh.as_file().sync_all()?;
    fresh.persist(&path).map_err(|error| error.error)?;
    File::open(folder)?.sync_all()
}

/// Of the file: it is kept twice in the store, whose values have 1 MiB. 10,000 workers have 390 KiB.
pub(super) const MOST_BYTES: u64 = 480 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_is_replaced_whole_and_taken_away() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("upstreams.conf");
        assert_eq!(read(&path).await, Ok(None));
        put(&path, Some("a".to_owned())).await.expect("written");
        put(&path, Some("b".to_owned())).await.expect("written");
        assert_eq!(read(&path).await, Ok(Some("b".to_owned())));
        assert_eq!(fs::read_dir(folder.path()).expect("readable").count(), 1, "nothing is left beside it");
        put(&path, None).await.expect("removed");
        put(&path, None).await.expect("it is not there");
        assert_eq!(read(&path).await, Ok(None));
    }

    #[tokio::test]
    async fn a_link_stays_one_and_rights_stay_as_they_were() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, link) = (folder.path().join("real.conf"), folder.path().join("link.conf"));
        fs::write(&path, "a").expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("ours");
        std::os::unix::fs::symlink(&path, &link).expect("linked");
        put(&link, Some("b".to_owned())).await.expect("written");
        assert_eq!(read(&path).await, Ok(Some("b".to_owned())));
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o640);
        assert!(fs::symlink_metadata(&link).expect("there").is_symlink());
    }

    #[tokio::test]
    async fn a_folder_that_is_not_there_is_said() {
        let why = put(Path::new("/nowhere/upstreams.conf"), Some(String::new())).await.expect_err("no folder");
        assert!(why.contains("/nowhere/upstreams.conf cannot be written") && why.contains("right to write"), "{why}");
    }
}
