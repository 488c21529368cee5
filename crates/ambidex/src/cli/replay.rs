//! `ambidex replay FILE --to URL`: recorded traffic sent again, and how its answers differ.

use std::path::PathBuf;

use ambidex_core::time::Span;
use ambidex_lab::replay::{Filter, Outcome, Replay, ReplayError, ReplayOptions, Source};
use clap::Args;

use super::change::Consent;
use super::{End, Output, answer, answer_json, complain, counted};

/// Exit codes: 0 all was answered, and with `--compare` as it was; 1 it was not; 2 the command is wrong.
#[derive(Debug, Args)]
pub(super) struct ReplayArguments {
    /// A recording of a gateway (`record:`), a HAR (`.har`) or a file of GoReplay (`.gor`); `-` reads a recording from
    /// standard input.
    file: PathBuf,
    /// Where to, such as `http://127.0.0.1:8080`.
    #[arg(long, value_name = "URL", value_parser = target)]
    to: String,
    /// How many times as fast as it was, such as `2x` or `0.5x`.
    #[arg(long, value_name = "FACTOR", default_value = "1x", value_parser = speed)]
    speed: f64,
    /// Only these requests, such as `method=GET path=/api/*`: all conditions of one filter hold. Keys: method, path,
    /// host, route, listener, status; `!=` turns one round.
    #[arg(long, value_name = "CONDITIONS")]
    filter: Vec<Filter>,
    /// The host that every request asks for. Default: each asks for the one it asked for then.
    #[arg(long, value_name = "HOST", default_value = "")]
    host: String,
    /// A header field for every request, such as `authorization: Bearer abc`, in the place of its own.
    #[arg(long, value_name = "NAME: VALUE", value_parser = field)]
    field: Vec<(String, String)>,
    /// Compare answers, status and body, with those of then, and end with 1 where they differ.
    #[arg(long)]
    compare: bool,
    /// Send requests that may change something, too: all methods but GET, HEAD and OPTIONS.
    #[arg(long)]
    r#unsafe: bool,
    /// Send to an address that is not of this machine.
    #[arg(long)]
    remote: bool,
    /// The field by which answers name their worker.
    #[arg(long, value_name = "NAME", default_value = "x-worker")]
    worker_field: String,
    /// Connections at most; requests beyond wait for one.
    #[arg(long, value_name = "COUNT", default_value_t = 256)]
    connections: usize,
    /// After this long an answer counts as failed.
    #[arg(long, value_name = "DURATION", default_value = "10s")]
    timeout: Span,
    #[command(flatten)]
    consent: Consent,
}

pub(super) fn run(arguments: &ReplayArguments, output: Output) -> End {
    let replay = match Source::open(&arguments.file) {
        Ok(source) => Replay::new(&source, arguments.options()),
        Err(error) => {
            complain(&format!("{error}\n"));
            return End::Failed;
        }
    };
    let replay = match replay {
        Ok(replay) => replay,
        Err(error) => return refused(&error),
    };
    let (requests, seconds) = (counted(replay.requests(), "request"), replay.length().as_secs_f64());
    complain(&format!("will send {requests} to {} in {seconds:.1} s\n", arguments.to));
    // Both reach further than a test on this machine does.
    if (arguments.remote || arguments.r#unsafe) && !arguments.consent.given() {
        return End::Wrong;
    }
    match replay.run() {
        Ok(outcome) => told(&outcome, output),
        Err(error) => refused(&error),
    }
}

fn told(outcome: &Outcome, output: Output) -> End {
    match output {
        Output::Text => answer(&outcome.to_string()),
        Output::Json => answer_json(&serde_json::to_value(outcome).unwrap_or_default()),
    }
    if outcome.is_good() { End::Worked } else { End::Failed }
}

fn refused(error: &ReplayError) -> End {
    complain(&format!("{error}\n"));
    if error.is_of_the_options() { End::Wrong } else { End::Failed }
}

impl ReplayArguments {
    fn options(&self) -> ReplayOptions {
        ReplayOptions {
            target: self.to.clone(),
            remote: self.remote,
            speed: self.speed,
            filters: self.filter.clone(),
            host: self.host.clone(),
            fields: self.field.clone(),
            unsafe_methods: self.r#unsafe,
            compare: self.compare,
            worker_field: self.worker_field.clone(),
            connections: self.connections,
            timeout: self.timeout,
        }
    }
}

/// Host and port of a URL.
fn target(text: &str) -> Result<String, String> {
    let wrong = || format!("`{text}` is no target: write http://HOST:PORT; TLS is not spoken");
    let uri: http::Uri = text.parse().map_err(|_| wrong())?;
    let authority = uri.authority().filter(|authority| !authority.as_str().contains('@')).ok_or_else(wrong)?;
    if uri.scheme_str().is_some_and(|scheme| scheme != "http") || !matches!(uri.path(), "" | "/") {
        return Err(wrong());
    }
    Ok(format!("{}:{}", authority.host(), authority.port_u16().unwrap_or(80)))
}

fn speed(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('x').unwrap_or(text).parse().ok();
    number
        .filter(|speed| (0.01..=1_000.0).contains(speed))
        .ok_or_else(|| "write a factor from 0.01x to 1000x".to_owned())
}

fn field(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("write NAME: VALUE")?;
    Ok((name.trim().to_ascii_lowercase(), value.trim().to_owned()))
}
