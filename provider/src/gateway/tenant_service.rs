//! What a tenant does with its own running workloads, by gRPC.

use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use stoa_client::proto::gateway::v1::copy_in_request::Input as CopyInput;
use stoa_client::proto::gateway::v1::port_forward_request::Input as PortInput;
use stoa_client::proto::gateway::v1::shell_request::Input as ShellInput;
use stoa_client::proto::gateway::v1::shell_response::Output as ShellOutput;
use stoa_client::proto::gateway::v1::tenant_server::Tenant;
use stoa_client::proto::gateway::v1::{
    ConnectionsRequest, ConnectionsResponse, CopyChunk, CopyInRequest, CopyInResponse,
    CopyOutRequest, EventsRequest, GetManifestRequest, GetManifestResponse, InstanceId, LeaseEvent,
    PortForwardRequest, PortForwardResponse, RestartRequest, RestartResponse, ShellRequest,
    ShellResponse,
};
use stoa_client::token::Scope;
use tokio::sync::mpsc;
use tonic::{Request, Response, Status, Streaming};

use super::caller::{caller, Caller};
use super::logs::engine_error;
use super::service::{answers, first_of, Answers, GatewayService, StreamSlot};
use super::sessions::{self, FIRST_MESSAGE, MAX_COPY_PIECE, MAX_STDIN};
use super::{connections, events, manifests};
use crate::runtime::{ExecInput, ExecOutput, ExecSession, InstanceKey};

/// Messages that wait for a slow reader.
const WAITING: usize = 8;

impl GatewayService {
    /// The caller's instance that a request names; it runs.
    pub(super) async fn instance(
        &self,
        id: Option<InstanceId>,
        caller: &Caller,
    ) -> Result<InstanceKey, Status> {
        let id = id.ok_or_else(|| Status::invalid_argument("the instance is missing"))?;
        let lease = self.lease(id.lease, caller).await?;
        sessions::find(&self.context, &lease, &id.service, id.index).await
    }
}

#[tonic::async_trait]
impl Tenant for GatewayService {
    async fn get_manifest(
        &self,
        request: Request<GetManifestRequest>,
    ) -> Result<Response<GetManifestResponse>, Status> {
        let caller = caller(&request, Scope::GetManifest)?;
        let lease = self.lease(request.into_inner().lease, &caller).await?;
        manifests::get(&self.context, &lease).await.map(Response::new)
    }

    type EventsStream = Answers<LeaseEvent>;

    async fn events(
        &self,
        request: Request<EventsRequest>,
    ) -> Result<Response<Self::EventsStream>, Status> {
        let caller = caller(&request, Scope::Events)?;
        let slot = self.stream_slot(&caller)?;
        let mut request = request.into_inner();
        let lease = self.lease(request.lease.take(), &caller).await?;
        Ok(Response::new(answers(events::stream(&self.context, &lease, &request), slot)))
    }

    type ShellStream = Answers<ShellResponse>;

    async fn shell(
        &self,
        request: Request<Streaming<ShellRequest>>,
    ) -> Result<Response<Self::ShellStream>, Status> {
        let caller = caller(&request, Scope::Shell)?;
        let slot = self.stream_slot(&caller)?;
        let mut input = request.into_inner();
        let first = first_of(&mut input, FIRST_MESSAGE).await?;
        let Some(ShellInput::Start(mut start)) = first.input else {
            return Err(Status::invalid_argument("the first message must be the start"));
        };
        let key = self.instance(start.instance.take(), &caller).await?;
        let session = sessions::begin(&self.context, &key, &start).await?;
        let (out, output) = mpsc::channel(WAITING);
        tokio::spawn(carry_shell(session, input, out));
        Ok(Response::new(answers(output, slot)))
    }

    type PortForwardStream = Answers<PortForwardResponse>;

    async fn port_forward(
        &self,
        request: Request<Streaming<PortForwardRequest>>,
    ) -> Result<Response<Self::PortForwardStream>, Status> {
        let caller = caller(&request, Scope::Shell)?;
        let slot = self.stream_slot(&caller)?;
        let mut input = request.into_inner();
        let first = first_of(&mut input, FIRST_MESSAGE).await?;
        let Some(PortInput::Start(start)) = first.input else {
            return Err(Status::invalid_argument("the first message must be the start"));
        };
        let key = self.instance(start.instance, &caller).await?;
        let pieces = input.map(|message| match message?.input {
            Some(PortInput::Data(data)) if data.len() <= MAX_STDIN => Ok(Bytes::from(data)),
            Some(PortInput::Data(_)) => Err(Status::out_of_range("a piece of over 64 KiB")),
            _ => Err(Status::invalid_argument("a second start")),
        });
        let output = sessions::forward(&self.context, &key, start.port, pieces.boxed()).await?;
        let output = answers(output, slot)
            .map(|piece| piece.map(|data| PortForwardResponse { data: data.to_vec() }));
        Ok(Response::new(Box::pin(output)))
    }

    type CopyOutStream = Answers<CopyChunk>;

    async fn copy_out(
        &self,
        request: Request<CopyOutRequest>,
    ) -> Result<Response<Self::CopyOutStream>, Status> {
        let caller = caller(&request, Scope::Shell)?;
        let slot = self.stream_slot(&caller)?;
        let request = request.into_inner();
        let key = self.instance(request.instance, &caller).await?;
        let pieces = sessions::copy_out(&self.context, &key, &request.path).await?;
        Ok(Response::new(with_slot(pieces, slot)))
    }

