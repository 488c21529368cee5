//! What figures come from: each source reads what exists, changes nothing there, and hands what it saw to a
//! [`Recorder`](crate::history::Recorder).
