//! Plans that change nothing, to write a head as it was read.

use ambidex_http1::write::{Connection, Edits, RequestPlan, ResponsePlan};
use ambidex_http1::{Framing, KnownSet, Version};

use crate::reading::GET;

pub(crate) const PLAN: RequestPlan<'static> = RequestPlan {
    host: None,
    path: None,
    edits: Edits { drop: KnownSet::of(&[]), remove: &[], add: &[], lines: None },
    connection: Connection {
        close: false,
        keep_alive: false,
        upgrade: None,
        te_trailers: false,
        expect_continue: false,
    },
    framing: Framing::None,
};

pub(crate) const ANSWER: ResponsePlan<'static> = ResponsePlan {
    edits: PLAN.edits,
    connection: PLAN.connection,
    framing: Framing::Length(0),
    asked: GET,
    to: Version::Http11,
};
