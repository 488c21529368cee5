//! A bell that rings once, within one thread: how connections hear that they should finish.
//!
//! Why not a channel: every connection asks at every poll whether it rang, several times a request. Here that costs a
//! load and a comparison; the channels of tokio take a lock each time, because they work across threads.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// The bell.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    rung: Cell<bool>,
    wakers: RefCell<Vec<Option<Waker>>>,
    free: RefCell<Vec<usize>>,
}

impl Bell {
    /// Rings; whoever listens, now or later, hears it.
    pub(crate) fn ring(&self) {
        self.rung.set(true);
        for waker in self.wakers.borrow_mut().iter_mut().filter_map(Option::take) {
            waker.wake();
        }
    }

    /// A future that ends when the bell has rung.
    pub(crate) fn ear(self: &Rc<Self>) -> Ear {
        Ear { bell: Rc::clone(self), slot: None }
    }
}

/// Ends when its bell has rung; may be polled again afterwards.
#[derive(Debug)]
pub(crate) struct Ear {
    bell: Rc<Bell>,
    slot: Option<usize>,
}

impl Ear {
    /// Another ear at the same bell.
    pub(crate) fn again(&self) -> Self {
        self.bell.ear()
    }

    /// Whether the bell has rung.
    pub(crate) fn heard(&self) -> bool {
        self.bell.rung.get()
    }
}

impl Future for Ear {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.heard() {
            return Poll::Ready(());
        }
        let bell = Rc::clone(&self.bell);
        let mut wakers = bell.wakers.borrow_mut();
        let slot = *self.slot.get_or_insert_with(|| {
            bell.free.borrow_mut().pop().unwrap_or_else(|| {
                wakers.push(None);
                wakers.len() - 1
            })
        });
        match &wakers[slot] {
            Some(waker) if waker.will_wake(cx.waker()) => {}
            Some(_) | None => wakers[slot] = Some(cx.waker().clone()),
        }
        Poll::Pending
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        if let Some(slot) = self.slot {
            self.bell.wakers.borrow_mut()[slot] = None;
            self.bell.free.borrow_mut().push(slot);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::ready;

    use super::*;

    fn poll(ear: &mut Ear) -> Poll<()> {
        let mut cx = Context::from_waker(Waker::noop());
        ready!(Pin::new(ear).poll(&mut cx));
        Poll::Ready(())
    }

    #[test]
    fn an_ear_hears_the_bell_whether_it_listened_before_or_after() {
        let bell = Rc::new(Bell::default());
        let mut before = bell.ear();
        assert_eq!(poll(&mut before), Poll::Pending);
        bell.ring();
        assert_eq!((poll(&mut before), poll(&mut bell.ear())), (Poll::Ready(()), Poll::Ready(())));
    }

    #[test]
    fn places_of_ears_that_left_are_taken_again() {
        let bell = Rc::new(Bell::default());
        for _ in 0..100 {
            assert_eq!(poll(&mut bell.ear()), Poll::Pending);
        }
        assert_eq!(bell.wakers.borrow().len(), 1);
    }
}
