//! What a tenant does inside an instance, on another machine: the daemon's
//! side.

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::StreamExt;
use stoa_client::proto::agent::v1::agent_client::AgentClient;
use stoa_client::proto::agent::v1::{
    exec_input, exec_output, DialPiece, ExecInput as WireInput, ExecOutput as WireOutput,
    ExecStart, Files, FilesPiece, Nothing, Port, TerminalSize,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;

use super::wire;
use crate::runtime::{ExecInput, ExecOutput, ExecRequest, ExecSession, InstanceKey, RuntimeError};

/// Pieces under way each way.
const WAITING: usize = 16;
const PIECE_BYTES: usize = 16 << 10;

type Client = AgentClient<Channel>;

/// Begins a command there.
pub(super) async fn exec(
    mut client: Client,
    host: String,
    key: &InstanceKey,
    request: ExecRequest,
) -> Result<ExecSession, RuntimeError> {
    let (rows, columns) = request.size;
    let start = ExecStart {
        instance: Some(wire::instance(key)),
        command: request.command,
        tty: request.tty,
        term: request.term,
        size: Some(TerminalSize { rows: rows.into(), columns: columns.into() }),
        stdin: request.stdin,
    };
    let (input, mut inputs) = mpsc::channel(WAITING);
    let (pieces, sent) = mpsc::channel(WAITING);
    let start = WireInput { input: Some(exec_input::Input::Start(start)) };
    // There is room for it.
    let _ = pieces.send(start).await;
    let answer = client.exec(ReceiverStream::new(sent)).await;
    let mut answer = answer.map_err(|status| wire::error_of(&status, &host))?.into_inner();
    tokio::spawn(async move {
        while let Some(input) = inputs.recv().await {
            if pieces.send(WireInput { input: Some(wire_input(input)) }).await.is_err() {
                return;
            }
        }
    });
    let (outputs, output) = mpsc::channel(WAITING);
    tokio::spawn(async move {
        loop {
            let piece = match answer.message().await {
                Ok(Some(WireOutput { output: Some(output) })) => Ok(runtime_output(output)),
                Ok(Some(WireOutput { output: None })) => continue,
                Ok(None) => return,
                Err(status) => Err(wire::error_of(&status, &host)),
            };
            let last = piece.is_err();
            if outputs.send(piece).await.is_err() || last {
                return;
            }
        }
    });
    Ok(ExecSession { input, output })
}

fn wire_input(input: ExecInput) -> exec_input::Input {
    match input {
        ExecInput::Stdin(bytes) => exec_input::Input::Stdin(bytes.to_vec()),
        ExecInput::EndStdin => exec_input::Input::EndStdin(Nothing {}),
        ExecInput::Resize(rows, columns) => {
            exec_input::Input::Resize(TerminalSize { rows: rows.into(), columns: columns.into() })
        }
        ExecInput::Signal(signal) => exec_input::Input::Signal(signal),
    }
}

fn runtime_output(output: exec_output::Output) -> ExecOutput {
    match output {
        exec_output::Output::Stdout(bytes) => ExecOutput::Stdout(bytes.into()),
        exec_output::Output::Stderr(bytes) => ExecOutput::Stderr(bytes.into()),
        exec_output::Output::Exit(code) => ExecOutput::Exit(code),
    }
}

pub(super) fn files(key: &InstanceKey, path: &str) -> Files {
    Files { instance: Some(wire::instance(key)), path: path.into() }
}

/// Unpacks a tar stream there. An error of the stream's ends it early, and
/// the engine finds the archive torn.
pub(super) async fn write_files(
    mut client: Client,
    host: String,
    head: Files,
    mut tar: BoxStream<'static, Result<Bytes, std::io::Error>>,
) -> Result<(), RuntimeError> {
    let (pieces, sent) = mpsc::channel(WAITING);
    let _ = pieces.send(FilesPiece { head: Some(head), data: vec![] }).await;
    tokio::spawn(async move {
        while let Some(Ok(data)) = tar.next().await {
            if pieces.send(FilesPiece { head: None, data: data.to_vec() }).await.is_err() {
                return;
            }
        }
    });
    let answer = client.write_files(ReceiverStream::new(sent)).await;
    answer.map(drop).map_err(|status| wire::error_of(&status, &host))
}

/// Connects to a port there.
pub(super) async fn dial(
    mut client: Client,
    host: String,
    key: &InstanceKey,
    port: u16,
) -> Result<DuplexStream, RuntimeError> {
    let (pieces, sent) = mpsc::channel(WAITING);
    let head = Port { instance: Some(wire::instance(key)), port: port.into() };
    let _ = pieces.send(DialPiece { head: Some(head), data: vec![] }).await;
    let answer = client.dial(ReceiverStream::new(sent)).await;
    let mut answer = answer.map_err(|status| wire::error_of(&status, &host))?.into_inner();
    let (near, far) = tokio::io::duplex(PIECE_BYTES);
    let (mut read, mut write) = tokio::io::split(far);
    tokio::spawn(async move {
        let mut buffer = vec![0; PIECE_BYTES];
        while let Ok(count @ 1..) = read.read(&mut buffer).await {
            let data = buffer[..count].to_vec();
            if pieces.send(DialPiece { head: None, data }).await.is_err() {
                return;
            }
        }
    });
    tokio::spawn(async move {
        while let Ok(Some(piece)) = answer.message().await {
            if write.write_all(&piece.data).await.is_err() {
                return;
            }
        }
        let _ = write.shutdown().await;
    });
    Ok(near)
}
