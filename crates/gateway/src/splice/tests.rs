//! Bodies through pipes, over real sockets of the loopback.

use std::future::poll_fn;
use std::pin::pin;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

/// Two ends of a connection, with buffers of 64 KiB or so.
async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let address = listener.local_addr().expect("bound");
    let (near, far) = tokio::join!(TcpStream::connect(address), listener.accept());
    let (near, far) = (near.expect("connected"), far.expect("accepted").0);
    for end in [&near, &far] {
        let socket = socket2::SockRef::from(end);
        socket.set_send_buffer_size(64 << 10).expect("set");
        socket.set_recv_buffer_size(64 << 10).expect("set");
    }
    (near, far)
}

/// A worker and a client with a pump between them.
struct Way {
    worker: TcpStream,
    from: TcpStream,
    to: TcpStream,
    client: TcpStream,
}

async fn way() -> Way {
    let ((worker, from), (to, client)) = (pair().await, pair().await);
    Way { worker, from, to, client }
}

/// Runs a pump to its end, and says how many bytes it told of.
async fn run(pump: &mut Pump, from: &TcpStream, to: &TcpStream) -> (u64, Result<(), PumpError>) {
    let mut told = 0;
    loop {
        let moved = poll_fn(|cx| pump.poll(cx, from, to)).await;
        assert!(pump.inside <= PIPE_BYTES);
        match moved {
            Ok(moved) => told += moved.bytes,
            Err(error) => return (told, Err(error)),
        }
        if pump.left == 0 && pump.inside == 0 {
            assert!(moved.is_ok_and(|moved| moved.done));
            return (told, Ok(()));
        }
    }
}

