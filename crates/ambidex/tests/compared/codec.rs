//! What the codec says of bytes: what the gateway has to do with them.

use ambidex_http1::{Asked, Framing, Profile, Refusal};

use crate::reading::{Listener, Side};
use crate::told::{Course, End, Step, Told};

/// What the codec says of a client's bytes.
#[derive(Debug)]
pub(crate) struct Verdict {
    /// What has to become of them.
    pub(crate) course: Course,
    /// Why it ends where it is refused.
    pub(crate) refusal: Option<Refusal>,
    /// The last request has a head, and no end.
    pub(crate) begun: bool,
}

/// The course that a client's bytes have to take.
pub(crate) fn of_requests(bytes: &[u8]) -> Verdict {
    let mut listener = Listener::new(Side::Requests, Profile::default());
    listener.hear(bytes);
    let mut steps = Vec::new();
    for message in listener.heard.messages.iter().filter(|message| message.whole) {
        let told = Told::of(message).without_hops();
        // RFC 9110, 9.3.8: TRACE shows what went on, which is not for clients; CONNECT is for proxies that clients choose.
        let ours = ["CONNECT", "TRACE"].contains(&told.method.as_str());
        steps.push(if ours { Step::Own(405) } else { Step::Passed(told) });
        if !message.persists {
            return Verdict { course: Course { steps, end: End::Closed }, refusal: None, begun: false };
        }
    }
    let end = match listener.heard.refusal {
        None => End::Waits,
        Some(refusal) => {
            steps.push(Step::Own(refusal.status().as_u16()));
            End::Closed
        }
    };
    let begun = listener.heard.messages.last().is_some_and(|message| !message.whole);
    Verdict { course: Course { steps, end }, refusal: listener.heard.refusal, begun }
}

/// A refusal's name.
pub(crate) fn name(refusal: Refusal) -> &'static str {
    // Its variants have no data, so that its debugging form is its name. The few names are kept for good.
    Box::leak(format!("{refusal:?}").into_boxed_str())
}

/// What a client has to get for a worker's bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// A whole answer: its status and data.
    Whole(u16, Vec<u8>),
    /// An answer that breaks off, with at most this data.
    Broken(u16, Vec<u8>),
    /// The proxy's own answer, because the worker's is of no use.
    Own(u16),
    /// What is no answer by our codec: its word for it.
    Odd(&'static str),
}

/// What a worker's bytes are worth.
#[derive(Debug)]
pub(crate) struct Worth {
    pub(crate) answer: Answer,
    pub(crate) refusal: Option<Refusal>,
    /// The answer ends where its connection ends, or is not whole before.
    pub(crate) needs_end: bool,
    /// Nothing may be asked on its connection again.
    pub(crate) spoils: bool,
}

/// What the client that sent one request has to get when the worker sends these bytes and ends.
pub(crate) fn of_responses(bytes: &[u8], asked: Asked) -> Worth {
    let mut listener = Listener::new(Side::Responses(asked), Profile::default());
    listener.hear(bytes);
    let heard = listener.heard;
    let last = heard.messages.iter().position(|message| !message.first.starts_with('1'));
    let Some((at, message)) = last.map(|at| (at, &heard.messages[at])) else {
        return Worth {
            answer: Answer::Own(502),
            refusal: heard.refusal,
            needs_end: heard.refusal.is_none(),
            spoils: true,
        };
    };
    let status = message.first.split(' ').next().and_then(|status| status.parse().ok()).unwrap_or(0);
    let open = message.framing == Framing::UntilClose && heard.refusal.is_none();
    let whole = message.whole || open;
    let answer = if whole { Answer::Whole } else { Answer::Broken }(status, message.data.clone());
    let nothing_after = message.whole && at + 1 == heard.messages.len() && heard.rest == 0 && heard.refusal.is_none();
    Worth {
        answer,
        refusal: heard.refusal.filter(|_| !message.whole),
        needs_end: !message.whole && heard.refusal.is_none(),
        spoils: !nothing_after || !message.persists,
    }
}
