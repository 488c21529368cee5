//! Checks that look at several sections at once, each pointing at the value that has to change.

mod chances;
mod keyspaces;
mod rings;
mod zones;

use std::collections::BTreeMap;

use ambidex_control::config::{HeartbeatsConfig, PoolMembers, Source};
use ambidex_core::time::Span;
use ambidex_gateway::config::{Route, Tier};
use ambidex_yaml::{Node, Problem, item, under, unknown};

use super::coordinated::CoordinatorFile;
use super::file::{Admin, File, Pool};
use crate::doctor::DoctorSection;

/// Everything that does not fit together, in the order of the file.
pub(crate) fn across(file: &File, tree: &Node) -> Vec<Problem> {
    let mut checks = Checks::of(file, tree);
    checks.something_to_do();
    checks.somebody_decides();
    checks.routes_name_pools();
    keyspaces::check(&mut checks);
    checks.addresses_differ();
    rings::check(&mut checks);
    chances::check(&mut checks);
    zones::check(&mut checks);
    checks.pools_are_used();
    checks.routes_are_reached();
    checks.shared_keys_have_a_server();
    checks.what_routes_record_has_a_file();
    checks.a_shared_cache_has_a_server();
    checks.admin_stays_inside(&file.admin);
    checks.agents_have_one_worker();
    checks.the_doctor_fits(&file.doctor);
    let members = file.pools.values().filter_map(|pool| pool.workers.as_ref());
    checks.keys_speak_for_somebody(file.heartbeats.as_ref(), members);
    checks.sorted()
}

/// Files that cannot be used.
pub(crate) fn files(file: &File, tree: &Node) -> Vec<Problem> {
    let mut checks = Checks::of(file, tree);
    zones::files(&mut checks);
    checks.sorted()
}

/// Everything that does not fit together in a coordinator's file.
pub(crate) fn of_coordinator(file: &CoordinatorFile, tree: &Node) -> Vec<Problem> {
    let mut checks = Checks::of(file, tree);
    checks.some_pool(file.pools.is_empty());
    checks.somebody_picks();
    checks.admin_stays_inside(&file.admin);
    checks.keys_speak_for_somebody(file.heartbeats.as_ref(), file.pools.values().map(|pool| &pool.workers));
    checks.gateways_stay_inside();
    checks.publishers_name_pools();
    checks.the_doctor_fits(&file.doctor);
    rings::of_coordinator(&mut checks);
    zones::of_coordinator(&mut checks);
    keyspaces::of_coordinator(&mut checks);
    checks.leaders_are_found();
    checks.sorted()
}

struct Checks<'f, F = File> {
    file: &'f F,
    places: BTreeMap<&'f str, &'f Node>,
    found: Vec<Problem>,
}

/// What files of all kinds are held to.
impl<'f, F> Checks<'f, F> {
    fn of(file: &'f F, tree: &'f Node) -> Self {
        Self { file, places: tree.by_path(), found: Vec::new() }
    }

    fn sorted(mut self) -> Vec<Problem> {
        self.found.sort_by_key(|problem| (problem.mark.line, problem.mark.column));
        self.found
    }

    /// Points at the value at `path`, or at the nearest value around it that stands in the file.
    fn error(&mut self, path: &str, message: String, help: Option<String>) {
        let place = self.nearest(path);
        self.found.push(Problem::error(place, path, message, help));
    }

    /// The same for what can be used and is probably not meant.
    fn warning(&mut self, path: &str, message: String, help: Option<String>) {
        let place = self.nearest(path);
        self.found.push(Problem::warning(place, path, message, help));
    }

    fn nearest(&self, path: &str) -> super::Mark {
        let mut path = path;
        loop {
            match self.places.get(path) {
                Some(node) => return node.mark,
                None => path = path.rfind(['.', '[']).map_or("", |end| &path[..end]),
            }
        }
    }

    fn some_pool(&mut self, none: bool) {
        if none {
            let help = "add one, such as `api: {workers: [http://127.0.0.1:9000]}`";
            self.error("pools", "there is no pool".to_owned(), Some(help.to_owned()));
        }
    }

