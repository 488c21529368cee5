//! On answers as a real HAProxy gave them, cut to what matters.

use proptest::prelude::*;

use super::*;

const INFO: &str = "Name: HAProxy\nVersion: 2.6.12-1+deb12u3\nUptime_sec: 100\n\n";
const HEAD: &str = "# pxname,svname,qcur,qmax,scur,smax,slim,stot,bin,bout,dreq,dresp,ereq,econ,eresp,wretr,wredis,status,weight,act,bck,hrsp_5xx,rtime,ttime,mode,\n";

fn line(server: &str, scur: u32, stot: u64, failed: u64, status: &str, weight: u32, rtime: u64) -> String {
    format!(
        "app,{server},0,0,{scur},9,32,{stot},0,0,,0,,1,0,{failed},0,{status},{weight},1,0,{failed},{rtime},50,http,\n"
    )
}

fn look(lines: &[String]) -> Told {
    told(&format!("{INFO}{HEAD}{}app,BACKEND,0,0,4,9,200,9,0,0,0,0,,0,0,0,0,UP,3,2,0,0,1,1,http,\n\n", lines.concat()))
        .expect("a look")
}

fn watch() -> Watch {
    Watch::new(Looks::default())
}

#[test]
fn servers_are_read_by_the_names_of_columns() {
    let told = look(&[line("a", 4, 1_000, 7, "UP", 2, 20)]);
    assert_eq!((told.version.as_str(), told.uptime, told.rows.len()), ("2.6.12-1+deb12u3", 100, 2));
    let row = &told.rows[0];
    assert_eq!((row.requests, failures(row), row.retries, row.millis, row.limit), (1_000, 8, 7, 20, Some(32)));
    assert_eq!((told.rows[1].kind, row.kind, row.serves()), (Kind::Backend, Kind::Server, true));
}

#[test]
fn counters_from_look_to_look_are_requests_and_time() {
    let mut watch = watch();
    for (at, a, b) in [(0, 0, 0), (5_000, 100, 50), (10_000, 300, 100)] {
        let told = look(&[line("a", 4, a, 0, "UP", 2, 20), line("b", 1, b, 0, "UP", 1, 10)]);
        if at == 0 {
            watch.capacities(&told, &[]);
        }
        watch.take(At(at), &told, &[]);
    }
    let history = watch.recorder.finish("test".into());
    let rate = |node, window| history.figure(&Metric::Requests, node, window).map(|figure| figure.mean);
    assert_eq!((rate(0, 1), rate(0, 2), rate(1, 2)), (Some(20.0), Some(40.0), Some(10.0)));
    assert_eq!(history.figure(&Metric::Busy, 0, 2).map(|figure| figure.mean), Some(0.8));
    assert_eq!(history.figure(&Metric::InFlight, 0, 2).map(|figure| figure.mean), Some(4.0));
    assert_eq!(history.nodes[0].capacity, Some(2.0));
    assert_eq!(history.nodes[0].peers.service.as_deref(), Some("app"));
    assert_eq!(history.traffic.routes, ["app"]);
}

#[test]
fn a_server_that_is_out_has_no_figures_and_is_named() {
    let mut watch = watch();
    for (at, status) in [(0, "UP"), (5_000, "MAINT"), (10_000, "UP 1/3")] {
        watch.take(At(at), &look(&[line("a", 4, 100, 0, status, 1, 20)]), &[]);
    }
    let history = watch.recorder.finish("test".into());
    let there: Vec<_> = (0..3).map(|window| history.figure(&Metric::InFlight, 0, window).is_some()).collect();
    assert_eq!(there, [true, false, true]);
    assert!(history.remarks.iter().any(|remark| remark.what.contains("a is MAINT: it is not judged")));
}

