//! Deadlines of one thread: thousands of alarms that hardly ever ring, on one timer of the runtime.
//!
//! A request's deadline is 60 s away and its answer 1 ms. So arming and disarming must cost next to nothing, and
//! finding the due ones may cost a scan: one place in a row each, and one bound, `soonest`, that no alarm is before.
//! Removing an alarm leaves the bound where it is; the timer then wakes for nobody, scans, and sets the bound anew.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use ambidex_core::time::Mono;
use ambidex_tower::{Clock, Timer};

use crate::slots::Slots;

/// The alarms of one thread.
#[derive(Clone, Debug)]
pub(crate) struct Alarms(Rc<Shared>);

#[derive(Debug)]
struct Shared {
    clock: Clock,
    set: RefCell<Slots<Set>>,
    soonest: Cell<Option<Mono>>,
    ringer: RefCell<Option<Waker>>,
}

#[derive(Debug)]
struct Set {
    due: Mono,
    rang: bool,
    waker: Waker,
}

impl Alarms {
    pub(crate) fn new(clock: Clock) -> Self {
        let (set, soonest, ringer) = (RefCell::default(), Cell::new(None), RefCell::new(None));
        Self(Rc::new(Shared { clock, set, soonest, ringer }))
    }

    /// Rings what is due, for ever. One task of each thread runs this.
    pub(crate) async fn ring(self) {
        let shared = self.0;
        let mut sleep = pin!(tokio::time::sleep_until(shared.clock.instant(Mono::default()).into()));
        let mut bound = None;
        poll_fn(move |cx| {
            shared.ringer.replace(Some(cx.waker().clone()));
            while let Some(soonest) = shared.soonest.get() {
                if bound != Some(soonest) {
                    bound = Some(soonest);
                    sleep.as_mut().reset(shared.clock.instant(soonest).into());
                }
                if sleep.as_mut().poll(cx).is_pending() {
                    break;
                }
                shared.ring_due();
                bound = None;
            }
            Poll::<()>::Pending
        })
        .await;
    }
}

impl Shared {
    fn ring_due(&self) {
        let now = self.clock.now();
        let mut soonest = None;
        for set in self.set.borrow_mut().iter_mut().filter(|set| !set.rang) {
            if set.due <= now {
                set.rang = true;
                set.waker.wake_by_ref();
            } else if soonest.is_none_or(|soonest| set.due < soonest) {
                soonest = Some(set.due);
            }
        }
        self.soonest.set(soonest);
    }
}

impl Timer for Alarms {
    type Alarm = Alarm;

    fn at(&self, due: Mono) -> Alarm {
        Alarm { shared: Rc::clone(&self.0), due, place: None }
    }
}

/// Ends at its time. Takes its place when it is first waited for.
#[derive(Debug)]
pub(crate) struct Alarm {
    shared: Rc<Shared>,
    due: Mono,
    place: Option<usize>,
}

impl Future for Alarm {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let mut set = this.shared.set.borrow_mut();
        if let Some(mine) = this.place.and_then(|place| set.get_mut(place)) {
            if mine.rang {
                return Poll::Ready(());
            }
            mine.waker.clone_from(cx.waker());
            return Poll::Pending;
        }
        this.place = Some(set.enter(Set { due: this.due, rang: false, waker: cx.waker().clone() }));
        if this.shared.soonest.get().is_none_or(|soonest| this.due < soonest) {
            this.shared.soonest.set(Some(this.due));
            if let Some(ringer) = &*this.shared.ringer.borrow() {
                ringer.wake_by_ref();
            }
        }
        Poll::Pending
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            self.shared.set.borrow_mut().leave(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ambidex_core::time::Span;

    #[tokio::test(flavor = "local")]
    async fn alarms_ring_at_their_times_whatever_the_order_of_their_setting() {
        let clock = Clock::starting_now();
        let alarms = Alarms::new(clock);
        tokio::task::spawn_local(alarms.clone().ring());
        let wait = |millis: u64| {
            let due = clock.now() + Span::from_millis(millis);
            let alarm = alarms.at(due);
            tokio::task::spawn_local(async move {
                alarm.await;
                clock.now() >= due
            })
        };
        let waiting = [wait(30), wait(5), wait(15)];
        drop(alarms.at(clock.now()));
        for task in waiting {
            assert!(task.await.expect("no panic"), "rang too early");
        }
        assert_eq!(alarms.0.set.borrow().len(), 0);
    }
}
