//! An authority of the test's own, with files of what it signs.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};

pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    /// Authorities are told apart by their names.
    pub(crate) fn called(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).expect("no names");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let pem = params.self_signed(&key).expect("a certificate").pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// Writes its own certificate.
    pub(crate) fn write(&self, file: &Path) {
        fs::write(file, &self.pem).expect("written");
    }

    /// Writes a certificate for a name or an address as `NAME.pem` and `NAME.key`, and says where.
    pub(crate) fn issue(&self, folder: &Path, file: &str, name: &str) -> (PathBuf, PathBuf) {
        self.issue_until(folder, file, name, 4096)
    }

    /// The same, which is over with the beginning of this year.
    pub(crate) fn issue_until(&self, folder: &Path, file: &str, name: &str, year: i32) -> (PathBuf, PathBuf) {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        params.not_after = date_time_ymd(year, 1, 1);
        let issued = params.signed_by(&key, &self.issuer).expect("a certificate");
        let at = |ending: &str| folder.join(format!("{file}.{ending}"));
        fs::write(at("pem"), issued.pem()).expect("written");
        fs::write(at("key"), key.serialize_pem()).expect("written");
        (at("pem"), at("key"))
    }
}
