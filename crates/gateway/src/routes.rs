//! Which pool serves a request: the routes, compiled once when the configuration is read.
//!
//! The first route that matches wins, in the order of the file, so that what is read from top to bottom is what
//! happens.

use std::collections::BTreeMap;
use std::sync::Arc;

use ambidex_core::attempt::AttemptConfig;
use ambidex_core::shard::keyspace::KeyspaceName;
use ambidex_core::worker::PoolId;
use ambidex_http1::RequestHead;
use ambidex_tower::Clock;

use http::{HeaderName, HeaderValue};

use crate::by_route;
use crate::config::{HostPattern, Key, Match, PathPattern, Route, RouteRecording};
use crate::extras::Extras;
use crate::front::FrontError;
use crate::head::path_of;
use crate::limits::LimitStats;
use crate::mirror::MirrorStats;
use crate::shard::keyed::Keyed;

/// The routes of a gateway.
#[derive(Debug, Default)]
pub(crate) struct Routes(Vec<Compiled>);

#[derive(Debug)]
struct Compiled {
    route: Route,
    target: Target,
    label: Arc<str>,
    /// By which its answers are counted.
    number: u32,
    extras: Arc<Extras>,
}

/// Where a route leads.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Target {
    /// Number of the route, as configured.
    pub(crate) route: usize,
    /// Its pool.
    pub(crate) pool: PoolId,
    /// Which of the ways leads to it.
    pub(crate) way: usize,
    /// Bounds of its requests.
    pub(crate) config: AttemptConfig,
}

impl Routes {
    /// Compiles `routes`; `find` tells pool and way of a pool's name that the route of a number wants, or fails. What of
    /// `previous` can outlive a reload stays.
    pub(crate) fn compile(
        routes: &[Route],
        find: impl Fn(usize, &str) -> Result<(PoolId, usize), FrontError>,
        keyspaces: &BTreeMap<KeyspaceName, Arc<Keyed>>,
        previous: Option<&Self>,
        clock: Clock,
    ) -> Result<Self, FrontError> {
        let compile = |(number, route): (usize, &Route)| {
            let (pool, way) = find(number, &route.pool)?;
            let target = Target { route: number, pool, way, config: route.attempt(number) };
            let label = route.matches.label();
            let before = previous.and_then(|before| before.like(&label, &route.pool)).map(|same| &*same.extras);
            let extras = Extras::compile(route, |name| find(number, name), keyspaces, before, clock)?;
            Ok::<_, FrontError>(Compiled {
                route: route.clone(),
                target,
                number: by_route::number(&label),
                label: label.into(),
                extras: Arc::new(extras),
            })
        };
        Ok(Self(routes.iter().enumerate().map(compile).collect::<Result<_, _>>()?))
    }

    fn like(&self, label: &str, pool: &str) -> Option<&Compiled> {
        self.0.iter().find(|compiled| *compiled.label == *label && compiled.route.pool == pool)
    }

    /// What a route matches, for log and traces: the same for all its requests.
    pub(crate) fn label(&self, route: usize) -> Arc<str> {
        Arc::clone(&self.0[route].label)
    }

    /// The number by which answers of a route are counted; `None` where it is the only one.
    pub(crate) fn counted(&self, route: usize) -> Option<u32> {
        (self.0.len() > 1).then(|| self.0[route].number)
    }

    /// The label of the routes that are counted by this number.
    pub(crate) fn labelled(&self, number: u32) -> Option<Arc<str>> {
        self.0.iter().find(|compiled| compiled.number == number).map(|compiled| Arc::clone(&compiled.label))
    }

    /// What a route wants beside sending.
    pub(crate) fn extras(&self, route: usize) -> &Arc<Extras> {
        &self.0[route].extras
    }

    /// What the route of a request says of its recording, if any route says something. `host` without port.
    pub(crate) fn recording(&self, host: &str, head: &RequestHead) -> Option<RouteRecording> {
        if self.0.iter().all(|compiled| compiled.route.record.is_none()) {
            return None;
        }
        self.0.iter().find(|compiled| compiled.route.matches.fit(host, head))?.route.record
    }

    /// Numbers of all limits.
    pub(crate) fn limits(&self) -> LimitStats {
        let mut sum = LimitStats::default();
        self.0.iter().filter_map(|compiled| compiled.extras.limit.as_ref()).for_each(|limit| sum.add(limit.stats()));
        sum
    }

    /// What became of copies, over all routes.
    pub(crate) fn mirrors(&self) -> MirrorStats {
        let mut sum = MirrorStats::default();
        self.0.iter().filter_map(|compiled| compiled.extras.mirror.as_ref()).for_each(|mirror| sum.add(&mirror.counts));
        sum
    }

