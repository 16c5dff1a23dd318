//! Connections to ports of instances.

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::StreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tonic::Status;

use super::super::logs::engine_error;
use super::super::Context;
use crate::runtime::{Connection, InstanceKey};

/// Bytes of a piece.
const PIECE: usize = 16 << 10;
/// Pieces that wait for a slow reader.
const WAITING: usize = 8;

/// Connects to a port and carries bytes both ways. The end of `input` closes
/// one direction, the port's own end the other. An error in `input` closes
/// both: the client is gone.
pub(in super::super) async fn forward(
    context: &Context,
    key: &InstanceKey,
    port: u32,
    input: BoxStream<'static, Result<Bytes, Status>>,
) -> Result<mpsc::Receiver<Result<Bytes, Status>>, Status> {
    let port = u16::try_from(port).ok().filter(|port| *port > 0);
    let port = port.ok_or_else(|| Status::invalid_argument("a port is 1 to 65535"))?;
    let connection = context.backend.dial(key, port).await.map_err(engine_error)?;
    let (out, output) = mpsc::channel(WAITING);
    tokio::spawn(carry(connection, input, out));
    Ok(output)
}

async fn carry(
    connection: Box<dyn Connection>,
    mut input: BoxStream<'static, Result<Bytes, Status>>,
    out: mpsc::Sender<Result<Bytes, Status>>,
) {
    let (mut read, mut write) = tokio::io::split(connection);
    let sending = async {
        while let Some(piece) = input.next().await {
            let Ok(piece) = piece else { return };
            if write.write_all(&piece).await.is_err() {
                break;
            }
        }
        let _ = write.shutdown().await;
        // The other direction may go on.
        std::future::pending::<()>().await;
    };
    let receiving = async {
        let mut buffer = vec![0; PIECE];
        loop {
            match read.read(&mut buffer).await {
                Ok(0) => return,
                Ok(count) => {
                    if out.send(Ok(Bytes::copy_from_slice(&buffer[..count]))).await.is_err() {
                        return;
                    }
                }
                Err(error) => {
                    let _ = out.send(Err(Status::aborted(format!("the port: {error}")))).await;
                    return;
                }
            }
        }
    };
    tokio::select! {
        () = sending => {}
        () = receiving => {}
        () = out.closed() => {}
    }
}
