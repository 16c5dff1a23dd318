//! `stoa port-forward`: ports here that lead to ports of an instance.

use std::net::{IpAddr, SocketAddr};

use clap::Args;
use futures::{future::try_join_all, StreamExt};
use serde_json::json;
use stoa_proto::gateway::v1::{
    port_forward_request::Input, tenant_client::TenantClient, InstanceId, PortForwardRequest,
    PortForwardStart,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;

use super::{broken, find};
use crate::{context::Context, exit::Failure, out};

/// Bytes of a piece.
const PIECE: usize = 16 << 10;

/// Arguments of `stoa port-forward`.
#[derive(Clone, Debug, Args)]
pub struct ForwardArgs {
    /// OWNER/DSEQ, or DSEQ of one's own
    pub id: String,
    /// NAME or NAME/INDEX
    pub service: String,
    /// LOCAL:REMOTE, or one number for both; LOCAL 0 is any free port
    #[arg(required = true, value_parser = ports)]
    pub ports: Vec<Ports>,
    /// Where to listen; others than this machine's own let everybody in who reaches it
    #[arg(long, default_value = "127.0.0.1")]
    pub address: IpAddr,
}

/// A port here and one there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    pub local: u16,
    pub remote: u16,
}

fn ports(text: &str) -> Result<Ports, String> {
    let wrong = || format!("`{text}` is no LOCAL:REMOTE, such as 8080:80");
    let number = |text: &str| text.parse::<u16>().map_err(|_| wrong());
    let ports = match text.split_once(':') {
        Some((local, remote)) => Ports { local: number(local)?, remote: number(remote)? },
        None => Ports { local: number(text)?, remote: number(text)? },
    };
    if ports.remote == 0 {
        return Err(wrong());
    }
    Ok(ports)
}

/// Runs it, until Ctrl-C.
pub async fn run(context: &Context, args: ForwardArgs) -> Result<(), Failure> {
    let target = find(context, &args.id, &args.service).await?;
    let mut forwards = vec![];
    for Ports { local, remote } in args.ports {
        let address = SocketAddr::new(args.address, local);
        let listener = TcpListener::bind(address).await.map_err(|e| {
            Failure::new(format!("listening on {address}: {e}; another LOCAL:{remote} may be free"))
        })?;
        let address = listener.local_addr().map_err(|e| Failure::new(e.to_string()))?;
        match context.is_json() {
            true => out::print_json_line(&json!({
                "local": address.to_string(),
                "service": target.service,
                "instance": target.index,
                "remote": remote,
            }))?,
            false => out::note(&format!("{address} → {} port {remote}", target.name())),
        }
        let (client, id) = (target.client.clone(), target.id());
        forwards.push(serve(listener, client, id, remote));
    }
    try_join_all(forwards).await.map(drop)
}

async fn serve(
    listener: TcpListener,
    client: TenantClient<Channel>,
    id: InstanceId,
    port: u16,
) -> Result<(), Failure> {
    loop {
        let (socket, _) = listener
            .accept()
            .await
            .map_err(|e| Failure::new(format!("accepting a connection: {e}")))?;
        let (client, id) = (client.clone(), id.clone());
        tokio::spawn(async move {
            if let Err(failure) = carry(socket, client, id, port).await {
                out::note(&format!("port {port}: {failure}"));
            }
        });
    }
}

/// One connection, until both directions ended.
async fn carry(
    socket: TcpStream,
    mut client: TenantClient<Channel>,
    id: InstanceId,
    port: u16,
) -> Result<(), Failure> {
    let (to, input) = mpsc::channel(8);
    let start = PortForwardStart { instance: Some(id), port: port.into() };
    let say = |input| PortForwardRequest { input: Some(input) };
    let _ = to.send(say(Input::Start(start))).await;
    let output = client.port_forward(ReceiverStream::new(input)).await.map_err(|s| broken(&s))?;
    let mut output = output.into_inner();
    let (mut read, mut write) = socket.into_split();
    let sending = tokio::spawn(async move {
        let mut buffer = vec![0; PIECE];
        while let Ok(count) = read.read(&mut buffer).await {
            let Some(piece) = buffer.get(..count).filter(|piece| !piece.is_empty()) else { return };
            if to.send(say(Input::Data(piece.to_vec()))).await.is_err() {
                return;
            }
        }
    });
    let received = async {
        while let Some(piece) = output.next().await {
            let piece = piece.map_err(|s| broken(&s))?;
            if write.write_all(&piece.data).await.is_err() {
                // Whoever connected is gone.
                return Ok(());
            }
        }
        let _ = write.shutdown().await;
        Ok(())
    };
    let ended = received.await;
    sending.abort();
    ended
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_one_number_or_two() {
        assert_eq!(ports("8080:80").unwrap(), Ports { local: 8080, remote: 80 });
        assert_eq!(ports("0:80").unwrap(), Ports { local: 0, remote: 80 });
        assert_eq!(ports("80").unwrap(), Ports { local: 80, remote: 80 });
        for wrong in ["", ":", "80:", ":80", "80:0", "x:1", "1:2:3", "65536"] {
            assert!(ports(wrong).is_err(), "{wrong}");
        }
    }
}
