//! A change of listeners in two steps: all that can fail first, then all that cannot. So a configuration is taken in
//! full, or nothing has changed.

use std::sync::Arc;

use super::socket::{self, BindError, Bound};
use super::{Ground, Open, Settings, SettingsError};
use crate::config::{ListenAddress, Listener};

/// Why listeners cannot be as wanted.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// A listener could not be opened.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// What a listener's settings name cannot be used.
    #[error("listener {address}: {cause}")]
    Settings {
        /// The listener.
        address: ListenAddress,
        /// What is wrong.
        cause: SettingsError,
    },
    /// Two listeners of one configuration have one address.
    #[error("listeners: {0} is there twice; each address can have one listener")]
    Twice(ListenAddress),
}

/// A prepared change. Dropped before it is made, it leaves nothing behind.
#[derive(Debug, Default)]
pub(crate) struct Change {
    parts: Vec<Part>,
    made: bool,
}

#[derive(Debug)]
enum Part {
    /// Goes on with other settings.
    Kept(Arc<Open>, Arc<Settings>),
    /// Is new.
    New(Arc<Open>, Vec<Bound>),
}

/// What a change comes to.
#[derive(Debug)]
pub(crate) struct Made {
    /// All listeners from now on, in the order of the configuration.
    pub(crate) listeners: Vec<Arc<Open>>,
    /// Sockets of the new ones, one for each thread.
    pub(crate) new: Vec<(Arc<Open>, Vec<Bound>)>,
    /// Those that must close.
    pub(crate) removed: Vec<Arc<Open>>,
}

impl Change {
    /// Prepares the change from `known` to `wanted`: reads files, opens sockets.
    pub(crate) fn prepare(
        known: &[Arc<Open>],
        wanted: Vec<Listener>,
        next_id: &mut u64,
        ground: &Ground,
    ) -> Result<Self, ListenError> {
        let mut change = Self::default();
        for listener in wanted {
            let address = listener.address().clone();
            if change.parts.iter().any(|part| *part.configured() == address) {
                return Err(ListenError::Twice(address));
            }
            let old = known.iter().find(|open| open.configured == address);
            let previous = old.map(|open| open.settings.load_full());
            let settings = Settings::new(listener, previous.as_deref())
                .map_err(|cause| ListenError::Settings { address, cause })?;
            change.parts.push(match old {
                Some(open) => Part::Kept(Arc::clone(open), Arc::new(settings)),
                None => {
                    let (open, sockets) = Open::new(*next_id, settings, ground)?;
                    *next_id += 1;
                    Part::New(open, sockets)
                }
            });
        }
        Ok(change)
    }

    /// Makes the change, for all that the process shares; threads must be told of `new` and `removed`.
    pub(crate) fn make(mut self, known: &[Arc<Open>]) -> Made {
        self.made = true;
        let mut made = Made { listeners: Vec::with_capacity(self.parts.len()), new: Vec::new(), removed: Vec::new() };
        for part in std::mem::take(&mut self.parts) {
            match part {
                Part::Kept(open, settings) => {
                    open.settings.store(settings);
                    made.listeners.push(open);
                }
                Part::New(open, sockets) => {
                    made.listeners.push(Arc::clone(&open));
                    made.new.push((open, sockets));
                }
            }
        }
        let stays = |open: &&Arc<Open>| made.listeners.iter().any(|kept| kept.id == open.id);
        made.removed = known.iter().filter(|open| !stays(open)).cloned().collect();
        made
    }
}

impl Drop for Change {
    fn drop(&mut self) {
        for part in self.parts.iter().filter(|_| !self.made) {
            if let Part::New(open, _) = part {
                socket::forget(&open.bound);
            }
        }
    }
}

impl Part {
    fn configured(&self) -> &ListenAddress {
        match self {
            Self::Kept(open, _) | Self::New(open, _) => &open.configured,
        }
    }
}
