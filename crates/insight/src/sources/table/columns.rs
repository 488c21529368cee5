//! What each column of a table holds, and so which form it has: by its header, and by what the user says.

use strsim::jaro_winkler;

use super::metrics::{Meaning, plain, unit_of_time};
use super::{Options, Role, TableError};
use crate::history::Metric;

/// How a table is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sources) enum Form {
    /// One figure a row.
    Long,
    /// One row a moment and node.
    Wide,
    /// Requests.
    Requests,
}

/// What one column holds.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::sources) enum Use {
    Role(Role),
    /// A metric. `sure`: its name or the user says so, and text in it is wrong; otherwise it may be a column of anything.
    Metric {
        sure: bool,
    },
    /// What requests are told apart by.
    Attribute,
    Nothing,
}

/// How a table is read.
#[derive(Clone, Debug)]
pub(in crate::sources) struct Plan {
    pub(in crate::sources) form: Form,
    pub(in crate::sources) header: Vec<String>,
    /// What each column holds.
    pub(in crate::sources) uses: Vec<Use>,
    /// Seconds of one in the columns of [`Role::Took`] and [`Role::Busy`].
    pub(in crate::sources) took_unit: f64,
    pub(in crate::sources) busy_unit: f64,
}

impl Plan {
    /// Finds out what columns hold.
    pub(in crate::sources) fn new(file: &str, header: Vec<String>, options: &Options) -> Result<Self, TableError> {
        let mut finder = Finder { file, uses: vec![Use::Nothing; header.len()], header: &header };
        finder.named(options)?;
        for role in [Role::Time, Role::Node, Role::Service, Role::Version, Role::Role, Role::Zone, Role::Capacity] {
            finder.find(role);
        }
        let long = finder.could(Role::Metric) && finder.could(Role::Value);
        let form = match (long, finder.could(Role::Route)) {
            (true, _) => Form::Long,
            (false, true) => Form::Requests,
            (false, false) => Form::Wide,
        };
        finder.is_used(form, options)?;
        match form {
            Form::Long => [Role::Metric, Role::Value].into_iter().for_each(|role| finder.find(role)),
            Form::Requests => {
                let (of, by) = ([Role::Route, Role::Count, Role::Failed, Role::Took, Role::Busy], CALLERS);
                of.into_iter().chain(by).for_each(|role| finder.find(role));
            }
            Form::Wide => finder.metrics(options),
        }
        finder.needs(Role::Time, "time", "time=COLUMN")?;
        finder.needs(Role::Node, "node", "node=COLUMN")?;
        if form == Form::Wide && !finder.uses.iter().any(|column| matches!(column, Use::Metric { .. })) {
            let (what, add) =
                ("metrics: beside time and node, a column each, or two that hold name and value", "value=COLUMN");
            return Err(TableError::Lacks { file: file.into(), what, columns: columns(&header), add });
        }
        let uses = finder.uses;
        let unit = |role| uses.iter().zip(&header).find(|(held, _)| **held == Use::Role(role)).map(|(_, name)| name);
        let seconds = |role| unit(role).map_or(1.0, |name| unit_of_time(name));
        let (took_unit, busy_unit) = (seconds(Role::Took), seconds(Role::Busy));
        Ok(Self { form, header, uses, took_unit, busy_unit })
    }

    /// The column that holds something.
    pub(in crate::sources) fn column(&self, role: Role) -> Option<usize> {
        self.uses.iter().position(|held| *held == Use::Role(role))
    }

    /// The columns of metrics.
    pub(in crate::sources) fn metrics(&self) -> impl Iterator<Item = (usize, bool)> {
        self.uses.iter().enumerate().filter_map(|(at, held)| match held {
            Use::Metric { sure } => Some((at, *sure)),
            Use::Role(_) | Use::Attribute | Use::Nothing => None,
        })
    }

    /// Whether it says how long requests took.
    pub(in crate::sources) fn timed(&self) -> bool {
        self.column(Role::Took).is_some() || self.column(Role::Busy).is_some()
    }
}

struct Finder<'h> {
    file: &'h str,
    header: &'h [String],
    uses: Vec<Use>,
}

