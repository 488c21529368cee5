//! How many connections each client has open at a listener [R-L6].
//!
//! One entry for each client that is connected, gone with its last connection: so there are never more than connections.
//! A connection touches it at its beginning and end, and only where a bound is set. A client is an IPv4 address, or an IPv6
//! network of 64 bits, as for rate limits.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Open;
use crate::limits::network_of;

/// The clients of one listener, over all threads.
#[derive(Debug, Default)]
pub(crate) struct Clients(Mutex<HashMap<IpAddr, u32>>);

/// One connection of a client; counted for as long as this lives.
#[derive(Debug)]
pub(crate) struct Entered {
    open: Arc<Open>,
    client: IpAddr,
}

impl Entered {
    /// Lets one more connection of `client` in, unless it has `most` already.
    pub(crate) fn at(open: &Arc<Open>, client: IpAddr, most: u32) -> Option<Self> {
        let client = network_of(client);
        let mut clients = open.clients.locked();
        let count = clients.entry(client).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        drop(clients);
        Some(Self { open: Arc::clone(open), client })
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let mut clients = self.open.clients.locked();
        if let Some(count) = clients.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                clients.remove(&self.client);
            }
        }
    }
}

impl Clients {
    fn locked(&self) -> MutexGuard<'_, HashMap<IpAddr, u32>> {
        // A panic elsewhere leaves nothing half done: one count is written at a time.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
