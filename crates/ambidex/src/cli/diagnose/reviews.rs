//! `--review DIR`: findings go into a folder of reviews, and what was seen before is told.

use std::path::Path;

use ambidex_insight::doctor::Diagnosis;

use super::super::complain;
use crate::review::take::{Before, Taken, take};
use crate::review::{Folder, ReviewError};

/// Takes a diagnosis in, and says on standard error what became of it: standard output is the report's.
pub(super) fn take_in(folder: &Path, diagnosis: &Diagnosis) -> Result<(), ReviewError> {
    let Taken { opened, again, closed, problems } = take(&Folder(folder.to_path_buf()), diagnosis)?;
    for (number, title, before) in &opened {
        complain(&format!("{number} opened: {title}\n"));
        for Before { likeness, pattern } in before {
            let done = pattern.done.as_deref().unwrap_or("nothing was done");
            let alike = likeness * 100.0;
            let (number, outcome) = (pattern.number, &pattern.outcome);
            complain(&format!("  seen before: {number} ({alike:.0} % alike): {done}: {outcome}\n"));
        }
    }
    for (numbers, what) in [(&again, "found again"), (&closed, "closed")] {
        if !numbers.is_empty() {
            let numbers: Vec<String> = numbers.iter().map(ToString::to_string).collect();
            complain(&format!("{what}: {}\n", numbers.join(", ")));
        }
    }
    for problem in &problems {
        complain(&format!("{problem}\n"));
    }
    Ok(())
}
