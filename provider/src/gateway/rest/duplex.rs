//! Shells and ports over WebSockets.
//!
//! A shell: to it, binary messages are stdin, text messages are JSON with one
//! of `resize` ({"rows", "columns"}), `signal` (a number), `end_stdin`. From
//! it, binary messages are one byte (1 stdout, 2 stderr) and what was
//! written; the last is text: {"exit_code"}. A port: binary messages alone.

use bytes::{BufMut, Bytes, BytesMut};
use futures::{SinkExt, StreamExt};
use serde::Deserialize;
use serde_json::json;
use stoa_client::proto::gateway::v1::TerminalSize;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;
use tonic::Status;

use super::super::logs::engine_error;
use super::super::sessions;
use super::socket::{close, Socket};
use crate::runtime::{ExecInput, ExecOutput, ExecSession};

const STDOUT: u8 = 1;
const STDERR: u8 = 2;

#[derive(Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Control {
    Resize { rows: u32, columns: u32 },
    Signal(i32),
    EndStdin(bool),
}

/// Carries a shell until it ends or the client goes.
pub(super) async fn shell(socket: Socket, session: ExecSession) {
    let ExecSession { input, mut output } = session;
    let (mut to_client, mut from_client) = socket.split();
    let listening = async {
        while let Some(Ok(message)) = from_client.next().await {
            match shell_input(message) {
                Ok(Some(next)) => {
                    if input.send(next).await.is_err() {
                        // It has ended; its output says how.
                        std::future::pending::<()>().await;
                    }
                }
                Ok(None) => {}
                Err(()) => return,
            }
        }
    };
    let telling = async {
        while let Some(piece) = output.recv().await {
            let message = match piece {
                Ok(ExecOutput::Stdout(bytes)) => tagged(STDOUT, &bytes),
                Ok(ExecOutput::Stderr(bytes)) => tagged(STDERR, &bytes),
                Ok(ExecOutput::Exit(code)) => {
                    Message::text(json!({ "exit_code": code }).to_string())
                }
                Err(error) => {
                    let text = engine_error(error).message().to_string();
                    Message::text(json!({ "error": text }).to_string())
                }
            };
            let is_last = message.is_text();
            if to_client.send(message).await.is_err() || is_last {
                return;
            }
        }
    };
    tokio::select! {
        () = listening => {}
        () = telling => {}
    }
    if let Ok(mut socket) = to_client.reunite(from_client) {
        close(&mut socket, None).await;
    }
}

fn tagged(stream: u8, bytes: &[u8]) -> Message {
    let mut message = BytesMut::with_capacity(bytes.len() + 1);
    message.put_u8(stream);
    message.put_slice(bytes);
    Message::binary(message.freeze())
}

/// None for what is no input; an error where the client goes, or errs.
fn shell_input(message: Message) -> Result<Option<ExecInput>, ()> {
    match message {
        Message::Binary(bytes) => Ok(Some(ExecInput::Stdin(bytes))),
        Message::Text(text) => match serde_json::from_str(&text).map_err(drop)? {
            Control::Resize { rows, columns } => {
                let (rows, columns) = sessions::size(&TerminalSize { rows, columns });
                Ok(Some(ExecInput::Resize(rows, columns)))
            }
            Control::Signal(signal) if (1..=64).contains(&signal) => {
                Ok(Some(ExecInput::Signal(signal)))
            }
            Control::Signal(_) | Control::EndStdin(false) => Err(()),
            Control::EndStdin(true) => Ok(Some(ExecInput::EndStdin)),
        },
        Message::Close(_) => Err(()),
        _ => Ok(None),
    }
}

/// The pieces that a client sends to a port.
pub(super) fn port_input(
    from: futures::stream::SplitStream<Socket>,
) -> futures::stream::BoxStream<'static, Result<Bytes, Status>> {
    from.filter_map(|message| async {
        match message {
            Ok(Message::Binary(bytes)) => Some(Ok(bytes)),
            Ok(Message::Ping(_) | Message::Pong(_)) => None,
            _ => Some(Err(Status::cancelled("the client is gone"))),
        }
    })
    .boxed()
}

/// What a port sends, to the client.
pub(super) async fn port_output(
    mut to: futures::stream::SplitSink<Socket, Message>,
    mut from: mpsc::Receiver<Result<Bytes, Status>>,
) {
    while let Some(Ok(bytes)) = from.recv().await {
        if to.send(Message::binary(bytes)).await.is_err() {
            return;
        }
    }
    let _ = to.close().await;
}
