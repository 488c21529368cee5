//! The waker of one connection: passes the socket's news on to whoever uses the connection, and nothing else.
//!
//! hyper's body channel wakes its sender each time its receiver is read or dropped. Here both are polled by the same
//! task, so each such wake-up would only run that task once more for nothing: a third of all its runs. While the body
//! is handled the waker is mute, and so it is while the connection is idle.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Wake, Waker};

/// One connection's waker. Its socket is registered with it once, whoever uses it.
pub(crate) struct BellWire {
    shared: Arc<Shared>,
    waker: Waker,
}

struct Shared {
    mute: AtomicBool,
    user: Mutex<Waker>,
}

impl BellWire {
    pub(crate) fn new() -> Self {
        let shared = Arc::new(Shared { mute: AtomicBool::new(true), user: Mutex::new(Waker::noop().clone()) });
        Self { waker: Waker::from(Arc::clone(&shared)), shared }
    }

    /// From now on news goes to the task of `cx`. The context to poll the connection with.
    pub(crate) fn lead_to(&self, cx: &Context<'_>) -> Context<'_> {
        // A waker is whole at any time: a panic elsewhere leaves nothing half done.
        let mut user = self.shared.user.lock().unwrap_or_else(PoisonError::into_inner);
        if !user.will_wake(cx.waker()) {
            user.clone_from(cx.waker());
        }
        drop(user);
        self.shared.mute.store(false, Relaxed);
        Context::from_waker(&self.waker)
    }

    /// The context to look at the connection with while nobody uses it.
    pub(crate) fn mute(&self) -> Context<'_> {
        self.shared.mute.store(true, Relaxed);
        Context::from_waker(&self.waker)
    }

    /// Does something with what the connection handed over, which is no news to whoever does it.
    pub(crate) fn muted<T>(&self, act: impl FnOnce() -> T) -> T {
        let before = self.shared.mute.swap(true, Relaxed);
        let done = act();
        self.shared.mute.store(before, Relaxed);
        done
    }
}

impl Wake for Shared {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.mute.load(Relaxed) {
            self.user.lock().unwrap_or_else(PoisonError::into_inner).wake_by_ref();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[derive(Default)]
    struct Counter(AtomicUsize);

    impl Wake for Counter {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Relaxed);
        }
    }

    #[test]
    fn only_the_present_user_is_woken_and_only_by_news() {
        let (first, second) = (Arc::new(Counter::default()), Arc::new(Counter::default()));
        let (first_waker, second_waker) = (Waker::from(Arc::clone(&first)), Waker::from(Arc::clone(&second)));
        let wire = BellWire::new();
        let socket = wire.lead_to(&Context::from_waker(&first_waker)).waker().clone();
        socket.wake_by_ref();
        wire.muted(|| socket.wake_by_ref());
        wire.mute();
        socket.wake_by_ref();
        assert_eq!(first.0.load(Relaxed), 1);
        let _ = wire.lead_to(&Context::from_waker(&second_waker));
        socket.wake_by_ref();
        assert_eq!((first.0.load(Relaxed), second.0.load(Relaxed)), (1, 1));
    }
}
