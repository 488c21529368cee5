//! HAProxy's runtime API, for whoever asks it: the coordinator, which steers by what it counts, and the doctor, which looks.
//!
//! [`RuntimeApi`] says where it is, [`exchange`] sends one line and reads the whole answer, [`rows`] reads what `show stat`
//! tells, and [`table`] any other of its tables.

mod socket;
mod stat;

pub use self::socket::{Level, NoAnswer, RuntimeApi, exchange};
pub use self::stat::{Kind, Row, StatError, rows, table};
