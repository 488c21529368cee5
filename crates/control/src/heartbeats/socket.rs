//! The socket of heartbeats: with room for what comes while its thread has to wait for a core, and with what the system
//! dropped for want of it.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::MetadataExt as _;

use rustix::net::sockopt;

/// A socket that listens.
#[derive(Debug)]
pub(super) struct Door {
    pub(super) socket: UdpSocket,
    pub(super) address: SocketAddr,
}

impl Door {
    pub(super) fn open(listen: SocketAddr) -> io::Result<Self> {
        let socket = UdpSocket::bind(listen)?;
        socket.set_nonblocking(true)?;
        let address = socket.local_addr()?;
        // Who may not have as much has what the system allows (`net.core.rmem_max`).
        if sockopt::set_socket_recv_buffer_size_force(&socket, ROOM).is_err() {
            let _ = sockopt::set_socket_recv_buffer_size(&socket, ROOM);
        }
        let bytes = sockopt::socket_recv_buffer_size(&socket).unwrap_or(0);
        tracing::debug!(%address, bytes, "receive buffer of heartbeats");
        Ok(Self { socket, address })
    }
}

/// Which socket it is in the system's table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    inode: u64,
    table: &'static str,
}

impl Entry {
    /// The entry of a socket; `None` where the system has no such table.
    pub(super) fn of(socket: &UdpSocket) -> Option<Self> {
        let table = if socket.local_addr().ok()?.is_ipv4() { "/proc/self/net/udp" } else { "/proc/self/net/udp6" };
        let inode = std::fs::metadata(format!("/proc/self/fd/{}", socket.as_raw_fd())).ok()?.ino();
        Some(Self { inode, table })
    }

    /// Datagrams that came and were dropped, because the socket's buffer was full.
    pub(super) fn dropped(self) -> Option<u64> {
        dropped(&std::fs::read_to_string(self.table).ok()?, self.inode)
    }
}

/// What the table says of the socket with this inode: its 10th column is the inode, its last the drops (proc_net(5)).
fn dropped(table: &str, inode: u64) -> Option<u64> {
    let is_ours = |line: &&str| line.split_ascii_whitespace().nth(9).and_then(|word| word.parse().ok()) == Some(inode);
    table.lines().find(is_ours)?.split_ascii_whitespace().last()?.parse().ok()
}

/// Bytes of datagrams that may wait in the system; it counts each with its own overhead, about 800 bytes. Source: R-C6; half
/// a second of 10,000 workers.
const ROOM: usize = 8 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_are_read_by_the_inode() {
        let table = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n\
            \u{20}  94: 0100007F:26AF 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 71 2 0000000000000000 0\n\
            \u{20}  95: 0100007F:26B0 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 72 2 0000000000000000 13\n";
        assert_eq!([71, 72, 73].map(|inode| dropped(table, inode)), [Some(0), Some(13), None]);
    }

    #[test]
    fn what_the_system_drops_is_counted() {
        let door = Door::open(([127, 0, 0, 1], 0).into()).expect("a port");
        let entry = Entry::of(&door.socket).expect("a table");
        assert_eq!(entry.dropped(), Some(0));
        let sender = UdpSocket::bind("127.0.0.1:0").expect("a port");
        for _ in 0..200_000 {
            if entry.dropped() > Some(0) {
                return;
            }
            for _ in 0..500 {
                sender.send_to(&[7; 1_000], door.address).expect("sent");
            }
        }
        panic!("the buffer takes all");
    }
}
