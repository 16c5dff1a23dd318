//! The server over real sockets, with good and malformed frames.

use std::{
    io::{Read, Write},
    net::TcpStream,
    os::unix::net::UnixStream,
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use prost::Message;
use tendermint_proto::v0_38::abci::{
    request::Value as Ask, response::Value as Answer, Request, RequestCheckTx, RequestEcho,
    RequestFlush, RequestInfo, Response, ResponseCheckTx, ResponseInfo,
};

use super::{frame::push_message, Address, Application, Server, ServerOptions};

/// Remembers the transactions that it was asked to check.
#[derive(Clone, Default)]
struct Probe(Arc<Mutex<Vec<Vec<u8>>>>);

impl Application for Probe {
    fn info(&self, ask: RequestInfo) -> ResponseInfo {
        ResponseInfo { data: ask.version, last_block_height: 7, ..Default::default() }
    }

    fn check_tx(&self, ask: RequestCheckTx) -> ResponseCheckTx {
        self.0.lock().unwrap().push(ask.tx.to_vec());
        ResponseCheckTx { gas_wanted: 5, ..Default::default() }
    }
}

const LIMITS: ServerOptions = ServerOptions { frame_limit: 4096, max_connections: 3 };

fn unix_server(probe: Probe) -> (tempfile::TempDir, std::path::PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("abci.sock");
    let server = Server::bind(&Address::Unix(path.clone()), LIMITS).unwrap();
    thread::spawn(move || server.run(&probe));
    (dir, path)
}

fn connect(path: &std::path::Path) -> UnixStream {
    let stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream
}

fn frames(asks: impl IntoIterator<Item = Ask>) -> Vec<u8> {
    let mut out = Vec::new();
    for ask in asks {
        push_message(&mut out, &Request { value: Some(ask) });
    }
    out
}

fn flush() -> Ask {
    Ask::Flush(RequestFlush {})
}

fn echo(message: &str) -> Ask {
    Ask::Echo(RequestEcho { message: message.to_owned() })
}

fn read_answer(stream: &mut impl Read) -> Answer {
    let mut len = 0_usize;
    for shift in (0..).step_by(7) {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        len |= usize::from(byte[0] & 0x7f) << shift;
        if byte[0] < 0x80 {
            break;
        }
    }
    let mut body = vec![0; len];
    stream.read_exact(&mut body).unwrap();
    Response::decode(body.as_slice()).unwrap().value.unwrap()
}

fn is_closed(stream: &mut impl Read) -> bool {
    matches!(stream.read(&mut [0]), Ok(0) | Err(_))
}

#[test]
fn answers_come_in_order_over_both_kinds_of_sockets() {
    let probe = Probe::default();
    let (_dir, path) = unix_server(probe.clone());
    let tcp = Server::bind(&"tcp://127.0.0.1:0".parse().unwrap(), LIMITS).unwrap();
    let Address::Tcp(host) = tcp.address().unwrap() else { panic!("a TCP address") };
    let app = probe.clone();
    thread::spawn(move || tcp.run(&app));

    fn talk(mut stream: impl Read + Write) {
        let check = Ask::CheckTx(RequestCheckTx { tx: b"tx".to_vec().into(), r#type: 0 });
        let info = Ask::Info(RequestInfo { version: "v".to_owned(), ..Default::default() });
        stream.write_all(&frames([info, check, echo("hello"), flush()])).unwrap();
        let Answer::Info(info) = read_answer(&mut stream) else { panic!("info first") };
        assert_eq!((info.data.as_str(), info.last_block_height), ("v", 7));
        let Answer::CheckTx(check) = read_answer(&mut stream) else { panic!("then check") };
        assert_eq!(check.gas_wanted, 5);
        let Answer::Echo(echo) = read_answer(&mut stream) else { panic!("then echo") };
        assert_eq!(echo.message, "hello");
        assert!(matches!(read_answer(&mut stream), Answer::Flush(_)));
    }
    talk(connect(&path));
    talk(TcpStream::connect(host).unwrap());
    assert_eq!(*probe.0.lock().unwrap(), [b"tx".to_vec(), b"tx".to_vec()]);
}

#[test]
fn nothing_is_written_before_a_flush() {
    let (_dir, path) = unix_server(Probe::default());
    let mut stream = connect(&path);
    stream.write_all(&frames([echo("a"), echo("b")])).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    assert!(stream.read(&mut [0]).is_err(), "answers wait for the flush");
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(&frames([flush()])).unwrap();
    assert!(matches!(read_answer(&mut stream), Answer::Echo(_)));
    assert!(matches!(read_answer(&mut stream), Answer::Echo(_)));
    assert!(matches!(read_answer(&mut stream), Answer::Flush(_)));
}

#[test]
fn frames_may_arrive_byte_by_byte() {
    let (_dir, path) = unix_server(Probe::default());
    let mut stream = connect(&path);
    let long = "x".repeat(300);
    for byte in frames([echo(&long), flush()]) {
        stream.write_all(&[byte]).unwrap();
    }
    let Answer::Echo(answer) = read_answer(&mut stream) else { panic!("an echo") };
    assert_eq!(answer.message, long);
}

#[test]
fn malformed_frames_get_an_exception_and_the_connection_ends() {
    let (_dir, path) = unix_server(Probe::default());
    let cases: [(&str, Vec<u8>, &str); 6] = [
        ("an empty request", vec![0], "empty or of an unknown kind"),
        // Field 100 is no request of this version.
        ("an unknown request", vec![3, 0xa2, 0x06, 0], "empty or of an unknown kind"),
        ("no protobuf", vec![2, 0xff, 0xff], "not an ABCI 0.38 request"),
        ("a long frame", vec![0x81, 0x20], "a frame of 4097 bytes exceeds the limit of 4096"),
        ("a huge length", [[0xff; 9].as_slice(), &[1]].concat(), "exceeds the limit"),
        ("an overlong varint", vec![0xff; 11], "not a varint"),
    ];
    for (name, bytes, expected) in cases {
        let mut stream = connect(&path);
        let mut sent = frames([echo("before")]);
        sent.extend(bytes);
        stream.write_all(&sent).unwrap();
        assert!(matches!(read_answer(&mut stream), Answer::Echo(_)), "{name}");
        let Answer::Exception(told) = read_answer(&mut stream) else { panic!("{name}") };
        assert!(told.error.contains(expected), "{name}: {}", told.error);
        assert!(is_closed(&mut stream), "{name}");
    }
}

#[test]
fn a_cut_frame_ends_its_connection_only() {
    let (_dir, path) = unix_server(Probe::default());
    let mut cut = connect(&path);
    cut.write_all(&[10, 1, 2]).unwrap();
    cut.shutdown(std::net::Shutdown::Write).unwrap();
    let Answer::Exception(told) = read_answer(&mut cut) else { panic!("an exception") };
    assert!(told.error.contains("ended inside a frame"), "{}", told.error);
    let mut other = connect(&path);
    other.write_all(&frames([flush()])).unwrap();
    assert!(matches!(read_answer(&mut other), Answer::Flush(_)));
}

#[test]
fn connections_are_limited_and_places_come_free() {
    let (_dir, path) = unix_server(Probe::default());
    let flush_works = |stream: &mut UnixStream| {
        stream.write_all(&frames([flush()])).unwrap();
        assert!(matches!(read_answer(stream), Answer::Flush(_)));
    };
    let mut open: Vec<_> = (0..3).map(|_| connect(&path)).collect();
    open.iter_mut().for_each(flush_works);
    assert!(is_closed(&mut connect(&path)));
    open.pop();
    let free = (0..3_000).any(|_| {
        thread::sleep(Duration::from_millis(20));
        let mut stream = connect(&path);
        stream.write_all(&frames([flush()])).is_ok() && !is_closed(&mut stream)
    });
    assert!(free, "a closed connection gives its place back");
}

#[test]
fn an_abandoned_socket_is_replaced_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("abci.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists(), "an abandoned socket file stays");
    let server = Server::bind(&Address::Unix(path.clone()), LIMITS).unwrap();
    assert!(Server::bind(&Address::Unix(path.clone()), LIMITS).is_err(), "somebody listens");
    drop(server);
    assert!(!path.exists());
    std::fs::write(&path, "precious").unwrap();
    assert!(Server::bind(&Address::Unix(path.clone()), LIMITS).is_err());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
}
