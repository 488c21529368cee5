//! What a route wants done with its requests beside sending them to a worker, checked and compiled once.

/// Settings of one route's extras. What is not there is not wanted.
#[derive(Debug, Default)]
pub(crate) struct Extras {
    /// Bytes of a request's body that are kept for another try.
    pub(crate) keep_body: Option<usize>,
}

impl Extras {
    /// Whether nothing is wanted: the request is only sent.
    pub(crate) const fn is_plain(&self) -> bool {
        let Self { keep_body } = self;
        keep_body.is_none()
    }
}
