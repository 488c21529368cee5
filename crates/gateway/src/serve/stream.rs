//! The pulse of one stream of HTTP/2: a client that is slow on one stream loses that stream, not its connection.
//!
//! ```text
//! upload, no answer yet        the worker waits for the body:  500 bytes/s over each idle_timeout, else cut
//! both ways, or gRPC           silence is how clients wait:    tunnel_timeout without a byte, else cut
//! answer, its worker is silent it may have nothing to say yet: the same
//! answer                       the client gives no window:     idle_timeout without a frame taken, else cut
//! ```
//! hyper runs each stream as a task of its own. The task is made right after its request was handed over, so the
//! executor gives it the pulse of that request, and ends both by dropping the task: the client gets RST_STREAM, the
//! worker's try is given up.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use ambidex_core::time::{Mono, Span};
use ambidex_tower::Timer as _;

use super::pulse::too_slow;
use crate::body::Progress;
use crate::thread::Thread;

/// What a stream has done.
#[derive(Debug, Default)]
pub(crate) struct StreamPulse {
    upload: RefCell<Option<Rc<Progress>>>,
    /// Both sides may speak, so either may be silent.
    two_way: Cell<bool>,
    /// Its answer has begun: what is waited for now has no deadline of its own.
    answering: Cell<bool>,
    /// Bytes of the answer handed over.
    answered: Cell<u64>,
    /// Something was handed over, and no more was asked for.
    full: Cell<bool>,
}

impl StreamPulse {
    /// A stream with an upload, if there is one.
    pub(crate) fn new(upload: Option<Rc<Progress>>, two_way: bool) -> Rc<Self> {
        Rc::new(Self { upload: RefCell::new(upload), two_way: Cell::new(two_way), ..Self::default() })
    }

    /// The answer's head has come.
    pub(crate) fn head_came(&self) {
        self.two_way.set(true);
        self.answering.set(true);
    }

    /// More of the answer is asked for.
    pub(crate) fn asked(&self) {
        self.full.set(false);
    }

    /// So many bytes of it were handed over.
    pub(crate) fn handed_over(&self, bytes: u64) {
        self.full.set(true);
        self.answered.set(self.answered.get() + bytes);
    }
}

/// How long a stream may be slow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    pub(crate) idle: Span,
    pub(crate) silence: Span,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Busy,
    Upload,
    Silent,
    Full,
}

/// Looks at a stream's pulse from time to time.
#[derive(Debug)]
struct Watchdog {
    patience: Patience,
    /// What was seen last, and since when it has been so.
    last: (Phase, u64),
    since: Mono,
}

impl Watchdog {
    fn new(patience: Patience, now: Mono) -> Self {
        Self { patience, last: (Phase::Busy, 0), since: now }
    }

    /// Says what is wrong with the stream at `now`, if anything is.
    fn look(&mut self, stream: &StreamPulse, now: Mono) -> Option<&'static str> {
        let upload = stream.upload.borrow();
        let up = upload.as_ref().map_or(0, |upload| upload.bytes.get());
        let starved = upload.as_ref().is_some_and(|upload| upload.is_starved());
        let seen = match (stream.full.get(), starved, stream.two_way.get()) {
            (true, _, _) => (Phase::Full, stream.answered.get()),
            (false, true, false) => (Phase::Upload, up),
            (false, true, true) => (Phase::Silent, up + stream.answered.get()),
            (false, false, _) if stream.answering.get() => (Phase::Silent, up + stream.answered.get()),
            (false, false, _) => (Phase::Busy, 0),
        };
        let lasted = now.since(self.since);
        if seen.0 == Phase::Upload && self.last.0 == Phase::Upload {
            if lasted < self.patience.idle {
                return None;
            }
            let slow = too_slow(seen.1 - self.last.1, lasted);
            (self.last, self.since) = (seen, now);
            return slow.then_some("its upload is too slow");
        }
        if seen != self.last {
            (self.last, self.since) = (seen, now);
            return None;
        }
        match seen.0 {
            Phase::Busy | Phase::Upload => None,
            Phase::Silent => (lasted >= self.patience.silence).then_some("nobody said anything"),
            Phase::Full => (lasted >= self.patience.idle).then_some("its client takes nothing"),
        }
    }
}

/// Runs the streams of one connection, each as a task of this thread.
#[derive(Clone)]
pub(crate) struct Streams {
    thread: Rc<Thread>,
    patience: Patience,
    next: Rc<RefCell<Option<Rc<StreamPulse>>>>,
}

