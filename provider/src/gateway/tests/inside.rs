//! What a tenant does inside its instances.

use stoa_client::proto::gateway::v1::copy_in_request::Input as CopyInput;
use stoa_client::proto::gateway::v1::port_forward_request::Input as PortInput;
use stoa_client::proto::gateway::v1::shell_request::Input as ShellInput;
use stoa_client::proto::gateway::v1::shell_response::Output as ShellOutput;
use stoa_client::proto::gateway::v1::{
    CopyInRequest, CopyInStart, CopyOutRequest, EventsRequest, GetManifestRequest, InstanceId,
    PortForwardRequest, PortForwardStart, RestartRequest, ShellRequest, ShellStart, TerminalSize,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::*;
use crate::tests_inside::{tar_file, FILE, PORT};

pub(super) fn web(stage: &Stage) -> Option<InstanceId> {
    Some(InstanceId { lease: Some(stage.lease.clone()), service: "web".into(), index: 0 })
}

fn say(input: ShellInput) -> ShellRequest {
    ShellRequest { input: Some(input) }
}

pub(super) fn start(stage: &Stage) -> ShellRequest {
    let command = vec!["cat".into(), "-u".into()];
    let start = ShellStart { instance: web(stage), command, stdin: true, ..Default::default() };
    say(ShellInput::Start(start))
}

#[tokio::test]
async fn a_command_has_its_streams_sizes_and_signals_and_its_exit_code_comes_last() {
    let stage = Stage::set().await;
    stage.run_web().await;
    let mut client = stage.tenant_client().await;
    let (to, input) = mpsc::channel(8);
    to.send(start(&stage)).await.unwrap();
    let mut output = client.shell(ReceiverStream::new(input)).await.unwrap().into_inner();
    let mut next = async || output.message().await.unwrap().map(|m| m.output.unwrap());
    let first = next().await.unwrap();
    assert_eq!(first, ShellOutput::Stderr(b"web[0] [\"cat\", \"-u\"] tty=false\n".to_vec()));
    to.send(say(ShellInput::Stdin(b"hello".to_vec()))).await.unwrap();
    assert_eq!(next().await.unwrap(), ShellOutput::Stdout(b"hello".to_vec()));
    let size = TerminalSize { rows: 40, columns: 1_000_000 };
    to.send(say(ShellInput::Resize(size))).await.unwrap();
    assert_eq!(next().await.unwrap(), ShellOutput::Stdout(b"40x1000".to_vec()), "bounded");
    to.send(say(ShellInput::Signal(2))).await.unwrap();
    assert_eq!(next().await.unwrap(), ShellOutput::ExitCode(130));
    assert_eq!(next().await, None);

    // No more messages are no more stdin.
    let input = futures::stream::iter([start(&stage), say(ShellInput::Stdin(b"x".to_vec()))]);
    let output = client.shell(input).await.unwrap().into_inner();
    let all: Vec<_> = futures::TryStreamExt::try_collect(output).await.unwrap();
    assert_eq!(all.last().unwrap().output, Some(ShellOutput::ExitCode(3)));

    // What is no shell is refused, before or in the stream.
    let nothing = client.shell(futures::stream::iter([])).await.map(drop);
    refused(nothing, Code::InvalidArgument, "without messages");
    let late = client.shell(futures::stream::iter([say(ShellInput::Signal(2))])).await.map(drop);
    refused(late, Code::InvalidArgument, "first message");
    let twice = futures::stream::iter([start(&stage), start(&stage)]);
    let output = client.shell(twice).await.unwrap().into_inner();
    let end: Result<Vec<_>, Status> = futures::TryStreamExt::try_collect(output).await;
    refused(end, Code::InvalidArgument, "second start");
    let huge = say(ShellInput::Stdin(vec![0; 65 << 10]));
    let output = client.shell(futures::stream::iter([start(&stage), huge])).await;
    let end: Result<Vec<_>, Status> =
        futures::TryStreamExt::try_collect(output.unwrap().into_inner()).await;
    refused(end, Code::OutOfRange, "64 KiB");
    let told = stage.board.events().after(&stage.lease.text(), 0);
    assert!(told.iter().any(|event| event.message == "the command cat was begun"), "{told:?}");
    assert!(told.iter().all(|event| !event.message.contains("-u")), "arguments may be secret");
}

#[tokio::test]
async fn an_instance_that_is_not_there_or_does_not_run_is_no_place_to_go() {
    let stage = Stage::set().await;
    let mut client = stage.tenant_client().await;
    let begin = || futures::stream::iter([start(&stage)]);
    refused(client.shell(begin()).await.map(drop), Code::NotFound, "stoa status");
    stage.run_web().await;
    use crate::runtime::Backend;
    let key = stage.engine.instances().remove(0);
    stage.engine.stop(&key).await.unwrap();
    refused(client.shell(begin()).await.map(drop), Code::FailedPrecondition, "does not run");
    let restart = |service: &str| RestartRequest {
        lease: Some(stage.lease.clone()),
        service: service.into(),
        instance: None,
    };
    let stopped = client.restart(restart("web")).await;
    refused(stopped, Code::FailedPrecondition, "an update starts it");
    refused(client.restart(restart("api")).await, Code::NotFound, "no such instance");
    stage.run_web().await;
    let done = client.restart(restart("web")).await.unwrap().into_inner();
    assert_eq!(done.instances, [0]);
    assert_eq!(*stage.engine.restarted.lock().unwrap(), [key]);
}

/// Each did: one tenant that called often kept the engine so busy that nobody's
/// workloads could be looked at.
#[tokio::test]
async fn logs_and_restarts_never_look_at_everybodys_containers() {
    let stage = Stage::set().await;
    let (mut client, mut tenant_client) = (stage.client().await, stage.tenant_client().await);
    let logs = || LogsRequest { lease: Some(stage.lease.clone()), ..LogsRequest::default() };
    let restart = || RestartRequest {
        lease: Some(stage.lease.clone()),
        service: "web".into(),
        instance: None,
    };
    refused(client.logs(logs()).await.map(drop), Code::Unavailable, "try again soon");
    refused(tenant_client.restart(restart()).await, Code::Unavailable, "try again soon");
    stage.run_web().await;
    for _ in 0..20 {
        client.logs(logs()).await.unwrap();
        tenant_client.restart(restart()).await.unwrap();
    }
    let lease = stage.lease_path();
    assert_eq!(stage.get(&format!("{lease}/logs")).await.status, 200);
    let post = http::Request::post(format!("{lease}/service/web/restart"));
    assert_eq!(stage.rest(Some(&stage.tenant), post, b"").await.status, 200);
    assert_eq!(stage.engine.observed.load(std::sync::atomic::Ordering::SeqCst), 0);
    // Another lease's instances are not this one's.
    let mut spec = crate::tests_support::service_goal("web", 1, "1").instances.remove(0);
    spec.key.lease.push('0');
    use crate::runtime::Backend;
    stage.engine.apply(&spec).await.unwrap();
    stage.engine.seen.lock().unwrap().instances.retain(|key, _| *key == spec.key);
    stage.board.saw(&stage.engine.seen.lock().unwrap());
    refused(client.logs(logs()).await.map(drop), Code::NotFound, "nothing runs");
}

#[tokio::test]
async fn a_port_is_forwarded_both_ways_and_each_way_ends_by_itself() {
    let stage = Stage::set().await;
    stage.run_web().await;
    let mut client = stage.tenant_client().await;
    let start = |port: u32| PortForwardRequest {
        input: Some(PortInput::Start(PortForwardStart { instance: web(&stage), port })),
    };
    let data = |bytes: &[u8]| PortForwardRequest { input: Some(PortInput::Data(bytes.to_vec())) };
    let sent = [start(PORT.into()), data(b"hello "), data(&[b'x'; 5000])];
    let output = client.port_forward(futures::stream::iter(sent)).await.unwrap().into_inner();
    let pieces: Vec<_> = futures::TryStreamExt::try_collect(output).await.unwrap();
    let got: Vec<u8> = pieces.into_iter().flat_map(|piece| piece.data).collect();
    assert!(got.starts_with(b"HELLO XXX") && got.ends_with(b"Xbye"), "{}", got.len());
    assert_eq!(got.len(), 6 + 5000 + 3);
    for (port, code, word) in [
        (81, Code::FailedPrecondition, "nothing listens"),
        (0, Code::InvalidArgument, "1 to 65535"),
        (65536, Code::InvalidArgument, "1 to 65535"),
    ] {
        let sent = futures::stream::iter([start(port)]);
        refused(client.port_forward(sent).await.map(drop), code, word);
    }
}

#[tokio::test]
async fn files_go_both_ways_and_devices_do_not() {
    let stage = Stage::set().await;
    stage.run_web().await;
    let mut client = stage.tenant_client().await;
    let out = |path: &str| CopyOutRequest { instance: web(&stage), path: path.into() };
    let chunks = client.copy_out(out(FILE)).await.unwrap().into_inner();
    let chunks: Vec<_> = futures::TryStreamExt::try_collect(chunks).await.unwrap();
    let got: Vec<u8> = chunks.into_iter().flat_map(|chunk| chunk.data).collect();
    assert_eq!(got, tar_file("file", b"content"));
    refused(client.copy_out(out("/nothing")).await.map(drop), Code::NotFound, "no such file");
    refused(client.copy_out(out("etc")).await.map(drop), Code::InvalidArgument, "begins with /");

    let start = || CopyInStart { instance: web(&stage), path: "/srv".into() };
    let first = || CopyInRequest { input: Some(CopyInput::Start(start())) };
    let data = |bytes: &[u8]| CopyInRequest { input: Some(CopyInput::Data(bytes.to_vec())) };
    let tar = tar_file("a", b"b");
    let mut sent = vec![first()];
    sent.extend(tar.chunks(300).map(data));
    let done = client.copy_in(futures::stream::iter(sent)).await.unwrap().into_inner();
    assert_eq!(done.bytes, tar.len() as u64);
    assert_eq!(*stage.engine.written.lock().unwrap(), [("/srv".to_string(), tar.clone())]);
    let mut device = tar;
    device[156] = b'3';
    let sent = futures::stream::iter([first(), data(&device)]);
    refused(client.copy_in(sent).await, Code::InvalidArgument, "devices");
}

#[tokio::test]
async fn the_tenant_reads_back_its_manifest_and_what_happened() {
    let stage = Stage::set().await;
    let mut client = stage.tenant_client().await;
    let request = GetManifestRequest { lease: Some(stage.lease.clone()) };
    let early = client.get_manifest(request.clone()).await;
    refused(early, Code::NotFound, "send it");
    let bytes = stage.manifest.canonical_json();
    stage.submit(&mut stage.client().await, bytes.clone()).await.unwrap();
    let got = client.get_manifest(request).await.unwrap().into_inner();
    assert_eq!((got.manifest, got.version), (bytes, hex::encode(stage.manifest.version())));

    let wanted = |follow, after| EventsRequest { lease: Some(stage.lease.clone()), follow, after };
    let events = client.events(wanted(false, 0)).await.unwrap().into_inner();
    let events: Vec<_> = futures::TryStreamExt::try_collect(events).await.unwrap();
    assert_eq!(events.len(), 1);
    assert!(events[0].message.contains("accepted"), "{events:?}");
    // Who follows sees the past and then what comes.
    let mut following = client.events(wanted(true, 0)).await.unwrap().into_inner();
    assert_eq!(following.message().await.unwrap().unwrap(), events[0]);
    let mut status = stoa_client::proto::gateway::v1::LeaseStatusResponse::default();
    status.set_phase(LeasePhase::Running);
    stage.board.post(&stage.lease.text(), status);
    let next = following.message().await.unwrap().unwrap();
    assert_eq!((next.message.as_str(), next.number), ("running", events[0].number + 1));
}
