//! Running a command: its streams, its size, its signals, its end.

use std::path::PathBuf;
use std::time::Duration;

use bollard::models::{ExecConfig, ExecInspectResponse};
use bollard::query_parameters::ResizeExecOptionsBuilder;
use bollard::Docker;
use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;

use super::super::engine::bounded;
use super::super::names::InstanceKey;
use super::super::{DockerBackend, RuntimeError};
use super::frames::Frames;
use super::{attach, kill, ExecInput, ExecOutput, ExecRequest, ExecSession};

/// Pieces that wait on either side.
const WAITING: usize = 16;
/// Bytes of a piece of output.
const PIECE: usize = 16 << 10;
/// After SIGHUP, before SIGKILL.
const MERCY: Duration = Duration::from_secs(2);
/// How long the engine may take to tell a command's end.
const END_LOOKS: u32 = 50;
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);
const SIGHUP: i32 = 1;
const SIGKILL: i32 = 9;

/// A command at the engine.
struct Command {
    docker: Docker,
    deadline: Duration,
    exec: String,
}

impl DockerBackend {
    /// Begins a command in a running instance.
    pub(in super::super) async fn exec_in(
        &self,
        key: &InstanceKey,
        request: ExecRequest,
    ) -> Result<ExecSession, RuntimeError> {
        let workload = self.names.instance(key).workload;
        let env = (request.tty && !request.term.is_empty())
            .then(|| vec![format!("TERM={}", request.term)]);
        let config = ExecConfig {
            attach_stdin: Some(request.stdin),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            tty: Some(request.tty),
            cmd: Some(request.command),
            env,
            ..ExecConfig::default()
        };
        let deadline = self.config.deadlines.query;
        let create = self.docker.create_exec(&workload, config);
        let exec = self.bounded("preparing a command", deadline, create).await?.id;
        let command = Command { docker: self.docker.clone(), deadline, exec };
        let socket: PathBuf = self.config.socket.clone();
        let starting = attach::start(&socket, &command.exec, request.tty, request.size);
        let connection = tokio::time::timeout(deadline, starting).await.map_err(|_| {
            let cause = format!("no answer within {} s", deadline.as_secs());
            RuntimeError::Unknown { during: "starting a command".into(), cause }
        })??;
        // For engines that gave it none; its first moments may be without.
        command.resize(request.size).await;
        let (input, inputs) = mpsc::channel(WAITING);
        let (outputs, output) = mpsc::channel(WAITING);
        let (read, write) = tokio::io::split(connection);
        let frames = (!request.tty).then(Frames::default);
        tokio::spawn(command.run(read, write, frames, inputs, outputs));
        Ok(ExecSession { input, output })
    }
}

type Outputs = mpsc::Sender<Result<ExecOutput, RuntimeError>>;

impl Command {
    /// Carries bytes until the command ends, or nobody is there for it. Both
    /// directions at once: a command may stop reading until it is read.
    async fn run(
        self,
        read: impl AsyncRead + Unpin,
        write: impl AsyncWrite + Unpin,
        frames: Option<Frames>,
        inputs: mpsc::Receiver<ExecInput>,
        outputs: Outputs,
    ) {
        let ended = tokio::select! {
            ended = drain(read, frames, &outputs) => ended,
            () = self.feed(write, inputs) => false,
            // Also while a command that does not read holds its stdin up.
            () = outputs.closed() => false,
        };
        if !ended {
            return self.end().await;
        }
        let end = self.exit_code().await.map(ExecOutput::Exit);
        let _ = outputs.send(end).await;
    }

    /// Ends when whoever began the command is gone.
    async fn feed(
        &self,
        mut write: impl AsyncWrite + Unpin,
        mut inputs: mpsc::Receiver<ExecInput>,
    ) {
        let mut stdin_open = true;
        while let Some(input) = inputs.recv().await {
            self.take(input, &mut write, &mut stdin_open).await;
        }
    }

    async fn take(&self, input: ExecInput, write: &mut (impl AsyncWrite + Unpin), open: &mut bool) {
        match input {
            ExecInput::Stdin(bytes) if *open => {
                // A command that reads no more is no failure of ours.
                *open = write.write_all(&bytes).await.is_ok();
            }
            ExecInput::Stdin(_) => {}
            ExecInput::EndStdin => {
                *open = false;
                let _ = write.shutdown().await;
            }
            ExecInput::Resize(rows, columns) => self.resize((rows, columns)).await,
            ExecInput::Signal(signal) => self.signal(signal).await,
        }
    }

    /// Best effort: a command without a terminal, or that has just ended,
    /// has no size.
    async fn resize(&self, (rows, columns): (u16, u16)) {
        if rows == 0 || columns == 0 {
            return;
        }
        let size =
            ResizeExecOptionsBuilder::default().h(i32::from(rows)).w(i32::from(columns)).build();
        let call = self.docker.resize_exec(&self.exec, size);
        if let Err(error) = bounded("resizing a terminal", self.deadline, call).await {
            tracing::debug!("{error}");
        }
    }

    async fn inspect(&self) -> Result<ExecInspectResponse, RuntimeError> {
        let call = self.docker.inspect_exec(&self.exec);
        bounded("looking at a command", self.deadline, call).await
    }

    async fn signal(&self, signal: i32) {
        let Ok(seen) = self.inspect().await else { return };
        let (Some(true), Some(pid), Some(container)) = (seen.running, seen.pid, seen.container_id)
        else {
            return;
        };
        if let Err(error) = kill::signal(pid, &container, signal) {
            tracing::debug!("signalling a command: {error}");
        }
    }

    /// Nobody is there for it: the engine would let it run for ever.
    async fn end(&self) {
        self.signal(SIGHUP).await;
        tokio::time::sleep(MERCY).await;
        self.signal(SIGKILL).await;
    }

    async fn exit_code(&self) -> Result<i64, RuntimeError> {
        for _ in 0..END_LOOKS {
            let seen = self.inspect().await?;
            if let (Some(false), Some(code)) = (seen.running, seen.exit_code) {
                return Ok(code);
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
        // It closed its streams and runs on.
        self.end().await;
        let seen = self.inspect().await?;
        Ok(seen.exit_code.unwrap_or(i64::from(128 + SIGKILL)))
    }
}

/// True at the command's end, false where nobody takes what it writes.
async fn drain(
    mut read: impl AsyncRead + Unpin,
    mut frames: Option<Frames>,
    outputs: &Outputs,
) -> bool {
    let mut buffer = BytesMut::with_capacity(PIECE);
    loop {
        buffer.reserve(PIECE);
        match read.read_buf(&mut buffer).await {
            Ok(0) => return true,
            Ok(_) => {
                if !give(buffer.split().freeze(), &mut frames, outputs).await {
                    return false;
                }
            }
            Err(error) => {
                tracing::debug!("a command's output: {error}");
                return true;
            }
        }
    }
}

/// False where nobody takes it any more.
async fn give(bytes: Bytes, frames: &mut Option<Frames>, outputs: &Outputs) -> bool {
    let pieces = match frames {
        None => Ok(vec![ExecOutput::Stdout(bytes)]),
        Some(frames) => frames.push(bytes),
    };
    match pieces {
        Ok(pieces) => {
            for piece in pieces {
                if outputs.send(Ok(piece)).await.is_err() {
                    return false;
                }
            }
            true
        }
        Err(cause) => {
            let during = "reading a command's output".into();
            let _ = outputs.send(Err(RuntimeError::Unknown { during, cause })).await;
            false
        }
    }
}
