//! What the bootstraps of Envoys and gRPC clients share: the file they are made of, which publisher they are for, and how both
//! sides know each other.

use std::path::Path;

use ambidex_control::config::DoorTls;
use ambidex_control::publish::PublishConfig;
use ambidex_xds::bootstrap::Trust;
use clap::Args;

use super::{End, colored, complain};
use crate::config::{self, CoordinatorFile};

/// Files at the client.
#[derive(Debug, Args)]
pub(super) struct TrustArguments {
    /// The authorities of the coordinator's certificate, a path on the client's machine; where the publisher has `tls`.
    #[arg(long, value_name = "PATH")]
    ca: Option<String>,
    /// The client's own certificate, likewise; where the publisher has `tls.client_ca`.
    #[arg(long, value_name = "PATH", requires_all = ["key", "ca"])]
    cert: Option<String>,
    /// Its key.
    #[arg(long, value_name = "PATH", requires = "cert")]
    key: Option<String>,
}

impl TrustArguments {
    /// What fits a publisher that speaks this TLS, or none.
    pub(super) fn towards(&self, tls: Option<&DoorTls>) -> Result<Option<Trust>, String> {
        let Some(tls) = tls else {
            return match self.ca {
                None => Ok(None),
                Some(_) => {
                    Err("the publisher speaks no TLS: give it `tls`, or leave out --ca, --cert and --key".into())
                }
            };
        };
        let own = self.cert.clone().zip(self.key.clone());
        match &self.ca {
            None => {
                Err("the publisher speaks TLS: say with --ca where the client has the authorities of its certificate"
                    .into())
            }
            Some(_) if own.is_none() && tls.client_ca.is_some() => {
                Err("the publisher wants certificates of its clients: say with --cert and --key where the client's are"
                    .into())
            }
            Some(ca) => Ok(Some(Trust { ca: ca.clone(), own })),
        }
    }
}

/// Makes something of a coordinator's file and tells it; or says why it cannot.
pub(super) fn made_of<T>(
    path: &Path,
    make: impl FnOnce(&CoordinatorFile) -> Result<T, String>,
    tell: impl FnOnce(&T),
) -> End {
    let file = match config::load::<CoordinatorFile>(path) {
        Ok(config) => config.file,
        Err(findings) => {
            complain(&findings.render(colored()));
            return End::Wrong;
        }
    };
    match make(&file) {
        Ok(made) => {
            tell(&made);
            End::Worked
        }
        Err(why) => {
            complain(&format!("{why}\n"));
            End::Wrong
        }
    }
}

/// The publisher of this kind that has this name, or the only one. `whom` and `example` are for people.
pub(super) fn publisher<'f, C>(
    file: &'f CoordinatorFile,
    name: Option<&str>,
    whom: &str,
    example: &str,
    of_kind: impl Fn(&'f PublishConfig) -> Option<&'f C>,
) -> Result<&'f C, String> {
    let ours = file.publish.iter().filter_map(|(known, how)| Some((known.as_str(), of_kind(how)?)));
    let fitting: Vec<(&str, &C)> = ours.filter(|(known, _)| name.is_none_or(|name| name == *known)).collect();
    match (fitting.as_slice(), name) {
        ([(_, only)], _) => Ok(only),
        ([], Some(name)) => Err(format!("the file has no publisher `{name}` for {whom}")),
        ([], None) => Err(format!("the file has no publisher for {whom}: write {example}")),
        (several, _) => {
            let names = several.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
            Err(format!("there are several publishers for {whom}, say which with --publisher: {names}"))
        }
    }
}
