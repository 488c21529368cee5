//! What the doctor found, for people: in a terminal, and as one HTML file. Programs read the diagnosis itself, as JSON.

pub mod html;
pub mod terminal;
pub mod words;