impl Finder<'_> {
    /// Columns that the user names.
    fn named(&mut self, options: &Options) -> Result<(), TableError> {
        for map in &options.columns.roles {
            let at = self.position(&map.column)?;
            self.uses[at] = Use::Role(map.role);
        }
        for name in &options.attributes {
            let at = self.position(name)?;
            self.uses[at] = Use::Attribute;
        }
        Ok(())
    }

    /// A column that the user names for what this form has not is no slip to pass over: another form was meant.
    fn is_used(&self, form: Form, options: &Options) -> Result<(), TableError> {
        let unused = options.columns.roles.iter().find(|map| match map.role {
            Role::Time | Role::Node | Role::Service | Role::Version | Role::Role | Role::Zone | Role::Capacity => false,
            Role::Metric | Role::Value => form != Form::Long,
            Role::Route | Role::Count | Role::Failed | Role::Took | Role::Busy | Role::Caller | Role::CallerService => {
                form != Form::Requests
            }
        });
        let form = match form {
            Form::Long => "its columns of metric and value make each row one figure",
            Form::Requests => "its column of routes makes it a table of requests",
            Form::Wide => {
                "without a column of routes (`route=COLUMN`), or of metric and value, each column but those of time and node is a metric"
            }
        };
        unused.map_or(Ok(()), |map| {
            let (role, column) = (map.role.name(), map.column.clone());
            Err(TableError::Unused { file: self.file.into(), role, column, form })
        })
    }

    fn position(&self, column: &str) -> Result<usize, TableError> {
        let exact = self.header.iter().position(|name| name.trim() == column);
        exact.or_else(|| self.header.iter().position(|name| plain(name) == plain(column))).ok_or_else(|| {
            let near = self.header.iter().map(|name| (jaro_winkler(name, column), name));
            let near = near.max_by(|a, b| a.0.total_cmp(&b.0)).filter(|(alike, _)| *alike > 0.8);
            TableError::NoColumn {
                file: self.file.into(),
                column: column.into(),
                near: near.map(|(_, name)| format!(", did you mean `{name}`?")).unwrap_or_default(),
                columns: columns(self.header),
            }
        })
    }

    /// The column that a role's usual names say, unless one holds it already.
    fn candidate(&self, role: Role) -> Option<usize> {
        let names = usual(role);
        let is_time = matches!(role, Role::Took | Role::Busy);
        names.iter().find_map(|usual| {
            self.header.iter().zip(&self.uses).position(|(name, held)| {
                let name = plain(name);
                let alike = name == *usual || (is_time && without_unit(&name) == *usual);
                *held == Use::Nothing && alike
            })
        })
    }

    fn has(&self, role: Role) -> bool {
        self.uses.contains(&Use::Role(role))
    }

    fn could(&self, role: Role) -> bool {
        self.has(role) || self.candidate(role).is_some()
    }

    fn find(&mut self, role: Role) {
        if let (false, Some(at)) = (self.has(role), self.candidate(role)) {
            self.uses[at] = Use::Role(role);
        }
    }

    /// All other columns of a wide table.
    fn metrics(&mut self, options: &Options) {
        for (held, name) in self.uses.iter_mut().zip(self.header) {
            if *held == Use::Nothing && !name.trim().is_empty() {
                let said = options.columns.metrics.iter().any(|map| map.name == name.trim());
                let known = !matches!(Meaning::of(name).metric, Metric::Named(_));
                *held = Use::Metric { sure: said || known };
            }
        }
    }

    fn needs(&self, role: Role, what: &'static str, add: &'static str) -> Result<(), TableError> {
        if self.has(role) {
            return Ok(());
        }
        Err(TableError::Lacks { file: self.file.into(), what, columns: columns(self.header), add })
    }
}

fn without_unit(name: &str) -> &str {
    ["_ms", "_seconds", "_milliseconds", "_us", "_s", "_ns", "_sum"]
        .iter()
        .find_map(|end| name.strip_suffix(end))
        .unwrap_or(name)
}

fn columns(header: &[String]) -> String {
    let mut names: Vec<_> = header.iter().take(MOST_SHOWN).map(|name| format!("`{name}`")).collect();
    if header.len() > MOST_SHOWN {
        names.push(format!("and {} more", header.len() - MOST_SHOWN));
    }
    names.join(", ")
}

