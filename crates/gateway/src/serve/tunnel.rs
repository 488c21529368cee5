//! What becomes of two connections after `101 Switching Protocols`: one, in both directions, until either end closes or
//! nothing moves for [`MOST_SILENCE`].

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use ambidex_core::time::Span;
use ambidex_tower::Timer as _;
use bytes::Bytes;
use tokio::io::{AsyncWriteExt as _, copy_bidirectional_with_sizes};

use super::exchange::{Client, Tunnel};
use super::pulse::Counted;
use crate::upstream::Switched;

/// Joins both ends. `first` came from the client after its request.
pub(super) async fn join(mut client_io: Counted, first: Bytes, tunnel: Tunnel, client: &Client) {
    let Tunnel { worker: Switched { mut wire, first: answer }, mut entry, _flight } = tunnel;
    let before = client.pulse.bytes().1;
    let joined = async {
        wire.write_all(&first).await?;
        client_io.write_all(&answer).await?;
        copy_bidirectional_with_sizes(&mut client_io, &mut wire, BUFFER, BUFFER).await
    };
    let mut joined = pin!(joined);
    let thread = &client.thread;
    let mut alarm = pin!(thread.alarms.at(thread.clock.now() + MOST_SILENCE));
    let mut last = client.pulse.bytes();
    let complete = poll_fn(|cx| {
        if let Poll::Ready(ended) = joined.as_mut().poll(cx) {
            return Poll::Ready(ended.is_ok());
        }
        while alarm.as_mut().poll(cx).is_ready() {
            let seen = client.pulse.bytes();
            if seen == last {
                return Poll::Ready(false);
            }
            last = seen;
            alarm.set(thread.alarms.at(thread.clock.now() + MOST_SILENCE));
        }
        Poll::Pending
    })
    .await;
    let sent = client.pulse.bytes().1 - before;
    thread.stats.bytes_out.add(sent);
    entry.note(|record| (record.complete, record.bytes) = (complete, sent));
}

/// How long a tunnel may be silent. Source: HAProxy's advice for `timeout tunnel`, 1 h.
const MOST_SILENCE: Span = Span::from_secs(3_600);
/// Bytes of each direction's buffer. Source: HAProxy's 16 KiB.
const BUFFER: usize = 16 << 10;
