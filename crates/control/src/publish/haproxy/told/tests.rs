//! What a real HAProxy answered about its servers, read.

use super::*;

/// What HAProxy 2.6.12 of Debian answered: six servers, one drained, one starting slowly, two in maintenance.
const SAMPLE: &str = include_str!("haproxy-2.6.txt");

fn sample() -> Backend {
    read(SAMPLE, &["app"]).remove(0).expect("sound")
}

fn server_named(name: &str) -> Server {
    sample().servers.into_iter().find(|server| server.name == name).expect("there")
}

#[test]
fn both_answers_together_tell_of_each_server() {
    let backend = sample();
    assert_eq!(backend.algorithm, "roundrobin");
    let names: Vec<_> = backend.servers.iter().map(|server| server.name.as_str()).collect();
    assert_eq!(names, ["a", "b", "c", "d", "e", "f"]);
    let weights = |name| (server_named(name).weight, server_named(name).configured);
    assert_eq!((weights("b"), weights("f")), ((10, 10), (3, 1)));
    let address = |name| server_named(name).address.map(|address| address.to_string());
    assert_eq!(
        [address("a"), address("d"), address("f")],
        [Some("127.0.0.1:18081".into()), None, Some("[::1]:18086".into())]
    );
}

#[test]
fn who_took_a_server_out_is_told_apart() {
    let out: Vec<Out> = sample().servers.iter().map(|server| server.out).collect();
    assert_eq!(out, [Out::No, Out::Drain, Out::No, Out::Maintenance, Out::Maintenance, Out::No]);
    // Disabled by the configuration, then enabled by a command.
    assert_eq!(Out::of(0x04), Out::No);
}

#[test]
fn what_gets_requests_what_starts_slowly_and_what_is_kept_for_need_is_known() {
    let of = |name| (server_named(name).up, server_named(name).slow_start, server_named(name).backup);
    assert_eq!(of("a"), (true, false, false));
    assert_eq!(of("b"), (false, false, false));
    assert_eq!(of("c"), (true, true, false));
    assert_eq!(of("e"), (false, false, true));
}

#[test]
fn answers_are_counted_without_failures() {
    let counters = server_named("f").counters;
    assert_eq!((counters.answered, counters.failed, counters.millis), (16, 3, 23));
    assert_eq!(server_named("b").counters.limit, Some(8));
    assert_eq!(server_named("a").counters.limit, None);
}

#[test]
fn in_tcp_mode_sessions_are_what_is_counted() {
    let sample = SAMPLE.replace(",,http,", ",,tcp,");
    let backend = read(&sample, &["app"]).remove(0).expect("sound");
    let a = &backend.servers[0].counters;
    assert_eq!((a.answered, a.failed, a.millis), (20, 0, 22));
}

#[test]
fn each_backend_has_an_answer_of_its_own_or_the_reason_why_not() {
    let text = format!("No such proxy.\n\nCan't find backend.\n\n{SAMPLE}");
    let [nobody, app] = <[_; 2]>::try_from(read(&text, &["nobody", "app"])).expect("two");
    assert_eq!(nobody, Err(Untold::NoBackend("nobody".into())));
    assert_eq!(app.map(|app| app.servers.len()), Ok(6));
}

#[test]
fn what_is_no_answer_is_refused_with_its_reason() {
    let why = |text: &str| read(text, &["app"]).remove(0).expect_err("nothing").to_string();
    assert!(why("").contains("the connection ended before the answer did"));
    let half = &SAMPLE[..SAMPLE.len() - 40];
    assert!(why(half).contains("the connection ended before the answer did"));
    assert!(why("Unknown command: 'show'\n\nUnknown command\n\n").contains("Unknown command: 'show'"));
    assert!(why(&SAMPLE.replace("\n1\n#", "\n2\n#")).contains("not 1"));
    assert!(why(&SAMPLE.replace(",svname,", ",other,")).contains("no column `svname`"));
}

#[test]
fn columns_may_come_in_any_order_and_more_of_them() {
    let stat = "# type,new,svname,status,pxname,qcur,scur,slim,stot,econ,eresp,wretr,bck,throttle,hrsp_1xx,hrsp_2xx,hrsp_3xx,hrsp_4xx,\
         hrsp_5xx,hrsp_other,rtime,ttime,weight\n2,x,a,UP 1/2,app,1,2,,3,0,0,0,0,45,0,3,0,0,0,0,7,8,5\n\n";
    let state = "1\n# srv_name srv_addr srv_admin_state srv_uweight srv_iweight\na 10.0.0.1 0 5 1\n\n";
    let backend = read(&format!("{stat}{state}"), &["app"]).remove(0).expect("sound");
    let a = &backend.servers[0];
    assert_eq!((a.address, a.weight, a.up, a.slow_start), (None, 5, true, true));
    assert_eq!((a.counters.queue, a.counters.in_flight, a.counters.answered), (1, 2, 3));
}
