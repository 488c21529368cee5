//! Names that stand for workers: looked up by DNS, and again when the answer's time to live is over.
//!
//! An answer that fails is asked for again soon, and what was known stays. Answers are held to between a second and
//! five minutes: a TTL of 0 must not become a flood, one of a week must not outlive a move.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ambidex_core::view::Address;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{RData, RecordType};

use crate::config::{Host, MOST_WORKERS, Member, Source};
use crate::roster::{Event, Found};

/// Looks names up; or says why it cannot.
#[derive(Clone)]
pub(crate) struct Names(Result<TokioResolver, String>);

/// A worker behind an SRV name.
struct Service {
    host: String,
    port: u16,
    weight: u16,
}

impl Names {
    /// Asks these name servers, or the system's when there are none. Where the system's cannot be found, every look-up
    /// fails with the reason, and workers without names are served all the same.
    pub(crate) fn asking(servers: &[SocketAddr]) -> Self {
        Self(resolver(servers).map_err(|error| format!("no resolver ({error}): check /etc/resolv.conf")))
    }

    fn resolver(&self) -> Result<&TokioResolver, String> {
        self.0.as_ref().map_err(Clone::clone)
    }

    /// The addresses of a name, sorted, and until when they hold.
    async fn addresses(&self, host: &str) -> Result<(Vec<IpAddr>, Instant), String> {
        let answer = self.resolver()?.lookup_ip(host).await.map_err(|error| format!("{host}: {error}"))?;
        let mut addresses: Vec<IpAddr> = answer.iter().take(MOST_WORKERS + 1).collect();
        addresses.sort_unstable();
        addresses.dedup();
        Ok((addresses, answer.valid_until()))
    }

    async fn services(&self, name: &str) -> Result<(Vec<Service>, Instant), String> {
        let answer =
            self.resolver()?.lookup(name, RecordType::SRV).await.map_err(|error| format!("{name}: {error}"))?;
        let records = || {
            answer.answers().iter().filter_map(|record| {
                let RData::SRV(srv) = &record.data else { return None };
                Some(srv)
            })
        };
        // The lowest number is the first priority; the others are for when none of these is left.
        let first = records().map(|srv| srv.priority).min();
        let services = records()
            .filter(|srv| Some(srv.priority) == first && !srv.target.is_root())
            .take(MOST_WORKERS + 1)
            .map(|srv| Service { host: srv.target.to_ascii(), port: srv.port, weight: srv.weight })
            .collect();
        Ok((services, answer.valid_until()))
    }
}

fn resolver(servers: &[SocketAddr]) -> Result<TokioResolver, hickory_resolver::net::NetError> {
    let mut builder = if servers.is_empty() {
        TokioResolver::builder_tokio()?
    } else {
        let server = |address: &SocketAddr| {
            let at = |mut connection: ConnectionConfig| {
                connection.port = address.port();
                connection
            };
            NameServerConfig::new(address.ip(), true, vec![at(ConnectionConfig::udp()), at(ConnectionConfig::tcp())])
        };
        let config = ResolverConfig::from_parts(None, Vec::new(), servers.iter().map(server).collect());
        TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
    };
    let options = builder.options_mut();
    // Answers are kept by the roster, and asked for again by their own time to live.
    options.cache_size = 0;
    // A machine with both kinds of address is one worker.
    options.ip_strategy = LookupIpStrategy::Ipv4thenIpv6;
    options.timeout = Duration::from_secs(2);
    builder.build()
}

/// Looks one source up for as long as it is wanted.
pub(super) async fn follow(names: &Names, source: &Source, tell: impl Fn(Event)) {
    let label = super::label(source);
    let mut known = Known::default();
    loop {
        let answer = match source {
            Source::Worker(member) => known.all(names, std::slice::from_ref(member)).await,
            Source::Dns(member) => every_address(names, member).await,
            Source::DnsSrv(name) => every_service(names, name).await,
            Source::File(_) | Source::Kubernetes(_) | Source::Etcd(_) => return,
        };
        let until = match answer {
            Ok(answer) => {
                tell(Event::Said(Arc::clone(&label), answer.found, answer.lacks));
                hold(answer.until)
            }
            Err(why) => {
                tell(Event::Failed(Arc::clone(&label), format!("{why}: what was known stays; asked again in 5 s")));
                tokio::time::Instant::now() + RETRY
            }
        };
        tokio::time::sleep_until(until).await;
    }
}

