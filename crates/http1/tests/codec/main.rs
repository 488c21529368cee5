//! The codec as its drivers use it: edge tables, laws, and what others make of the same bytes.

mod bodies;
mod reading;
mod requests;
mod responses;
mod writing;
