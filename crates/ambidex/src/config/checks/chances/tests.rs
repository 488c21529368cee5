//! Files whose second chances can be used and do not fit: what `check` warns of, and where; and files of the same kind
//! that it says nothing of.

use crate::config::{File, check};

/// Two pools, of these workers, and one route with `route` in it.
fn said(api: &str, spare: &str, route: &str) -> String {
    let text = format!(
        "listeners: [{{address: 127.0.0.1:8080}}]\npools:\n  api: {{workers: [{api}]}}\n  spare: {{workers: [{spare}]}}\n\
         routes:\n  - pool: api\n    {route}\n  - {{match: {{path: /spare}}, pool: spare}}\n"
    );
    // The first route takes everything; that is not what these are about.
    let text = text.replace("  - pool: api\n", "  - match: {path_prefix: /api}\n    pool: api\n");
    match check::<File>("gw.yaml", text) {
        Ok(config) => config.findings.render(false),
        Err(findings) => findings.render(false),
    }
}

/// The first line of what was said, without its place, and the last, which helps.
fn first_and_help(said: &str) -> (String, String) {
    let first = said.lines().next().unwrap_or_default();
    let first = first.split_once(": ").map_or(first, |(_, told)| told);
    (first.to_owned(), said.lines().last().unwrap_or_default().trim_start_matches([' ', '=']).to_owned())
}

const TWO: &str = "http://10.0.0.1:9000, http://10.0.0.2:9000";

#[test]
fn tiers_that_share_a_machine_are_pointed_out() {
    let chain = "fallback: [{pool: spare}]";
    let (told, help) = first_and_help(&said(TWO, "http://10.0.0.3:9000, http://10.0.0.2:9001", chain));
    assert_eq!(told, "warning: pool `spare` shares the host 10.0.0.2 with pool `api` (routes[0].fallback[0].pool)");
    assert!(help.contains("use other machines"), "{help}");
    assert_eq!(said(TWO, "http://10.0.0.3:9000", chain), "");
    let local = said("http://127.0.0.1:9000", "http://127.0.0.1:9001, \"http://[::1]:9000\"", chain);
    assert_eq!(local, "", "who tries it out has one machine");
}

#[test]
fn a_zone_without_workers_is_pointed_out_with_those_that_there_are() {
    let zoned = "{url: \"http://10.0.0.1:9000\", zone: a}, {url: \"http://10.0.0.2:9000\", zone: b}";
    let (told, help) = first_and_help(&said(zoned, "http://10.0.0.3:9000", "fallback: [{zone: c}]"));
    assert_eq!(told, "warning: no worker of pool `api` is in zone `c` (routes[0].fallback[0].zone)");
    assert_eq!(help, "its zones are a, b");
    let (_, help) = first_and_help(&said(TWO, "http://10.0.0.3:9000", "fallback: [{zone: c}]"));
    assert_eq!(help, "give its workers there `zone: c`");
    assert_eq!(said(zoned, "http://10.0.0.3:9000", "fallback: [{zone: b}]"), "");
}

#[test]
fn a_quorum_of_more_workers_than_there_are_is_pointed_out_and_one_that_can_never_be_met_is_refused() {
    let (told, help) = first_and_help(&said(TWO, "http://10.0.0.3:9000", "quorum: {ask: 2, of: 3}"));
    assert_eq!(told, "warning: a read asks 3 workers, and pool `api` has 2 (routes[0].quorum.of)");
    assert_eq!(help, "lower `ask` and `of`, or add workers to pool `api`");
    let (told, _) = first_and_help(&said(TWO, "http://10.0.0.3:9000", "quorum: {ask: 3}"));
    assert_eq!(told, "error: a read asks 3 workers, and pool `api` has 2 (routes[0].quorum.ask)");
    assert_eq!(said(TWO, "http://10.0.0.3:9000", "quorum: {ask: 2}"), "");
    let unknown = said("\"dns:http://api.example:9000\"", "http://10.0.0.3:9000", "quorum: {ask: 3}");
    assert_eq!(unknown, "", "nobody knows how many there will be");
}

#[test]
fn a_quorum_that_has_less_than_ten_milliseconds_is_pointed_out() {
    let with =
        |deadline: &str| said(TWO, "http://10.0.0.3:9000", &format!("quorum: {{ask: 2}}\n    deadline: {deadline}"));
    let (told, help) = first_and_help(&with("9ms"));
    assert_eq!(
        told,
        "warning: a quorum waits for the slower of its answers, and the deadline is 9ms (routes[0].quorum)"
    );
    assert_eq!(help, "read from one worker, or allow 10ms at least");
    assert_eq!(with("10ms"), "");
}

#[test]
fn stale_answers_are_pointed_out_where_reads_ask_for_the_newest() {
    let spare = "http://10.0.0.3:9000";
    let with = |rule: &str, more: &str| said(TWO, spare, &format!("quorum: {{ask: 2, {rule}}}\n    {more}"));
    let (newest, majority) = ("rule: newest, compare: \"header:x-version\"", "rule: majority");
    let (told, help) = first_and_help(&with(newest, "fallback: [{path: /simple}, {snapshot: {max_age: 10m}}]"));
    assert_eq!(
        told,
        "warning: reads ask for the newest answer, and this tier's may be 10m old (routes[0].fallback[1].snapshot)"
    );
    assert_eq!(help, "remove the tier, or the rule `newest` if old answers will do");
    let (told, help) = first_and_help(&with(newest, "cache: {stale_if_error: 5m}"));
    assert_eq!(
        told,
        "warning: reads ask for the newest answer, and the cache gives them one up to 5m too old \
         (routes[0].cache.stale_if_error)"
    );
    assert_eq!(help, "remove `stale_if_error`, or the rule `newest` if old answers will do");
    assert_eq!(with(majority, "fallback: [{snapshot: {}}]"), "");
    assert_eq!(with(newest, "cache: {mode: observe, stale_if_error: 5m}"), "");
}

#[test]
fn a_quorum_that_compares_whole_answers_over_the_links_between_zones_is_pointed_out() {
    let zoned = "{url: \"http://10.0.0.1:9000\", zone: a}, {url: \"http://10.0.0.2:9000\", zone: b}";
    let spare = "http://10.0.0.3:9000";
    let (told, help) = first_and_help(&said(zoned, spare, "quorum: {ask: 2, compare: digest}"));
    assert_eq!(
        told,
        "warning: each read moves whole answers over the links between zones a, b, to compare them \
         (routes[0].quorum.compare)"
    );
    assert_eq!(help, "compare a version (`compare: header:NAME`), or keep the pool's workers in one zone");
    assert_eq!(said(zoned, spare, "quorum: {ask: 2, compare: \"header:x-version\"}"), "");
    assert_eq!(said(zoned, spare, "quorum: {ask: 2, rule: first}"), "");
    assert_eq!(said(&zoned.replace("zone: b", "zone: a"), spare, "quorum: {ask: 2}"), "");
}