/// What a look at names gave.
pub(super) struct Answer {
    pub(super) found: Vec<Found>,
    pub(super) lacks: Option<String>,
    /// `None`: nothing in it ages.
    pub(super) until: Option<Instant>,
}

/// The last address of each worker that is known by name, so that it stays while its name cannot be looked up, and
/// does not hop while it has several.
#[derive(Default)]
pub(super) struct Known(HashMap<Arc<str>, IpAddr>);

impl Known {
    /// One worker for each member.
    ///
    /// # Errors
    /// The first name that could not be looked up, when no member has an address.
    pub(super) async fn all(&mut self, names: &Names, members: &[Member]) -> Result<Answer, String> {
        let mut answer = Answer { found: Vec::new(), lacks: None, until: None };
        for member in members {
            let Host::Name(host, port) = member.url.host() else {
                answer.found.extend(super::at_once(member));
                continue;
            };
            let before = self.0.get(member.identity()).copied();
            let (ip, until) = match names.addresses(host).await {
                Ok((addresses, until)) => {
                    let ip = before.filter(|ip| addresses.contains(ip)).or(addresses.first().copied());
                    (ip, until)
                }
                Err(why) => {
                    answer.lacks.get_or_insert(why);
                    (before, now() + RETRY)
                }
            };
            answer.until = Some(answer.until.map_or(until, |earlier| earlier.min(until)));
            if let Some(ip) = ip {
                self.0.insert(Arc::clone(member.identity()), ip);
                answer.found.push(super::found(member, Address::Ip(SocketAddr::new(ip, *port))));
            }
        }
        match answer.lacks {
            Some(why) if answer.found.is_empty() => Err(why),
            _ => Ok(answer),
        }
    }
}

async fn every_address(names: &Names, member: &Member) -> Result<Answer, String> {
    let Host::Name(host, port) = member.url.host() else {
        return Err(format!("{} has no name to look up", member.url));
    };
    let (addresses, until) = names.addresses(host).await?;
    let found = addresses.into_iter().map(|ip| super::found_at(member, SocketAddr::new(ip, *port))).collect();
    Ok(Answer { found, lacks: None, until: Some(until) })
}

async fn every_service(names: &Names, name: &str) -> Result<Answer, String> {
    let (services, mut until) = names.services(name).await?;
    let scheme = if name.starts_with("_https.") { "https" } else { "http" };
    let (mut found, mut lacks) = (Vec::new(), None);
    for Service { host, port, weight } in services {
        let url = format!("{scheme}://{}:{port}", host.trim_end_matches('.'));
        let member = match url.parse() {
            Ok(url) => Member { weight: f64::from(weight.max(1)), ..Member::plain(url) },
            Err(error) => {
                lacks.get_or_insert(error.to_string());
                continue;
            }
        };
        match names.addresses(&host).await {
            Ok((addresses, valid)) => {
                until = until.min(valid);
                found.extend(addresses.into_iter().map(|ip| super::found_at(&member, SocketAddr::new(ip, port))));
            }
            Err(why) => {
                until = until.min(now() + RETRY);
                lacks.get_or_insert(why);
            }
        }
    }
    match lacks {
        Some(why) if found.is_empty() => Err(why),
        lacks => Ok(Answer { found, lacks, until: Some(until) }),
    }
}

/// When to look again at something that holds until then.
pub(super) fn hold(until: Option<Instant>) -> tokio::time::Instant {
    let now = tokio::time::Instant::now();
    let until = until.map_or(now + LONGEST, tokio::time::Instant::from_std);
    until.clamp(now + SHORTEST, now + LONGEST)
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(300);
const RETRY: Duration = Duration::from_secs(5);
