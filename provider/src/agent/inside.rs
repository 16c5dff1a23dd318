//! What a tenant does inside an instance: the agent's side.

use std::sync::Arc;

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::StreamExt;
use stoa_client::proto::agent::v1::{
    exec_input, exec_output, Data, DialPiece, ExecInput as WireInput, ExecOutput as WireOutput,
    ExecStart, Files, FilesPiece, Nothing,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Response, Status, Streaming};

use crate::fleet::wire;
use crate::runtime::{Backend, DockerBackend, ExecInput, ExecOutput, ExecRequest, InstanceKey};

const WAITING: usize = 16;
const PIECE_BYTES: usize = 16 << 10;

pub(super) type Stream<T> = BoxStream<'static, Result<T, Status>>;

fn missing() -> Status {
    Status::invalid_argument("the first piece must say what is wanted")
}

fn key(instance: Option<stoa_client::proto::agent::v1::Instance>) -> InstanceKey {
    wire::key(instance.unwrap_or_default())
}

/// Runs a command; the answer begins once it runs.
pub(super) async fn exec(
    backend: &DockerBackend,
    mut pieces: Streaming<WireInput>,
) -> Result<Response<Stream<WireOutput>>, Status> {
    let first = pieces.message().await?.and_then(|piece| piece.input);
    let Some(exec_input::Input::Start(start)) = first else { return Err(missing()) };
    let instance = key(start.instance.clone());
    let session = backend.exec(&instance, request(start)).await;
    let session = session.map_err(|error| wire::status_of(&error))?;
    let input = session.input;
    tokio::spawn(async move {
        // Dropping the sender ends the command: the daemon is gone, or its tenant.
        while let Ok(Some(piece)) = pieces.message().await {
            let Some(piece) = piece.input.and_then(runtime_input) else { continue };
            if input.send(piece).await.is_err() {
                return;
            }
        }
    });
    let outputs = ReceiverStream::new(session.output).map(|output| match output {
        Ok(output) => Ok(WireOutput { output: Some(wire_output(output)) }),
        Err(error) => Err(wire::status_of(&error)),
    });
    Ok(Response::new(outputs.boxed()))
}

fn request(start: ExecStart) -> ExecRequest {
    let size = start.size.unwrap_or_default();
    ExecRequest {
        command: start.command,
        tty: start.tty,
        term: start.term,
        size: (short(size.rows), short(size.columns)),
        stdin: start.stdin,
    }
}

fn short(number: u32) -> u16 {
    u16::try_from(number).unwrap_or(u16::MAX)
}

fn runtime_input(input: exec_input::Input) -> Option<ExecInput> {
    Some(match input {
        exec_input::Input::Start(_) => return None,
        exec_input::Input::Stdin(bytes) => ExecInput::Stdin(bytes.into()),
        exec_input::Input::EndStdin(Nothing {}) => ExecInput::EndStdin,
        exec_input::Input::Resize(size) => ExecInput::Resize(short(size.rows), short(size.columns)),
        exec_input::Input::Signal(signal) => ExecInput::Signal(signal),
    })
}

fn wire_output(output: ExecOutput) -> exec_output::Output {
    match output {
        ExecOutput::Stdout(bytes) => exec_output::Output::Stdout(bytes.to_vec()),
        ExecOutput::Stderr(bytes) => exec_output::Output::Stderr(bytes.to_vec()),
        ExecOutput::Exit(code) => exec_output::Output::Exit(code),
    }
}

pub(super) fn read_files(backend: &DockerBackend, files: Files) -> Response<Stream<Data>> {
    let pieces = backend.read_files(&key(files.instance), &files.path).map(|piece| match piece {
        Ok(bytes) => Ok(Data { data: bytes.to_vec() }),
        Err(error) => Err(wire::status_of(&error)),
    });
    Response::new(pieces.boxed())
}

pub(super) async fn write_files(
    backend: &DockerBackend,
    mut pieces: Streaming<FilesPiece>,
) -> Result<(), Status> {
    let head = pieces.message().await?.and_then(|piece| piece.head).ok_or_else(missing)?;
    let tar = pieces.map(|piece| match piece {
        Ok(piece) => Ok(Bytes::from(piece.data)),
        Err(status) => Err(std::io::Error::other(status.to_string())),
    });
    let written = backend.write_files(&key(head.instance), &head.path, tar.boxed()).await;
    written.map_err(|error| wire::status_of(&error))
}

/// Joins the two streams with a connection, until both have ended.
pub(super) async fn dial(
    backend: &Arc<DockerBackend>,
    mut pieces: Streaming<DialPiece>,
) -> Result<Response<Stream<Data>>, Status> {
    let head = pieces.message().await?.and_then(|piece| piece.head).ok_or_else(missing)?;
    let connection = backend.dial(&key(head.instance), short(head.port)).await;
    let connection = connection.map_err(|error| wire::status_of(&error))?;
    let (mut read, mut write) = tokio::io::split(connection);
    tokio::spawn(async move {
        while let Ok(Some(piece)) = pieces.message().await {
            if write.write_all(&piece.data).await.is_err() {
                return;
            }
        }
        let _ = write.shutdown().await;
    });
    let (out, answer) = mpsc::channel(WAITING);
    tokio::spawn(async move {
        let mut buffer = vec![0; PIECE_BYTES];
        while let Ok(count @ 1..) = read.read(&mut buffer).await {
            if out.send(Ok(Data { data: buffer[..count].to_vec() })).await.is_err() {
                return;
            }
        }
    });
    Ok(Response::new(ReceiverStream::new(answer).boxed()))
}