    async fn copy_in(
        &self,
        request: Request<Streaming<CopyInRequest>>,
    ) -> Result<Response<CopyInResponse>, Status> {
        let caller = caller(&request, Scope::Shell)?;
        let _slot = self.stream_slot(&caller)?;
        let mut input = request.into_inner();
        let first = first_of(&mut input, FIRST_MESSAGE).await?;
        let Some(CopyInput::Start(start)) = first.input else {
            return Err(Status::invalid_argument("the first message must be the start"));
        };
        let key = self.instance(start.instance, &caller).await?;
        let pieces = super::blobs::without_silence(input).map(|message| match message?.input {
            Some(CopyInput::Data(data)) if data.len() <= MAX_COPY_PIECE => Ok(Bytes::from(data)),
            Some(CopyInput::Data(_)) => Err(Status::out_of_range("a piece of over 1 MiB")),
            _ => Err(Status::invalid_argument("a second start")),
        });
        let done = sessions::copy_in(&self.context, &key, &start.path, pieces.boxed()).await;
        done.map(|bytes| Response::new(CopyInResponse { bytes }))
    }

    async fn restart(
        &self,
        request: Request<RestartRequest>,
    ) -> Result<Response<RestartResponse>, Status> {
        let caller = caller(&request, Scope::Restart)?;
        let _slot = self.stream_slot(&caller)?;
        let request = request.into_inner();
        let lease = self.lease(request.lease, &caller).await?;
        let done =
            sessions::restart(&self.context, &lease, &request.service, request.instance).await?;
        Ok(Response::new(RestartResponse { instances: done }))
    }

    async fn connections(
        &self,
        request: Request<ConnectionsRequest>,
    ) -> Result<Response<ConnectionsResponse>, Status> {
        let caller = caller(&request, Scope::Status)?;
        let id = request.into_inner().deployment;
        connections::of(&self.context, &caller, id).await.map(Response::new)
    }
}

fn with_slot(
    pieces: futures::stream::BoxStream<'static, Result<Bytes, Status>>,
    slot: StreamSlot,
) -> Answers<CopyChunk> {
    let slot = Arc::new(slot);
    Box::pin(pieces.map(move |piece| {
        let _ = &slot;
        piece.map(|data| CopyChunk { data: data.to_vec() })
    }))
}

/// Carries messages both ways until the command ends or the client goes.
async fn carry_shell(
    session: ExecSession,
    mut input: Streaming<ShellRequest>,
    out: mpsc::Sender<Result<ShellResponse, Status>>,
) {
    let ExecSession { input: to_command, mut output } = session;
    let feeding = async {
        let mut open = true;
        loop {
            let next = match input.message().await {
                Ok(Some(message)) => shell_input(message),
                // No more messages is no more stdin; the command goes on.
                Ok(None) if open => Ok(ExecInput::EndStdin),
                Ok(None) => return std::future::pending::<Status>().await,
                Err(status) => return status,
            };
            let next = match next {
                Ok(next) => next,
                Err(status) => return status,
            };
            open = open && next != ExecInput::EndStdin;
            if to_command.send(next).await.is_err() {
                // It has ended; its output says how.
                return std::future::pending::<Status>().await;
            }
        }
    };
    let telling = async {
        while let Some(piece) = output.recv().await {
            let piece = piece.map(shell_output).map_err(engine_error);
            let is_last = piece.is_err();
            if out.send(piece).await.is_err() || is_last {
                return;
            }
        }
    };
    tokio::select! {
        () = telling => {}
        () = out.closed() => {}
        status = feeding => drop(out.send(Err(status)).await),
    }
}

fn shell_input(message: ShellRequest) -> Result<ExecInput, Status> {
    match message.input {
        Some(ShellInput::Stdin(bytes)) if bytes.len() > MAX_STDIN => {
            Err(Status::out_of_range("a piece of over 64 KiB"))
        }
        Some(ShellInput::Stdin(bytes)) => Ok(ExecInput::Stdin(bytes.into())),
        Some(ShellInput::Resize(size)) => {
            let (rows, columns) = sessions::size(&size);
            Ok(ExecInput::Resize(rows, columns))
        }
        Some(ShellInput::Signal(number)) if (1..=64).contains(&number) => {
            Ok(ExecInput::Signal(i32::try_from(number).unwrap_or(i32::MAX)))
        }
        Some(ShellInput::Signal(_)) => Err(Status::invalid_argument("a signal is 1 to 64")),
        Some(ShellInput::EndStdin(_)) => Ok(ExecInput::EndStdin),
        Some(ShellInput::Start(_)) => Err(Status::invalid_argument("a second start")),
        None => Err(Status::invalid_argument("an empty message")),
    }
}

fn shell_output(output: ExecOutput) -> ShellResponse {
    let output = match output {
        ExecOutput::Stdout(bytes) => ShellOutput::Stdout(bytes.to_vec()),
        ExecOutput::Stderr(bytes) => ShellOutput::Stderr(bytes.to_vec()),
        ExecOutput::Exit(code) => ShellOutput::ExitCode(i32::try_from(code).unwrap_or(-1)),
    };
    ShellResponse { output: Some(output) }
}