/// What columns are usually called, in small letters with one mark between words.
fn usual(role: Role) -> &'static [&'static str] {
    match role {
        Role::Time => &["time", "timestamp", "ts", "datetime", "date_time", "date", "epoch", "time_utc"],
        Role::Node => &[
            "node",
            "instance",
            "host",
            "hostname",
            "server",
            "pod",
            "worker",
            "machine",
            "container",
            "replica",
            "broker",
            "target",
            "node_name",
            "server_name",
            "pod_name",
            "host_name",
            "upstream",
        ],
        Role::Metric => &["metric", "metric_name", "name", "measurement", "field"],
        Role::Value => &["value", "val", "metric_value"],
        Role::Service => &["service", "job", "app", "application", "pool", "cluster", "deployment", "service_name"],
        Role::Version => &["version", "release"],
        Role::Role => &["role"],
        Role::Zone => &["zone", "az", "availability_zone", "region", "datacenter", "dc", "rack"],
        Role::Capacity => &["capacity"],
        Role::Route => &["route", "endpoint", "path", "url", "uri", "operation", "handler"],
        Role::Count => &["count", "requests", "hits", "calls", "total"],
        Role::Failed => &["failed", "errors", "failures", "error_count", "5xx"],
        Role::Took => &[
            "duration",
            "latency",
            "response_time",
            "took",
            "elapsed",
            "mean_duration",
            "avg_duration",
            "mean_latency",
        ],
        Role::Busy => &["busy", "total_duration", "total_time", "duration_sum", "busy_time"],
        Role::Caller => &["caller", "caller_instance", "source_instance", "source_pod", "client_instance", "gateway"],
        Role::CallerService => &["caller_service", "source_service", "source_workload", "source_app"],
    }
}

/// Who sent requests.
const CALLERS: [Role; 2] = [Role::Caller, Role::CallerService];
/// Columns that an error shows. Source: ours; a line or two.
const MOST_SHOWN: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(header: &str, options: &Options) -> Result<Plan, TableError> {
        Plan::new("t.csv", header.split(',').map(str::to_owned).collect(), options)
    }

    fn mapped(roles: &[&str]) -> Options {
        let mut options = Options::default();
        options.columns.roles = roles.iter().map(|text| text.parse().expect("a mapping")).collect();
        options
    }

    #[test]
    fn the_header_says_which_form_a_table_has() {
        for (header, form) in [
            ("time,node,metric,value", Form::Long),
            ("_time,host,_field,_value,region", Form::Long),
            ("Timestamp,Instance,CPU %,requests_total", Form::Wide),
            ("time,server,cpu", Form::Wide),
            ("time,node,route,count,errors,duration_ms", Form::Requests),
        ] {
            assert_eq!(plan(header, &Options::default()).expect(header).form, form, "{header}");
        }
    }

    #[test]
    fn columns_hold_what_their_names_say() {
        let plan = plan(
            "ts,pod,zone,route,requests,failed,latency_ms,tenant",
            &Options { attributes: vec!["tenant".into()], ..Options::default() },
        )
        .expect("a plan");
        let roles = [Role::Time, Role::Node, Role::Zone, Role::Route, Role::Count, Role::Failed, Role::Took];
        assert_eq!(roles.map(|role| plan.column(role)), [0, 1, 2, 3, 4, 5, 6].map(Some));
        assert_eq!(plan.uses[7], Use::Attribute);
        assert!((plan.took_unit - 1e-3).abs() < 1e-15 && plan.timed());
    }

    #[test]
    fn what_the_user_says_comes_first() {
        let plan = plan("when,host,name,cpu", &mapped(&["time=when", "node=name"])).expect("a plan");
        assert_eq!((plan.column(Role::Time), plan.column(Role::Node)), (Some(0), Some(2)));
        assert_eq!(plan.metrics().collect::<Vec<_>>(), [(1, false), (3, true)]);
    }

    #[test]
    fn what_is_missing_is_named() {
        for (header, options, text) in [
            ("when,node,cpu", Options::default(), "t.csv: no column holds the time (there are `when`, `node`, `cpu`)"),
            ("time,cpu,x", Options::default(), "no column holds the node"),
            ("time,node", Options::default(), "no column holds the metrics"),
            ("time,instances,cpu", mapped(&["node=instance"]), "no column `instance`, did you mean `instances`?"),
        ] {
            let error = plan(header, &options).expect_err(header).to_string();
            assert!(error.contains(text), "{header}: {error}");
        }
    }
}
