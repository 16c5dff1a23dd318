//! What a tenant does inside an instance, on a real engine.

// Clippy's own exception for tests does not see helpers.
#![allow(clippy::unwrap_used)]

// It has what the runtime's own tests need besides.
#[allow(dead_code)]
mod support;

use bytes::Bytes;
use futures::StreamExt;
use stoa_provider::runtime::{
    Backend, ExecInput, ExecOutput, ExecRequest, ExecSession, InstanceKey, LogRequest, VolumeClass,
    VolumeSpec,
};
use support::{exec, Provider};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn request(tty: bool, command: &[&str]) -> ExecRequest {
    let command = command.iter().map(|word| (*word).to_string()).collect();
    ExecRequest { command, tty, stdin: true, size: (31, 97), term: "vt100".into() }
}

/// All of stdout and stderr, and the exit code.
async fn outcome(mut session: ExecSession) -> (Vec<u8>, Vec<u8>, i64) {
    let (mut stdout, mut stderr) = (vec![], vec![]);
    while let Some(output) = session.output.recv().await {
        match output.unwrap() {
            ExecOutput::Stdout(bytes) => stdout.extend_from_slice(&bytes),
            ExecOutput::Stderr(bytes) => stderr.extend_from_slice(&bytes),
            ExecOutput::Exit(code) => return (stdout, stderr, code),
        }
    }
    panic!("no exit code after {} bytes", stdout.len())
}

async fn say(session: &ExecSession, input: ExecInput) {
    session.input.send(input).await.unwrap();
}

#[tokio::test]
async fn a_tenant_goes_into_its_instance_and_leaves_nothing_running() {
    let provider = Provider::start("inside").await;
    let image = provider.busybox().await;
    let mut spec = provider.spec("inside-lease", "web", &image);
    spec.volumes = vec![VolumeSpec {
        name: "data".into(),
        bytes: 1 << 20,
        class: VolumeClass::Persistent,
        storage_class: String::new(),
        mount: "/data".into(),
        read_only: false,
        data: None,
    }];
    let backend = &provider.backend;
    backend.apply(&spec).await.unwrap();
    let workload = backend.names().instance(&spec.key).workload;
    commands(backend, &spec.key).await;
    terminals(backend, &spec.key).await;
    abandoned(backend, &spec.key, &workload).await;
    files(backend, &spec.key, &workload).await;
    ports(backend, &spec.key).await;
    log_and_events(backend, &spec.key).await;
}

/// Both streams, much in both directions at once, the code, signals.
async fn commands(backend: &impl Backend, key: &InstanceKey) {
    let line = "cat; echo problem >&2; exit 7";
    let session = backend.exec(key, request(false, &["sh", "-c", line])).await.unwrap();
    let sent: Vec<u8> = (0..1_000_000_u32).map(|i| (i % 251) as u8).collect();
    let input = session.input.clone();
    let whole = sent.clone();
    tokio::spawn(async move {
        for piece in whole.chunks(50_000) {
            input.send(ExecInput::Stdin(Bytes::copy_from_slice(piece))).await.unwrap();
        }
        input.send(ExecInput::EndStdin).await.unwrap();
    });
    let (stdout, stderr, code) = outcome(session).await;
    assert!(stdout == sent, "{} of {} bytes came back", stdout.len(), sent.len());
    assert_eq!((String::from_utf8(stderr).unwrap().as_str(), code), ("problem\n", 7));

    let session = backend.exec(key, request(false, &["sleep", "1000"])).await.unwrap();
    say(&session, ExecInput::Signal(15)).await;
    assert_eq!(outcome(session).await.2, 143);
    let session = backend.exec(key, request(false, &["/no/such/program"])).await;
    // Engines say so at once, or with the code of shells.
    if let Ok(session) = session {
        assert!([126, 127].contains(&outcome(session).await.2));
    }
}

/// Its size, and bytes that look like the engine's own framing.
async fn terminals(backend: &impl Backend, key: &InstanceKey) {
    let line = "read a; busybox stty size; read b; busybox stty size; echo $TERM; \
                printf '\\001\\000\\000\\000\\377\\377\\377\\377tail'";
    let session = backend.exec(key, request(true, &["sh", "-c", line])).await.unwrap();
    say(&session, ExecInput::Stdin("x\n".into())).await;
    say(&session, ExecInput::Resize(40, 100)).await;
    say(&session, ExecInput::Stdin("y\n".into())).await;
    let (output, _, code) = outcome(session).await;
    let text = String::from_utf8_lossy(&output);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("40 100") && text.contains("vt100"), "{text}");
    assert!(output.ends_with(b"\x01\0\0\0\xff\xff\xff\xfftail"), "{output:?}");
}

