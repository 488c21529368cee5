//! Why a handshake failed, for people: what is wrong, and on which side what is to be done about it.

use std::io;

use rustls::{AlertDescription, CertificateError, Error};

/// What can be wrong, as far as it tells who has to do what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// The other side showed no certificate, and one is wanted.
    NoCertificate,
    /// Its certificate is of an authority that we do not know.
    UnknownAuthority,
    /// It is over.
    Expired,
    /// It has not begun.
    NotYet,
    /// It is made out to another name.
    OtherName,
    /// Something else of its certificate.
    Unusable(String),
    /// The other side does not believe us, and says so.
    NotBelieved(AlertDescription),
    /// What came is no TLS.
    NoTls,
    /// The connection broke, or the two found no common way.
    Other(String),
}

/// Reads an error of the library.
pub(super) fn cause(error: &io::Error) -> Cause {
    let known = error.get_ref().and_then(|cause| cause.downcast_ref::<Error>());
    match known {
        Some(Error::NoCertificatesPresented) => Cause::NoCertificate,
        Some(Error::InvalidCertificate(why)) => of_certificate(why),
        Some(Error::AlertReceived(alert)) => of_alert(*alert),
        Some(Error::InvalidMessage(_)) => Cause::NoTls,
        Some(_) | None => Cause::Other(error.to_string()),
    }
}

fn of_certificate(why: &CertificateError) -> Cause {
    // The list of these grows with the library; what it holds beyond is told in the library's words.
    if matches!(why, CertificateError::UnknownIssuer) {
        Cause::UnknownAuthority
    } else if matches!(why, CertificateError::Expired | CertificateError::ExpiredContext { .. }) {
        Cause::Expired
    } else if matches!(why, CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. }) {
        Cause::NotYet
    } else if matches!(why, CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }) {
        Cause::OtherName
    } else {
        Cause::Unusable(why.to_string())
    }
}

fn of_alert(alert: AlertDescription) -> Cause {
    const OF_CERTIFICATES: [AlertDescription; 8] = [
        AlertDescription::BadCertificate,
        AlertDescription::UnsupportedCertificate,
        AlertDescription::CertificateRevoked,
        AlertDescription::CertificateExpired,
        AlertDescription::CertificateUnknown,
        AlertDescription::UnknownCA,
        AlertDescription::AccessDenied,
        AlertDescription::CertificateRequired,
    ];
    if OF_CERTIFICATES.contains(&alert) {
        Cause::NotBelieved(alert)
    } else {
        Cause::Other(format!("it ended the handshake: {alert:?}"))
    }
}

/// For a coordinator: why who wanted to connect was refused.
pub(super) fn at_the_door(cause: &Cause) -> String {
    match cause {
        Cause::NoCertificate => "it showed no certificate: give it one that an authority of `tls.client_ca` has signed".into(),
        Cause::UnknownAuthority => {
            "its certificate is of no authority of `tls.client_ca`: have it signed by one of those, or add its authority".into()
        }
        Cause::Expired => "its certificate has expired: renew it there".into(),
        Cause::NotYet => "its certificate is not valid yet: look at the clocks of both machines".into(),
        Cause::OtherName => "its certificate is made out to another name".into(),
        Cause::Unusable(why) => format!("its certificate is not believed: {why}"),
        Cause::NotBelieved(alert) => format!(
            "it does not believe our certificate ({alert:?}): it must know the authority that signed `tls.certificates`, and ask \
             for a name that the certificate is made out to; or ours has expired"
        ),
        Cause::NoTls => "it speaks no TLS: write https:// there, or what else says TLS".into(),
        Cause::Other(why) => format!("no handshake: {why}"),
    }
}

/// What is said in whose configuration, for who visits a coordinator.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keys {
    /// The section of who visits.
    pub(super) ours: &'static str,
    /// The coordinator's.
    pub(super) theirs: &'static str,
    /// What a place without TLS begins with.
    pub(super) plain: &'static str,
}

/// Of a gateway that follows.
pub(super) const OF_A_GATEWAY: Keys = Keys { ours: "coordinator.tls", theirs: "gateways.tls", plain: "http://" };
/// Of an agent that sends heartbeats.
pub(super) const OF_AN_AGENT: Keys =
    Keys { ours: "agent.heartbeats.tls", theirs: "heartbeats.grpc.tls", plain: "grpc://" };

/// For who visits a coordinator: why it was not connected to under this name.
pub(super) fn at_a_visit(cause: &Cause, name: &str, keys: &Keys) -> String {
    let Keys { ours, theirs, plain } = keys;
    match cause {
        Cause::UnknownAuthority => format!(
            "the coordinator's certificate is of an authority that is not believed: name the file of its authority as `{ours}.ca`"
        ),
        Cause::Expired => {
            "the coordinator's certificate has expired: renew it there, it takes the new file up by itself".into()
        }
        Cause::NotYet => "the coordinator's certificate is not valid yet: look at the clocks of both machines".into(),
        Cause::OtherName => format!(
            "the coordinator's certificate is not made out to `{name}`: write one of its names as `{ours}.sni`, or give \
             the coordinator a certificate for this one"
        ),
        Cause::Unusable(why) => format!("the coordinator's certificate is not believed: {why}"),
        Cause::NotBelieved(alert) => format!(
            "the coordinator does not believe our certificate ({alert:?}): `{ours}.client_cert` and `client_key` must \
             name one that an authority of its `{theirs}.client_ca` has signed and that is not expired"
        ),
        Cause::NoTls => format!("the coordinator speaks no TLS there: write {plain}, or give it `{theirs}`"),
        Cause::NoCertificate => "the coordinator showed no certificate".into(),
        Cause::Other(why) => format!("no TLS: {why}"),
    }
}
