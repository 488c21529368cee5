//! A client that sends bytes as they are, and says what came of them.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::answers::{self, Answers};
use crate::origin::Origin;
use crate::told::{Course, End, Step, Told};

/// When to stop waiting for a proxy that says nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Patience {
    /// After so long without a byte on either side: for proxies that nobody can say of what they will do.
    Quiet(Duration),
    /// Never: it will close.
    UntilClosed,
    /// It answers so often and then waits: a pause after that many answers, then the client ends its side.
    Answers(usize, Duration),
}

/// Sends `bytes` on a connection of its own, waits for its end or a pause, and tells the course that they took, and what
/// the origin got only in part.
pub(crate) async fn course(
    proxy: SocketAddr,
    origin: &Origin,
    bytes: &[u8],
    patience: Patience,
) -> (Course, Vec<Told>) {
    let mut stream = TcpStream::connect(proxy).await.expect("the proxy listens");
    stream.set_nodelay(true).expect("a socket");
    // Who refuses early does not read the rest.
    let _ = stream.write_all(bytes).await;
    let mut got = Vec::new();
    let end = hear(&mut stream, &mut got, origin, patience).await;
    drop(stream);
    settle(origin).await;
    let answers = read(&got, origin, end == End::Closed);
    let (asked, cut) = origin.take();
    (Course { steps: steps(answers, asked), end }, cut)
}

async fn hear(stream: &mut TcpStream, got: &mut Vec<u8>, origin: &Origin, patience: Patience) -> End {
    let mut reads = origin.reads();
    loop {
        let wait = match patience {
            Patience::Quiet(pause) => pause,
            Patience::UntilClosed => LONGEST,
            Patience::Answers(count, pause) => {
                if read(got, origin, false).finals.len() < count {
                    LONGEST
                } else {
                    pause
                }
            }
        };
        match timeout(wait, stream.read_buf(got)).await {
            Ok(Ok(1..)) => {}
            // A reset ends what came as a close does.
            Ok(Ok(0) | Err(_)) => return End::Closed,
            Err(_) if wait >= LONGEST => return End::Stuck,
            Err(_) if origin.reads() != reads => reads = origin.reads(),
            Err(_) => break,
        }
    }
    if let Patience::Answers(..) = patience {
        // It must let go of a client that ends its side within a request.
        let _ = stream.shutdown().await;
        if timeout(LONGEST, stream.read_to_end(&mut Vec::new())).await.is_err() {
            return End::Stuck;
        }
    }
    End::Waits
}

/// Waits until the proxy has let go of what it had begun at its origin.
async fn settle(origin: &Origin) {
    let idle = async {
        while !origin.is_idle() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    assert!(timeout(LONGEST, idle).await.is_ok(), "the proxy never let go of a request that its client gave up");
}

fn read(got: &[u8], origin: &Origin, ended: bool) -> Answers {
    answers::read(got, ended, |number| number.is_some_and(|number| origin.was_head(number)))
}

/// What became of each request: in the order of the answers, and then those that nobody was told of.
fn steps(answers: Answers, asked: Vec<Step>) -> Vec<Step> {
    let mut asked: Vec<Option<Step>> = asked.into_iter().map(Some).collect();
    let mut steps = Vec::new();
    for answer in answers.finals {
        match answer.origin.and_then(|number| asked.get_mut(number)?.take()) {
            Some(step) => steps.push(step),
            None => steps.push(Step::Own(answer.status)),
        }
    }
    let before = steps.len();
    steps.extend(asked.into_iter().flatten());
    if answers.odd.is_some() && steps.len() == before {
        steps.push(Step::Own(0));
    }
    steps
}

/// Longer than anything takes on a busy machine.
const LONGEST: Duration = Duration::from_secs(10);