    /// The first route that matches, and what its placement key is taken from. `host` without port.
    pub(crate) fn find(&self, host: &str, head: &RequestHead) -> Option<(Target, Option<&Key>)> {
        let hit = self.0.iter().find(|compiled| compiled.route.matches.fit(host, head))?;
        Some((hit.target, hit.route.key.as_ref()))
    }
}

impl Match {
    fn label(&self) -> String {
        let host = match &self.host {
            Some(HostPattern::Exact(name)) => name.clone(),
            Some(HostPattern::Below(name)) => format!("*{name}"),
            None => String::new(),
        };
        match &self.path {
            PathPattern::Exact(path) => format!("{host}{path}"),
            PathPattern::Prefix(prefix) => format!("{host}{}/*", prefix.trim_end_matches('/')),
        }
    }

    fn fit(&self, host: &str, head: &RequestHead) -> bool {
        let named = |name: &HeaderName, value: &HeaderValue| {
            let named = head
                .head()
                .fields()
                .iter()
                .filter(|field| head.head().name(field).eq_ignore_ascii_case(name.as_str().as_bytes()));
            named.map(|field| head.head().value(field)).any(|sent| sent.as_bytes() == value.as_bytes())
        };
        self.path.matches(path_of(head))
            && self.host.as_ref().is_none_or(|pattern| pattern.matches(host))
            && (self.methods.is_empty() || self.methods.contains(head.method()))
            && self.headers.iter().all(|(name, value)| named(name, value))
    }
}

impl PathPattern {
    fn matches(&self, path: &str) -> bool {
        match self {
            Self::Exact(exact) => path == exact,
            Self::Prefix(prefix) if prefix == "/" => true,
            Self::Prefix(prefix) => path
                .strip_prefix(prefix.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || prefix.ends_with('/')),
        }
    }
}

impl HostPattern {
    fn matches(&self, host: &str) -> bool {
        match self {
            Self::Exact(exact) => host.eq_ignore_ascii_case(exact),
            Self::Below(end) => {
                let from = host.len().checked_sub(end.len());
                from.is_some_and(|from| {
                    from > 0 && host.is_char_boundary(from) && host[from..].eq_ignore_ascii_case(end)
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::head::tests::read;

    fn routes(json: &str) -> Routes {
        let routes: Vec<Route> = serde_json::from_str(json).expect("routes");
        let find = |_, name: &str| Ok((PoolId(name.parse().expect("a number")), 0));
        Routes::compile(&routes, find, &BTreeMap::new(), None, Clock::starting_now()).expect("found")
    }

    fn pool(routes: &Routes, host: &str, method: &str, target: &str, header: Option<(&str, &str)>) -> Option<u32> {
        let head = read(method, target, header.as_slice());
        routes.find(host, &head).map(|(target, _)| target.pool.0)
    }

    #[test]
    fn a_prefix_ends_where_a_segment_ends() {
        let routes = routes(
            r#"[{"pool": "1", "match": {"path_prefix": "/a"}}, {"pool": "2", "match": {"path_prefix": "/b/"}}]"#,
        );
        for (target, expected) in
            [("/a", Some(1)), ("/a/b", Some(1)), ("/a?x", Some(1)), ("/ab", None), ("/b/c", Some(2)), ("/b", None)]
        {
            assert_eq!(pool(&routes, "h", "GET", target, None), expected, "{target}");
        }
    }

    #[test]
    fn the_first_route_that_matches_wins() {
        let routes = routes(r#"[{"pool": "1", "match": {"path": "/a"}}, {"pool": "2"}, {"pool": "3"}]"#);
        assert_eq!(pool(&routes, "h", "GET", "/a", None), Some(1));
        assert_eq!(pool(&routes, "h", "GET", "/a/", None), Some(2));
    }

    #[test]
    fn hosts_match_whatever_their_case_and_a_star_wants_something_before_the_dot() {
        let routes =
            routes(r#"[{"pool": "1", "match": {"host": "a.example"}}, {"pool": "2", "match": {"host": "*.example"}}]"#);
        for (host, expected) in [
            ("A.Example", Some(1)),
            ("b.example", Some(2)),
            ("x.y.EXAMPLE", Some(2)),
            (".example", None),
            ("example", None),
        ] {
            assert_eq!(pool(&routes, host, "GET", "/", None), expected, "{host}");
        }
    }

    #[test]
    fn methods_and_headers_must_fit_as_well() {
        let routes = routes(r#"[{"pool": "1", "match": {"methods": ["GET", "HEAD"], "headers": {"x-a": "b"}}}]"#);
        assert_eq!(pool(&routes, "h", "GET", "/", Some(("x-a", "b"))), Some(1));
        assert_eq!(pool(&routes, "h", "POST", "/", Some(("x-a", "b"))), None);
        assert_eq!(pool(&routes, "h", "GET", "/", Some(("x-a", "c"))), None);
    }
}
