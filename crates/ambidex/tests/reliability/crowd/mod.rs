//! Hostile clients, thousands at once, on a thread of their own: each goes on until it is ended by the gateway.

pub(crate) mod kind;
pub(crate) mod taker;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use ambidex_lab::{Clock, Span, poll, rest};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::{mpsc, watch};

use self::kind::Kind;

/// A crowd that is there.
pub(crate) struct Crowd {
    most: Arc<AtomicUsize>,
    ended: mpsc::UnboundedReceiver<Ended>,
    expected: usize,
    leave: watch::Sender<bool>,
}

/// What became of one client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended {
    pub(crate) kind: Kind,
    /// The status that it was told; 0 for none.
    pub(crate) status: u16,
    /// From before it connected.
    pub(crate) took: Span,
}

impl Crowd {
    /// So many clients, of these kinds in turn, a few at a time.
    pub(crate) fn gather(address: SocketAddr, kinds: &[Kind], count: usize) -> Self {
        let kinds: Vec<_> = kinds.iter().copied().cycle().take(count).collect();
        let most = Arc::new(AtomicUsize::new(0));
        let (told, ended) = mpsc::unbounded_channel();
        let (leave, leaving) = watch::channel(false);
        let doors = Doors { address, came: Arc::default(), gone: Arc::default(), most: Arc::clone(&most), leaving };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        std::thread::spawn(move || {
            runtime.block_on(async {
                for (number, kind) in kinds.into_iter().enumerate() {
                    if number % TOGETHER == 0 {
                        tokio::time::sleep(STEP).await;
                    }
                    tokio::spawn(client(kind, doors.clone(), told.clone()));
                }
                drop(told);
                // The clients' ends are heard by who gathered them.
                while doors.leaving.has_changed().is_ok() {
                    tokio::time::sleep(STEP).await;
                }
            });
        });
        Self { most, ended, expected: count, leave }
    }

    /// The most clients that were connected at once, as far as they had noticed.
    pub(crate) fn most(&self) -> usize {
        self.most.load(SeqCst)
    }

    /// Those that do not read look now: to be called when the gateway has ended them.
    pub(crate) fn look_up(&self) {
        self.leave.send_replace(true);
    }

    /// Waits until all have ended; what became of each.
    pub(crate) fn ends(mut self) -> Vec<Ended> {
        let mut all = Vec::new();
        in_time("all have ended", || {
            while let Ok(ended) = self.ended.try_recv() {
                all.push(ended);
            }
            all.len() == self.expected
        });
        all
    }
}

/// Waits until something is so: two thousand of anything take a busy machine their time. Looks seldom, because who looks
/// makes work for those whom it looks at.
pub(crate) fn in_time(what: &str, mut is: impl FnMut() -> bool) {
    let so = poll(Span::from_secs(150), || {
        let so = is();
        if !so {
            rest(Span::from_millis(100));
        }
        so
    });
    assert!(so, "not in time: {what}");
}

/// How they come and go.
#[derive(Clone)]
struct Doors {
    address: SocketAddr,
    came: Arc<AtomicUsize>,
    gone: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
    leaving: watch::Receiver<bool>,
}

async fn client(kind: Kind, mut doors: Doors, told: mpsc::UnboundedSender<Ended>) {
    let clock = Clock::starting_now();
    let (mut from, mut to) = connect(doors.address, kind).await.into_split();
    let came = doors.came.fetch_add(1, SeqCst) + 1;
    doors.most.fetch_max(came - doors.gone.load(SeqCst), SeqCst);
    let sending = async {
        send(&mut to, kind).await;
        std::future::pending().await
    };
    let status = if kind.reads() {
        tokio::select! {
            status = hear(&mut from) => status,
            () = sending => unreachable!("pending"),
        }
    } else {
        tokio::select! {
            _ = doors.leaving.wait_for(|leave| *leave) => {}
            () = sending => unreachable!("pending"),
        }
        // What was on its way still comes; the end after it must be one.
        while matches!(from.read(&mut [0; 4 << 10]).await, Ok(1..)) {}
        0
    };
    doors.gone.fetch_add(1, SeqCst);
    let _ = told.send(Ended { kind, status, took: clock.now().since(Default::default()) });
}

async fn connect(address: SocketAddr, kind: Kind) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    if !kind.reads() {
        // As over a network: segments of the loopback are 64 KiB, and the kernel holds a great many of them.
        socket.set_recv_buffer_size(4 << 10).expect("a size");
        socket2::SockRef::from(&socket).set_tcp_mss(1_400).expect("a size");
    }
    socket.connect(address).await.expect("connects")
}

/// Sends all that its kind sends; ends when nothing more is taken, or nothing more is to be sent.
async fn send(to: &mut OwnedWriteHalf, kind: Kind) {
    if to.write_all(&kind.first()).await.is_err() {
        return;
    }
    if kind == Kind::Leaves {
        let _ = to.shutdown().await;
    }
    let Some(drip) = kind.then() else { return };
    while to.write_all(&drip.bytes).await.is_ok() {
        if drip.slow {
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Reads to the end of the connection; the status that was told, 0 if none.
async fn hear(from: &mut OwnedReadHalf) -> u16 {
    let mut heard = Vec::new();
    while let Ok(1..) = from.read_buf(&mut heard).await {}
    let text = String::from_utf8_lossy(&heard);
    let last = text.rmatch_indices("HTTP/1.1 ").map(|(at, word)| &text[at + word.len()..]).next();
    last.and_then(|status| status.get(..3)?.parse().ok()).unwrap_or(0)
}

/// Raises this process's limit of open files as far as it may itself, and says how many clients fit: each needs a
/// descriptor, and one for the connection that the gateway may open for it to a worker of this process.
pub(crate) fn room_for(wanted: usize) -> usize {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_some_and(|current| maximum.is_none_or(|maximum| current < maximum)) {
        let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    }
    let files = getrlimit(Resource::Nofile).current.map_or(usize::MAX, |files| usize::try_from(files).expect("fits"));
    wanted.min(files.saturating_sub(600) / 3)
}

/// How many connect together, and the pause before the next: two thousand within a second.
const TOGETHER: usize = 50;
const STEP: Duration = Duration::from_millis(20);
/// Between two drops of what comes slowly.
const PAUSE: Duration = Duration::from_millis(1_000);