/// Runs a pump until its receiver takes no more and the pipe is not empty.
async fn run_until_stuck(pump: &mut Pump, from: &TcpStream, to: &TcpStream) {
    poll_fn(|cx| {
        while let Poll::Ready(moved) = pump.poll(cx, from, to) {
            moved.expect("both live");
        }
        if pump.inside > 0 { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

fn pattern(length: usize) -> Vec<u8> {
    (0..=250).cycle().zip(0..length).map(|(byte, at)| if at % 4099 == 0 { 255 } else { byte }).collect()
}

#[tokio::test]
async fn a_long_body_arrives_whole_and_what_follows_it_is_not_touched() {
    let Way { mut worker, mut from, to, mut client } = way().await;
    let body = pattern(8 << 20);
    let pipes = Rc::default();
    let mut pump = Pump::new(&pipes, body.len() as u64).expect("a pipe");
    let mut got = vec![0; body.len()];
    let sending = async {
        worker.write_all(&body).await.expect("sent");
        worker.write_all(b"next").await.expect("sent");
    };
    let ((), (told, ended), read) = tokio::join!(sending, run(&mut pump, &from, &to), client.read_exact(&mut got));
    ended.expect("moved");
    read.expect("read");
    assert_eq!(told, body.len() as u64);
    assert!(got == body, "the same bytes");
    let mut next = [0; 4];
    from.read_exact(&mut next).await.expect("it was left where it was");
    assert_eq!(&next, b"next");
}

#[tokio::test]
async fn a_reader_that_does_not_read_holds_the_writer_back() {
    let Way { mut worker, from, to, mut client } = way().await;
    let body = pattern(16 << 20);
    let pipes = Rc::default();
    let mut pump = Pump::new(&pipes, body.len() as u64).expect("a pipe");
    let accepted = Cell::new(0);
    let mut sending = pin!(async {
        while accepted.get() < body.len() {
            accepted.set(accepted.get() + worker.write(&body[accepted.get()..]).await.expect("sent"));
        }
    });
    tokio::select! {
        () = run_until_stuck(&mut pump, &from, &to) => {}
        () = &mut sending => panic!("all of it is on its way to somebody who does not read"),
    }
    assert!(accepted.get() < 8 << 20, "{} bytes are on their way", accepted.get());
    let mut got = vec![0; body.len()];
    let ((), (_, ended), read) = tokio::join!(sending, run(&mut pump, &from, &to), client.read_exact(&mut got));
    ended.expect("moved");
    read.expect("read");
    assert!(got == body, "the same bytes");
}

#[tokio::test]
async fn a_sender_that_ends_early_is_told_from_one_that_breaks() {
    let Way { mut worker, from, to, client: _client } = way().await;
    let pipes = Rc::default();
    let mut pump = Pump::new(&pipes, 1000).expect("a pipe");
    worker.write_all(&[7; 100]).await.expect("sent");
    worker.shutdown().await.expect("ended");
    let (told, ended) = run(&mut pump, &from, &to).await;
    assert!(matches!(ended, Err(PumpError::Early { missing: 900 })), "{ended:?}");
    assert_eq!((told, pump.left + pump.inside as u64), (100, 900));

    let Way { worker, from, to, client: _client } = way().await;
    let mut pump = Pump::new(&pipes, 1000).expect("a pipe");
    socket2::SockRef::from(&worker).set_linger(Some(Duration::ZERO)).expect("set");
    drop(worker);
    let (told, ended) = run(&mut pump, &from, &to).await;
    assert!(matches!(ended, Err(PumpError::From(_))), "{ended:?}");
    assert_eq!(told, 0);
}

#[tokio::test]
async fn a_receiver_that_left_is_the_receivers_fault() {
    let Way { mut worker, from, to, client } = way().await;
    let pipes = Rc::<Pipes>::default();
    let mut pump = Pump::new(&pipes, 8 << 20).expect("a pipe");
    socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO)).expect("set");
    drop(client);
    let body = vec![7; 8 << 20];
    let ended = tokio::select! {
        (_, ended) = run(&mut pump, &from, &to) => ended,
        // It can never send all of it: there is nobody for it.
        sent = worker.write_all(&body) => panic!("{sent:?}"),
    };
    assert!(matches!(ended, Err(PumpError::To(_))), "{ended:?}");
}

#[tokio::test]
async fn what_a_cancelled_pump_left_never_reaches_the_next_receiver() {
    let pipes = Rc::<Pipes>::default();
    let Way { mut worker, from, to, client: _client } = way().await;
    let mut pump = Pump::new(&pipes, 32 << 20).expect("a pipe");
    let secret = vec![b's'; 32 << 20];
    tokio::select! {
        () = run_until_stuck(&mut pump, &from, &to) => {}
        sent = worker.write_all(&secret) => panic!("nobody reads: {sent:?}"),
    }
    assert!(pump.inside > 0);
    drop(pump);
    assert_eq!((pipes.idle.borrow().len(), pipes.in_use.get()), (0, 0));

    let Way { mut worker, from, to, mut client } = way().await;
    let mut pump = Pump::new(&pipes, 5).expect("a pipe");
    worker.write_all(b"clean").await.expect("sent");
    run(&mut pump, &from, &to).await.1.expect("moved");
    drop((pump, to));
    let mut got = Vec::new();
    client.read_to_end(&mut got).await.expect("read");
    assert_eq!(got, b"clean");
    assert_eq!((pipes.idle.borrow().len(), pipes.in_use.get()), (1, 0));
}

#[tokio::test]
async fn a_pump_that_waits_moves_nothing_and_can_be_dropped_with_its_pipe_kept() {
    let pipes = Rc::<Pipes>::default();
    let Way { worker: _worker, from, to, client: _client } = way().await;
    let mut pump = Pump::new(&pipes, 5).expect("a pipe");
    assert!(poll_fn(|cx| Poll::Ready(pump.poll(cx, &from, &to).is_pending())).await);
    drop(pump);
    assert_eq!(pipes.idle.borrow().len(), 1);
}

#[test]
fn pipes_are_bounded_and_come_back() {
    let pipes = Rc::<Pipes>::default();
    let mut pumps: Vec<_> = Vec::new();
    let why = loop {
        match Pump::new(&pipes, 1) {
            Ok(pump) => pumps.push(pump),
            Err(why) => break why,
        }
    };
    // A user without privileges may have fewer.
    assert!(pumps.len() == MOST_PIPES || matches!(why, NoPipe::System(_)), "{why}");
    pumps.pop();
    Pump::new(&pipes, 1).expect("there is one again");
    pumps.clear();
    assert_eq!((pipes.in_use.get(), pipes.idle.borrow().len()), (0, MOST_IDLE));
}
