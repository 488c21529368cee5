//! How the driver waits for a point in time. It asks only when a try did not end at once, so that the common request
//! pays for no timer that it does not need; the gateway brings a cheaper one than the runtime's.

use std::future::Future;

use ambidex_core::time::Mono;

use crate::clock::Clock;

/// Makes alarms.
pub trait Timer {
    /// Ends when its time has come; dropping it costs nothing more.
    type Alarm: Future<Output = ()>;

    /// An alarm for `due`.
    fn at(&self, due: Mono) -> Self::Alarm;
}

/// Alarms by the runtime's own timer.
#[derive(Clone, Copy, Debug)]
pub struct TokioTimer(pub Clock);

impl Timer for TokioTimer {
    type Alarm = tokio::time::Sleep;

    fn at(&self, due: Mono) -> Self::Alarm {
        tokio::time::sleep_until(self.0.instant(due).into())
    }
}
