//! Checks that look at several sections at once, each pointing at the value that has to change.

use std::collections::BTreeMap;

use super::file::File;
use super::problem::Problem;
use super::reader::unknown;
use super::tree::{Node, item, under};

/// Everything that does not fit together, in the order of the file.
pub(crate) fn across(file: &File, tree: &Node) -> Vec<Problem> {
    let places = tree.by_path();
    let mut checks = Checks { file, places, found: Vec::new() };
    checks.something_to_do();
    checks.routes_name_pools();
    checks.addresses_differ();
    checks.pools_are_used();
    checks.found.sort_by_key(|problem| (problem.mark.line, problem.mark.column));
    checks.found
}

struct Checks<'f> {
    file: &'f File,
    places: BTreeMap<&'f str, &'f Node>,
    found: Vec<Problem>,
}

impl Checks<'_> {
    /// Points at the value at `path`, or at the nearest value around it that stands in the file.
    fn error(&mut self, path: &str, message: String, help: Option<String>) {
        let place = self.nearest(path);
        self.found.push(Problem::error(place, path, message, help));
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

    fn something_to_do(&mut self) {
        let help = |example: &str| Some(format!("add one, such as `{example}`"));
        if self.file.listeners.is_empty() {
            self.error("listeners", "there is no listener".to_owned(), help("- address: 127.0.0.1:8080"));
        }
        if self.file.pools.is_empty() {
            self.error("pools", "there is no pool".to_owned(), help("api: {workers: [http://127.0.0.1:9000]}"));
        }
        if self.file.routes.is_empty() && self.file.pools.len() > 1 {
            let message = "there are several pools and no routes".to_owned();
            self.error("pools", message, help("routes: [{match: {path_prefix: /}, pool: NAME}]"));
        }
    }

    fn routes_name_pools(&mut self) {
        for (at, route) in self.file.routes.iter().enumerate() {
            if !self.file.pools.contains_key(&route.pool) {
                let (message, help) = unknown("pool", &route.pool, self.file.pools.keys().map(String::as_str));
                self.error(&under(&item("routes", at), "pool"), message, help);
            }
        }
    }

    fn addresses_differ(&mut self) {
        let mut taken: BTreeMap<String, String> = BTreeMap::new();
        taken.insert(self.file.admin.address.to_string(), "admin.address".to_owned());
        for (at, listener) in self.file.listeners.iter().enumerate() {
            let path = under(&item("listeners", at), "address");
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
            if !self.file.routes.iter().any(|route| route.pool == *name) {
                let path = under("pools", name);
                let mark = self.nearest(&path);
                let help = Some(format!("add a route with `pool: {name}`, or remove the pool"));
                self.found.push(Problem::warning(mark, &path, format!("no route leads to pool `{name}`"), help));
            }
        }
    }
}