    /// Where all workers stand in the file, a key that speaks for none of them is misspelt.
    fn keys_speak_for_somebody<'p>(
        &mut self,
        heartbeats: Option<&HeartbeatsConfig>,
        pools: impl Iterator<Item = &'p PoolMembers>,
    ) {
        let Some(heartbeats) = heartbeats else { return };
        let name = |source: &'p Source| match source {
            Source::Worker(member) => Some(&**member.identity()),
            Source::File(_) | Source::Dns(_) | Source::DnsSrv(_) | Source::Kubernetes(_) | Source::Etcd(_) => None,
        };
        let names: Option<Vec<&str>> = pools.flat_map(PoolMembers::sources).map(name).collect();
        let Some(names) = names.filter(|names| !names.is_empty()) else { return };
        for (at, key) in heartbeats.keys.list().iter().enumerate() {
            if !names.iter().any(|name| key.workers.match_name(name)) {
                let path = under(&item("heartbeats.keys", at), "workers");
                let some = names.iter().take(5).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
                let help = format!("workers are called by their `name`, else by their URL: {some}");
                self.warning(&path, format!("key {} speaks for no worker of any pool", key.id), Some(help));
            }
        }
    }

    fn the_doctor_fits(&mut self, section: &DoctorSection) {
        let Some(doctor) = section.on() else { return };
        if doctor.carry_out && doctor.reviews.is_none() {
            let help = "name the folder in which people approve changes: `reviews: FOLDER`";
            let message = "there is nothing to carry out, since no reviews are kept".to_owned();
            self.error("doctor.carry_out", message, Some(help.to_owned()));
        }
        if doctor.history.is_some() && doctor.window != HISTORY_WINDOW {
            let message =
                format!("a history is kept by windows of 5m, and {} is judged by thirds of it", doctor.window);
            let help = format!("write `window: {HISTORY_WINDOW}`, or keep no history");
            self.error("doctor.history", message, Some(help));
        }
        let judged = Span::from_secs(u64::from(doctor.hours) * 3_600);
        if doctor.keep < judged {
            let message = format!("{} is kept, and the last {} h are to be judged", doctor.keep, doctor.hours);
            self.error("doctor.keep", message, Some(format!("write {}h or more, or fewer hours", doctor.hours)));
        }
    }

    fn admin_stays_inside(&mut self, admin: &Admin) {
        if let Some(admin) = admin.on()
            && !admin.address.ip().is_loopback()
        {
            let message = format!("the admin API at {} can be reached from other machines, without TLS", admin.address);
            let help = "listen on 127.0.0.1, and let something that speaks TLS and knows its users stand before it";
            self.warning("admin.address", message, Some(help.to_owned()));
        }
    }
}

impl Checks<'_, CoordinatorFile> {
    /// What only gateways obey needs gateways.
    fn somebody_picks(&mut self) {
        if self.file.gateways.is_some() {
            return;
        }
        for name in self.file.pools.keys() {
            for key in ["balance", "ring", "breaker"] {
                let path = under(&under("pools", name), key);
                if self.places.contains_key(path.as_str()) {
                    let message = format!("only gateways obey `{key}`, and none can subscribe");
                    let help = "add `gateways: {address: 127.0.0.1:9904}`, or leave the key out";
                    self.error(&path, message, Some(help.to_owned()));
                }
            }
        }
    }

    fn gateways_stay_inside(&mut self) {
        if let Some(gateways) = &self.file.gateways
            && !gateways.address.ip().is_loopback()
            && gateways.tls.is_none()
        {
            let message = format!("gateways at {} can be reached from other machines, without TLS", gateways.address);
            let help = "add `tls: {certificates: [{cert: coordinator.pem, key: coordinator.key}]}`, and write https:// in the \
                        gateways' files";
            self.warning("gateways.address", message, Some(help.to_owned()));
        }
    }

    /// Gateways, and people, must find whoever leads.
    fn leaders_are_found(&mut self) {
        let Some(election) = &self.file.election else { return };
        let everywhere = |address: std::net::SocketAddr| address.ip().is_unspecified();
        match &self.file.gateways {
            Some(gateways) if election.gateways().is_none() && everywhere(gateways.address) => {
                let message =
                    format!("gateways cannot be told to come to {}, which is every address", gateways.address);
                let help =
                    "add the address by which they reach this coordinator, such as `gateways: http://10.0.0.1:9904`";
                self.error("election", message, Some(help.to_owned()));
            }
            None if election.gateways().is_some() => {
                let message = "gateways cannot subscribe: there is no section `gateways`".to_owned();
                let help = "add `gateways: {address: 127.0.0.1:9904}`, or leave this out";
                self.error("election.gateways", message, Some(help.to_owned()));
            }
            Some(_) | None => {}
        }
        if self.file.admin.on().is_none() && election.admin().is_some() {
            let message = "there is no admin API to be told of: `admin` is off".to_owned();
            self.error("election.admin", message, Some("leave this out".to_owned()));
        }
    }

    fn publishers_name_pools(&mut self) {
        for (name, how) in &self.file.publish {
            for (key, pool) in how.pools() {
                if !self.file.pools.contains_key(pool) {
                    let (message, help) = unknown("pool", pool, self.file.pools.keys().map(String::as_str));
                    self.error(&under(&format!("publish.{name}.{}", how.word()), &key), message, help);
                }
            }
        }
    }
}

