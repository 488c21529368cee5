//! A file's text, within bounds, or why there is none.

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::Path;

use crate::problem::{Findings, Mark, Problem};

/// Reads a file's text. `kind_of_file` is what people call it; `smaller` is what to do with one that is too large.
///
/// # Errors
/// Why there is no text.
pub fn text_of(path: &Path, kind_of_file: &str, smaller: &str) -> Result<String, Findings> {
    let name = path.display().to_string();
    let refuse = |message: String, help: &str| {
        let problem = Problem::error(Mark::start(), "", message, Some(help.to_owned()));
        Findings { file: name.clone(), text: String::new(), problems: vec![problem] }
    };
    let file = File::open(path).map_err(|error| {
        let kind = error.kind();
        if kind == ErrorKind::NotFound {
            refuse("there is no such file".to_owned(), &format!("name the {kind_of_file} file"))
        } else if kind == ErrorKind::PermissionDenied {
            refuse("the file may not be read".to_owned(), "let this user read it")
        } else {
            refuse(format!("the file cannot be opened: {error}"), "name a readable file")
        }
    })?;
    if file.metadata().is_ok_and(|metadata| metadata.is_dir()) {
        return Err(refuse("this is a directory".to_owned(), "name a file in it"));
    }
    let mut bytes = Vec::new();
    file.take(MOST_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| refuse(format!("the file cannot be read: {error}"), "name a readable file"))?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(refuse(format!("the file is larger than {} MiB", MOST_BYTES >> 20), smaller));
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
        let byte = error.as_bytes().get(good).copied().unwrap_or_default();
        let help = Some("save the file as UTF-8".to_owned());
        let problem = Problem::error(Mark::at(&text, good), "", format!("byte 0x{byte:02x} is not UTF-8"), help);
        Findings { file: name.clone(), text, problems: vec![problem] }
    })
}

/// A larger file is refused. Source: ours; 10,000 workers written out take about 1 MiB.
pub const MOST_BYTES: u64 = 4 << 20;
