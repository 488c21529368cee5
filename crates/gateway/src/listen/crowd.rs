//! How many client connections the process can bear: its open file limit, less a reserve.
//!
//! A connection may need two descriptors (the client's and a worker's). The reserve is for what must work when all else
//! is full: the admin API with its health endpoints, listeners, logs, the store, name look-ups (reliability.md row 8).

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// All client connections of the process.
#[derive(Debug)]
pub(crate) struct Crowd {
    open: AtomicU64,
    most: u64,
}

impl Crowd {
    /// Raises the process's limit of open files as far as it may itself, and goes by what it then is.
    pub(crate) fn measured() -> Self {
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        let wanted = maximum.map_or(MOST_FILES, |maximum| maximum.min(MOST_FILES));
        let files = match current {
            Some(current) if current < wanted => {
                let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum });
                if raised.is_ok() { wanted } else { current }
            }
            Some(current) => current,
            None => MOST_FILES,
        };
        Self::of_files(files)
    }

    fn of_files(files: u64) -> Self {
        let reserve = RESERVE.min(files / 2);
        Self { open: AtomicU64::new(0), most: ((files - reserve) / 2).max(1) }
    }

    /// How many fit.
    pub(crate) fn most(&self) -> u64 {
        self.most
    }

    /// Lets one more in, if it fits; it must [`leave`](Self::leave) again.
    pub(crate) fn enter(&self) -> bool {
        let fits = self.open.fetch_add(1, Relaxed) < self.most;
        if !fits {
            self.leave();
        }
        fits
    }

    /// One has gone.
    pub(crate) fn leave(&self) {
        self.open.fetch_sub(1, Relaxed);
    }
}

/// More descriptors than this are not asked for. Source: Linux' default `nr_open`.
const MOST_FILES: u64 = 1 << 20;
/// Descriptors that no client gets. Source: the admin API's connections (64), the store's files, one listener a thread.
const RESERVE: u64 = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_does_not_fit_is_kept_out_until_somebody_leaves() {
        let crowd = Crowd::of_files(8);
        assert_eq!([crowd.enter(), crowd.enter(), crowd.enter()], [true, true, false]);
        crowd.leave();
        assert!(crowd.enter());
    }

    #[test]
    fn even_a_tiny_limit_lets_somebody_in() {
        assert_eq!((Crowd::of_files(0).most(), Crowd::of_files(100).most()), (1, 25));
    }
}
