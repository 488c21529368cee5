//! Each product's lines, as it writes them.

use ambidex_insight::history::Metric;
use ambidex_insight::sources::access_log::{Options, read_from};

use super::{assert_cell, history, names, of_format, read, said, values};

#[test]
fn combined_with_upstream_fields_is_read_by_nginx_own_format_string() {
    let format = r#"log_format up '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent '
                    '"$http_referer" "$http_user_agent" $upstream_addr $upstream_status $upstream_response_time $request_time';"#;
    let log = concat!(
        r#"203.0.113.7 - - [22/Nov/2026:10:15:30 +0000] "GET /users/17?x=1 HTTP/1.1" 200 612 "-" "curl/8.5.0" 10.0.1.1:80 200 0.020 0.021"#,
        "\n",
        r#"203.0.113.8 - jo doe [22/Nov/2026:10:15:31 +0000] "GET /users/18 HTTP/2.0" 200 99 "https://a/" "Mozilla/5.0 (X11; \x22x)" 10.0.1.1:80, 10.0.1.2:80 502, 200 0.100, 0.003 0.104"#,
        "\n",
        r#"203.0.113.8 - - [22/Nov/2026:10:15:32 +0000] "GET /favicon.ico HTTP/2.0" 304 0 "-" "-" - - - 0.000"#,
        "\n",
        r#"203.0.113.8 - - [22/Nov/2026:10:15:33 +0000] "POST /pay HTTP/2.0" 502 150 "-" "-" backend 502 0.000 0.000"#,
        "\n",
    );
    let history = read(log, &of_format(format)).expect("a log");
    assert_eq!(names(&history), ["10.0.1.1:80", "10.0.1.2:80"]);
    assert_cell(&history, "10.0.1.1:80", "GET /users/{}", 2, 1, 0.12);
    assert_cell(&history, "10.0.1.2:80", "GET /users/{}", 1, 0, 0.003);
    assert_eq!(said(&history, "no server had a part in"), 2);
    assert_eq!(values(&history, "try"), [("again".to_owned(), 3_000), ("first".to_owned(), 100_000)].into());
    assert!(history.series.contains_key(&Metric::Retries), "the reason may be that requests are tried again");
    assert_eq!(values(&history, "user agent").keys().collect::<Vec<_>>(), ["Mozilla", "curl"]);
    assert_eq!(values(&history, "network"), [("203.0.113.0/24".to_owned(), 123_000)].into());
    assert_eq!(values(&history, "client")["203.0.113.7"], 20_000);
    assert_eq!(values(&history, "method"), [("GET".to_owned(), 123_000)].into());
    assert_eq!(values(&history, "size")["100 B to 1 kB"], 20_000);
}

#[test]
fn a_default_log_of_envoy_is_told_by_its_lines() {
    let history = history(concat!(
        r#"[2026-11-22T10:15:30.310Z] "POST /api/v1/locations HTTP/2" 204 - 154 0 226 100 "10.0.35.28" "nsq2http" "cc21d9b0-cf5c-432b-8c7e-98aeb7988cd2" "locations" "tcp://10.0.2.1:80""#,
        "\n",
        r#"[2026-11-22T10:15:31.310Z] "GET /a HTTP/2" 503 UF,URX 0 91 5 - "10.0.35.28,10.9.9.9" "x/1" "id" "locations" "10.0.2.2:80""#,
        "\n",
        r#"[2026-11-22T10:15:32.310Z] "GET /a HTTP/2" 0 DC 0 0 7 - "-" "-" "id" "locations" "10.0.2.2:80""#,
        "\n",
        r#"[2026-11-22T10:15:33.310Z] "GET /a HTTP/2" 503 UH 0 19 0 - "-" "-" "id" "locations" "-""#,
        "\n",
    ));
    assert_eq!(said(&history, "read as `envoy`"), 1);
    assert_cell(&history, "10.0.2.1:80", "POST /api/v1/locations", 1, 0, 0.1);
    assert_cell(&history, "10.0.2.2:80", "GET /a", 2, 1, 0.012);
    assert_eq!(said(&history, "no server had a part in"), 1);
    assert_eq!(values(&history, "client")["10.0.35.28"], 105_000);
    assert_eq!(values(&history, "host")["locations"], 112_000);
}

