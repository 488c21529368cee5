//! A thread that looks after files, so that no serving thread waits for a disk: certificates that were renewed, a database of
//! places that was brought anew.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::atlas::Atlas;
use crate::front::Front;
use crate::listen::Open;

/// The listeners that are open.
pub(crate) type Listeners = Arc<Mutex<Vec<Arc<Open>>>>;

/// Looks after the files of `listeners`, and of what requests go by, until the sender is dropped.
pub(crate) fn start(listeners: Listeners, front: Arc<ArcSwap<Front>>) -> std::io::Result<Sender<()>> {
    let (stop, stopped) = channel();
    std::thread::Builder::new().name("gateway-keeper".into()).spawn(move || keep(&listeners, &front, &stopped))?;
    Ok(stop)
}

fn keep(listeners: &Listeners, front: &ArcSwap<Front>, stopped: &Receiver<()>) {
    while stopped.recv_timeout(LOOK_EACH) == Err(RecvTimeoutError::Timeout) {
        let open = listeners.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for open in open {
            refresh(&open);
        }
        let front = front.load_full();
        if let Some(atlas) = front.homes.as_ref().and_then(|homes| homes.atlas()) {
            refresh_atlas(atlas);
        }
    }
}

fn refresh(open: &Open) {
    let settings = open.settings.load();
    match settings.tls.as_ref().map(|tls| tls.certificates.refresh()) {
        Some(Ok(true)) => tracing::info!(listener = %open.bound, "new certificates are shown from now on"),
        Some(Err(cause)) => tracing::warn!(
            listener = %open.bound, %cause, "changed certificates cannot be used; the old ones stay until the files change"
        ),
        Some(Ok(false)) | None => {}
    }
}

fn refresh_atlas(atlas: &Atlas) {
    match atlas.refresh() {
        Ok(true) => tracing::info!("a new database of places is in force"),
        Ok(false) => {}
        Err(cause) => tracing::warn!(
            %cause, "zones: the changed database of places cannot be used; the old one stays until the file changes"
        ),
    }
}

/// How often files are looked at. Source: a renewal is written once in weeks; a stat of each file a second is free, and
/// polling sees swapped links (ConfigMaps) that a watch of the file would miss.
const LOOK_EACH: Duration = Duration::from_secs(1);