impl Checks<'_> {
    /// Members and policy have one owner: this file, or the coordinator's.
    fn somebody_decides(&mut self) {
        let Some(coordinator) = &self.file.coordinator else {
            for (name, pool) in &self.file.pools {
                if pool.workers.is_none() {
                    let help = "add `workers:` here";
                    self.error(&under("pools", name), "`workers` is missing".to_owned(), Some(help.to_owned()));
                }
            }
            return;
        };
        if self.file.heartbeats.is_some() {
            let message =
                format!("workers send heartbeats to whoever decides, the coordinator at {}", coordinator.place());
            let help = "write it in the coordinator's file, and leave it out here";
            self.error("heartbeats", message, Some(help.to_owned()));
        }
        if self.file.gossip.is_some() {
            let message = format!(
                "gateways that talk with each other decide themselves, and here the coordinator at {} does",
                coordinator.place()
            );
            self.error("gossip", message, Some("leave out either `gossip` or `coordinator`".to_owned()));
        }
        for name in self.file.pools.keys() {
            for keys in DECIDED {
                let path = keys.iter().fold(under("pools", name), |path, key| under(&path, key));
                if self.places.contains_key(path.as_str()) {
                    let message = format!("the coordinator at {} decides this", coordinator.place());
                    let help = "write it in the coordinator's file, and leave it out here";
                    self.error(&path, message, Some(help.to_owned()));
                }
            }
        }
    }

    fn something_to_do(&mut self) {
        let scrape = self.file.agent.as_ref().and_then(|agent| agent.scrape.as_ref());
        if scrape.is_some_and(|scrape| scrape.beside) {
            for (key, none) in [("listeners", self.file.listeners.is_empty()), ("pools", self.file.pools.is_empty())] {
                if !none {
                    let message =
                        "no request comes through an agent that stands beside its worker (agent.scrape.beside)";
                    self.error(key, message.to_owned(), Some("leave this out, or leave `beside` out".to_owned()));
                }
            }
            return;
        }
        if self.file.listeners.is_empty() {
            let help = "add one, such as `- address: 127.0.0.1:8080`";
            self.error("listeners", "there is no listener".to_owned(), Some(help.to_owned()));
        }
        self.some_pool(self.file.pools.is_empty());
        let http = self.file.listeners.iter().any(|listener| listener.redis().is_none());
        if http && self.file.routes.is_empty() && self.file.pools.len() > 1 {
            let message = "there are several pools and no routes".to_owned();
            let help = "add one, such as `routes: [{match: {path_prefix: /}, pool: NAME}]`";
            self.error("pools", message, Some(help.to_owned()));
        }
    }

    fn routes_name_pools(&mut self) {
        for (at, route) in self.file.routes.iter().enumerate() {
            // Where a keyspace leads is said at the keyspace.
            if route.keyspace().is_none() && !self.file.pools.contains_key(route.pool()) {
                let (message, help) = unknown("pool", route.pool(), self.file.pools.keys().map(String::as_str));
                self.error(&under(&item("routes", at), "pool"), message, help);
            }
            if let Some(mirror) = route.mirror()
                && !self.file.pools.contains_key(mirror.pool())
            {
                let (message, help) = unknown("pool", mirror.pool(), self.file.pools.keys().map(String::as_str));
                self.error(&under(&under(&item("routes", at), "mirror"), "pool"), message, help);
            }
            for (place, tier) in route.fallback().iter().enumerate() {
                if let Tier::Pool(pool) = tier
                    && !self.file.pools.contains_key(pool)
                {
                    let (message, help) = unknown("pool", pool, self.file.pools.keys().map(String::as_str));
                    let path = item(&under(&item("routes", at), "fallback"), place);
                    self.error(&under(&path, "pool"), message, help);
                }
            }
        }
    }

    fn addresses_differ(&mut self) {
        let mut taken: BTreeMap<String, String> = BTreeMap::new();
        if let Some(admin) = self.file.admin.on() {
            taken.insert(admin.address.to_string(), "admin.address".to_owned());
        }
        for (at, listener) in self.file.listeners.iter().enumerate() {
            let path = under(&item("listeners", at), "address");
            // The system gives each of these a port of its own.
            if listener.address().to_string().ends_with(":0") {
                continue;
            }
            if let Some(holder) = taken.insert(listener.address().to_string(), path.clone()) {
                let message = format!("`{}` is the address of `{holder}` already", listener.address());
                self.error(&path, message, Some("give each its own address and port".to_owned()));
            }
        }
    }

    fn pools_are_used(&mut self) {
        // A misspelt name in a route would be told twice.
        if self.file.routes.is_empty() || !self.found.is_empty() {
            return;
        }
        for name in self.file.pools.keys() {
            let of_redis =
                self.file.keyspaces.values().any(|keyspace| keyspace.is_of_redis() && keyspace.pool() == name);
            if !of_redis && !self.file.routes.iter().any(|route| route.pools().any(|pool| pool == name)) {
                let path = under("pools", name);
                let help = Some(format!("add a route with `pool: {name}`, or remove the pool"));
                self.warning(&path, format!("no route leads to pool `{name}`"), help);
            }
        }
    }

    fn a_shared_cache_has_a_server(&mut self) {
        if self.file.cache.is_shared() && self.file.redis.is_none() {
            let help = "add `redis: {url: \"redis://127.0.0.1:6379\"}`, or leave `shared` out";
            self.error(
                &under("cache", "shared"),
                "there is no section `redis` to share with".to_owned(),
                Some(help.to_owned()),
            );
        }
    }

    fn shared_keys_have_a_server(&mut self) {
        let shared = |route: &Route| route.deduplicate().is_some_and(|wanted| wanted.is_shared());
        let Some(at) = self.file.routes.iter().position(shared).filter(|_| self.file.redis.is_none()) else { return };
        let path = under(&under(&item("routes", at), "deduplicate"), "store");
        let help = "add `redis: {url: \"redis://127.0.0.1:6379\"}`, or keep them here with `store: embedded`";
        self.error(&path, "there is no section `redis` to keep the keys in".to_owned(), Some(help.to_owned()));
    }

    fn what_routes_record_has_a_file(&mut self) {
        let said = self.file.routes.iter().position(Route::says_what_is_recorded);
        if let Some(at) = said.filter(|_| self.file.record.is_none()) {
            let message = "there is no section `record` that names a file".to_owned();
            let help = "add `record: {path: traffic.jsonl}` at the top";
            self.error(&under(&item("routes", at), "record"), message, Some(help.to_owned()));
        }
    }

    fn routes_are_reached(&mut self) {
        let narrow = |at: usize| self.places.contains_key(under(&item("routes", at), "match").as_str());
        let Some(all) = (0..self.file.routes.len()).find(|at| !narrow(*at)) else { return };
        if all + 1 < self.file.routes.len() {
            let message = format!("no request comes here: `routes[{all}]` has no match and takes all");
            self.warning(&item("routes", all + 1), message, Some("put the route without a match last".to_owned()));
        }
    }

    /// What the agent learns of one worker would be wrong of two.
    fn agents_have_one_worker(&mut self) {
        let Some(agent) = &self.file.agent else { return };
        let endpoint = agent.endpoint.filter(|endpoint| endpoint.port() != 0).map(|endpoint| endpoint.to_string());
        let taken = self.file.listeners.iter().position(|one| Some(one.address().to_string()) == endpoint);
        if let Some(at) = taken {
            let path = under(&item("listeners", at), "address");
            let message = format!("`{}` is the address of `{path}` already", endpoint.unwrap_or_default());
            self.error("agent.endpoint", message, Some("give the endpoint a port of its own".to_owned()));
        }
        let one = self.file.pools.len() == 1
            && self.file.pools.values().all(|pool| matches!(pool.sources(), [Source::Worker(_)]));
        if !one && !self.file.pools.is_empty() {
            let message = "an agent stands before one worker, and there are more".to_owned();
            let help = "name one pool with one worker by its URL; run an agent beside each worker".to_owned();
            self.error("pools", message, Some(help));
        }
        let plain =
            |source: &Source| matches!(source, Source::Worker(member) if member.url.text().starts_with("http://"));
        if agent.shards.is_some() && one && !self.file.pools.values().flat_map(Pool::sources).all(plain) {
            let message = "a worker of keyspaces is reached at `http://HOST:PORT`".to_owned();
            let help = "let the agent run on the worker's machine, and name the worker by such a URL".to_owned();
            self.error("pools", message, Some(help));
        }
    }
}

/// Of the doctor, where a history is kept: its thirds are the history's windows. Source: `history/kept` of the doctor.
const HISTORY_WINDOW: Span = Span::from_secs(900);

/// What a coordinator decides about a pool. Source: architecture.md "Who owns weights".
const DECIDED: [&[&str]; 12] = [
    &["workers"],
    &["weights"],
    &["balance"],
    &["ring"],
    &["breaker"],
    &["health"],
    &["runbooks"],
    &["zones"],
    &["canary"],
    &["experiment"],
    &["reports", "poll"],
    &["reports", "orca"],
];