#[test]
fn a_default_log_of_istio_names_clusters() {
    let history = history(concat!(
        r#"[2026-11-22T10:15:30.310Z] "GET /status/418 HTTP/1.1" 418 - via_upstream - "-" 0 135 5 4 "-" "curl/7.73.0-DEV" "84961386-6d84-929d-98bd-c5aee93b5c88" "httpbin:8000" "127.0.0.1:80" inbound|8000|| 127.0.0.1:41854 10.44.1.27:80 10.44.1.23:37652 outbound_.8000_._.httpbin.foo.svc.cluster.local default"#,
        "\n"
    ));
    assert_cell(&history, "127.0.0.1:80", "GET /status/{}", 1, 0, 0.004);
    assert_eq!(history.nodes[0].peers.service.as_deref(), Some("inbound|8000||"));
}

#[test]
fn the_http_log_of_haproxy_is_told_by_its_lines() {
    let history = history(concat!(
        r#"Nov 22 10:15:30 lb1 haproxy[14389]: 10.0.1.2:33317 [22/Nov/2026:10:15:30.655] http-in static/srv1 10/0/30/69/109 200 2750 - - ---- 1/1/1/1/0 0/0 {1wt.eu} {} "GET /index.html HTTP/1.1""#,
        "\n",
        r#"Nov 22 10:15:31 lb1 haproxy[14389]: 10.0.1.2:33318 [22/Nov/2026:10:15:31.655] http-in static/srv2 1/0/2/-1/5003 504 194 - - sH-- 1/1/1/1/0 0/0 "GET /slow HTTP/1.1""#,
        "\n",
        r#"Nov 22 10:15:32 lb1 haproxy[14389]: 10.0.1.2:33319 [22/Nov/2026:10:15:32.655] http-in http-in/<NOSRV> -1/-1/-1/-1/0 400 0 - - PR-- 1/1/0/0/0 0/0 "<BADREQ>""#,
        "\n",
    ));
    assert_cell(&history, "srv1", "GET /index.html", 1, 0, 0.099);
    assert_cell(&history, "srv2", "GET /slow", 1, 1, 5.002);
    assert_eq!(history.nodes[0].peers.service.as_deref(), Some("static"));
    assert_eq!((said(&history, "taken for UTC"), said(&history, "no server had a part in")), (3, 1));
}

#[test]
fn the_default_logs_of_traefik_an_ingress_and_a_cloud_are_told_by_their_lines() {
    let traefik = r#"10.1.0.1 - - [22/Nov/2026:10:15:30 +0000] "GET /whoami HTTP/1.1" 200 415 "-" "curl/8" 12 "web@docker" "http://172.18.0.3:80" 7ms"#;
    assert_cell(&history(traefik), "172.18.0.3:80", "GET /whoami", 1, 0, 0.007);
    let ingress = r#"192.0.2.9 - - [22/Nov/2026:10:15:30 +0000] "GET /cart HTTP/2.0" 200 48 "-" "Mozilla/5.0" 312 0.008 [shop-web-80] [] 10.244.1.5:8080, 10.244.1.6:8080 0, 48 0.003, 0.005 502, 200 7d2b"#;
    let history = history(ingress);
    assert_cell(&history, "10.244.1.5:8080", "GET /cart", 1, 1, 0.003);
    assert_cell(&history, "10.244.1.6:8080", "GET /cart", 1, 0, 0.005);
    assert_eq!(history.nodes[0].peers.service.as_deref(), Some("shop-web-80"));
    let alb = r#"https 2026-11-22T10:15:30.186641Z app/my-lb/50dc6c495c0c9188 192.0.2.1:2817 10.0.0.1:80 0.001 0.048 0.000 200 200 34 366 "GET https://www.example.com:443/a/7 HTTP/1.1" "curl/7.46.0" ECDHE TLSv1.2 arn:aws:tg/x "Root=1-58" "www.example.com" "-" 1 2026-11-22T10:15:30.1Z "forward" "-" "-" "10.0.0.1:80" "200" "-" "-""#;
    assert_cell(&super::history(alb), "10.0.0.1:80", "GET /a/{}", 1, 0, 0.048);
}

