//! The laboratory's clock, and an alarm finer than the runtime's.
//!
//! tokio's timers count whole milliseconds, which would be a tenth of a worker's service time. On Linux the alarm is
//! a timerfd in the runtime's own epoll set: exact to some tens of microseconds, without another thread and without
//! spinning. Elsewhere it is tokio's timer; there, use service times of 5 ms or more.

use std::io;
use std::time::Instant;

use ambidex_core::time::{Mono, Span};

/// Monotonic time since an origin that its owner chose.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: Instant,
}

impl Clock {
    /// The clock that is zero at `origin`.
    #[must_use]
    pub const fn starting_at(origin: Instant) -> Self {
        Self { origin }
    }

    /// The clock that is zero now.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the crate's one reading of the clock")]
    pub fn starting_now() -> Self {
        Self { origin: Instant::now() }
    }

    /// The time since the origin.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the crate's one reading of the clock")]
    pub fn now(&self) -> Mono {
        Mono::from_nanos(
            u64::try_from(Instant::now().saturating_duration_since(self.origin).as_nanos()).unwrap_or(u64::MAX),
        )
    }
}

/// Asks `what` again and again until it says yes, at most for `patience`; says whether it did. For states of other
/// processes, which tell nobody when they change.
pub fn poll(patience: Span, mut what: impl FnMut() -> bool) -> bool {
    let clock = Clock::starting_now();
    loop {
        if what() {
            return true;
        }
        if clock.now().since(Mono::default()) > patience {
            return false;
        }
        rest(Span::from_millis(5));
    }
}

/// Lets time pass on this thread.
#[expect(clippy::disallowed_methods, reason = "time is what a bench waits for, and `poll` has a deadline")]
pub fn rest(span: Span) {
    std::thread::sleep(span.into());
}

/// Wakes its one waiter at a point of time.
pub(crate) struct Alarm {
    clock: Clock,
    #[cfg(target_os = "linux")]
    timer: tokio::io::unix::AsyncFd<std::os::fd::OwnedFd>,
}

impl Alarm {
    /// An alarm on `clock`; must be made inside a runtime.
    pub(crate) fn new(clock: Clock) -> io::Result<Self> {
        Ok(Self {
            clock,
            #[cfg(target_os = "linux")]
            timer: timerfd()?,
        })
    }

    /// Waits until `at`; `None` is never. May be dropped half-way and called again with another time.
    pub(crate) async fn until(&self, at: Option<Mono>) -> io::Result<()> {
        let Some(at) = at else { return std::future::pending().await };
        let left = at.since(self.clock.now());
        if left == Span::ZERO { Ok(()) } else { self.after(left).await }
    }

    #[cfg(target_os = "linux")]
    async fn after(&self, left: Span) -> io::Result<()> {
        use rustix::time::{Itimerspec, TimerfdTimerFlags, Timespec, timerfd_settime};

        const SECOND: u64 = 1_000_000_000;
        let value = Timespec {
            tv_sec: i64::try_from(left.as_nanos() / SECOND).unwrap_or(i64::MAX),
            tv_nsec: i64::try_from(left.as_nanos() % SECOND).unwrap_or(0),
        };
        let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: value };
        timerfd_settime(self.timer.get_ref(), TimerfdTimerFlags::empty(), &once)?;
        self.timer
            .async_io(tokio::io::Interest::READABLE, |timer| {
                let mut expirations = [0_u8; 8];
                rustix::io::read(timer, &mut expirations).map_err(io::Error::from)
            })
            .await
            .map(drop)
    }

    #[cfg(not(target_os = "linux"))]
    async fn after(&self, left: Span) -> io::Result<()> {
        tokio::time::sleep(left.into()).await;
        Ok(())
    }
}

#[cfg(target_os = "linux")]
#[expect(deprecated, reason = "it is unsound only for types whose descriptor may change; an OwnedFd's does not")]
fn timerfd() -> io::Result<tokio::io::unix::AsyncFd<std::os::fd::OwnedFd>> {
    use rustix::time::{TimerfdClockId, TimerfdFlags, timerfd_create};

    let fd = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
    tokio::io::unix::AsyncFd::with_interest(fd, tokio::io::Interest::READABLE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "current_thread")]
    async fn the_alarm_never_rings_early_and_can_be_set_again_half_way() {
        let clock = Clock::starting_now();
        let alarm = Alarm::new(clock).expect("a timer");
        let far = clock.now() + Span::from_secs(60);
        let near = clock.now() + Span::from_micros(300);
        tokio::select! {
            biased;
            _ = alarm.until(Some(far)) => panic!("rang a minute early"),
            () = std::future::ready(()) => {}
        }
        alarm.until(Some(near)).await.expect("rings");
        assert!(clock.now() >= near);
    }
}
