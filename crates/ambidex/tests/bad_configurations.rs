//! Configurations that must not start: for each mistake the line, the column, what is wrong and what would be right.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

/// A bad file, and what `check` says first of it.
struct Case {
    file: &'static str,
    says: &'static [&'static str],
}

const fn case(file: &'static str, says: &'static [&'static str]) -> Case {
    Case { file, says }
}

/// What makes a file complete around the section that is under test.
const GOOD: &str = "listeners:\n  - address: 127.0.0.1:8080\npools:\n  api:\n    workers: [http://127.0.0.1:9000]\n";

#[test]
fn a_bad_file_is_refused_with_its_line_its_column_and_what_would_be_right() {
    let mut wrong = Vec::new();
    for Case { file, says } in WHOLE_FILES {
        compare(file, says, &mut wrong);
    }
    for Case { file, says } in AFTER_A_GOOD_START {
        compare(&format!("{GOOD}{file}"), says, &mut wrong);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn compare(file: &str, says: &[&str], wrong: &mut Vec<String>) {
    let says = says.join("\n");
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("gw.yaml");
    fs::write(&path, file).expect("written");
    let output = check(&path);
    let said = String::from_utf8_lossy(&output.stderr).replace(&format!("{}/", folder.path().display()), "");
    if output.status.code() != Some(1) || !said.starts_with(&format!("{says}\n")) {
        wrong.push(format!("--- {file:?}\nexit {:?}\nwanted: {says}\nsaid:   {said}", output.status.code()));
    }
}

fn check(path: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ambidex")).arg("check").arg(path).output().expect("the binary runs")
}

fn refused(path: &Path) -> String {
    let output = check(path);
    assert_eq!(output.status.code(), Some(1));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn what_is_no_readable_file_is_refused_by_name() {
    let folder = TempDir::new().expect("a folder");
    let missing = folder.path().join("missing.yaml");
    assert!(refused(&missing).contains("missing.yaml:1:1: error: there is no such file"));
    assert!(refused(folder.path()).contains(":1:1: error: this is a directory"));
    let binary = folder.path().join("binary.yaml");
    fs::write(&binary, b"listeners:\n  - \xff\n").expect("written");
    assert!(refused(&binary).contains("binary.yaml:2:5: error: byte 0xff is not UTF-8"));
    let huge = folder.path().join("huge.yaml");
    fs::write(&huge, vec![b'#'; (4 << 20) + 1]).expect("written");
    assert!(refused(&huge).contains("huge.yaml:1:1: error: the file is larger than 4 MiB"));
}

#[test]
fn all_mistakes_are_reported_at_once_and_none_twice() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("gw.yaml");
    let file = "\
listeners:
  - {address: localhost, header_timeout: 10}
  - {idle_timeout: 1s}
pools:
  api: {workers: [ftp://a], weights: {floor: 70%, cap: 300%, polcy: x}, balance: fast}
admin: {adress: x}
routes: [{pool: apy, retries: many}]
";
    fs::write(&path, file).expect("written");
    let said = refused(&path);
    let places: Vec<&str> = said
        .lines()
        .filter_map(|line| line.split_once("gw.yaml:")?.1.split_once(": error: "))
        .map(|(place, _)| place)
        .collect();
    let all = ["2:15", "2:42", "3:5", "5:19", "5:46", "5:56", "5:62", "5:82", "6:9", "7:31"];
    assert_eq!(places, all, "{said}");
}

#[test]
fn a_mistake_is_the_same_for_programs() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("gw.yaml");
    fs::write(&path, format!("{GOOD}lgo: {{}}\n")).expect("written");
    let output = Command::new(env!("CARGO_BIN_EXE_ambidex"))
        .args(["check", "--output", "json"])
        .arg(&path)
        .output()
        .expect("the binary runs");
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let problem = &said["problems"][0];
    assert_eq!((&problem["line"], &problem["column"], &problem["path"]), (&6.into(), &1.into(), &"lgo".into()));
    assert_eq!((&problem["help"], &said["ok"]), (&"did you mean `log`?".into(), &false.into()));
}

const WHOLE_FILES: &[Case] = &[
    case(
        "pools: {api: {workers: [http://127.0.0.1:9000]}}\nelection: {name: a}\n",
        &[
            "gw.yaml:2:11: error: an election wants one place to agree in: `etcd: {endpoints: [http://127.0.0.1:2379]}`, `redis: {url: ..}` or `kubernetes: {}` (election)",
            " 2 | election: {name: a}",
            "   |           ^",
        ],
    ),
    case(
        "pools: {api: {workers: [http://127.0.0.1:9000]}}\nelection: {name: a, etcd: {endpoints: [http://10.0.0.1:2379]}}\n",
        &[
            "gw.yaml:2:39: error: endpoints: an etcd on another machine is spoken to over TLS (election.etcd.endpoints)",
            " 2 | election: {name: a, etcd: {endpoints: [http://10.0.0.1:2379]}}",
            "   |                                       ^",
            "   = write https://, or say `insecure: true`",
        ],
    ),
    case(
        "pools: {api: {workers: [http://127.0.0.1:9000]}}\nelection: {name: a, lease: 1s, redis: {url: \"redis://127.0.0.1\"}}\n",
        &[
            "gw.yaml:2:28: error: lease: 1s is outside 2s to 60s: etcd gives no shorter ones, and longer ones leave pools without a leader (election.lease)",
            " 2 | election: {name: a, lease: 1s, redis: {url: \"redis://127.0.0.1\"}}",
            "   |                            ^^",
        ],
    ),
    case(
        "pools: {api: {workers: [http://127.0.0.1:9000]}}\nelection: {etcd: {endpoints: [http://127.0.0.1:2379]}}\n",
        &[
            "gw.yaml:2:11: error: `name` is missing: coordinators that agree in an etcd or a Redis are each called something of their own (election)",
            " 2 | election: {etcd: {endpoints: [http://127.0.0.1:2379]}}",
            "   |           ^",
            "   = write `name: a`",
        ],
    ),
    case(
        "pools: {api: {workers: [http://127.0.0.1:9000]}}\nelection: {prefix: shop, kubernetes: {}}\n",
        &[
            "gw.yaml:2:20: error: prefix: `shop` is for keys in etcd and Redis; a Lease has `kubernetes: {name: shop}` (election.prefix)",
            " 2 | election: {prefix: shop, kubernetes: {}}",
            "   |                    ^^^^",
        ],
    ),
    case(
        "pools: {api: {workers: [http://127.0.0.1:9000]}}\nelection: {redis: {url: \"redis://127.0.0.1\"}, kubernetes: {}}\n",
        &[
            "gw.yaml:2:19: error: `redis` and `kubernetes` exclude each other: coordinators that ask in different places would all lead (election.redis)",
            " 2 | election: {redis: {url: \"redis://127.0.0.1\"}, kubernetes: {}}",
            "   |                   ^",
            "   = keep one",
        ],
    ),
    case(
        "pools: {api: {workers: [http://127.0.0.1:9000]}}\nelection: {kubernetes: {server: \"http://10.0.0.1:8001\"}}\n",
        &[
            "gw.yaml:2:33: error: server http://10.0.0.1:8001 speaks no TLS: only one on this machine, such as `kubectl proxy`, may do so (election.kubernetes.server)",
            " 2 | election: {kubernetes: {server: \"http://10.0.0.1:8001\"}}",
            "   |                                 ^^^^^^^^^^^^^^^^^^^^^^",
        ],
    ),
    case(
        "pools: {api: {workers: [http://127.0.0.1:9000]}}\ngateways: {address: \"127.0.0.1:9904\"}\nelection: {name: a, redis: {url: \"unix:///redis\"}}\nkeyspaces: {carts: {pool: api}}\n",
        &[
            "gw.yaml:4:12: error: coordinators that agree in `election.redis` have nowhere to keep one map for all of them (keyspaces)",
            " 4 | keyspaces: {carts: {pool: api}}",
            "   |            ^",
            "   = use `election: {etcd: {endpoints: [http://127.0.0.1:2379]}}`, which keeps both",
        ],
    ),
    case(
        "pools: {api: {workers: [http://127.0.0.1:9000]}}\nelection: {kubernetes: {timeout: 2s}}\n",
        &[
            "gw.yaml:2:11: error: timeout: a store that may take 2s to answer leaves no time for a second question within the lease of 3s: at most a third of it, 1s (election)",
            " 2 | election: {kubernetes: {timeout: 2s}}",
            "   |           ^",
        ],
    ),
    case(
        "pools: {api: {workers: [http://127.0.0.1:9000]}}\ngateways: {address: \"0.0.0.0:9904\"}\nelection: {name: a, redis: {url: \"redis://127.0.0.1\"}}\n",
        &[
            "gw.yaml:2:21: warning: gateways at 0.0.0.0:9904 can be reached from other machines, without TLS (gateways.address)",
            " 2 | gateways: {address: \"0.0.0.0:9904\"}",
            "   |                     ^^^^^^^^^^^^^^",
            "   = add `tls: {certificates: [{cert: coordinator.pem, key: coordinator.key}]}`, and write https:// in the gateways' files",
            "gw.yaml:3:11: error: gateways cannot be told to come to 0.0.0.0:9904, which is every address (election)",
            " 3 | election: {name: a, redis: {url: \"redis://127.0.0.1\"}}",
            "   |           ^",
            "   = add the address by which they reach this coordinator, such as `gateways: http://10.0.0.1:9904`",
        ],
    ),
    case(
        "pools: {api: {workers: [http://127.0.0.1:9000]}}\nelection: {name: a, gateways: http://a:1, redis: {url: \"redis://127.0.0.1\"}}\n",
        &[
            "gw.yaml:2:31: error: gateways cannot subscribe: there is no section `gateways` (election.gateways)",
            " 2 | election: {name: a, gateways: http://a:1, redis: {url: \"redis://127.0.0.1\"}}",
            "   |                               ^^^^^^^^^^",
            "   = add `gateways: {address: 127.0.0.1:9904}`, or leave this out",
        ],
    ),
    case(
        "listeners: [{address: 127.0.0.1:8080}]\npools: {api: {}}\ncoordinator: {urls: [http://a:1, http://a:1/], token_file: t}\n",
        &[
            "gw.yaml:3:22: error: `http://a:1` stands twice in `urls` (coordinator.urls[0])",
            " 3 | coordinator: {urls: [http://a:1, http://a:1/], token_file: t}",
            "   |                      ^^^^^^^^^^",
        ],
    ),
    case(
        "listeners: [{address: \"127.0.0.1:6379\", redis: {keyspace: cart}}]\npools: {api: {workers: [http://127.0.0.1:9000]}}\nkeyspaces: {carts: {pool: api, key: redis}}\n",
        &[
            "gw.yaml:1:59: error: unknown keyspace `cart` (listeners[0].redis.keyspace)",
            " 1 | listeners: [{address: \"127.0.0.1:6379\", redis: {keyspace: cart}}]",
            "   |                                                           ^^^^",
            "   = did you mean `carts`?",
        ],
    ),
    case(
        "listeners: [{address: \"127.0.0.1:6379\", redis: {keyspace: carts}}]\npools: {api: {workers: [http://127.0.0.1:9000]}}\nkeyspaces: {carts: {pool: api, key: {path: 2}}}\nroutes: [{keyspace: carts}]\n",
        &[
            "gw.yaml:1:59: error: commands of Redis have no key for keyspace `carts` (listeners[0].redis.keyspace)",
            " 1 | listeners: [{address: \"127.0.0.1:6379\", redis: {keyspace: carts}}]",
            "   |                                                           ^^^^^",
            "   = write `keyspaces: {carts: {key: redis, ..}}`",
        ],
    ),
    case(
        "listeners: [{address: \"127.0.0.1:6379\", redis: {keyspace: carts}}, {address: \"127.0.0.1:8080\"}]\npools: {api: {workers: [http://127.0.0.1:9000]}}\nkeyspaces: {carts: {pool: api, key: redis}}\nroutes: [{keyspace: carts}]\n",
        &[
            "gw.yaml:4:21: error: requests of HTTP have no key for keyspace `carts`, whose keys are those of commands (routes[0].keyspace)",
            " 4 | routes: [{keyspace: carts}]",
            "   |                     ^^^^^",
            "   = lead a listener to it: `redis: {keyspace: carts}`",
        ],
    ),
    case(
        "listeners: [{address: \"127.0.0.1:6379\", redis: {keyspace: carts}}]\npools: {api: {workers: [http://127.0.0.1:9000]}}\nkeyspaces: {carts: {pool: api, key: redis, reads: stale_ok}}\n",
        &[
            "gw.yaml:3:51: error: reads: answers to commands of Redis cannot say that they are old: leave `reads` out, they are `strict` (keyspaces.carts.reads)",
            " 3 | keyspaces: {carts: {pool: api, key: redis, reads: stale_ok}}",
            "   |                                                   ^^^^^^^^",
        ],
    ),
    case(
        "listeners: [{address: \"127.0.0.1:6379\", redis: {keyspace: carts, timeout: 1h}}]\npools: {api: {workers: [http://127.0.0.1:9000]}}\nkeyspaces: {carts: {pool: api, key: redis}}\n",
        &[
            "gw.yaml:1:75: error: redis.timeout: 1h is outside 10ms to 5m (listeners[0].redis.timeout)",
            " 1 | listeners: [{address: \"127.0.0.1:6379\", redis: {keyspace: carts, timeout: 1h}}]",
            "   |                                                                           ^^",
        ],
    ),
    case(
        "listeners: [{address: 127.0.0.1:8080}]\npools: {api: {}}\ncoordinator: {url: http://a:1, token_file: t}\nkeyspaces: {carts: {pool: api, key: {path: 2}, slices: 8}}\nroutes: [{keyspace: carts}]\n",
        &[
            "gw.yaml:4:56: error: the coordinator at http://a:1 decides this (keyspaces.carts.slices)",
            " 4 | keyspaces: {carts: {pool: api, key: {path: 2}, slices: 8}}",
            "   |                                                        ^",
            "   = write it in the coordinator's file, and leave it out here",
        ],
    ),
    case(
        "listeners: [{address: 127.0.0.1:8080}]\npools: {api: {}}\ncoordinator: {urls: [http://a:1, https://b:1], token_file: t}\n",
        &[
            "gw.yaml:3:21: error: `urls` has both http:// and https://: all coordinators are spoken to alike (coordinator.urls)",
            " 3 | coordinator: {urls: [http://a:1, https://b:1], token_file: t}",
            "   |                     ^",
        ],
    ),
    case(
        "listeners: [{address: 127.0.0.1:8080}]\npools: {api: {}}\ncoordinator: {url: http://b:1, urls: [http://a:1], token_file: t}\n",
        &[
            "gw.yaml:3:20: error: `url` and `urls` exclude each other (coordinator.url)",
            " 3 | coordinator: {url: http://b:1, urls: [http://a:1], token_file: t}",
            "   |                    ^^^^^^^^^^",
            "   = write all coordinators into `urls`",
        ],
    ),
    case(
        "listeners: [{address: 127.0.0.1:8080}]\npools: {api: {}}\ncoordinator: {token_file: t}\n",
        &[
            "gw.yaml:3:14: error: `url` is missing (coordinator)",
            " 3 | coordinator: {token_file: t}",
            "   |              ^",
            "   = write http://HOST:PORT, the address of `gateways` in the coordinator's file",
        ],
    ),
    case(
        "",
        &[
            "gw.yaml:1:1: error: the file is empty",
            "   = start with `listeners:`, `pools:` and `routes:`; see docs/configuration.md",
        ],
    ),
    case(
        "# nothing\n",
        &[
            "gw.yaml:1:1: error: the file is empty",
            " 1 | # nothing",
            "   | ^",
            "   = start with `listeners:`, `pools:` and `routes:`; see docs/configuration.md",
        ],
    ),
    case(
        "x\n",
        &["gw.yaml:1:1: error: `x` does not fit here", " 1 | x", "   | ^", "   = expected a map of keys and values"],
    ),
    case(
        "- a\n",
        &[
            "gw.yaml:1:1: error: a list does not fit here",
            " 1 | - a",
            "   | ^",
            "   = expected a map of keys and values",
        ],
    ),
    case("[1, 2\n", &["gw.yaml:1:1: error: unclosed bracket '['", " 1 | [1, 2", "   | ^"]),
    case(
        "listeners:\n\t- address: 127.0.0.1:8080\n",
        &[
            "gw.yaml:2:2: error: tabs disallowed within this context (block indentation)",
            " 2 |  - address: 127.0.0.1:8080",
            "   |  ^",
            "   = YAML is indented by spaces: replace the tab",
        ],
    ),
    case(
        "pools: {}\npools: {}\n",
        &[
            "gw.yaml:2:1: error: the key `pools` stands here a second time",
            " 2 | pools: {}",
            "   | ^^^^^",
            "   = keep one of them",
        ],
    ),
    case(
        "listeners: []\n---\nlisteners: []\n",
        &[
            "gw.yaml:3:1: error: a second document begins here",
            " 3 | listeners: []",
            "   | ^",
            "   = a file is one document: remove the `---` and what follows",
        ],
    ),
    case(
        "listeners:\n  - address: \"127.0.0.1:8080\n",
        &["gw.yaml:3:1: error: invalid indentation in multiline quoted scalar"],
    ),
    case(
        "listeners:\n  - address: a\n pools: b\n",
        &["gw.yaml:3:2: error: while parsing a block mapping, did not find expected key", " 3 |  pools: b", "   |  ^"],
    ),
    case(
        "listeners: *nowhere\n",
        &["gw.yaml:1:12: error: alias references unknown anchor", " 1 | listeners: *nowhere", "   |            ^"],
    ),
    case(
        "a: &a [b, b]\nb: &b [*a, *a]\n",
        &[
            "gw.yaml:1:1: error: unknown key `a` (a)",
            " 1 | a: &a [b, b]",
            "   | ^",
            "   = known: listeners, pools, routes, keyspaces, coordinator, zones, admin, heartbeats, gossip, cache, log, access_log, record, tracing, agent, redis, deduplication, journal, probation, doctor, drain, threads",
        ],
    ),
    case(
        "listeners: []\npools: {api: {workers: [http://127.0.0.1:9000]}}\n",
        &[
            "gw.yaml:1:12: error: there is no listener (listeners)",
            " 1 | listeners: []",
            "   |            ^",
            "   = add one, such as `- address: 127.0.0.1:8080`",
        ],
    ),
    case(
        "listeners: [{address: ':80'}]\npools: {}\n",
        &[
            "gw.yaml:2:8: error: there is no pool (pools)",
            " 2 | pools: {}",
            "   |        ^",
            "   = add one, such as `api: {workers: [http://127.0.0.1:9000]}`",
        ],
    ),
    case(
        "listeners: [{address: ':80'}]\n",
        &[
            "gw.yaml:1:1: error: `pools` is missing",
            " 1 | listeners: [{address: ':80'}]",
            "   | ^",
            "   = add `pools:` here",
        ],
    ),
    case(
        "listeners:\n  - adress: 127.0.0.1:8080\npools: {api: {workers: [http://127.0.0.1:9000]}}\n",
        &[
            "gw.yaml:2:5: error: unknown key `adress` (listeners[0].adress)",
            " 2 |   - adress: 127.0.0.1:8080",
            "   |     ^^^^^^",
            "   = did you mean `address`?",
        ],
    ),
    case(
        "listeners: {address: ':80'}\npools: {api: {workers: [http://127.0.0.1:9000]}}\n",
        &[
            "gw.yaml:1:12: error: a map does not fit here (listeners)",
            " 1 | listeners: {address: ':80'}",
            "   |            ^",
            "   = expected a list",
        ],
    ),
    case(
        "listeners: [{address: localhost}]\npools: {api: {workers: [http://127.0.0.1:9000]}}\n",
        &[
            "gw.yaml:1:23: error: address `localhost` is neither IP:PORT (such as 0.0.0.0:8080 or [::]:8080), nor :PORT, nor unix:/PATH (listeners[0].address)",
            " 1 | listeners: [{address: localhost}]",
            "   |                       ^^^^^^^^^",
        ],
    ),
    case(
        "listeners: [{address: ':80', header_timeout: 10}]\npools: {api: {workers: [http://127.0.0.1:9000]}}\n",
        &[
            "gw.yaml:1:46: error: `10` is not a duration (listeners[0].header_timeout)",
            " 1 | listeners: [{address: ':80', header_timeout: 10}]",
            "   |                                              ^^",
            "   = write a number and a unit, such as `500ms`, `2s` or `1m30s`",
        ],
    ),
    case(
        "listeners: [{address: ':80', idle_timeout: -1s}]\npools: {api: {workers: [http://127.0.0.1:9000]}}\n",
        &[
            "gw.yaml:1:44: error: `-1s` is not a duration (listeners[0].idle_timeout)",
            " 1 | listeners: [{address: ':80', idle_timeout: -1s}]",
            "   |                                            ^^^",
            "   = write a number and a unit, such as `500ms`, `2s` or `1m30s`",
        ],
    ),
    case(
        "listeners: [{address: ':80', max_connections: 0}]\npools: {api: {workers: [http://127.0.0.1:9000]}}\n",
        &[
            "gw.yaml:1:47: error: max_connections: 0 is outside 1 to 1000000 (listeners[0].max_connections)",
            " 1 | listeners: [{address: ':80', max_connections: 0}]",
            "   |                                               ^",
        ],
    ),
    case(
        "listeners: [{address: ':80', max_header_bytes: 64kb}]\npools: {api: {workers: [http://127.0.0.1:9000]}}\n",
        &[
            "gw.yaml:1:48: error: `64kb` is not a size (listeners[0].max_header_bytes)",
            " 1 | listeners: [{address: ':80', max_header_bytes: 64kb}]",
            "   |                                                ^^^^",
            "   = write bytes or a number and a unit, such as `64KiB`, `8MiB` or `1GiB`",
        ],
    ),
    case(
        "listeners: [{address: ':80', proxy_protocol: yes}]\npools: {api: {workers: [http://127.0.0.1:9000]}}\n",
        &[
            "gw.yaml:1:46: error: `yes` does not fit here (listeners[0].proxy_protocol)",
            " 1 | listeners: [{address: ':80', proxy_protocol: yes}]",
            "   |                                              ^^^",
            "   = expected `true` or `false`",
        ],
    ),
    case(
        "listeners: [{address: ':80', trusted: [10.0.0.0/99]}]\npools: {api: {workers: [http://127.0.0.1:9000]}}\n",
        &[
            "gw.yaml:1:40: error: trusted: `10.0.0.0/99` is no network (listeners[0].trusted[0])",
            " 1 | listeners: [{address: ':80', trusted: [10.0.0.0/99]}]",
            "   |                                        ^^^^^^^^^^^",
            "   = write an address and a prefix length, such as 10.0.0.0/8 or ::1/128",
        ],
    ),
    case(
        "listeners: [{address: ':80', upgrades: [h2c]}]\npools: {api: {workers: [http://127.0.0.1:9000]}}\n",
        &[
            "gw.yaml:1:41: error: upgrades: `h2c` is no protocol that can be let through (listeners[0].upgrades[0])",
            " 1 | listeners: [{address: ':80', upgrades: [h2c]}]",
            "   |                                         ^^^",
            "   = write a token such as websocket (h2c never is)",
        ],
    ),
    case(
        "listeners: [{address: ':80', tls: {certificates: []}}]\npools: {api: {workers: [http://127.0.0.1:9000]}}\n",
        &[
            "gw.yaml:1:50: error: tls.certificates is empty (listeners[0].tls.certificates)",
            " 1 | listeners: [{address: ':80', tls: {certificates: []}}]",
            "   |                                                  ^",
            "   = name at least one pair, such as {cert: site.pem, key: site.key}",
        ],
    ),
    case(
        "listeners: [{address: ':80', tls: {certificates: [{cert: a.pem}]}}]\npools: {api: {workers: [http://127.0.0.1:9000]}}\n",
        &[
            "gw.yaml:1:51: error: `key` is missing (listeners[0].tls.certificates[0])",
            " 1 | listeners: [{address: ':80', tls: {certificates: [{cert: a.pem}]}}]",
            "   |                                                   ^",
            "   = add `key:` here",
        ],
    ),
    case(
        "listeners: [{address: ':80', tls: {certificates: [{cert: a.pem, key: a.key}], min_version: 1.1}}]\npools: {api: {workers: [http://127.0.0.1:9000]}}\n",
        &[
            "gw.yaml:1:92: error: unknown value `1.1` (listeners[0].tls.min_version)",
            " 1 | cert: a.pem, key: a.key}], min_version: 1.1}}]",
            "   |                                         ^^^",
            "   = known: 1.2, 1.3",
        ],
    ),
    case(
        "listeners: [{address: ':80'}, {address: '0.0.0.0:80'}]\npools: {api: {workers: [http://127.0.0.1:9000]}}\n",
        &[
            "gw.yaml:1:41: error: `0.0.0.0:80` is the address of `listeners[0].address` already (listeners[1].address)",
            " 1 | listeners: [{address: ':80'}, {address: '0.0.0.0:80'}]",
            "   |                                         ^^^^^^^^^^^^",
            "   = give each its own address and port",
        ],
    ),
    case(
        "listeners: [{address: '127.0.0.1:9901'}]\npools: {api: {workers: [http://127.0.0.1:9000]}}\n",
        &[
            "gw.yaml:1:23: error: `127.0.0.1:9901` is the address of `admin.address` already (listeners[0].address)",
            " 1 | listeners: [{address: '127.0.0.1:9901'}]",
            "   |                       ^^^^^^^^^^^^^^^^",
            "   = give each its own address and port",
        ],
    ),
    case(
        "listeners: [{address: ':80'}]\npools: {api: }\n",
        &[
            "gw.yaml:2:9: error: `workers` is missing (pools.api)",
            " 2 | pools: {api: }",
            "   |         ^^^",
            "   = add `workers:` here",
        ],
    ),
    case(
        "listeners: [{address: ':80'}]\npools: {api: {workers: []}}\n",
        &[
            "gw.yaml:2:24: error: a pool needs at least one worker or source, such as `http://10.0.0.1:9000` (pools.api.workers)",
            " 2 | pools: {api: {workers: []}}",
            "   |                        ^",
        ],
    ),
    case(
        "listeners: [{address: ':80'}]\npools: {api: {workers: http://a:1}}\n",
        &[
            "gw.yaml:2:24: error: `http://a:1` does not fit here (pools.api.workers)",
            " 2 | pools: {api: {workers: http://a:1}}",
            "   |                        ^^^^^^^^^^",
            "   = expected a list",
        ],
    ),
    case(
        "listeners: [{address: ':80'}]\npools: {api: {workers: [ftp://a:1]}}\n",
        &[
            "gw.yaml:2:25: error: `ftp://a:1` is not a worker's URL (pools.api.workers[0])",
            " 2 | pools: {api: {workers: [ftp://a:1]}}",
            "   |                         ^^^^^^^^^",
            "   = write `http://HOST:PORT`, `https://HOST:PORT` or `unix:/PATH`",
        ],
    ),
    case(
        "listeners: [{address: ':80'}]\npools: {api: {workers: [http://a:1, http://a:1]}}\n",
        &[
            "gw.yaml:2:37: error: two workers or sources are called `http://a:1`: names are identities within a pool (pools.api.workers[1])",
            " 2 | pools: {api: {workers: [http://a:1, http://a:1]}}",
            "   |                                     ^^^^^^^^^^",
        ],
    ),
    case(
        "listeners: [{address: ':80'}]\npools: {api: {workers: [{url: http://a:1, wieght: 2}]}}\n",
        &[
            "gw.yaml:2:43: error: unknown key `wieght` (pools.api.workers[0].wieght)",
            " 2 | pools: {api: {workers: [{url: http://a:1, wieght: 2}]}}",
            "   |                                           ^^^^^^",
            "   = did you mean `weight`?",
        ],
    ),
    case(
        "listeners: [{address: ':80'}]\npools: {api: {workers: [{url: http://a:1, weight: -1}]}}\n",
        &[
            "gw.yaml:2:51: error: weight -1 of http://a:1 is not in (0, 10000]: to keep a worker without traffic, drain it (pools.api.workers[0].weight)",
            " 2 | pools: {api: {workers: [{url: http://a:1, weight: -1}]}}",
            "   |                                                   ^^",
        ],
    ),
    case(
        "listeners: [{address: ':80'}]\npools: {api: {workers: [http://169.254.169.254:80]}}\n",
        &[
            "gw.yaml:2:25: error: `http://169.254.169.254:80`: 169.254.169.254 is a link-local address; no request is ever sent there (pools.api.workers[0])",
            " 2 | pools: {api: {workers: [http://169.254.169.254:80]}}",
            "   |                         ^^^^^^^^^^^^^^^^^^^^^^^^^",
        ],
    ),
    case(
        "listeners: [{address: ':80'}]\npools: {api: {workers: [http://a:1], balance: prequel}}\n",
        &[
            "gw.yaml:2:47: error: unknown value `prequel` (pools.api.balance)",
            " 2 | pools: {api: {workers: [http://a:1], balance: prequel}}",
            "   |                                               ^^^^^^^",
            "   = did you mean `prequal`?",
        ],
    ),
    case(
        "listeners: [{address: ':80'}]\npools: {api: {workers: [http://a:1], balance: ring}}\n",
        &[
            "gw.yaml:2:47: error: pool `api` picks by `ring`, and no route gives it a key (pools.api.balance)",
            " 2 | pools: {api: {workers: [http://a:1], balance: ring}}",
            "   |                                               ^^^^",
            "   = add `routes: [{pool: api, key: client-ip}]`",
        ],
    ),
    case(
        "listeners: [{address: ':80'}]\npools: {api: {workers: [http://a:1], ring: {}}}\n",
        &[
            "gw.yaml:2:44: error: the pool does not pick by `ring`, so nobody has points on one (pools.api.ring)",
            " 2 | pools: {api: {workers: [http://a:1], ring: {}}}",
            "   |                                            ^",
            "   = set `balance: ring`, or leave it out",
        ],
    ),
    case(
        "listeners: [{address: ':80'}]\nroutes: [{pool: api, key: path}]\npools:\n  api:\n    workers: [http://a:1]\n    balance: ring\n    \
         weights: static\n    ring: {most_moved: 1%}\n",
        &[
            "gw.yaml:8:11: error: points follow what is learned of workers, and `weights: static` learns nothing (pools.api.ring)",
            " 8 |     ring: {most_moved: 1%}",
            "   |           ^",
            "   = leave `weights: static` out, or `ring`: points stand by the configured weights then",
        ],
    ),
    case(
        "listeners: [{address: ':80'}]\npools: {api: {workers: [http://a:1], weights: capcity}}\n",
        &[
            "gw.yaml:2:47: error: unknown value `capcity` (pools.api.weights)",
            " 2 | pools: {api: {workers: [http://a:1], weights: capcity}}",
            "   |                                               ^^^^^^^",
            "   = did you mean `capacity`?",
        ],
    ),
    case(
        "listeners: [{address: ':80'}]\npools: {api: {workers: [http://a:1], weights: {polcy: static}}}\n",
        &[
            "gw.yaml:2:48: error: unknown key `polcy` (pools.api.weights.polcy)",
            " 2 | pools: {api: {workers: [http://a:1], weights: {polcy: static}}}",
            "   |                                                ^^^^^",
            "   = did you mean `policy`?",
        ],
    ),
    case(
        "listeners: [{address: ':80'}]\npools: {api: {workers: [http://a:1], weights: {floor: 70%}}}\n",
        &[
            "gw.yaml:2:55: error: `floor: 70%` cannot be (pools.api.weights.floor)",
            " 2 | pools: {api: {workers: [http://a:1], weights: {floor: 70%}}}",
            "   |                                                       ^^^",
            "   = it must be 0 % to 50 % of a fair share",
        ],
    ),
    case(
        "listeners: [{address: ':80'}]\npools: {api: {workers: [http://a:1], weights: {share: 120%}}}\n",
        &[
            "gw.yaml:2:55: error: `120%` is not a share (pools.api.weights.share)",
            " 2 | pools: {api: {workers: [http://a:1], weights: {share: 120%}}}",
            "   |                                                       ^^^^",
            "   = write a percentage such as `5%`, or a number from 0 to 1 such as `0.05`",
        ],
    ),
    case(
        "listeners: [{address: ':80'}]\npools: {api: {workers: [http://a:1], weights: {tick: 1ms}}}\n",
        &[
            "gw.yaml:2:54: error: `tick: 1ms` cannot be (pools.api.weights.tick)",
            " 2 | pools: {api: {workers: [http://a:1], weights: {tick: 1ms}}}",
            "   |                                                      ^^^",
            "   = it must be 0.1 s to 10 s [R-W9]",
        ],
    ),
    case(
        "listeners: [{address: ':80'}]\npools: {api: {workers: [http://a:1], weights: {slew: {up: 0.5}}}}\n",
        &[
            "gw.yaml:2:59: error: `slew.up: 0.5` cannot be (pools.api.weights.slew.up)",
            " 2 | pools: {api: {workers: [http://a:1], weights: {slew: {up: 0.5}}}}",
            "   |                                                           ^^^",
            "   = it must be a factor from 1.01 to 10",
        ],
    ),
    case(
        "listeners: [{address: ':80'}]\npools: {api: {workers: [http://a:1], breaker: {probes: 0}}}\n",
        &[
            "gw.yaml:2:56: error: breaker.probes is 0 (pools.api.breaker.probes)",
            " 2 | pools: {api: {workers: [http://a:1], breaker: {probes: 0}}}",
            "   |                                                        ^",
            "   = at least 1 good probe must close a breaker",
        ],
    ),
    case(
        "listeners: [{address: ':80'}]\npools: {api: {workers: [http://a:1], reports: {headers: maybe}}}\n",
        &[
            "gw.yaml:2:57: error: `maybe` does not fit here (pools.api.reports.headers)",
            " 2 | pools: {api: {workers: [http://a:1], reports: {headers: maybe}}}",
            "   |                                                         ^^^^^",
            "   = expected `true` or `false`",
        ],
    ),
    case(
        "listeners: [{address: ':80'}]\npools: {api: {workers: [http://a:1], reports: {poll: {path: load}}}}\n",
        &[
            "gw.yaml:2:61: error: poll.path `load` is not a path (pools.api.reports.poll.path)",
            " 2 | pools: {api: {workers: [http://a:1], reports: {poll: {path: load}}}}",
            "   |                                                             ^^^^",
            "   = write `/load`",
        ],
    ),
    case(
        "listeners: [{address: ':80'}]\npools: {api: {workers: [http://a:1], reports: {poll: {path: /load, fields: {in_flite: a}}}}}\n",
        &[
            "gw.yaml:2:87: error: `in_flite` is no field of a report (pools.api.reports.poll.fields.in_flite)",
            " 2 | {poll: {path: /load, fields: {in_flite: a}}}}}",
            "   |                                         ^",
            "   = use one of in_flight, queue, mean_ms, p50_ms, p95_ms, p99_ms, rate, err, util, cpu, memory, limit, accepting, sequence",
        ],
    ),
    case(
        "listeners: [{address: ':80'}]\npools: {api: {workers: [http://a:1], health: {every: 5s}}}\n",
        &[
            "gw.yaml:2:46: error: health names 0 checks (pools.api.health)",
            " 2 | pools: {api: {workers: [http://a:1], health: {every: 5s}}}",
            "   |                                              ^",
            "   = write one of `http: {path: /healthz}`, `grpc: {}` and `tcp: {}`",
        ],
    ),
    case(
        "listeners: [{address: ':80'}]\npools: {api: {workers: [http://a:1], health: {http: {path: /h, status: 301}}}}\n",
        &[
            "gw.yaml:2:72: error: health.http.status 301 is a redirect: redirects are not followed and say nothing of the worker (pools.api.health.http.status)",
            " 2 | pools: {api: {workers: [http://a:1], health: {http: {path: /h, status: 301}}}}",
            "   |                                                                        ^^^",
        ],
    ),
    case(
        "listeners: [{address: ':80'}]\npools: {api: {workers: [http://a:1], health: {tcp: {}, every: 10s}}}\n",
        &[
            "gw.yaml:2:46: error: health.unhealthy can never be reached: 3 checks that fail, one every 10s, take 24s, more than the 15s within which they must come; check more often, or give them longer (pools.api.health)",
            " 2 | pools: {api: {workers: [http://a:1], health: {tcp: {}, every: 10s}}}",
            "   |                                              ^",
        ],
    ),
    case(
        "listeners: [{address: ':80'}]\npools: {api: {workers: [http://a:1], bulkhead: {per_worker: 0}}}\n",
        &[
            "gw.yaml:2:61: error: bulkhead.per_worker is 0: then no worker ever gets a request (pools.api.bulkhead.per_worker)",
            " 2 | pools: {api: {workers: [http://a:1], bulkhead: {per_worker: 0}}}",
            "   |                                                             ^",
            "   = write at least 1",
        ],
    ),
    case(
        "listeners: [{address: ':80'}]\npools: {api: {workers: [http://a:1], throttle: {ratio: 1}}}\n",
        &[
            "gw.yaml:2:56: error: throttle.ratio 1 is not between 1.1 and 100 (pools.api.throttle.ratio)",
            " 2 | pools: {api: {workers: [http://a:1], throttle: {ratio: 1}}}",
            "   |                                                        ^",
        ],
    ),
    case(
        "listeners: [{address: ':80'}]\npools: {api: {workers: [http://a:1], runbooks: {convoi: off}}}\n",
        &[
            "gw.yaml:2:49: error: unknown key `convoi` (pools.api.runbooks.convoi)",
            " 2 | pools: {api: {workers: [http://a:1], runbooks: {convoi: off}}}",
            "   |                                                 ^^^^^^",
            "   = did you mean `convoy`?",
        ],
    ),
    case(
        "listeners: [{address: ':80'}]\npools: {api: {workers: [http://a:1], upstream: {protocol: h3}}}\n",
        &[
            "gw.yaml:2:59: error: unknown value `h3` (pools.api.upstream.protocol)",
            " 2 | pools: {api: {workers: [http://a:1], upstream: {protocol: h3}}}",
            "   |                                                           ^^",
            "   = did you mean `h2`?",
        ],
    ),
    case(
        "listeners: [{address: ':80'}]\npools: {api: {workers: [http://a:1], upstream: {connect_timeout: 5m}}}\n",
        &[
            "gw.yaml:2:66: error: upstream.connect_timeout: 5m is outside 1ms to 60s (pools.api.upstream.connect_timeout)",
            " 2 | pools: {api: {workers: [http://a:1], upstream: {connect_timeout: 5m}}}",
            "   |                                                                  ^^",
        ],
    ),
    case(
        "listeners: [{address: ':80'}]\npools: {a: {workers: [http://a:1]}, b: {workers: [http://b:1]}}\n",
        &[
            "gw.yaml:2:8: error: there are several pools and no routes (pools)",
            " 2 | pools: {a: {workers: [http://a:1]}, b: {workers: [http://b:1]}}",
            "   |        ^",
            "   = add one, such as `routes: [{match: {path_prefix: /}, pool: NAME}]`",
        ],
    ),
];

const AFTER_A_GOOD_START: &[Case] = &[
    case(
        "zones: {own: a, networks: {10.1/16: b}}\n",
        &[
            "gw.yaml:6:27: error: networks: `10.1/16` is no network (zones.networks)",
            " 6 | zones: {own: a, networks: {10.1/16: b}}",
            "   |                           ^",
            "   = write an address and a prefix length, such as 10.1.0.0/16 or ::1/128",
        ],
    ),
    case(
        "zones: {maxmind: {file: a.mmdb, countries: {Fr: a}}}\n",
        &[
            "gw.yaml:6:49: error: countries: `Fr` is no code of a country (zones.maxmind.countries.Fr)",
            " 6 | zones: {maxmind: {file: a.mmdb, countries: {Fr: a}}}",
            "   |                                                 ^",
            "   = write two capital letters as in ISO 3166, such as FR",
        ],
    ),
    case(
        "zones: {}\n",
        &[
            "gw.yaml:6:8: error: none of `own`, `networks` and `maxmind` is there (zones)",
            " 6 | zones: {}",
            "   |        ^",
            "   = name the zone of this gateway, or those of its clients",
        ],
    ),
    case(
        "  dark: {workers: [\"http://127.0.0.1:9001\"], zones: {spill_at: 120%}}\n",
        &[
            "gw.yaml:6:64: error: `120%` is not a share (pools.dark.zones.spill_at)",
            " 6 |   dark: {workers: [\"http://127.0.0.1:9001\"], zones: {spill_at: 120%}}",
            "   |                                                                ^^^^",
            "   = write a percentage such as `5%`, or a number from 0 to 1 such as `0.05`",
        ],
    ),
    case(
        "  dark: {workers: [\"http://127.0.0.1:9001\"], zones: {return_at: 90%}}\nroutes: [{pool: api}, {pool: dark}]\n",
        &[
            "gw.yaml:6:65: error: `return_at: 90%` cannot be (pools.dark.zones.return_at)",
            " 6 |   dark: {workers: [\"http://127.0.0.1:9001\"], zones: {return_at: 90%}}",
            "   |                                                                 ^^^",
            "   = it must be 5% to `spill_at`",
        ],
    ),
    case(
        "    zones: {}\n",
        &[
            "gw.yaml:6:12: error: no request comes from any zone (pools.api.zones)",
            " 6 |     zones: {}",
            "   |            ^",
            "   = add `zones: {own: NAME}` at the top, or `zones: {networks: {10.1.0.0/16: NAME}}`",
        ],
    ),
    case(
        "    zones: {}\n    balance: ring\nzones: {own: a}\nroutes: [{pool: api, key: path}]\n",
        &[
            "gw.yaml:6:12: error: `ring` places requests by their keys, wherever they come from (pools.api.zones)",
            " 6 |     zones: {}",
            "   |            ^",
            "   = pick another way in this pool, or leave `zones` out",
        ],
    ),
    case(
        "routes: [{pool: api, mirror: {pool: dark}}]\n",
        &[
            "gw.yaml:6:37: error: unknown pool `dark` (routes[0].mirror.pool)",
            " 6 | routes: [{pool: api, mirror: {pool: dark}}]",
            "   |                                     ^^^^",
            "   = known: api",
        ],
    ),
    case(
        "routes: [{pool: api, mirror: {pool: api}}]\n",
        &[
            "gw.yaml:6:37: error: mirror.pool: `api` is the route's own pool (routes[0].mirror.pool)",
            " 6 | routes: [{pool: api, mirror: {pool: api}}]",
            "   |                                     ^^^",
            "   = name another one",
        ],
    ),
    case(
        "routes: [{pool: api, mirror: {pool: dark, share: 0%}}]\n",
        &[
            "gw.yaml:6:50: error: mirror.share: 0% is no request at all; leave `mirror` out instead (routes[0].mirror.share)",
            " 6 | routes: [{pool: api, mirror: {pool: dark, share: 0%}}]",
            "   |                                                  ^^",
        ],
    ),
    case(
        "gossip: {key_file: k}\n",
        &[
            "gw.yaml:6:9: error: `peers` is missing (gossip)",
            " 6 | gossip: {key_file: k}",
            "   |         ^",
            "   = add `peers:` here",
        ],
    ),
    case(
        "gossip: {peers: [\"10.0.0.2\"], key_file: k}\n",
        &[
            "gw.yaml:6:18: error: `10.0.0.2` is no gateway (gossip.peers[0])",
            " 6 | gossip: {peers: [\"10.0.0.2\"], key_file: k}",
            "   |                  ^^^^^^^^^^",
            "   = write HOST:PORT, what `gossip.listen` is there, such as `10.0.0.2:9906`",
        ],
    ),
    case(
        "heartbeats: {}\n",
        &[
            "gw.yaml:6:13: error: `keys` is missing (heartbeats)",
            " 6 | heartbeats: {}",
            "   |             ^",
            "   = add `keys:` here",
        ],
    ),
    case(
        "heartbeats: {keys: []}\n",
        &[
            "gw.yaml:6:20: error: there is no key: add `{id: 1, file: beats.key, workers: [\"*\"]}`; unsigned heartbeats are never believed (heartbeats.keys)",
            " 6 | heartbeats: {keys: []}",
            "   |                    ^",
        ],
    ),
    case(
        "heartbeats: {listen: localhost, keys: [{id: 1, file: k, workers: [\"*\"]}]}\n",
        &[
            "gw.yaml:6:22: error: `localhost` is no address (heartbeats.listen)",
            " 6 | heartbeats: {listen: localhost, keys: [{id: 1, file: k, workers: [\"*\"]}]}",
            "   |                      ^^^^^^^^^",
            "   = write an IP address and a port, such as `127.0.0.1:9901`",
        ],
    ),
    case(
        "heartbeats: {every: 10ms, keys: [{id: 1, file: k, workers: [\"*\"]}]}\n",
        &[
            "gw.yaml:6:21: error: heartbeats.every 10ms is not between 100ms and 10s (heartbeats.every)",
            " 6 | heartbeats: {every: 10ms, keys: [{id: 1, file: k, workers: [\"*\"]}]}",
            "   |                     ^^^^",
        ],
    ),
    case(
        "heartbeats: {keys: [{id: 1, file: k, workers: []}]}\n",
        &[
            "gw.yaml:6:47: error: this key speaks for nobody (heartbeats.keys[0].workers)",
            " 6 | heartbeats: {keys: [{id: 1, file: k, workers: []}]}",
            "   |                                               ^",
            "   = name its workers, such as `[\"w-*\"]`",
        ],
    ),
    case(
        "heartbeats: {keys: [{id: 1, file: k, workers: [\"\"]}]}\n",
        &[
            "gw.yaml:6:48: error: `` names no worker (heartbeats.keys[0].workers[0])",
            " 6 | heartbeats: {keys: [{id: 1, file: k, workers: [\"\"]}]}",
            "   |                                                ^^",
            "   = write 1 to 255 bytes, and at most 8 stars",
        ],
    ),
    case(
        "heartbeats: {keys: [{id: -1, file: k, workers: [\"*\"]}]}\n",
        &[
            "gw.yaml:6:26: error: `-1` does not fit here (heartbeats.keys[0].id)",
            " 6 | heartbeats: {keys: [{id: -1, file: k, workers: [\"*\"]}]}",
            "   |                          ^^",
            "   = expected a whole number from 0 to 4294967295",
        ],
    ),
    case(
        "heartbeats: {keys: [{id: 1, file: k, workers: [\"*\"]}, {id: 1, file: l, workers: [\"*\"]}]}\n",
        &[
            "gw.yaml:6:20: error: two keys have the id 1 (heartbeats.keys)",
            " 6 | heartbeats: {keys: [{id: 1, file: k, workers: [\"*\"]}, {id: 1, file: l, workers: [\"*\"]}]}",
            "   |                    ^",
            "   = give each its own, so that a heartbeat says which signs it",
        ],
    ),
    case(
        "heartbeats: {keys: [{id: 1, file: k, worker: [\"*\"]}]}\n",
        &[
            "gw.yaml:6:38: error: unknown key `worker` (heartbeats.keys[0].worker)",
            " 6 | heartbeats: {keys: [{id: 1, file: k, worker: [\"*\"]}]}",
            "   |                                      ^^^^^^",
            "   = did you mean `workers`?",
        ],
    ),
    case(
        "agent: {heartbeats: {to: [coordinator], name: w, key: {file: k}}}\n",
        &[
            "gw.yaml:6:27: error: `coordinator` is not HOST:PORT (agent.heartbeats.to[0])",
            " 6 | agent: {heartbeats: {to: [coordinator], name: w, key: {file: k}}}",
            "   |                           ^^^^^^^^^^^",
            "   = write `coordinator:9903`, `10.0.0.1:9903` or `[::1]:9903`, or `grpc://coordinator:9905` for a stream, `grpcs://` with TLS",
        ],
    ),
    case(
        "agent: {heartbeats: {to: [], name: w, key: {file: k}}}\n",
        &[
            "gw.yaml:6:26: error: heartbeats.to has 0 coordinators (agent.heartbeats.to)",
            " 6 | agent: {heartbeats: {to: [], name: w, key: {file: k}}}",
            "   |                          ^",
            "   = write 1 to 16",
        ],
    ),
    case(
        "agent: {heartbeats: {to: [\"a:1\"], name: \"\", key: {file: k}}}\n",
        &[
            "gw.yaml:6:41: error: heartbeats.name must have 1 to 255 bytes and no control characters (agent.heartbeats.name)",
            " 6 | agent: {heartbeats: {to: [\"a:1\"], name: \"\", key: {file: k}}}",
            "   |                                         ^^",
        ],
    ),
    case(
        "agent: {heartbeats: {to: [\"a:1\"], name: w}}\n",
        &[
            "gw.yaml:6:21: error: `key` is missing (agent.heartbeats)",
            " 6 | agent: {heartbeats: {to: [\"a:1\"], name: w}}",
            "   |                     ^",
            "   = add `key:` here",
        ],
    ),
    case(
        "routes:\n  - {pool: api, fallback: [{pool: apy}]}\n",
        &[
            "gw.yaml:7:35: error: unknown pool `apy` (routes[0].fallback[0].pool)",
            " 7 |   - {pool: api, fallback: [{pool: apy}]}",
            "   |                                   ^^^",
            "   = did you mean `api`?",
        ],
    ),
    case(
        "routes:\n  - {pool: api, fallback: [{pool: api}]}\n",
        &[
            "gw.yaml:7:35: error: fallback: tier 1 asks pool `api` again, which was asked before (routes[0].fallback[0].pool)",
            " 7 |   - {pool: api, fallback: [{pool: api}]}",
            "   |                                   ^^^",
            "   = name each pool once",
        ],
    ),
    case(
        "routes:\n  - {pool: api, hedge: {}, match: {methods: [POST]}}\n",
        &[
            "gw.yaml:7:24: error: hedge: none of the methods POST may run twice; leave it out, or write `repeat: idempotent` for PUT and DELETE, or `deduplicate: {worker_knows_keys: true}` (routes[0].hedge)",
            " 7 |   - {pool: api, hedge: {}, match: {methods: [POST]}}",
            "   |                        ^",
        ],
    ),
    case(
        "routes:\n  - {pool: api, hedge: {after: soon}}\n",
        &[
            "gw.yaml:7:32: error: hedge.after: `soon` is neither a quantile from p50 to p99.9, such as `p95`, nor a time from 1ms, such as `100ms` (routes[0].hedge.after)",
            " 7 |   - {pool: api, hedge: {after: soon}}",
            "   |                                ^^^^",
        ],
    ),
    case(
        "routes:\n  - {pool: api, quorum: {ask: 2, need: 3}}\n",
        &[
            "gw.yaml:7:25: error: quorum: 3 answers of 2 that are asked (routes[0].quorum)",
            " 7 |   - {pool: api, quorum: {ask: 2, need: 3}}",
            "   |                         ^",
            "   = write 1 <= need <= ask",
        ],
    ),
    case(
        "routes:\n  - {pool: api, quorum: {ask: 2}}\n",
        &[
            "gw.yaml:7:31: error: a read asks 2 workers, and pool `api` has 1 (routes[0].quorum.ask)",
            " 7 |   - {pool: api, quorum: {ask: 2}}",
            "   |                               ^",
            "   = lower `ask` and `of`, or add workers to pool `api`",
        ],
    ),
    case(
        "routes:\n  - {pool: api, fallback: [{statics: {}}]}\n",
        &[
            "gw.yaml:7:29: error: unknown value `statics` (routes[0].fallback[0].statics)",
            " 7 |   - {pool: api, fallback: [{statics: {}}]}",
            "   |                             ^^^^^^^",
            "   = did you mean `static`?",
        ],
    ),
    case(
        "routes: [{pool: api, rate_limit: {requests: 0}}]\n",
        &[
            "gw.yaml:6:45: error: rate_limit.requests is 0 (routes[0].rate_limit.requests)",
            " 6 | routes: [{pool: api, rate_limit: {requests: 0}}]",
            "   |                                             ^",
            "   = write 1 to 10000000",
        ],
    ),
    case(
        "routes: [{pool: api, deadline: {adaptive: {times: 0.5}}}]\n",
        &[
            "gw.yaml:6:51: error: deadline.adaptive.times 0.5 is not between 1 and 100 (routes[0].deadline.adaptive.times)",
            " 6 | routes: [{pool: api, deadline: {adaptive: {times: 0.5}}}]",
            "   |                                                   ^^^",
        ],
    ),
    case(
        "doctor: of\n",
        &[
            "gw.yaml:6:9: error: `of` does not fit here (doctor)",
            " 6 | doctor: of",
            "   |         ^^",
            "   = expected `off`, `on`, or a map of keys and values",
        ],
    ),
    case(
        "doctor: {evry: 5m}\n",
        &[
            "gw.yaml:6:10: error: unknown key `evry` (doctor.evry)",
            " 6 | doctor: {evry: 5m}",
            "   |          ^^^^",
            "   = did you mean `every`?",
        ],
    ),
    case(
        "doctor: {every: 2h}\n",
        &[
            "gw.yaml:6:17: error: doctor.every 2h is not between 1s and 1h (doctor.every)",
            " 6 | doctor: {every: 2h}",
            "   |                 ^^",
        ],
    ),
    case(
        "doctor: {window: 10s}\n",
        &[
            "gw.yaml:6:18: error: doctor.window 10s is no multiple of 3s: three looks make a window (doctor.window)",
            " 6 | doctor: {window: 10s}",
            "   |                  ^^^",
        ],
    ),
    case(
        "doctor: {hours: 0}\n",
        &[
            "gw.yaml:6:17: error: doctor.hours 0 is not between 1 and 840 (doctor.hours)",
            " 6 | doctor: {hours: 0}",
            "   |                 ^",
        ],
    ),
    case(
        "doctor: {theta: 0%}\n",
        &[
            "gw.yaml:6:17: error: doctor.theta 0% is not between 1% and 100%: nothing may be used then (doctor.theta)",
            " 6 | doctor: {theta: 0%}",
            "   |                 ^^",
        ],
    ),
    case(
        "doctor: {keep: 5m}\n",
        &[
            "gw.yaml:6:16: error: doctor.keep 5m is not between 1h and 840h (doctor.keep)",
            " 6 | doctor: {keep: 5m}",
            "   |                ^^",
        ],
    ),
    case(
        "doctor: {carry_out: true}\n",
        &[
            "gw.yaml:6:21: error: there is nothing to carry out, since no reviews are kept (doctor.carry_out)",
            " 6 | doctor: {carry_out: true}",
            "   |                     ^^^^",
            "   = name the folder in which people approve changes: `reviews: FOLDER`",
        ],
    ),
    case(
        "doctor: {history: notes, window: 3m}\n",
        &[
            "gw.yaml:6:19: error: a history is kept by windows of 5m, and 3m is judged by thirds of it (doctor.history)",
            " 6 | doctor: {history: notes, window: 3m}",
            "   |                   ^^^^^",
            "   = write `window: 15m`, or keep no history",
        ],
    ),
    case(
        "doctor: {keep: 2h}\n",
        &[
            "gw.yaml:6:16: error: 2h is kept, and the last 3 h are to be judged (doctor.keep)",
            " 6 | doctor: {keep: 2h}",
            "   |                ^^",
            "   = write 3h or more, or fewer hours",
        ],
    ),
    case(
        "drain: {grace: 2h}\n",
        &[
            "gw.yaml:6:16: error: drain.grace 2h is not between 0s and 1h (drain.grace)",
            " 6 | drain: {grace: 2h}",
            "   |                ^^",
        ],
    ),
    case(
        "drain: {grace: 61m}\n",
        &[
            "gw.yaml:6:16: error: drain.grace 61m is not between 0s and 1h (drain.grace)",
            " 6 | drain: {grace: 61m}",
            "   |                ^^^",
        ],
    ),
    case(
        "drain: {grace: -1s}\n",
        &[
            "gw.yaml:6:16: error: `-1s` is not a duration (drain.grace)",
            " 6 | drain: {grace: -1s}",
            "   |                ^^^",
            "   = write a number and a unit, such as `500ms`, `2s` or `1m30s`",
        ],
    ),
    case(
        "drain: {grace: 25}\n",
        &[
            "gw.yaml:6:16: error: `25` is not a duration (drain.grace)",
            " 6 | drain: {grace: 25}",
            "   |                ^^",
            "   = write a number and a unit, such as `500ms`, `2s` or `1m30s`",
        ],
    ),
    case(
        "routes:\n  - pool: apy\n",
        &[
            "gw.yaml:7:11: error: unknown pool `apy` (routes[0].pool)",
            " 7 |   - pool: apy",
            "   |           ^^^",
            "   = did you mean `api`?",
        ],
    ),
    case(
        "routes:\n  - match: {path_prefix: /}\n",
        &[
            "gw.yaml:7:5: error: `pool` is missing (routes[0])",
            " 7 |   - match: {path_prefix: /}",
            "   |     ^",
            "   = name one, or a `keyspace`",
        ],
    ),
    case(
        "routes:\n  - {pool: api, match: {path: search}}\n",
        &[
            "gw.yaml:7:31: error: match: `search` is no path (routes[0].match.path)",
            " 7 |   - {pool: api, match: {path: search}}",
            "   |                               ^^^^^^",
            "   = it must begin with `/` and hold neither `?` nor `#`",
        ],
    ),
    case(
        "routes:\n  - {pool: api, match: {path: /a, path_prefix: /b}}\n",
        &[
            "gw.yaml:7:31: error: match: `path` and `path_prefix` exclude each other (routes[0].match.path)",
            " 7 |   - {pool: api, match: {path: /a, path_prefix: /b}}",
            "   |                               ^^",
            "   = keep one",
        ],
    ),
    case(
        "routes:\n  - {pool: api, match: {methods: [get]}}\n",
        &[
            "gw.yaml:7:35: error: match: `get` is no method (routes[0].match.methods[0])",
            " 7 |   - {pool: api, match: {methods: [get]}}",
            "   |                                   ^^^",
            "   = write it in capitals, such as GET",
        ],
    ),
    case(
        "routes:\n  - {pool: api, match: {hots: example.org}}\n",
        &[
            "gw.yaml:7:25: error: unknown key `hots` (routes[0].match.hots)",
            " 7 |   - {pool: api, match: {hots: example.org}}",
            "   |                         ^^^^",
            "   = did you mean `host`?",
        ],
    ),
    case(
        "routes:\n  - {pool: api, deadline: 60}\n",
        &[
            "gw.yaml:7:27: error: `60` is not a duration (routes[0].deadline)",
            " 7 |   - {pool: api, deadline: 60}",
            "   |                           ^^",
            "   = write a number and a unit, such as `500ms`, `2s` or `1m30s`",
        ],
    ),
    case(
        "routes:\n  - {pool: api, cache: {max_body: 1GiB}}\n",
        &[
            "gw.yaml:7:35: error: max_body: 1GiB is outside 1 byte to 64MiB (routes[0].cache.max_body)",
            " 7 |   - {pool: api, cache: {max_body: 1GiB}}",
            "   |                                   ^^^^",
        ],
    ),
    case(
        "cache: {shared: true}\n",
        &[
            "gw.yaml:6:17: error: there is no section `redis` to share with (cache.shared)",
            " 6 | cache: {shared: true}",
            "   |                 ^^^^",
            "   = add `redis: {url: \"redis://127.0.0.1:6379\"}`, or leave `shared` out",
        ],
    ),
    case(
        "cache: {max_bytes: 10KiB}\n",
        &[
            "gw.yaml:6:20: error: max_bytes: 10KiB is outside 1MiB to 1TiB (cache.max_bytes)",
            " 6 | cache: {max_bytes: 10KiB}",
            "   |                    ^^^^^",
        ],
    ),
    case(
        "routes:\n  - {pool: api, retries: 300}\n",
        &[
            "gw.yaml:7:26: error: `300` does not fit here (routes[0].retries)",
            " 7 |   - {pool: api, retries: 300}",
            "   |                          ^^^",
            "   = expected a whole number from 0 to 255",
        ],
    ),
    case(
        "routes:\n  - {pool: api, retries: 9}\n",
        &[
            "gw.yaml:7:26: error: retries: 9 is more than 3 (routes[0].retries)",
            " 7 |   - {pool: api, retries: 9}",
            "   |                          ^",
        ],
    ),
    case(
        "routes:\n  - {pool: api, key: cookie}\n",
        &[
            "gw.yaml:7:22: error: `cookie` alone does not fit here (routes[0].key)",
            " 7 |   - {pool: api, key: cookie}",
            "   |                      ^^^^^^",
            "   = expected a name with its value, as in `{NAME: VALUE}`",
        ],
    ),
    case(
        "admin: {address: 9901}\n",
        &[
            "gw.yaml:6:18: error: `9901` is no address (admin.address)",
            " 6 | admin: {address: 9901}",
            "   |                  ^^^^",
            "   = write an IP address and a port, such as `127.0.0.1:9901`",
        ],
    ),
    case(
        "admin: of\n",
        &[
            "gw.yaml:6:8: error: `of` does not fit here (admin)",
            " 6 | admin: of",
            "   |        ^^",
            "   = expected `off` or a map of keys and values",
        ],
    ),
    case(
        "admin: {adress: 127.0.0.1:1}\n",
        &[
            "gw.yaml:6:9: error: unknown key `adress` (admin.adress)",
            " 6 | admin: {adress: 127.0.0.1:1}",
            "   |         ^^^^^^",
            "   = did you mean `address`?",
        ],
    ),
    case(
        "log: {level: verbose}\n",
        &[
            "gw.yaml:6:14: error: unknown value `verbose` (log.level)",
            " 6 | log: {level: verbose}",
            "   |              ^^^^^^^",
            "   = known: error, warn, info, debug, trace",
        ],
    ),
    case(
        "log: {format: xml}\n",
        &[
            "gw.yaml:6:15: error: unknown value `xml` (log.format)",
            " 6 | log: {format: xml}",
            "   |               ^^^",
            "   = known: text, json",
        ],
    ),
    case(
        "lgo: {level: info}\n",
        &[
            "gw.yaml:6:1: error: unknown key `lgo` (lgo)",
            " 6 | lgo: {level: info}",
            "   | ^^^",
            "   = did you mean `log`?",
        ],
    ),
    case(
        "agent: {priority: {header: x-p, classes: [high]}}\n",
        &[
            "gw.yaml:6:42: error: priority.classes has 1 values (agent.priority.classes)",
            " 6 | agent: {priority: {header: x-p, classes: [high]}}",
            "   |                                          ^",
            "   = write 2 to 8, the most important first",
        ],
    ),
    case(
        "agent: {priority: most}\n",
        &[
            "gw.yaml:6:19: error: `most` does not fit here (agent.priority)",
            " 6 | agent: {priority: most}",
            "   |                   ^^^^",
            "   = expected `none`, `urgency`, or a header and its values, the most important first",
        ],
    ),
    case(
        "agent: {shards: {keyspaces: [carts]}}\n",
        &[
            "gw.yaml:6:17: error: `listen` is missing (agent.shards)",
            " 6 | agent: {shards: {keyspaces: [carts]}}",
            "   |                 ^",
            "   = add `listen:` here",
        ],
    ),
    case(
        "agent:\n  shards:\n    {listen: \"127.0.0.1:8082\", name: a, data: d, token_file: t, coordinator_token_file: c,\n    \
         coordinators: [\"http://10.0.0.7:9901\"], keyspaces: []}\n",
        &[
            "gw.yaml:9:56: error: shards.keyspaces names 0 (agent.shards.keyspaces)",
            " 9 |     coordinators: [\"http://10.0.0.7:9901\"], keyspaces: []}",
            "   |                                                        ^",
            "   = write 1 to 16",
        ],
    ),
    case(
        "agent:\n  shards:\n    {listen: \"127.0.0.1:8082\", name: a, data: d, token_file: t, coordinator_token_file: c,\n    \
         keyspaces: [carts], coordinators: [\"10.0.0.7:9901\"]}\n",
        &[
            "gw.yaml:9:40: error: shards.coordinators `10.0.0.7:9901` is not such as `http://10.0.0.7:9901` (agent.shards.coordinators[0])",
            " 9 |     keyspaces: [carts], coordinators: [\"10.0.0.7:9901\"]}",
            "   |                                        ^^^^^^^^^^^^^^^",
        ],
    ),
    case(
        "keyspaces: {carts: {pool: api, key: redis, hash: xxh3}}\n",
        &[
            "gw.yaml:6:50: error: hash: `crc16` is for keyspaces with `key: redis`, and those have no other: leave `hash` out (keyspaces.carts.hash)",
            " 6 | keyspaces: {carts: {pool: api, key: redis, hash: xxh3}}",
            "   |                                                  ^^^^",
        ],
    ),
    case(
        "keyspaces: {carts: {pool: api, key: {path: 2}, hash: crc16}}\nroutes: [{keyspace: carts}]\n",
        &[
            "gw.yaml:6:54: error: hash: `crc16` is for keyspaces with `key: redis`, and those have no other: leave `hash` out (keyspaces.carts.hash)",
            " 6 | keyspaces: {carts: {pool: api, key: {path: 2}, hash: crc16}}",
            "   |                                                      ^^^^^",
        ],
    ),
    case(
        "agent: {host: {every: 0s}}\n",
        &[
            "gw.yaml:6:23: error: host.every 0s is not between 1s and 5m (agent.host.every)",
            " 6 | agent: {host: {every: 0s}}",
            "   |                       ^^",
        ],
    ),
    case(
        "agent: {shed: {limit: {least: 0}}}\n",
        &[
            "gw.yaml:6:31: error: limit.least is 0, initial 20, most 1000 (agent.shed.limit.least)",
            " 6 | agent: {shed: {limit: {least: 0}}}",
            "   |                               ^",
            "   = write 1 <= least <= initial <= most <= 1000000",
        ],
    ),
    case(
        "agent: {endpoint: \"127.0.0.1:8080\"}\n",
        &[
            "gw.yaml:6:19: error: `127.0.0.1:8080` is the address of `listeners[0].address` already (agent.endpoint)",
            " 6 | agent: {endpoint: \"127.0.0.1:8080\"}",
            "   |                   ^^^^^^^^^^^^^^^^",
            "   = give the endpoint a port of its own",
        ],
    ),
    case(
        "access_log: {format: json}\n",
        &[
            "gw.yaml:6:13: error: `path` is missing (access_log)",
            " 6 | access_log: {format: json}",
            "   |             ^",
            "   = add `path:` here",
        ],
    ),
    case(
        "access_log: {path: \"-\", format: combine}\n",
        &[
            "gw.yaml:6:33: error: unknown value `combine` (access_log.format)",
            " 6 | access_log: {path: \"-\", format: combine}",
            "   |                                 ^^^^^^^",
            "   = did you mean `combined`?",
        ],
    ),
    case(
        "record: {sample: 1%}\n",
        &[
            "gw.yaml:6:9: error: `path` is missing (record)",
            " 6 | record: {sample: 1%}",
            "   |         ^",
            "   = add `path:` here",
        ],
    ),
    case(
        "record: {path: a, bodies: 2MiB}\n",
        &[
            "gw.yaml:6:27: error: bodies: 2MiB is over 1MiB, the most that is kept of a body (record.bodies)",
            " 6 | record: {path: a, bodies: 2MiB}",
            "   |                           ^^^^",
        ],
    ),
    case(
        "record: {path: a, most: 1KiB}\n",
        &[
            "gw.yaml:6:25: error: most: 1KiB is less than 64KiB, which holds a few requests (record.most)",
            " 6 | record: {path: a, most: 1KiB}",
            "   |                         ^^^^",
        ],
    ),
    case(
        "record: {path: a, redact: [\"x y\"]}\n",
        &[
            "gw.yaml:6:28: error: redact: `x y` is no name of a header field (record.redact[0])",
            " 6 | record: {path: a, redact: [\"x y\"]}",
        ],
    ),
    case(
        "record: {path: \"\"}\n",
        &["gw.yaml:6:16: error: path: it is empty (record.path)", " 6 | record: {path: \"\"}"],
    ),
    case(
        "record: {path: a}\nroutes: [{pool: api, record: {}}]\n",
        &[
            "gw.yaml:7:30: error: it says nothing that is not said for all routes (routes[0].record)",
            " 7 | routes: [{pool: api, record: {}}]",
            "   |                              ^",
            "   = write `sample`, `bodies`, or both",
        ],
    ),
    case(
        "record: {path: a}\nroutes: [{pool: api, record: {bodies: 2MiB}}]\n",
        &[
            "gw.yaml:7:39: error: bodies: 2MiB is over 1MiB, the most that is kept of a body (routes[0].record.bodies)",
            " 7 | routes: [{pool: api, record: {bodies: 2MiB}}]",
        ],
    ),
    case(
        "routes: [{pool: api, record: {sample: 0%}}]\n",
        &[
            "gw.yaml:6:30: error: there is no section `record` that names a file (routes[0].record)",
            " 6 | routes: [{pool: api, record: {sample: 0%}}]",
            "   |                              ^",
            "   = add `record: {path: traffic.jsonl}` at the top",
        ],
    ),
    case(
        "tracing: {otlp: \"https://collector\"}\n",
        &[
            "gw.yaml:6:17: error: tracing.otlp: `https://collector` is no collector (tracing.otlp)",
            " 6 | tracing: {otlp: \"https://collector\"}",
            "   |                 ^^^^^^^^^^^^^^^^^^^",
            "   = write http://HOST:PORT, such as http://127.0.0.1:4318",
        ],
    ),
    case(
        "tracing: {otlp: \"http://127.0.0.1:4318\", sample: 5 percent}\n",
        &[
            "gw.yaml:6:50: error: `5 percent` is not a share (tracing.sample)",
            " 6 | tracing: {otlp: \"http://127.0.0.1:4318\", sample: 5 percent}",
            "   |                                                  ^^^^^^^^^",
            "   = write a percentage such as `5%`, or a number from 0 to 1 such as `0.05`",
        ],
    ),
    case(
        "routes: [{pool: api, deduplicate: {keep: 10ms}}]\n",
        &[
            "gw.yaml:6:42: error: deduplicate.keep: 10ms is outside 1s to 168h (routes[0].deduplicate.keep)",
            " 6 | routes: [{pool: api, deduplicate: {keep: 10ms}}]",
            "   |                                          ^^^^",
        ],
    ),
    case(
        "routes: [{pool: api, deduplicate: {header: Cookie}}]\n",
        &[
            "gw.yaml:6:44: error: deduplicate.header: `cookie` does not name a request (routes[0].deduplicate.header)",
            " 6 | routes: [{pool: api, deduplicate: {header: Cookie}}]",
            "   |                                            ^^^^^^",
            "   = use Idempotency-Key or X-Request-Id",
        ],
    ),
    case(
        "routes: [{pool: api, deduplicate: {not_begun: [200]}}]\n",
        &[
            "gw.yaml:6:47: error: deduplicate.not_begun: 200 does not say that the worker did not begin; only 4xx and 503 can (routes[0].deduplicate.not_begun)",
            " 6 | routes: [{pool: api, deduplicate: {not_begun: [200]}}]",
            "   |                                               ^",
        ],
    ),
    case(
        "routes: [{pool: api, deduplicate: {store: redis}}]\n",
        &[
            "gw.yaml:6:43: error: there is no section `redis` to keep the keys in (routes[0].deduplicate.store)",
            " 6 | routes: [{pool: api, deduplicate: {store: redis}}]",
            "   |                                           ^^^^^",
            "   = add `redis: {url: \"redis://127.0.0.1:6379\"}`, or keep them here with `store: embedded`",
        ],
    ),
    case(
        "redis: {url: \"redis://:secret@127.0.0.1\"}\n",
        &[
            "gw.yaml:6:14: error: url: holds a password, which logs and pages would show; put it in a file and name it in `password_file` (redis.url)",
            " 6 | redis: {url: \"redis://:******@127.0.0.1\"}",
            "   |              ^^^^^^^^^^^^^^^^^^^^^^^^^^^",
        ],
    ),
    case(
        "redis: {url: \"redis://10.0.0.1\"}\n",
        &[
            "gw.yaml:6:14: error: url: a server on another machine is spoken to over TLS (redis.url)",
            " 6 | redis: {url: \"redis://10.0.0.1\"}",
            "   |              ^^^^^^^^^^^^^^^^^^",
            "   = write rediss://, or say `insecure: true`",
        ],
    ),
    case(
        "redis: {url: \"rediss://a.example\"}\n",
        &[
            "gw.yaml:6:8: error: a server on another machine wants a password (redis)",
            " 6 | redis: {url: \"rediss://a.example\"}",
            "   |        ^",
            "   = give `password_file`, or say `insecure: true`",
        ],
    ),
    case(
        "redis: {url: \"redis://127.0.0.1\", timeout: 1h}\n",
        &[
            "gw.yaml:6:44: error: timeout: 1h is outside 1ms to 10s (redis.timeout)",
            " 6 | redis: {url: \"redis://127.0.0.1\", timeout: 1h}",
            "   |                                            ^^",
        ],
    ),
    case(
        "deduplication: {max_keys: 0}\n",
        &[
            "gw.yaml:6:27: error: max_keys: 0 is not between 1 and 100000000 (deduplication.max_keys)",
            " 6 | deduplication: {max_keys: 0}",
            "   |                           ^",
        ],
    ),
    case(
        "deduplication: {max_bytes: 1KiB}\n",
        &[
            "gw.yaml:6:28: error: max_bytes: 1KiB is less than 64KiB (deduplication.max_bytes)",
            " 6 | deduplication: {max_bytes: 1KiB}",
            "   |                            ^^^^",
        ],
    ),
    case(
        "journal: {max_age: 500}\n",
        &[
            "gw.yaml:6:20: error: `500` is not a duration (journal.max_age)",
            " 6 | journal: {max_age: 500}",
            "   |                    ^^^",
            "   = write a number and a unit, such as `500ms`, `2s` or `1m30s`",
        ],
    ),
    case(
        "journal: {max_bytes: -1}\n",
        &[
            "gw.yaml:6:22: error: `-1` is not a size (journal.max_bytes)",
            " 6 | journal: {max_bytes: -1}",
            "   |                      ^^",
            "   = write bytes or a number and a unit, such as `64KiB`, `8MiB` or `1GiB`",
        ],
    ),
    case(
        "journal: {max_age: 99999999999h}\n",
        &[
            "gw.yaml:6:20: error: `99999999999h` is too long a duration (journal.max_age)",
            " 6 | journal: {max_age: 99999999999h}",
            "   |                    ^^^^^^^^^^^^",
        ],
    ),
    case(
        "journal: {max_age: 1h, max_age: 2h}\n",
        &[
            "gw.yaml:6:24: error: the key `max_age` stands here a second time",
            " 6 | journal: {max_age: 1h, max_age: 2h}",
            "   |                        ^^^^^^^",
            "   = keep one of them",
        ],
    ),
    case(
        "threads: 0\n",
        &[
            "gw.yaml:6:10: error: `0` does not fit here (threads)",
            " 6 | threads: 0",
            "   |          ^",
            "   = expected a whole number from 1 to 65535",
        ],
    ),
    case(
        "threads: two\n",
        &[
            "gw.yaml:6:10: error: `two` does not fit here (threads)",
            " 6 | threads: two",
            "   |          ^^^",
            "   = expected a whole number from 0 to 65535",
        ],
    ),
    case(
        "threads: -1\n",
        &[
            "gw.yaml:6:10: error: `-1` does not fit here (threads)",
            " 6 | threads: -1",
            "   |          ^^",
            "   = expected a whole number from 1 to 65535",
        ],
    ),
    case(
        "threads: 70000\n",
        &[
            "gw.yaml:6:10: error: `70000` does not fit here (threads)",
            " 6 | threads: 70000",
            "   |          ^^^^^",
            "   = expected a whole number from 1 to 65535",
        ],
    ),
    case(
        "quorum: {ask: 2}\n",
        &[
            "gw.yaml:6:1: error: unknown key `quorum` (quorum)",
            " 6 | quorum: {ask: 2}",
            "   | ^^^^^^",
            "   = known: listeners, pools, routes, keyspaces, coordinator, zones, admin, heartbeats, gossip, cache, log, access_log, record, tracing, agent, redis, deduplication, journal, probation, doctor, drain, threads",
        ],
    ),
    case(
        "routes: [{pool: api, keyspace: carts}]\n",
        &[
            "gw.yaml:6:17: error: `pool` and `keyspace` exclude each other: a keyspace names its own pool (routes[0].pool)",
            " 6 | routes: [{pool: api, keyspace: carts}]",
            "   |                 ^^^",
            "   = keep one",
        ],
    ),
    case(
        "routes: [{keyspace: carts}]\nkeyspaces: {cats: {pool: api, key: {header: Cart-Id}}}\n",
        &[
            "gw.yaml:6:21: error: unknown keyspace `carts` (routes[0].keyspace)",
            " 6 | routes: [{keyspace: carts}]",
            "   |                     ^^^^^",
            "   = did you mean `cats`?",
            "gw.yaml:7:19: warning: no route leads to keyspace `cats` (keyspaces.cats)",
            " 7 | keyspaces: {cats: {pool: api, key: {header: Cart-Id}}}",
            "   |                   ^",
            "   = add `routes: [{match: {path_prefix: /cats}, keyspace: cats}]`, or remove it",
        ],
    ),
    case(
        "routes: [{keyspace: carts, hedge: {after: 10ms}}]\nkeyspaces: {carts: {pool: api, key: {header: Cart-Id}}}\n",
        &[
            "gw.yaml:6:35: error: hedge: a route to a keyspace cannot have it: only the owner of a key's slice may answer, and the gateway looks for it by itself; leave it out (routes[0].hedge)",
            " 6 | routes: [{keyspace: carts, hedge: {after: 10ms}}]",
            "   |                                   ^",
        ],
    ),
    case(
        "routes: [{keyspace: carts, cache: {}}]\nkeyspaces: {carts: {pool: api, key: {header: Cart-Id}}}\n",
        &[
            "gw.yaml:6:35: error: cache: a route to a keyspace cannot have it: what is kept here would be older than what the owner has acknowledged; leave it out (routes[0].cache)",
            " 6 | routes: [{keyspace: carts, cache: {}}]",
            "   |                                   ^",
        ],
    ),
    case(
        "routes: [{keyspace: carts}]\nkeyspaces: {carts: {pool: apy, key: {header: Cart-Id}}}\n",
        &[
            "gw.yaml:7:27: error: unknown pool `apy` (keyspaces.carts.pool)",
            " 7 | keyspaces: {carts: {pool: apy, key: {header: Cart-Id}}}",
            "   |                           ^^^",
            "   = did you mean `api`?",
        ],
    ),
    case(
        "keyspaces: {Carts: {pool: api, key: {header: Cart-Id}}}\n",
        &[
            "gw.yaml:6:13: error: `Carts` names no keyspace (keyspaces.Carts)",
            " 6 | keyspaces: {Carts: {pool: api, key: {header: Cart-Id}}}",
            "   |             ^^^^^",
            "   = write 1 to 63 of a-z, 0-9, `-` and `_`, a letter first, since it stands in addresses and headers",
        ],
    ),
    case(
        "keyspaces: {carts: {pool: api}}\n",
        &[
            "gw.yaml:6:20: error: `key` is missing (keyspaces.carts)",
            " 6 | keyspaces: {carts: {pool: api}}",
            "   |                    ^",
            "   = add `key:` here",
        ],
    ),
    case(
        "keyspaces: {carts: {pool: api, key: {path: 0}}}\n",
        &[
            "gw.yaml:6:37: error: key: a path's segments are counted from 1 (keyspaces.carts.key)",
            " 6 | keyspaces: {carts: {pool: api, key: {path: 0}}}",
            "   |                                     ^",
        ],
    ),
    case(
        "keyspaces: {carts: {pool: api, key: {header: Ambidex-Key}}}\n",
        &[
            "gw.yaml:6:37: error: key: `ambidex-key` never reaches a route: fields that begin with `ambidex-` are taken out of requests (keyspaces.carts.key)",
            " 6 | keyspaces: {carts: {pool: api, key: {header: Ambidex-Key}}}",
            "   |                                     ^",
        ],
    ),
    case(
        "keyspaces: {carts: {pool: api, key: {json: cart/id}}}\n",
        &[
            "gw.yaml:6:44: error: key: `cart/id` is no JSON pointer (keyspaces.carts.key.json)",
            " 6 | keyspaces: {carts: {pool: api, key: {json: cart/id}}}",
            "   |                                            ^^^^^^^",
            "   = write `/cart/id` for the text at `id` in `cart`",
        ],
    ),
    case(
        "keyspaces: {carts: {pool: api, key: {cookie: id}}}\n",
        &[
            "gw.yaml:6:38: error: unknown value `cookie` (keyspaces.carts.key.cookie)",
            " 6 | keyspaces: {carts: {pool: api, key: {cookie: id}}}",
            "   |                                      ^^^^^^",
            "   = known: header, path, query, json, grpc_metadata, redis",
        ],
    ),
    case(
        "keyspaces: {carts: {pool: api, key: {path: 2}, slices: 0}}\n",
        &[
            "gw.yaml:6:56: error: slices: 0 is not between 1 and 16384 (keyspaces.carts.slices)",
            " 6 | keyspaces: {carts: {pool: api, key: {path: 2}, slices: 0}}",
            "   |                                                        ^",
        ],
    ),
    case(
        "keyspaces: {carts: {pool: api, key: {path: 2}, planner: {mode: on}}}\n",
        &[
            "gw.yaml:6:64: error: unknown value `on` (keyspaces.carts.planner.mode)",
            " 6 | keyspaces: {carts: {pool: api, key: {path: 2}, planner: {mode: on}}}",
            "   |                                                                ^^",
            "   = known: observe, advise, auto",
        ],
    ),
    case(
        "keyspaces: {carts: {pool: api, key: {path: 2}, planner: {queue_wait: 0s}}}\n",
        &["gw.yaml:6:70: error: queue_wait: 0s is not between 1ms and 1m (keyspaces.carts.planner.queue_wait)"],
    ),
    case(
        "keyspaces: {carts: {pool: api, key: {path: 2}, planner: {presplits: [{at: 5pm, for: 1h, slices: 8}]}}}\n",
        &[
            "gw.yaml:6:75: error: presplits: at: `5pm` is no time of the day (keyspaces.carts.planner.presplits[0].at)",
            " 6 | keyspaces: {carts: {pool: api, key: {path: 2}, planner: {presplits: [{at: 5pm, for: 1h, slices: 8}]}}}",
            "   |                                                                           ^^^",
            "   = write HH:MM, such as 17:30, in UTC",
        ],
    ),
    case(
        "keyspaces: {carts: {pool: api, key: {path: 2}, ordering: per_shard, planner: {presplits: [{at: \"17:30\", for: 1h, slices: 8}]}}}\n",
        &[
            "gw.yaml:6:90: error: planner.presplits: `ordering: per_shard` keeps the order of a slice's writes, which a split would lose: take the plans out, or give it more `slices` from the beginning (keyspaces.carts.planner.presplits)",
        ],
    ),
    case(
        "keyspaces: {carts: {pool: api, key: {path: 2}, reads: newest}}\n",
        &[
            "gw.yaml:6:55: error: unknown value `newest` (keyspaces.carts.reads)",
            " 6 | keyspaces: {carts: {pool: api, key: {path: 2}, reads: newest}}",
            "   |                                                       ^^^^^^",
            "   = known: strict, stale_ok",
        ],
    ),
    case(
        "keyspaces: {carts: {pool: api, key: {path: 2}, ack: log}}\n",
        &[
            "gw.yaml:6:48: error: unknown key `ack` (keyspaces.carts.ack)",
            " 6 | keyspaces: {carts: {pool: api, key: {path: 2}, ack: log}}",
            "   |                                                ^^^",
            "   = known: pool, ordering, slices, reads, planner, hash, key, max_body, waiting",
        ],
    ),
    case(
        "keyspaces: {carts: {pool: api, key: {path: 2}, max_body: 9MiB}}\n",
        &[
            "gw.yaml:6:58: error: max_body: 9MiB is more than 8MiB (keyspaces.carts.max_body)",
            " 6 | keyspaces: {carts: {pool: api, key: {path: 2}, max_body: 9MiB}}",
            "   |                                                          ^^^^",
        ],
    ),
    case(
        "keyspaces: {carts: {pool: api, key: {path: 2}, waiting: {longest: 2h}}}\n",
        &[
            "gw.yaml:6:67: error: waiting.longest: 2h is not between 10ms and 1m (keyspaces.carts.waiting.longest)",
            " 6 | keyspaces: {carts: {pool: api, key: {path: 2}, waiting: {longest: 2h}}}",
            "   |                                                                   ^^",
        ],
    ),
    case(
        "keyspaces: {carts: {pool: api, key: {path: 2}}}\ngossip: {peers: [\"127.0.0.1:7947\"], key_file: k}\n",
        &[
            "gw.yaml:6:12: error: gateways that decide without a coordinator cannot agree on who owns a slice (keyspaces)",
            " 6 | keyspaces: {carts: {pool: api, key: {path: 2}}}",
            "   |            ^",
            "   = run a coordinator, and name it in `coordinator`",
        ],
    ),
];
