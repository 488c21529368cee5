//! Requests signed by AWS Signature Version 4, which the hosted Prometheus and the metrics of CloudWatch ask for.
//!
//! ```text
//! canonical   GET \n /path \n a=1&b=2 \n host:.. \n x-amz-date:.. \n [x-amz-security-token:.. \n] \n names \n sha256(body)
//! to sign     AWS4-HMAC-SHA256 \n 20261122T101530Z \n 20261122/REGION/SERVICE/aws4_request \n sha256(canonical)
//! key         hmac(hmac(hmac(hmac("AWS4" secret, day), REGION), SERVICE), "aws4_request")
//! ```
//! The query is written anew as it is signed, in order and with everything escaped that may be: what is sent is what was signed. It is
//! done here, on the cryptography that TLS brings along: the crates for it bring a signing framework of their own.
//! Source: AWS's General Reference, "Signature Version 4"; the numbers of its test suite are the tests'.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;
use reqwest::Url;

use super::FetchError;
use super::aws::Credentials;
use crate::history::At;
use crate::report::words::rfc3339;

/// How requests are signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signing {
    /// Where the service runs: `eu-central-1`.
    pub region: String,
    /// What it is called in signatures: `aps` of Amazon's Managed Service for Prometheus, `monitoring` of CloudWatch.
    pub service: String,
    /// Who asks.
    pub credentials: Credentials,
}

/// Headers that show a signature, by name.
pub(super) type Headers = Vec<(&'static str, String)>;

impl Signing {
    /// Whether it can sign: what stands in every signature must be a word.
    pub(super) fn checked(&self) -> Result<(), FetchError> {
        let word =
            |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        for (what, text) in [("region", &self.region), ("service", &self.service)] {
            if !word(text) {
                let why = format!("`{text}` is no {what} of AWS: letters, digits and `-`, such as eu-central-1 or aps");
                return Err(FetchError::Credentials(why));
            }
        }
        Ok(())
    }

    /// Signs a request that is about to be sent, and writes its query as it is signed.
    pub(super) fn sign(&self, method: &str, url: &mut Url, body: &[u8], now: At) -> Headers {
        let mut pairs: Vec<(String, String)> =
            url.query_pairs().map(|(name, value)| (escaped(&name, b""), escaped(&value, b""))).collect();
        pairs.sort();
        let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let query = pairs.join("&");
        url.set_query(Some(query.as_str()).filter(|query| !query.is_empty()));
        let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
        let host = format!("{}{port}", url.host_str().unwrap_or_default());
        let moment = rfc3339(now).replace(['-', ':'], "");
        let mut headers = vec![("host", host), ("x-amz-date", moment.clone())];
        headers.extend(self.credentials.token().map(|token| ("x-amz-security-token", token.to_owned())));
        let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
        let names = names.join(";");
        let listed: String = headers.iter().map(|(name, value)| format!("{name}:{}\n", value.trim())).collect();
        // A path that is escaped already is escaped once more: all services but S3 do it so.
        let path = escaped(url.path(), b"/");
        let canonical =
            format!("{method}\n{path}\n{query}\n{listed}\n{names}\n{}", hex(digest(&SHA256, body).as_ref()));
        let day = &moment[..8];
        let scope = format!("{day}/{}/{}/aws4_request", self.region, self.service);
        let to_sign =
            format!("AWS4-HMAC-SHA256\n{moment}\n{scope}\n{}", hex(digest(&SHA256, canonical.as_bytes()).as_ref()));
        let signature = hex(mac(&self.key(day), &to_sign).as_ref());
        let who = self.credentials.name();
        let shown = format!("AWS4-HMAC-SHA256 Credential={who}/{scope}, SignedHeaders={names}, Signature={signature}");
        // The host is sent by whoever sends the request.
        headers.remove(0);
        headers.push(("authorization", shown));
        headers
    }

    fn key(&self, day: &str) -> Vec<u8> {
        let secret = format!("AWS4{}", self.credentials.secret());
        [day, &self.region, &self.service, "aws4_request"]
            .into_iter()
            .fold(secret.into_bytes(), |key, part| mac(&key, part).as_ref().to_vec())
    }
}

fn mac(key: &[u8], text: &str) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes())
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

/// With everything escaped but letters, digits, `-._~`, and these.
fn escaped(text: &str, but: &[u8]) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || but.contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push_str(&hex(&[byte]).to_ascii_uppercase());
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Who signs in AWS's test suite, and when: 2015-08-30T12:36:00Z.
    fn signing(service: &str, token: Option<&str>) -> Signing {
        let credentials =
            Credentials::new("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", token).expect("credentials");
        Signing { region: "us-east-1".into(), service: service.into(), credentials }
    }

    const NOW: At = At(1_440_938_160_000);

    fn signature(method: &str, url: &str, token: Option<&str>) -> (String, String) {
        let mut url: Url = url.parse().expect("an address");
        let headers = signing("service", token).sign(method, &mut url, b"", NOW);
        let shown = &headers.last().expect("a signature").1;
        let (_, signature) = shown.rsplit_once("Signature=").expect("it has one");
        (signature.to_owned(), url.to_string())
    }

    #[test]
    fn signatures_are_those_of_the_published_test_suite() {
        let vanilla = "https://example.amazonaws.com/";
        let unreserved = "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        let table = [
            // get-vanilla
            (vanilla.to_owned(), "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
            // get-vanilla-query-order-key-case
            (
                format!("{vanilla}?Param2=value2&Param1=value1"),
                "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
            ),
            // get-vanilla-query-unreserved
            (
                format!("{vanilla}?{unreserved}={unreserved}"),
                "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197",
            ),
            // get-vanilla-utf8-query
            (format!("{vanilla}?\u{1234}=bar"), "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"),
        ];
        for (url, wanted) in table {
            assert_eq!(signature("GET", &url, None).0, wanted, "{url}");
        }
        // post-sts-header-before: a token is signed along.
        let token = "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA==";
        let wanted = "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead";
        assert_eq!(signature("POST", vanilla, Some(token)).0, wanted);
    }

    #[test]
    fn the_key_is_the_one_of_the_published_example() {
        let wanted = "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9";
        assert_eq!(hex(&signing("iam", None).key("20150830")), wanted);
    }

    #[test]
    fn what_is_sent_is_what_was_signed() {
        let (_, url) =
            signature("GET", "https://aps.example/workspaces/ws-1/api/v1/query?query=a{b=\"c d\"}+*&time=1", None);
        // A space is never a plus: who reads `+` as one would check another text.
        assert_eq!(url, "https://aps.example/workspaces/ws-1/api/v1/query?query=a%7Bb%3D%22c%20d%22%7D%20%2A&time=1");
    }

    #[test]
    fn a_region_or_service_that_is_none_is_refused() {
        for (region, service, part) in
            [("eu west", "aps", "`eu west` is no region"), ("eu-west-1", "", "is no service")]
        {
            let signing = Signing { region: region.into(), service: service.into(), ..signing("x", None) };
            let said = signing.checked().expect_err(part).to_string();
            assert!(said.contains(part), "{said}");
        }
    }
}