#[test]
fn json_is_read_whoever_wrote_it() {
    for (product, line, node, route, busy) in [
        (
            "nginx",
            r#"{"time":"2026-11-22T10:15:30+00:00","request":"GET /a HTTP/1.1","status":"200","upstream_addr":"10.0.0.1:80","upstream_response_time":"0.012","request_time":"0.013"}"#,
            "10.0.0.1:80",
            "GET /a",
            0.012,
        ),
        (
            "Envoy",
            r#"{"start_time":"2026-11-22T10:15:30.1Z","method":"GET","path":"/a?b","response_code":200,"response_flags":"-","duration":12,"upstream_host":"10.0.0.1:80","upstream_cluster":"a","bytes_sent":7}"#,
            "10.0.0.1:80",
            "GET /a",
            0.012,
        ),
        (
            "Traefik",
            r#"{"ClientAddr":"10.1.0.1:4","DownstreamStatus":200,"Duration":12000000,"OriginDuration":11000000,"OriginStatus":200,"RequestMethod":"GET","RequestPath":"/a","ServiceAddr":"10.0.0.1:80","ServiceName":"web@docker","ServiceURL":"http://10.0.0.1:80","StartUTC":"2026-11-22T10:15:30.1Z","level":"info","msg":"","time":"2026-11-22T10:15:30Z"}"#,
            "10.0.0.1:80",
            "GET /a",
            0.011,
        ),
        (
            "Traefik 2",
            r#"{"DownstreamStatus":200,"Duration":12000000,"RequestMethod":"GET","RequestPath":"/a","ServiceURL":{"Scheme":"http","Opaque":"","User":null,"Host":"10.0.0.1:80","Path":""},"StartUTC":"2026-11-22T10:15:30.1Z"}"#,
            "10.0.0.1:80",
            "GET /a",
            0.012,
        ),
        (
            "Caddy",
            r#"{"level":"info","ts":1795342530.123,"logger":"http.log.access","msg":"handled request","request":{"remote_ip":"10.1.0.1","proto":"HTTP/2.0","method":"GET","host":"a","uri":"/a","headers":{"User-Agent":["curl/8"]}},"duration":1,"size":12,"status":200,"upstream":"10.0.0.1:80"}"#,
            "10.0.0.1:80",
            "GET /a",
            1.0,
        ),
        (
            "HAProxy",
            r#"{"timestamp":1795342530123,"backend_name":"web","server_name":"srv1","http_method":"GET","http_path":"/a","status_code":200,"Ta":12,"bytes_read":9}"#,
            "srv1",
            "GET /a",
            0.012,
        ),
        (
            "Ambidex",
            r#"{"time":"2026-11-22T10:15:30.123Z","id":"7","client":"192.0.2.1","method":"GET","host":"a.test","path":"/a","version":"HTTP/1.1","route":"/a","pool":"api","status":200,"bytes":12,"duration_ms":1.234,"worker":"b","attempts":2,"upstream_ms":1.000,"user_agent":"curl"}"#,
            "b",
            "GET /a",
            0.001,
        ),
        (
            "a cloud",
            r#"{"httpRequest":{"requestMethod":"GET","requestUrl":"https://a.example/a?b","status":200,"responseSize":"1","userAgent":"curl","remoteIp":"10.1.0.1","serverIp":"10.0.0.1","latency":"0.012s"},"timestamp":"2026-11-22T10:15:30.1Z"}"#,
            "10.0.0.1",
            "GET /a",
            0.012,
        ),
    ] {
        let history = history(line);
        assert_eq!(names(&history), [node], "{product}");
        assert_cell(&history, node, route, 1, 0, busy);
        assert_eq!(said(&history, "read as `json`"), 1, "{product}");
    }
}

