//! Sources of workers, files and names, as they change, lie, break and come back.

use std::sync::Mutex;
use std::time::Duration;

use hickory_resolver::proto::op::{Message, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, SRV};
use hickory_resolver::proto::rr::{Name, RData, Record};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use super::*;

/// What the name server in the test says; `None` means that it fails.
type Zone = Arc<Mutex<Option<Vec<(&'static str, u32, RData)>>>>;

async fn name_server(zone: Zone) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    let address = socket.local_addr().expect("bound");
    tokio::spawn(async move {
        let mut buffer = [0_u8; 4096];
        while let Ok((length, peer)) = socket.recv_from(&mut buffer).await {
            let question = Message::from_vec(&buffer[..length]).expect("a question");
            let mut answer = Message::response(question.metadata.id, question.metadata.op_code);
            answer.add_queries(question.queries.clone());
            let asked = question.queries[0].clone();
            match &*zone.lock().expect("no panic") {
                None => answer.metadata.response_code = ResponseCode::ServFail,
                Some(records) => {
                    for (name, ttl, data) in records {
                        let name = Name::from_ascii(name).expect("a name");
                        if name == *asked.name() && data.record_type() == asked.query_type() {
                            answer.add_answer(Record::from_rdata(name, *ttl, data.clone()));
                        }
                    }
                }
            }
            let bytes = answer.to_vec().expect("encodes");
            let _ = socket.send_to(&bytes, peer).await;
        }
    });
    address
}

fn a(last: u8) -> RData {
    RData::A(A::new(127, 0, 0, last))
}

struct Watched {
    told: mpsc::UnboundedReceiver<Event>,
    _discovery: Discovery,
}

impl Watched {
    fn begin(source: &str, servers: &[SocketAddr]) -> Self {
        let (send, told) = mpsc::unbounded_channel();
        let tell: Tell = Arc::new(move |_, event| drop(send.send(event)));
        let mut discovery = Discovery::new(Names::asking(servers), tell);
        let source: Source = serde_json::from_value(source.into()).expect("a source");
        discovery.reconcile(vec![(PoolId(1), source)]);
        Self { told, _discovery: discovery }
    }

    /// The next thing told that is as `wanted`.
    async fn until(&mut self, wanted: impl Fn(&Event) -> bool) -> Event {
        let next = async {
            loop {
                let event = self.told.recv().await.expect("the task runs");
                if wanted(&event) {
                    return event;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(60), next).await.expect("told in time")
    }

    async fn names(&mut self, count: usize) -> Vec<(String, f64)> {
        let event = self.until(|event| matches!(event, Event::Said(_, found, _) if found.len() == count)).await;
        let Event::Said(_, found, _) = event else { unreachable!("asked for") };
        found.iter().map(|found| (found.name.to_string(), found.weight)).collect()
    }
}

#[tokio::test]
async fn every_address_of_a_name_is_a_worker_and_answers_age_by_their_ttl() {
    let zone: Zone = Arc::new(Mutex::new(Some(vec![("svc.test.", 1, a(2)), ("svc.test.", 1, a(1))])));
    let server = name_server(Arc::clone(&zone)).await;
    let mut watched = Watched::begin("dns:http://svc.test:9000", &[server]);
    let names = watched.names(2).await;
    assert_eq!(names[0].0, "http://svc.test:9000#127.0.0.1:9000");
    *zone.lock().expect("no panic") = Some(vec![("svc.test.", 1, a(3))]);
    assert_eq!(watched.names(1).await[0].0, "http://svc.test:9000#127.0.0.3:9000");
}

#[tokio::test]
async fn a_name_server_that_fails_is_told_and_names_nobody() {
    let server = name_server(Arc::default()).await;
    let mut watched = Watched::begin("dns:http://svc.test:9000", &[server]);
    watched.until(|event| matches!(event, Event::Failed(_, why) if why.contains("stays"))).await;
}

#[tokio::test]
async fn a_plain_url_with_a_name_is_one_worker_under_its_own_name() {
    let zone: Zone = Arc::new(Mutex::new(Some(vec![("svc.test.", 60, a(2)), ("svc.test.", 60, a(1))])));
    let server = name_server(zone).await;
    let mut watched = Watched::begin("http://svc.test:9000", &[server]);
    assert_eq!(watched.names(1).await[0].0, "http://svc.test:9000");
}

#[tokio::test]
async fn the_first_priority_of_an_srv_name_gives_workers_with_weights() {
    let target = |name: &str| Name::from_ascii(name).expect("a name");
    let srv = |priority, weight, name| RData::SRV(SRV::new(priority, weight, 9000, target(name)));
    let zone: Zone = Arc::new(Mutex::new(Some(vec![
        ("_http._tcp.svc.test.", 60, srv(1, 3, "one.test.")),
        ("_http._tcp.svc.test.", 60, srv(1, 0, "two.test.")),
        ("_http._tcp.svc.test.", 60, srv(9, 5, "spare.test.")),
        ("one.test.", 60, a(1)),
        ("two.test.", 60, a(2)),
        ("spare.test.", 60, a(9)),
    ])));
    let server = name_server(zone).await;
    let mut watched = Watched::begin("dns+srv:_http._tcp.svc.test", &[server]);
    let names = watched.names(2).await;
    assert_eq!(names[0], ("http://one.test:9000#127.0.0.1:9000".to_owned(), 3.0));
    assert_eq!(names[1], ("http://two.test:9000#127.0.0.2:9000".to_owned(), 1.0));
}

#[tokio::test]
async fn a_file_is_read_again_when_it_is_replaced_and_its_faults_are_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("workers.yaml");
    std::fs::write(&path, "- http://127.0.0.1:1\n- {url: 'http://127.0.0.1:2', name: b, weight: 2}\n").expect("writes");
    let nobody = name_server(Arc::default()).await;
    let mut watched = Watched::begin(&format!("file:{}", path.display()), &[nobody]);
    assert_eq!(watched.names(2).await[1], ("b".to_owned(), 2.0));
    for (text, reason) in [
        ("", "it is empty"),
        ("- http://169.254.169.254\n", "link-local"),
        ("- file:other.yaml\n", "is a source"),
        ("- {url: 'http://a', wieght: 2}\n", "wieght"),
    ] {
        let fresh = folder.path().join("new");
        std::fs::write(&fresh, text).expect("writes");
        std::fs::rename(&fresh, &path).expect("replaces");
        watched.until(|event| matches!(event, Event::Failed(_, why) if why.contains(reason))).await;
    }
    std::fs::remove_file(&path).expect("removes");
    watched.until(|event| matches!(event, Event::Failed(_, why) if why.contains("No such file"))).await;
    std::fs::write(&path, "[http://127.0.0.1:3]").expect("writes");
    assert_eq!(watched.names(1).await[0].0, "http://127.0.0.1:3");
}

#[tokio::test]
async fn a_name_with_only_an_ipv6_address_is_a_worker_too() {
    let zone: Zone =
        Arc::new(Mutex::new(Some(vec![("six.test.", 60, RData::AAAA("::1".parse().expect("an address")))])));
    let server = name_server(zone).await;
    let mut watched = Watched::begin("dns:http://six.test:9000", &[server]);
    assert_eq!(watched.names(1).await[0].0, "http://six.test:9000#[::1]:9000");
}
