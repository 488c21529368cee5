//! The codec as its drivers use it: edge tables, laws, and what others make of the same bytes.

mod against_hyper;
mod bodies;
mod corpus;
mod laws;
mod mutation;
mod plans;
mod reading;
mod requests;
mod requirements;
mod responses;
mod responses_against_hyper;
mod targets;
mod writing;