#[test]
fn a_duration_without_a_unit_is_taken_for_one_and_that_is_said() {
    let line = |took: &str| {
        format!(r#"{{"time":"2026-11-22T10:15:30Z","method":"GET","path":"/a","status":200,"node":"n","took":{took}}}"#)
    };
    let seconds = history(line("0.25"));
    assert_cell(&seconds, "n", "GET /a", 1, 0, 0.25);
    assert_eq!(said(&seconds, "`took` is taken for seconds"), 1);
    let millis = history(line("250"));
    assert_cell(&millis, "n", "GET /a", 1, 0, 0.25);
    assert_eq!(said(&millis, "`took` is taken for milliseconds"), 1);
    let mapped = Options { fields: vec!["duration=took:us".parse().expect("a mapping")], ..Options::default() };
    let micros = read(line("250"), &mapped).expect("a log");
    assert_cell(&micros, "n", "GET /a", 1, 0, 0.000_25);
    assert_eq!(said(&micros, "taken for"), 0);
}

#[test]
fn fields_and_attributes_may_be_named() {
    let options = Options {
        fields: vec!["node=shard".parse().expect("a mapping"), "time=when".parse().expect("a mapping")],
        attributes: vec!["tenant=customer".parse().expect("an attribute"), "gone".parse().expect("an attribute")],
        ..Options::default()
    };
    let log = r#"{"when":1795342530,"method":"PUT","path":"/a","status":200,"shard":"s7","customer":"acme","upstream_addr":"10.0.0.1:80"}"#;
    let history = read(log, &options).expect("a log");
    assert_eq!(names(&history), ["s7"]);
    assert_eq!(values(&history, "tenant"), [("acme".to_owned(), 1)].into());
    assert_eq!(said(&history, "no field `gone`"), 1);
}

#[test]
fn a_log_of_each_server_needs_no_field_for_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let line = "10.0.0.9 - - [22/Nov/2026:10:15:30 +0000] \"GET /a HTTP/1.1\" 200 12 \"-\" \"curl/8\"\n";
    let paths: Vec<_> = ["web1.log", "web2.log", "web2.log.1"].iter().map(|name| folder.path().join(name)).collect();
    for path in &paths {
        std::fs::write(path, line.repeat(3)).expect("a file");
    }
    let mut told = Vec::new();
    let mut progress = |progress: ambidex_insight::sources::Progress| told.push((progress.done, progress.of));
    let history = ambidex_insight::sources::access_log::read(&paths, &Options::default(), &mut progress).expect("logs");
    assert_eq!(names(&history), ["web1", "web2"]);
    assert_cell(&history, "web1", "GET /a", 3, 0, 0.0);
    assert_cell(&history, "web2", "GET /a", 6, 0, 0.0);
    assert!(said(&history, "each file is of one node") > 0);
    let all = 9 * line.len() as u64;
    assert_eq!(told.last(), Some(&(all, Some(all))));
}

#[test]
fn virtual_hosts_are_nodes_where_nothing_else_is() {
    let log = "a.example:443 10.0.0.9 - - [22/Nov/2026:10:15:30 +0000] \"GET /a HTTP/1.1\" 200 12 \"-\" \"curl/8\"\n";
    let history = history(log);
    assert_eq!(names(&history), ["a.example"]);
    assert_eq!(said(&history, "nodes are the hosts"), 1);
    assert!(values(&history, "host").is_empty());
}

#[test]
fn requests_become_rates_of_windows() {
    let line = |minute: u32, node: u32| {
        format!("[22/Nov/2026:10:{minute:02}:00 +0000] \"GET /a HTTP/1.1\" 200 10.0.0.{node}:80 0.100\n")
    };
    let log: String = (0..30).flat_map(|minute| [line(minute, 1), line(minute, 1), line(minute, 2)]).collect();
    let format = "[$time_local] \"$request\" $status $upstream_addr $upstream_response_time";
    let history = read_from("l", log.as_bytes(), &of_format(format), &mut |_| {}).expect("a log");
    let windows = history.whole_windows();
    assert!(windows.clone().count() >= 4);
    for window in windows {
        let rate = |node| history.figure(&Metric::Requests, node, window).map(|figure| (figure.mean * 300.0).round());
        assert_eq!((rate(0), rate(1)), (Some(10.0), Some(5.0)), "{window}");
    }
}
