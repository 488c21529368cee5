//! What is read: exactly one source, with what people may say of it.

use std::fs;
use std::io::{self, IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use ambidex_core::time::Span;
use ambidex_insight::clock;
use ambidex_insight::history::{Bounds, History, STEP, WINDOW, kept};
use ambidex_insight::sources::access_log::{self, Attribute, Format, Mapping, NodeFrom};
use ambidex_insight::sources::haproxy::{self, RuntimeApi};
use ambidex_insight::sources::prometheus::{self, Chosen, OwnQueries};
use ambidex_insight::sources::receive::Options as Listen;
use ambidex_insight::sources::table::{self, ColumnMap, MetricMap, RoleMap};
use ambidex_insight::sources::{
    Access, Credentials, Looks, Progress, Signing, agents, ambidex, csv, envoy, otlp, parquet, pushed,
};
use clap::{Args, ValueEnum};

use super::super::colored;
use super::keep::Keeping;
use super::receive;
use crate::config::read_as;
use crate::env;

#[derive(Debug, Args)]
pub(super) struct SourceArguments {
    #[command(flatten)]
    which: Which,
    /// The service of what names none: only nodes of one service are compared.
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    /// Minutes that times without a zone are ahead of UTC.
    #[arg(long, value_name = "MINUTES", default_value_t = 0, allow_negative_numbers = true, value_parser = clap::value_parser!(i32).range(-1_440..=1_440))]
    utc_offset: i32,
    /// The windows by which is told what stays, for logs, tables and what is pushed: of a load test of minutes take a twelfth.
    #[arg(long, value_name = "DURATION", default_value = "15m", value_parser = window)]
    window: Span,
    #[command(flatten, next_help_heading = "Access logs")]
    log: LogArguments,
    #[command(flatten, next_help_heading = "CSV and Parquet")]
    table: TableArguments,
    #[command(flatten, next_help_heading = "What is pushed")]
    push: PushArguments,
    #[command(flatten, next_help_heading = "Prometheus, histories, Envoy, agents and ambidex")]
    web: WebArguments,
    #[command(flatten, next_help_heading = "HAProxy, Envoy, agents, ambidex and what is pushed")]
    look: LookArguments,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Which {
    /// Access logs, also packed by gzip or zstd; `-`: standard input.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    access_log: Vec<PathBuf>,
    /// Tables in CSV, long (time, node, metric, value) or wide (time, node, a column a metric); `-`: standard input.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    csv: Vec<PathBuf>,
    /// The same in Parquet.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    parquet: Vec<PathBuf>,
    /// A Prometheus, or what answers its query API.
    #[arg(long, value_name = "URL")]
    prom: Option<String>,
    /// The runtime API of an HAProxy: its socket's path, or HOST:PORT.
    #[arg(long, value_name = "SOCKET")]
    haproxy: Option<RuntimeApi>,
    /// The admin page of an Envoy.
    #[arg(long, value_name = "URL")]
    envoy: Option<String>,
    /// Agents of workers (`ambidex agent`), each by its endpoint: the workers, and what the hosts under them are like.
    #[arg(long, value_name = "URL", num_args = 1..)]
    host: Vec<String>,
    /// Spans and metrics of OpenTelemetry, as the collector's file exporter writes them; also packed; `-`: standard input.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    otlp: Vec<PathBuf>,
    /// Receive there what is pushed: OTLP by gRPC and HTTP, and remote write of a Prometheus. For `--for`, or until Ctrl-C.
    #[arg(long, value_name = "HOST:PORT", num_args = 1..)]
    listen: Vec<SocketAddr>,
    /// A running gateway or coordinator of ambidex, by the address of its admin API: its workers.
    #[arg(long, value_name = "URL")]
    ambidex: Option<String>,
    /// What was kept by `--keep` in this folder.
    #[arg(long, value_name = "FOLDER")]
    history: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct PushArguments {
    /// A file with a token that senders must show; needed on other addresses than loopback.
    #[arg(long, value_name = "FILE", requires = "listen")]
    listen_token: Option<PathBuf>,
    /// Whose requests spans are: of who served them, or of the peers that were asked.
    #[arg(long, value_enum, value_name = "SIDE", default_value_t)]
    spans: Side,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Side {
    /// Of the node that served: spans of kind server and consumer.
    #[default]
    Server,
    /// Of the peer that was asked: spans of kind client and producer.
    Client,
}

#[derive(Debug, Args)]
struct LogArguments {
    /// The format: common, combined, json, envoy, haproxy, .., or a format string of nginx, Apache or Envoy. Default: told by the first lines.
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<Format>,
    /// What the log calls a field: `node=backend`, `duration=took:ms`.
    #[arg(long, value_name = "FIELD=NAME")]
    field: Vec<Mapping>,
    /// A field that requests are told apart by: `tenant=http_x_tenant`.
    #[arg(long, value_name = "LABEL=NAME")]
    attribute: Vec<Attribute>,
    /// Each file is of one node, which is called as the file is.
    #[arg(long)]
    node_is_file: bool,
}

#[derive(Debug, Args)]
struct TableArguments {
    /// Which column is what: `node=instance`, `time=ts`.
    #[arg(long, value_name = "ROLE=COLUMN")]
    column: Vec<RoleMap>,
    /// What a metric is: `usage=cpu*0.01`, `http_requests=requests:counter`.
    #[arg(long, value_name = "NAME=METRIC")]
    metric: Vec<MetricMap>,
}

#[derive(Debug, Args)]
struct WebArguments {
    /// How far back is asked of a Prometheus, 3h unless told otherwise; of a history, all of it.
    #[arg(long, value_name = "DURATION")]
    since: Option<Span>,
    /// Between two points; by the range unless told otherwise.
    #[arg(long, value_name = "DURATION")]
    step: Option<Span>,
    /// Matchers that narrow all queries: `job="node",zone="a"`.
    #[arg(long = "match", value_name = "MATCHERS", default_value = "")]
    matchers: String,
    /// Only these sets of queries; all that are found unless told otherwise.
    #[arg(long = "set", value_name = "NAME")]
    sets: Vec<String>,
    /// A file of queries of your own.
    #[arg(long, value_name = "FILE")]
    queries: Option<PathBuf>,
    /// The label that names nodes: `instance`, `pod`.
    #[arg(long, value_name = "LABEL")]
    node_label: Option<String>,
    /// The label that names services.
    #[arg(long, value_name = "LABEL")]
    service_label: Option<String>,
    /// A file with a token.
    #[arg(long, value_name = "FILE")]
    bearer_file: Option<PathBuf>,
    /// A name, and a file with its password.
    #[arg(long, value_name = "NAME:FILE", value_parser = basic)]
    basic: Option<(String, PathBuf)>,
    /// A further header: `X-Scope-OrgID: team-a`.
    #[arg(long, value_name = "NAME: VALUE", value_parser = header)]
    header: Vec<(String, String)>,
    /// A PEM file with the authorities that are believed.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// A PEM file with our certificate and its key.
    #[arg(long, value_name = "FILE")]
    identity: Option<PathBuf>,
    /// Sign requests for AWS (Signature Version 4) in this region, with the key of the environment or of the shared credentials file.
    #[arg(long, value_name = "REGION", conflicts_with_all = ["bearer_file", "basic"])]
    aws_region: Option<String>,
    /// What is asked, as signatures have it: `aps` (Amazon Managed Service for Prometheus), `monitoring` (CloudWatch).
    #[arg(long, value_name = "SERVICE", default_value = "aps")]
    aws_service: String,
    /// The profile of the shared credentials file; it comes before a key of the environment.
    #[arg(long, value_name = "NAME", requires = "aws_region")]
    aws_profile: Option<String>,
}

#[derive(Debug, Args)]
struct LookArguments {
    /// For how long is looked or received; 60s unless told otherwise, with `--listen` 10m.
    #[arg(long = "for", value_name = "DURATION")]
    lasts: Option<Span>,
    /// How often.
    #[arg(long, value_name = "DURATION", default_value = "5s")]
    every: Span,
    /// Only these backends, clusters or pools.
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
}

impl SourceArguments {
    /// Reads it; else what is wrong, in a sentence or more.
    /// It is kept where that is asked for.
    pub(super) fn read(&self, mut keeping: Option<&mut Keeping>) -> Result<History, String> {
        let mut bar = Bar::default();
        let mut progress = |progress: Progress| bar.show(&progress);
        let which = &self.which;
        let read = if !which.access_log.is_empty() {
            access_log::read(&which.access_log, &self.of_log(), &mut progress).map_err(told)
        } else if !which.csv.is_empty() {
            csv::read(&which.csv, &self.of_table(), &mut progress).map_err(told)
        } else if !which.parquet.is_empty() {
            parquet::read(&which.parquet, &self.of_table(), &mut progress).map_err(told)
        } else if !which.otlp.is_empty() {
            otlp::read(&which.otlp, &self.of_pushed(), &mut progress).map_err(told)
        } else if !which.listen.is_empty() {
            let lasts = self.look.lasts.unwrap_or(RECEIVED_FOR);
            receive::once(&self.receiver(receive::window_of(lasts)), lasts, keeping.as_deref_mut(), &mut progress)
        } else if let Some(folder) = &which.history {
            self.kept(folder, &mut progress)
        } else {
            self.ask(&mut progress)
        };
        bar.clear();
        if let (Ok(history), Some(keeping)) = (&read, keeping) {
            keeping.keep(history);
        }
        read
    }

    fn kept(&self, folder: &Path, progress: &mut dyn FnMut(Progress)) -> Result<History, String> {
        if self.window != Span::from_secs(u64::from(WINDOW)) {
            return Err(format!(
                "--window {}: a history is kept in windows of {STEP} s, and judged by those of {WINDOW} s",
                self.window
            ));
        }
        kept::read(folder, self.web.since, progress).map_err(told)
    }

    fn ask(&self, progress: &mut dyn FnMut(Progress)) -> Result<History, String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(told)?;
        let now = clock::now();
        let lasts = self.look.lasts.unwrap_or(Looks::default().lasts);
        let looks = Looks { every: self.look.every, lasts };
        if let Some(url) = &self.which.prom {
            let options = self.of_prometheus(url)?;
            return runtime.block_on(prometheus::read(&options, progress)).map_err(told);
        }
        if let Some(at) = &self.which.haproxy {
            let backends = self.look.only.clone();
            let options = haproxy::Options { backends, looks, ..haproxy::Options::new(at.clone(), now) };
            return runtime.block_on(haproxy::read(&options, progress)).map_err(told);
        }
        if !self.which.host.is_empty() {
            let agents = self.which.host.iter().map(|url| self.web.access(url)).collect::<Result<_, _>>()?;
            let timeout = agents::TIMEOUT;
            let options = agents::Options { agents, service: self.service.clone(), looks, timeout, now };
            return runtime.block_on(agents::read(&options, progress)).map_err(told);
        }
        if let Some(url) = &self.which.ambidex {
            let pools = self.look.only.clone();
            let access = self.web.access(&with_scheme(url))?;
            let options = ambidex::Options { access, pools, looks, ..ambidex::Options::new(url, now) };
            return runtime.block_on(ambidex::read(&options, progress)).map_err(told);
        }
        let url = self.which.envoy.as_deref().unwrap_or_default();
        let clusters = self.look.only.clone();
        let options =
            envoy::Options { access: self.web.access(url)?, clusters, looks, ..envoy::Options::new(url, now) };
        runtime.block_on(envoy::read(&options, progress)).map_err(told)
    }

    fn of_log(&self) -> access_log::Options {
        access_log::Options {
            format: self.log.log_format.clone(),
            fields: self.log.field.clone(),
            attributes: self.log.attribute.clone(),
            node: if self.log.node_is_file { NodeFrom::File } else { NodeFrom::Auto },
            service: self.service.clone(),
            offset: self.utc_offset,
            bounds: self.bounds(),
            ..access_log::Options::default()
        }
    }

    fn of_table(&self) -> table::Options {
        table::Options {
            columns: ColumnMap { roles: self.table.column.clone(), metrics: self.table.metric.clone() },
            service: self.service.clone(),
            offset: self.utc_offset,
            bounds: self.bounds(),
            ..table::Options::default()
        }
    }

    fn bounds(&self) -> Bounds {
        Bounds { window: u32::try_from(self.window.as_millis() / 1_000).unwrap_or(WINDOW), ..Bounds::default() }
    }

    /// What is received, if something is; windows of so many seconds.
    pub(super) fn listens(&self, window: u32) -> Option<Listen> {
        (!self.which.listen.is_empty()).then(|| self.receiver(window))
    }

    fn receiver(&self, window: u32) -> Listen {
        Listen {
            token: self.push.listen_token.clone(),
            pushed: self.of_pushed(),
            window: window.min(self.bounds().window / 3).max(1),
            ..Listen::new(self.which.listen.clone())
        }
    }

    fn of_pushed(&self) -> pushed::Options {
        pushed::Options {
            node: self.web.node_label.clone(),
            service: self.web.service_label.clone(),
            default_service: self.service.clone(),
            metrics: self.table.metric.clone(),
            attributes: self.log.attribute.clone(),
            view: match self.push.spans {
                Side::Server => pushed::View::Server,
                Side::Client => pushed::View::Client,
            },
            bounds: self.bounds(),
        }
    }

    fn of_prometheus(&self, url: &str) -> Result<prometheus::Options, String> {
        let web = &self.web;
        let own = web.queries.as_deref().map(own_queries).transpose()?.unwrap_or_default();
        let chosen = Chosen { node: web.node_label.clone(), service: web.service_label.clone(), ..Chosen::default() };
        Ok(prometheus::Options {
            access: web.access(url)?,
            since: web.since.unwrap_or(SINCE),
            step: web.step,
            matchers: web.matchers.clone(),
            chosen,
            sets: (!web.sets.is_empty()).then(|| web.sets.clone()),
            own,
            ..prometheus::Options::new(url, clock::now())
        })
    }
}

impl WebArguments {
    fn access(&self, url: &str) -> Result<Access, String> {
        let signing = self.aws_region.as_deref().map(|region| self.signing(region)).transpose()?;
        Ok(Access {
            signing,
            url: url.to_owned(),
            bearer_file: self.bearer_file.clone(),
            basic: self.basic.clone(),
            headers: self.header.clone(),
            ca: self.ca.clone(),
            identity: self.identity.clone(),
        })
    }

    /// By whom requests are signed: a profile that is named, else the key of the environment, else the usual profile.
    fn signing(&self, region: &str) -> Result<Signing, String> {
        let of_environment = || env::aws_key().filter(|_| self.aws_profile.is_none());
        let credentials = match of_environment() {
            Some((name, secret, token)) => Credentials::new(&name, &secret, token.as_deref()).map_err(told)?,
            None => {
                let profile = self.aws_profile.clone().unwrap_or_else(env::aws_profile);
                let none = "--aws-region needs a key: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or write a shared credentials file";
                let file = env::aws_file().ok_or(none)?;
                let shown = file.display().to_string();
                let text = fs::read_to_string(&file).map_err(|error| format!("{none}; {shown}: {error}"))?;
                Credentials::of_profile(&shown, &text, &profile).map_err(told)?
            }
        };
        Ok(Signing { region: region.to_owned(), service: self.aws_service.clone(), credentials })
    }
}

/// An admin API may be named as for other commands: by HOST:PORT alone.
fn with_scheme(url: &str) -> String {
    if url.contains("://") { url.to_owned() } else { format!("http://{url}") }
}

/// Reads a file of queries.
fn own_queries(file: &Path) -> Result<OwnQueries, String> {
    let text =
        fs::read_to_string(file).map_err(|error| format!("--queries {}: cannot be read: {error}", file.display()))?;
    read_as(&file.display().to_string(), text).map_err(|findings| findings.render(colored()))
}

fn window(text: &str) -> Result<Span, String> {
    let span: Span = text.parse().map_err(told)?;
    let seconds = span.as_millis() / 1_000;
    let fits =
        Span::from_secs(seconds) == span && seconds.is_multiple_of(3) && (3..=u64::from(WINDOW)).contains(&seconds);
    fits.then_some(span).ok_or_else(|| "3 s to 15 min in steps of three seconds are expected, such as 15s".into())
}

fn basic(text: &str) -> Result<(String, PathBuf), String> {
    let parts = text.split_once(':').filter(|(name, file)| !name.is_empty() && !file.is_empty());
    parts
        .map(|(name, file)| (name.to_owned(), PathBuf::from(file)))
        .ok_or_else(|| "a name, `:`, and a file with its password are expected".into())
}

fn header(text: &str) -> Result<(String, String), String> {
    let parts = text.split_once(':').filter(|(name, _)| !name.trim().is_empty());
    parts
        .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
        .ok_or_else(|| "`NAME: VALUE` is expected".into())
}

/// An error with its reasons.
fn told(error: impl std::error::Error) -> String {
    error.to_string()
}

/// Of a Prometheus. Source: diagnosis.md "structural"; what is judged.
const SINCE: Span = Span::from_secs(3 * 3_600);
/// Source: ours; two windows of the usual length.
const RECEIVED_FOR: Span = Span::from_secs(600);

/// How far a source is, for people on a terminal.
#[derive(Default)]
pub(super) struct Bar {
    shown: String,
}

impl Bar {
    pub(super) fn show(&mut self, progress: &Progress) {
        if !io::stderr().is_terminal() {
            return;
        }
        let Progress { what, done, of } = progress;
        let line = match of.filter(|of| *of > 0) {
            Some(of) => {
                let part = (*done as f64 / of as f64).min(1.0);
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "of 0..=20")]
                let filled = (part * 20.0) as usize;
                format!("{}{} {:>3.0} %  {what}", "█".repeat(filled), "·".repeat(20 - filled), part * 100.0)
            }
            None => format!("{what}: {done}"),
        };
        if line != self.shown {
            let _ = write!(io::stderr().lock(), "\r\x1b[K{line}");
            self.shown = line;
        }
    }

    pub(super) fn clear(&self) {
        if !self.shown.is_empty() {
            let _ = write!(io::stderr().lock(), "\r\x1b[K");
        }
    }
}