#[test]
fn counters_that_began_anew_are_no_requests() {
    let mut watch = watch();
    watch.take(At(0), &look(&[line("a", 4, 1_000, 0, "UP", 1, 20)]), &[]);
    watch.take(At(5_000), &Told { uptime: 3, ..look(&[line("a", 4, 20, 0, "UP", 1, 20)]) }, &[]);
    watch.take(At(10_000), &Told { uptime: 8, ..look(&[line("a", 4, 70, 0, "UP", 1, 20)]) }, &[]);
    let history = watch.recorder.finish("test".into());
    assert_eq!(history.figure(&Metric::Requests, 0, 1), None);
    assert_eq!(history.figure(&Metric::Requests, 0, 2).map(|figure| figure.mean), Some(10.0));
    assert_eq!(history.happenings[0].kind, HappeningKind::Restart);
}

#[test]
fn answers_faster_than_it_tells_have_no_time() {
    let mut watch = watch();
    for (at, stot) in [(0, 0), (5_000, 100)] {
        watch.take(At(at), &look(&[line("a", 0, stot, 0, "UP", 1, 0), line("b", 0, stot, 0, "UP", 1, 3)]), &[]);
    }
    let history = watch.recorder.finish("test".into());
    assert!(history.figure(&Metric::Busy, 1, 1).is_none() && history.figure(&Metric::Requests, 1, 1).is_some());
    assert!(history.remarks.iter().any(|remark| remark.what.contains("within a millisecond")));
}

#[test]
fn backends_can_be_chosen_and_backups_are_their_own_peers() {
    let mut watch = watch();
    let spare = line("s", 0, 0, 0, "no check", 1, 3).replace(",1,0,0,3,50", ",0,1,0,3,50");
    let told = look(&[line("a", 0, 0, 0, "UP", 1, 3), spare]);
    watch.take(At(0), &told, &["other".into()]);
    watch.take(At(0), &told, &["app".into()]);
    let history = watch.recorder.finish("test".into());
    let roles: Vec<_> = history.nodes.iter().map(|node| (node.name.as_str(), node.peers.role.as_deref())).collect();
    assert_eq!(roles, [("a", None), ("s", Some("backup"))]);
    let at = RuntimeApi::Unix("/run/x".into());
    let wrong = Options { backends: vec!["api".into()], ..Options::new(at, At(0)) };
    let said = check(&wrong, &told).expect_err("no such backend").to_string();
    assert_eq!(said, "HAProxy at unix:/run/x has no servers of api; its backends: app");
}

#[tokio::test]
async fn what_is_no_haproxy_is_said_with_what_it_answered() {
    let table = [
        ("HTTP/1.1 400 Bad Request\r\n\r\n", "it answered `HTTP/1.1 400 Bad Request`"),
        ("", "it answered nothing"),
        ("Permission denied\n\n", "it answered `Permission denied`"),
        ("# pxname,svname,\napp,a,\n", "the connection ended before the answer did"),
        ("# pxname,svname,\napp,a,\n\n", "`show stat` has no column `status`"),
        ("# pxname,svname,status,weight,scur,stot,rtime,\napp,a,UP,many,,,,\n\n", "`show stat`: "),
    ];
    for (answer, part) in table {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("s");
        let listener = tokio::net::UnixListener::bind(&path).expect("a socket");
        let served = tokio::spawn(async move {
            use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
            let (mut stream, _) = listener.accept().await.expect("a client");
            let _ = stream.read(&mut [0; 100]).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        });
        let options = Options::new(RuntimeApi::Unix(path.display().to_string().into()), At(0));
        let said = read(&options, &mut |_| {}).await.expect_err(part).to_string();
        assert!(said.contains(part), "{said}");
        served.await.expect("it answered");
    }
    let away = Options::new(RuntimeApi::Unix("/nowhere/s".into()), At(0));
    let said = read(&away, &mut |_| {}).await.expect_err("nobody").to_string();
    assert!(said.contains("does its `global` section say `stats socket /nowhere/s level user`?"), "{said}");
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,200}") {
        let _ = told(&format!("{INFO}{HEAD}{text}\n\n"));
        let _ = told(&text);
    }

    #[test]
    fn no_cut_makes_it_panic(cut in 0_usize..600) {
        let text = format!("{INFO}{HEAD}{}\n", line("a", 4, 1_000, 7, "UP", 2, 20));
        let _ = told(&text[..cut.min(text.len())]);
    }
}