impl Streams {
    pub(crate) fn new(thread: Rc<Thread>, patience: Patience) -> Self {
        Self { thread, patience, next: Rc::default() }
    }

    /// The next task is of this stream.
    pub(crate) fn next_is(&self, stream: &Rc<StreamPulse>) {
        self.next.replace(Some(Rc::clone(stream)));
    }

    async fn watch(self, task: impl Future, stream: Rc<StreamPulse>) {
        let alarms = &self.thread.alarms;
        let step = Span::from_nanos(self.patience.idle.min(self.patience.silence).as_nanos() / 8);
        let mut dog = Watchdog::new(self.patience, self.thread.clock.now());
        let mut task = pin!(task);
        let mut alarm = pin!(alarms.at(dog.since + step));
        poll_fn(|cx| {
            if task.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            while alarm.as_mut().poll(cx).is_ready() {
                let now = self.thread.clock.now();
                if let Some(why) = dog.look(&stream, now) {
                    tracing::debug!(why, "a stream is cut");
                    return Poll::Ready(());
                }
                alarm.set(alarms.at(now + step));
            }
            Poll::Pending
        })
        .await;
    }
}

impl<F> hyper::rt::Executor<F> for Streams
where
    F: Future<Output: 'static> + 'static,
{
    fn execute(&self, task: F) {
        match self.next.take() {
            Some(stream) => tokio::task::spawn_local(self.clone().watch(task, stream)),
            // What carries a tunnel's bytes; the tunnel looks after itself.
            None => tokio::task::spawn_local(async move { drop(task.await) }),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Mono {
        Mono::default() + Span::from_millis(millis)
    }

    /// When a stream is cut that is looked at each 10 ms, for two seconds.
    fn cut(stream: &StreamPulse, mut each: impl FnMut(u64)) -> Option<u64> {
        let patience = Patience { idle: Span::from_millis(300), silence: Span::from_millis(1_000) };
        let mut dog = Watchdog::new(patience, at(0));
        (0..=200).map(|look| look * 10).find(|millis| {
            each(*millis);
            dog.look(stream, at(*millis)).is_some()
        })
    }

    fn uploading(two_way: bool) -> (Rc<Progress>, Rc<StreamPulse>) {
        let progress = Rc::new(Progress::new(Rc::new(Cell::new(true))));
        (Rc::clone(&progress), StreamPulse::new(Some(progress), two_way))
    }

    #[test]
    fn an_upload_that_trickles_is_cut_and_one_that_flows_is_not() {
        for (bytes, end) in [(2, Some(300)), (20, None)] {
            let (progress, stream) = uploading(false);
            assert_eq!(cut(&stream, |_| progress.bytes.set(progress.bytes.get() + bytes)), end, "{bytes} each 10 ms");
        }
    }

    #[test]
    fn where_both_may_speak_silence_is_borne_longer() {
        let (progress, stream) = uploading(true);
        assert_eq!(cut(&stream, |_| {}), Some(1_000));
        let (_, answered) = uploading(false);
        answered.head_came();
        assert_eq!(cut(&answered, |_| {}), Some(1_000));
        assert_eq!(cut(&stream, |millis| progress.bytes.set(millis / 500)), None);
    }

    #[test]
    fn an_answer_that_nobody_takes_is_cut_and_a_worker_may_take_its_time() {
        let stream = StreamPulse::new(None, false);
        assert_eq!(cut(&stream, |_| {}), None);
        stream.handed_over(100);
        assert_eq!(cut(&stream, |_| {}), Some(300));
        assert_eq!(
            cut(&stream, |millis| if millis % 200 == 0 {
                stream.handed_over(1)
            }),
            None
        );
        stream.asked();
        assert_eq!(cut(&stream, |_| {}), None);
    }

    #[test]
    fn a_worker_that_is_silent_within_its_answer_is_borne_long_and_not_for_ever() {
        let stream = StreamPulse::new(None, false);
        stream.head_came();
        stream.handed_over(100);
        stream.asked();
        assert_eq!(cut(&stream, |_| {}), Some(1_000));
        let spoke = |millis: u64| {
            if millis.is_multiple_of(900) {
                stream.handed_over(1);
                stream.asked();
            }
        };
        assert_eq!(cut(&stream, spoke), None);
    }
}
