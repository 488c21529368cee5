//! Which cost class a request is of, by what its pool tells requests apart by.

use std::fmt::Write as _;

use ambidex_core::cost::{Costing, Costs};
use ambidex_http1::{Framing, RequestHead};
use xxhash_rust::xxh3::xxh3_64;

use crate::config::{CostClasses, Trait};

/// What a request of this route costs.
pub(crate) fn of(classes: &CostClasses, costs: &Costs, head: &RequestHead, route: (usize, &str)) -> Costing {
    let mut key = 0_u64;
    for one in &classes.by {
        let part = match one {
            Trait::Route => route.0 as u64,
            Trait::Method => xxh3_64(head.method().as_str().as_bytes()),
            Trait::BodySize => size_of(head),
            Trait::Header(name) => field(head, name).map_or(0, xxh3_64),
            Trait::Declared(name) => declared(head, name),
        };
        key = (key.rotate_left(23) ^ part).wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(1);
    }
    costs.of(key, || name_of(classes, head, route.1))
}

/// For people.
fn name_of(classes: &CostClasses, head: &RequestHead, route: &str) -> String {
    let mut name = String::new();
    for one in &classes.by {
        if !name.is_empty() {
            name.push(' ');
        }
        // Writing to a String cannot fail.
        let _ = match one {
            Trait::Route => write!(name, "{route}"),
            Trait::Method => write!(name, "{}", head.method()),
            Trait::BodySize => match size_of(head) {
                0 => write!(name, "no body"),
                UNKNOWN => write!(name, "body of unknown length"),
                step => write!(name, "<{}KiB", 1_u64 << (2 * (step - 1)).min(40)),
            },
            Trait::Header(of) => write!(name, "{}", field(head, of).map_or("-".into(), String::from_utf8_lossy)),
            Trait::Declared(of) => match declared(head, of) {
                0 => write!(name, "-"),
                step => write!(name, "cost<{}", 1_u64 << step.min(40)),
            },
        };
    }
    name
}

fn field<'a>(head: &'a RequestHead, name: &http::HeaderName) -> Option<&'a [u8]> {
    head.head().get(name.as_str().as_bytes()).map(|value| value.as_bytes())
}

/// 0 without a body, then a step for each four times of a KiB.
fn size_of(head: &RequestHead) -> u64 {
    match head.head().framing() {
        Framing::None | Framing::Tunnel | Framing::Length(0) => 0,
        Framing::Length(bytes) => u64::from((bytes >> 10).checked_ilog2().map_or(0, |log| log / 2 + 1)) + 1,
        Framing::Chunked | Framing::UntilClose => UNKNOWN,
    }
}

/// 0 without a number, then a step for each two times of one.
fn declared(head: &RequestHead, name: &http::HeaderName) -> u64 {
    let said = field(head, name).and_then(|text| str::from_utf8(text).ok()?.trim().parse::<f64>().ok());
    let Some(said) = said.filter(|said| said.is_finite() && *said >= 0.0) else { return 0 };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 1 to 41")]
    let step = (said + 1.0).log2().min(40.0) as u64;
    step + 1
}

/// The step of a body whose length is not announced.
const UNKNOWN: u64 = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::head::tests::read;

    /// Method, route and fields of a request.
    type Sent<'a> = (&'a str, usize, &'a [(&'a str, &'a str)]);

    fn classes(by: &str) -> CostClasses {
        serde_json::from_str(&format!("{{\"by\": {by}}}")).expect("settings")
    }

    fn names(by: &str, requests: &[Sent<'_>]) -> Vec<String> {
        let (classes, costs) = (classes(by), Costs::default());
        for (method, route, fields) in requests {
            of(&classes, &costs, &read(method, "/a", fields), (*route, ["/x/*", "/y/*"][*route]));
        }
        costs.looks().into_iter().map(|look| look.name).collect()
    }

    #[test]
    fn requests_are_told_apart_by_what_is_named_and_by_nothing_else() {
        let requests: [Sent<'_>; 4] =
            [("GET", 0, &[("x-kind", "big")]), ("GET", 1, &[]), ("PUT", 1, &[]), ("GET", 0, &[("x-kind", "big")])];
        assert_eq!(names("[\"route\"]", &requests), ["/x/*", "/y/*"]);
        assert_eq!(names("[\"method\", \"route\"]", &requests), ["GET /x/*", "GET /y/*", "PUT /y/*"]);
        assert_eq!(names("[{\"header\": \"x-kind\"}]", &requests), ["big", "-"]);
    }

    #[test]
    fn sizes_and_declared_costs_are_told_apart_in_steps() {
        let of = |length: &'static str| [("content-length", length)];
        let (small, middle, large) = (of("10"), of("2000"), of("100000"));
        let sized: [Sent<'_>; 4] = [("GET", 0, &[]), ("PUT", 0, &small), ("PUT", 0, &middle), ("PUT", 0, &large)];
        assert_eq!(names("[\"body-size\"]", &sized), ["no body", "<1KiB", "<4KiB", "<256KiB"]);
        let said = |cost: &'static str| [("x-cost", cost)];
        let (one, seven, none) = (said("1"), said("7"), said("dear"));
        let declared: [Sent<'_>; 4] = [("GET", 0, &one), ("GET", 0, &seven), ("GET", 0, &none), ("GET", 0, &[])];
        assert_eq!(names("[{\"declared\": \"x-cost\"}]", &declared).len(), 3);
    }
}
