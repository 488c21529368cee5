//! Commands without a running gateway: what is said, and how they end.

mod process;

use process::ambidex;
use tempfile::TempDir;

/// What a command says on both ways, and how it ends.
fn said(arguments: &[&str]) -> (String, Option<i32>) {
    let folder = TempDir::new().expect("a folder");
    let output = ambidex(folder.path()).args(arguments).output().expect("the binary runs");
    let text = [output.stdout, output.stderr].concat();
    (String::from_utf8(text).expect("UTF-8"), output.status.code())
}

#[test]
fn without_a_gateway_every_question_says_how_to_get_one() {
    // Port 1 of loopback: nobody listens there.
    let questions: [&[&str]; 7] = [
        &["workers"],
        &["decisions"],
        &["explain", "weight", "a"],
        &["drain", "a", "--yes"],
        &["freeze", "api", "--yes"],
        &["config", "history"],
        &["decisions", "verify"],
    ];
    for question in questions {
        let (text, code) = said(&[question, &["--admin", "127.0.0.1:1"]].concat());
        let start = "no gateway answers at 127.0.0.1:1: is `ambidex run` running? (use --admin URL)";
        // A change needs the token first.
        assert!(text.contains(start) || text.contains("AMBIDEX_TOKEN_FILE"), "{question:?}: {text}");
        assert_eq!(code, Some(1), "{question:?}");
    }
}

#[test]
fn a_wrong_command_ends_with_2() {
    for arguments in [&["rnu"][..], &["run"], &["check"], &["pin", "heavy", "a"], &["workers", "--admin", "x"]] {
        assert_eq!(said(arguments).1, Some(2), "{arguments:?}");
    }
}

#[test]
fn a_bad_configuration_does_not_start() {
    let (text, code) = said(&["proxy", "--listen", "8080", "--to", "ftp://a"]);
    assert!(text.contains("the command line:") && text.contains("`8080`") && text.contains("`ftp://a`"), "{text}");
    assert_eq!(code, Some(2));
    let (text, code) = said(&["run", "missing.yaml"]);
    assert!(text.contains("missing.yaml:1:1: error: there is no such file"), "{text}");
    assert_eq!(code, Some(2));
}

#[test]
fn an_option_of_the_laboratory_that_does_not_exist_gets_a_suggestion() {
    let (text, code) = said(&["lab", "worker", "slts=4"]);
    assert!(text.contains("unknown key `slts`") && text.contains("did you mean `slots`?"), "{text}");
    assert_eq!(code, Some(2));
}

#[test]
fn a_replay_stays_on_this_machine_unless_it_is_told_otherwise() {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("one.gor");
    std::fs::write(&file, "1 a 1\nPOST /a HTTP/1.1\r\nhost: a\r\n\r\n").expect("written");
    let replay = |more: &[&str]| said(&[&["replay", file.to_str().expect("UTF-8")], more].concat());
    for (more, says, code) in [
        (&["--to", "http://192.0.2.1:80"][..], "192.0.2.1:80 is not a loopback address", 2),
        (&["--to", "http://192.0.2.1:80", "--remote", "--unsafe"], "no terminal to ask at; add --yes", 2),
        (&["--to", "http://127.0.0.1:9"], "nothing of the 1 recorded requests is left to send", 1),
        (&["--to", "http://127.0.0.1:9", "--unsafe"], "no terminal to ask at; add --yes", 2),
        (&["--to", "https://127.0.0.1:9"], "TLS is not spoken", 2),
        (&["--to", "http://127.0.0.1:9", "--filter", "verb=GET"], "`verb=GET` is no condition", 2),
        (&["--to", "http://127.0.0.1:9", "--speed", "fast"], "write a factor from 0.01x to 1000x", 2),
    ] {
        let (text, ended) = replay(more);
        assert!(text.contains(says) && ended == Some(code), "{more:?}: {ended:?} {text}");
    }
    // Nobody listens there: what fails is counted.
    let (text, code) = replay(&["--to", "http://127.0.0.1:1", "--unsafe", "--yes"]);
    assert!(text.contains("failed    1 connect") && code == Some(1), "{text}");
}

#[test]
fn the_version_is_told_to_people_and_programs() {
    assert_eq!(said(&["version"]), (format!("ambidex {}\n", env!("CARGO_PKG_VERSION")), Some(0)));
    let (text, _) = said(&["version", "--output", "json"]);
    let version: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(version["schema_version"], 1);
}

#[test]
fn every_shell_gets_its_completions() {
    for shell in ["bash", "zsh", "fish"] {
        let (script, code) = said(&["completions", shell]);
        assert!(script.contains("ambidex") && code == Some(0), "{shell}");
    }
}

#[test]
fn every_command_explains_itself() {
    for command in [
        "run",
        "proxy",
        "demo",
        "check",
        "config",
        "workers",
        "explain",
        "decisions",
        "drain",
        "pin",
        "drill",
        "canary",
        "switch",
        "experiment",
        "replay",
        "gate",
        "lab",
    ] {
        let (text, code) = said(&[command, "--help"]);
        assert!(text.len() > 100 && code == Some(0), "{command}: {text}");
    }
}
