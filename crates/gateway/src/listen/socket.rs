//! Listening sockets: opened for all threads at once, before anything else changes.
//!
//! TCP: one socket a thread, all on one port (`SO_REUSEPORT`): the kernel spreads connections over the threads and no
//! thread wakes another. Since that option would also let a second process take half of the traffic without a word,
//! the port is first tried without it. What an accepted socket needs (no delay, keep-alive) is set on the listening
//! one, from which it inherits; that saves system calls at each connection.
//!
//! Unix: one socket, shared by all threads. A socket file that nobody listens on is a leftover and is removed.

use std::fs;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use socket2::{Domain, SockAddr, Socket, TcpKeepalive, Type};

use crate::config::{ListenAddress, Listener};

/// A listening socket that no runtime knows yet.
#[derive(Debug)]
pub(crate) enum Bound {
    /// TCP.
    Tcp(std::net::TcpListener),
    /// Unix.
    Unix(std::os::unix::net::UnixListener),
}

/// Why a listener could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Somebody else listens there.
    #[error("cannot listen on {0}: another process listens there; stop it, or choose another address")]
    Taken(ListenAddress),
    /// The process may not.
    #[error(
        "cannot listen on {0}: permission denied; ports below 1024 need CAP_NET_BIND_SERVICE, and a Unix socket a \
         folder that may be written"
    )]
    Forbidden(ListenAddress),
    /// The address is not this machine's.
    #[error("cannot listen on {0}: this machine has no such address")]
    NotOurs(ListenAddress),
    /// The path is taken by something that is no socket.
    #[error("cannot listen on {0}: the file exists and is no socket; it is left as it is")]
    NoSocket(ListenAddress),
    /// Something else.
    #[error("cannot listen on {address}: {cause}")]
    Other {
        /// Where.
        address: ListenAddress,
        /// What the system said.
        cause: io::Error,
    },
}

/// Opens a listener for `threads` threads. The sockets listen when this returns.
pub(crate) fn open(listener: &Listener, threads: usize) -> Result<(Vec<Bound>, ListenAddress), BindError> {
    match listener.address() {
        ListenAddress::Tcp(address) => tcp(*address, listener, threads).map_err(|cause| why(listener.address(), cause)),
        ListenAddress::Unix(path) => unix(path, listener, threads),
    }
}

/// Removes the file of a Unix listener that was closed.
pub(crate) fn forget(address: &ListenAddress) {
    if let ListenAddress::Unix(path) = address
        && let Err(cause) = fs::remove_file(path)
        && cause.kind() != ErrorKind::NotFound
    {
        tracing::warn!(path = %path.display(), %cause, "the socket file of a closed listener could not be removed");
    }
}

fn tcp(address: SocketAddr, listener: &Listener, threads: usize) -> io::Result<(Vec<Bound>, ListenAddress)> {
    let fresh = || -> io::Result<Socket> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        if address.is_ipv6() {
            // As nginx has it: `[::]` beside `0.0.0.0` on one port is a common pair.
            socket.set_only_v6(true)?;
        }
        Ok(socket)
    };
    fresh()?.bind(&address.into())?;
    let mut address = address;
    let mut sockets = Vec::with_capacity(threads);
    for _ in 0..threads {
        let socket = fresh()?;
        socket.set_reuse_port(true)?;
        socket.bind(&address.into())?;
        if let Some(chosen) = socket.local_addr()?.as_socket() {
            address = chosen;
        }
        socket.set_tcp_nodelay(true)?;
        socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE_INTERVAL))?;
        socket.set_nonblocking(true)?;
        sockets.push(socket);
    }
    // Listen only when all are bound: a connection that came in between would be lost with its socket.
    for socket in &sockets {
        socket.listen(listener.backlog.into())?;
    }
    Ok((sockets.into_iter().map(|socket| Bound::Tcp(socket.into())).collect(), ListenAddress::Tcp(address)))
}

fn unix(path: &Path, listener: &Listener, threads: usize) -> Result<(Vec<Bound>, ListenAddress), BindError> {
    let address = listener.address();
    remove_leftover(path, address)?;
    let open = || -> io::Result<Vec<Bound>> {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.bind(&SockAddr::unix(path)?)?;
        // Before it listens nobody can connect, so there is no moment with the wrong permissions.
        fs::set_permissions(path, fs::Permissions::from_mode(listener.mode.0))?;
        socket.set_nonblocking(true)?;
        socket.listen(listener.backlog.into())?;
        (0..threads).map(|_| Ok(Bound::Unix(socket.try_clone()?.into()))).collect()
    };
    let sockets = open().map_err(|cause| why(address, cause))?;
    Ok((sockets, ListenAddress::Unix(PathBuf::from(path))))
}

fn remove_leftover(path: &Path, address: &ListenAddress) -> Result<(), BindError> {
    match fs::symlink_metadata(path) {
        Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(()),
        Err(cause) => Err(why(address, cause)),
        Ok(file) if !file.file_type().is_socket() => Err(BindError::NoSocket(address.clone())),
        Ok(_) => match std::os::unix::net::UnixStream::connect(path) {
            Ok(_) => Err(BindError::Taken(address.clone())),
            Err(cause) if cause.kind() == ErrorKind::ConnectionRefused => {
                fs::remove_file(path).map_err(|cause| why(address, cause))
            }
            Err(cause) => Err(why(address, cause)),
        },
    }
}

fn why(address: &ListenAddress, cause: io::Error) -> BindError {
    let address = address.clone();
    let kind = cause.kind();
    if kind == ErrorKind::AddrInUse {
        BindError::Taken(address)
    } else if kind == ErrorKind::PermissionDenied {
        BindError::Forbidden(address)
    } else if kind == ErrorKind::AddrNotAvailable {
        BindError::NotOurs(address)
    } else {
        BindError::Other { address, cause }
    }
}

/// Silence after which the kernel asks whether the client still lives, and how often. Source: below the 350 s after
/// which common cloud balancers forget a connection; Linux' default of 2 h is above every such limit.
const KEEPALIVE: Duration = Duration::from_secs(60);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);
