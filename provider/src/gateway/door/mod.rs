//! The one TLS port: who may connect, how often, how long; and which of the
//! two interfaces a request is for.
//!
//! Everything that a stranger can use up has a bound: connections (in all and
//! of one address; the one that was idle longest makes room), handshakes,
//! the time until a request's header is there, the size of headers and
//! bodies, requests a second, streams of a connection.

mod accept;
mod activity;
mod certificates;
mod connection;
mod dispatch;
mod origins;
mod rates;
mod slots;

use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::watch;

pub use accept::Place;
pub use certificates::Certificates;
pub use slots::{Full, Slot, Slots};

use super::service::GatewayService;
use dispatch::Hall;

/// Serves until `ending` resolves, then lets calls under way finish.
pub async fn serve(
    listener: TcpListener,
    certificates: Arc<Certificates>,
    service: GatewayService,
    ending: impl std::future::Future<Output = ()>,
) -> anyhow::Result<()> {
    let config = certificates.tls(&service.context.raw)?;
    let renewing = tokio::spawn(Arc::clone(&certificates).renew());
    let (end, ends) = watch::channel(false);
    let settings = service.context.config.gateway.clone();
    let hall = Arc::new(Hall::new(service));
    let door = accept::Door::new(&settings, config, hall, ends);
    tokio::select! {
        () = door.run(&listener) => {}
        () = ending => {}
    }
    drop(listener);
    let _ = end.send(true);
    door.emptied().await;
    renewing.abort();
    Ok(())
}
