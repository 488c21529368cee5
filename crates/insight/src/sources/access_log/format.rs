//! The formats that have names: what products write when nobody says otherwise.

use std::str::FromStr;

use strsim::jaro_winkler;

/// A format of access logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Format {
    /// As most web servers write first.
    Common,
    /// The same with `Referer` and `User-Agent`.
    Combined,
    /// The same after the virtual host, as Debian's Apache writes it.
    VirtualHosts,
    /// Envoy's default.
    Envoy,
    /// Istio's default.
    Istio,
    /// Traefik's default.
    Traefik,
    /// The default of the Ingress controller with nginx.
    Ingress,
    /// What a cloud's application load balancer writes.
    Alb,
    /// HAProxy's `option httplog`.
    HaProxy,
    /// An object of JSON each line.
    Json,
    /// A format string of nginx, Apache or Envoy.
    Text(String),
}

impl Format {
    /// All that have names, those that say more before those that say less: in this order a log is tried.
    pub(super) const NAMED: [Self; 10] = [
        Self::Json,
        Self::Alb,
        Self::Istio,
        Self::Envoy,
        Self::HaProxy,
        Self::Ingress,
        Self::Traefik,
        Self::VirtualHosts,
        Self::Combined,
        Self::Common,
    ];

    /// What people call it; a format string is its own name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Common => "common",
            Self::Combined => "combined",
            Self::VirtualHosts => "vhost_combined",
            Self::Envoy => "envoy",
            Self::Istio => "istio",
            Self::Traefik => "traefik",
            Self::Ingress => "ingress-nginx",
            Self::Alb => "alb",
            Self::HaProxy => "haproxy",
            Self::Json => "json",
            Self::Text(text) => text,
        }
    }

    /// The format string; `None` of what has another grammar.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Common => {
                Some(r#"$remote_addr $remote_id $remote_user [$time_local] "$request" $status $body_bytes_sent"#)
            }
            Self::Combined => Some(
                r#"$remote_addr $remote_id $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent""#,
            ),
            Self::VirtualHosts => Some(
                r#"$server_name:$server_port $remote_addr $remote_id $remote_user [$time_local] "$request" $status $bytes_sent "$http_referer" "$http_user_agent""#,
            ),
            Self::Envoy => Some(
                r#"[$start_time] "$request" $response_code $response_flags $bytes_received $bytes_sent $duration_ms $upstream_service_time "$x_forwarded_for" "$user_agent" "$x_request_id" "$authority" "$upstream_host""#,
            ),
            Self::Istio => Some(
                r#"[$start_time] "$request" $response_code $response_flags $response_code_details $connection_termination_details "$transport_failure" $bytes_received $bytes_sent $duration_ms $upstream_service_time "$x_forwarded_for" "$user_agent" "$x_request_id" "$authority" "$upstream_host" $upstream_cluster_raw $rest"#,
            ),
            Self::Traefik => Some(
                r#"$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent" $requests "$router" "$server_url" ${duration_ms}ms"#,
            ),
            Self::Ingress => Some(
                r#"$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent" $request_length $request_time [$proxy_upstream_name] [$other_upstream_name] $upstream_addr $upstream_response_length $upstream_response_time $upstream_status $rest"#,
            ),
            Self::Alb => Some(
                r#"$type $timestamp $elb $client_port $upstream_addr $request_processing_time $target_processing_time $response_processing_time $status $upstream_status $received_bytes $bytes_sent "$request" "$http_user_agent" $ssl_cipher $ssl_protocol $rest"#,
            ),
            Self::Text(text) => Some(text),
            Self::HaProxy | Self::Json => None,
        }
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(named) = Self::NAMED.into_iter().find(|format| format.name() == text.trim()) {
            return Ok(named);
        }
        if text.contains(['$', '%']) {
            return Ok(Self::Text(text.to_owned()));
        }
        let near =
            Self::NAMED.iter().map(Self::name).max_by(|a, b| jaro_winkler(a, text).total_cmp(&jaro_winkler(b, text)));
        let names: Vec<_> = Self::NAMED.iter().map(Self::name).collect();
        Err(format!(
            "`{text}` is no format; did you mean `{}`? There are {}, and format strings as nginx (`$remote_addr ...`), Apache \
             (`%h ...`) and Envoy (`%START_TIME% ...`) have them",
            near.unwrap_or_default(),
            names.join(", ")
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_goes_by_its_name_or_is_a_format_string() {
        for format in Format::NAMED {
            assert_eq!(format.name().parse(), Ok(format.clone()));
        }
        assert_eq!("$host $status".parse(), Ok(Format::Text("$host $status".into())));
        let error = "combine".parse::<Format>().expect_err("no format");
        assert!(error.contains("did you mean `combined`"), "{error}");
    }
}
