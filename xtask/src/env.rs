//! What xtask reads of its environment, in one place.

use std::path::PathBuf;

/// The workspace's folder.
pub(crate) fn workspace() -> PathBuf {
    let xtask = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().expect("xtask lies in the workspace").to_path_buf()
}

/// Whether the user may install system packages.
pub(crate) fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    // The owner of our own process entry is the user we run as.
    std::fs::metadata("/proc/self").is_ok_and(|entry| entry.uid() == 0)
}

/// A command's folder on the search path, if it is installed.
pub(crate) fn find(command: &str) -> Option<PathBuf> {
    folders_of_programs().into_iter().map(|dir| dir.join(command)).find(|file| file.is_file())
}

/// Folders that programs are looked for in.
#[expect(clippy::disallowed_methods, reason = "the search path is what this asks about")]
pub(crate) fn folders_of_programs() -> Vec<PathBuf> {
    std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect()).unwrap_or_default()
}