/// A command whose caller is gone is ended, even one that will not hear.
async fn abandoned(backend: &impl Backend, key: &InstanceKey, workload: &str) {
    let deaf = ["sh", "-c", "trap '' HUP TERM; echo up; while :; do sleep 4321; done"];
    let ExecSession { input, mut output } = backend.exec(key, request(true, &deaf)).await.unwrap();
    output.recv().await.unwrap().unwrap();
    drop(input);
    // The stream ends when it has been seen to.
    while output.recv().await.is_some() {}
    // One that does not read, with its stdin full.
    let session = backend.exec(key, request(false, &["sleep", "4321"])).await.unwrap();
    let zeros = Bytes::from(vec![0; 64 << 10]);
    while session.input.try_send(ExecInput::Stdin(zeros.clone())).is_ok() {
        tokio::task::yield_now().await;
    }
    drop(session.output);
    // Its stdin is let go of first, then it is ended.
    session.input.closed().await;
    let running = || exec(workload, "cat /proc/[0-9]*/cmdline | busybox tr '\\0' ' '");
    for _ in 0..300 {
        if !running().contains("4321") {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("it runs on: {}", running());
}

async fn files(backend: &impl Backend, key: &InstanceKey, workload: &str) {
    let mut header = tar::Header::new_gnu();
    header.set_size(7);
    header.set_mode(0o750);
    let mut builder = tar::Builder::new(vec![]);
    builder.append_data(&mut header, "dir/file", &b"content"[..]).unwrap();
    let sent = builder.into_inner().unwrap();
    let pieces: Vec<_> = sent.chunks(700).map(Bytes::copy_from_slice).map(Ok).collect();
    let tar = futures::stream::iter(pieces).boxed();
    backend.write_files(key, "/data", tar).await.unwrap();
    assert_eq!(exec(workload, "cat /data/dir/file"), "content");
    let mut got = vec![];
    let mut pieces = backend.read_files(key, "/data/dir");
    while let Some(piece) = pieces.next().await {
        got.extend_from_slice(&piece.unwrap());
    }
    let mut archive = tar::Archive::new(&got[..]);
    let names: Vec<_> = archive
        .entries()
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            (entry.path().unwrap().display().to_string(), entry.header().mode().unwrap() & 0o777)
        })
        .collect();
    assert!(names.contains(&("dir/file".into(), 0o750)), "{names:?}");
    // A link in the instance leads to its own files, never to the host's.
    exec(workload, "busybox ln -s /../../../../mark /data/link");
    let mut pieces = backend.read_files(key, "/data/link/");
    let first = pieces.next().await.unwrap();
    assert!(first.is_err() || first.unwrap().starts_with(b"mark"));
    let error = backend.read_files(key, "/nothing").next().await.unwrap().unwrap_err();
    assert!(error.is_absent(), "{error}");
    let nowhere = futures::stream::iter([Ok(Bytes::from(sent))]).boxed();
    assert!(backend.write_files(key, "/nowhere", nowhere).await.unwrap_err().is_absent());
}

async fn ports(backend: &impl Backend, key: &InstanceKey) {
    let mut connection = backend.dial(key, 8080).await.unwrap();
    connection.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with("hello\n"), "{answer}");
    let error = backend.dial(key, 81).await.err().unwrap().to_string();
    assert!(error.contains("nothing listens"), "{error}");
}

/// The reading of a log ends with its container, for the gateway to go on;
/// and how the container ended is told.
async fn log_and_events(backend: &impl Backend, key: &InstanceKey) {
    let mut events = backend.events();
    let follow = LogRequest { follow: true, tail: Some(0), since: None };
    let mut log = backend.logs(key, follow);
    let stopping = backend.stop(key);
    let dying = async {
        loop {
            let event = events.next().await.unwrap().unwrap();
            if event.action == "die" && !event.link {
                return event.exit_code;
            }
        }
    };
    let reading = async { while log.next().await.is_some() {} };
    let (stopped, code, ()) = tokio::join!(stopping, dying, reading);
    stopped.unwrap();
    assert!(code.is_some_and(|code| code >= 128), "{code:?}");
    assert!(backend.exec(key, request(false, &["sh"])).await.is_err(), "it does not run");
}
