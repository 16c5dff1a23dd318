//! Asking the router to lead the gateway's public port here: NAT-PMP, and
//! where the router does not speak it, UPnP. Only where the operator wants it.

mod router;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::num::NonZeroU16;
use std::time::Duration;

use anyhow::Context;
use crab_nat::natpmp;
use crab_nat::{GatewayAddress, InternetProtocol, PortMappingOptions, TimeoutConfig};
use igd_next::aio::tokio::{search_gateway, Tokio};
use igd_next::aio::Gateway;
use igd_next::{PortMappingProtocol, SearchOptions};
use tokio::net::UdpSocket;
use tokio::sync::watch;

pub use router::default_router;

/// A mapping lives so long unless it is renewed, at half of it.
const LIFETIME: Duration = Duration::from_secs(3600);
/// Between attempts: at first, and at most.
const FIRST: Duration = Duration::from_secs(5);
const LAST: Duration = Duration::from_secs(600);
/// How long routers are searched for.
const SEARCH: Duration = Duration::from_secs(4);
/// Routers without NAT-PMP do not answer: it is given up soon.
const NATPMP: TimeoutConfig = TimeoutConfig {
    initial_timeout: Duration::from_millis(250),
    max_retries: 2,
    max_retry_timeout: None,
};
/// As routers list it.
const NAME: &str = "stoa-provider";

/// What is to be mapped, and where routers are looked for.
#[derive(Debug, Clone)]
pub struct Wish {
    /// The port of this provider's host_uri.
    pub external: u16,
    /// Where the gateway listens.
    pub listen: SocketAddr,
    /// Asked by NAT-PMP; none: the default route's.
    pub router: Option<Ipv4Addr>,
    /// Asked by UPnP; none: all on the link.
    pub upnp: Option<SocketAddr>,
}

impl Wish {
    pub fn new(external: u16, listen: SocketAddr) -> Self {
        Self { external, listen, router: None, upnp: None }
    }
}

/// A mapping that stands.
#[derive(Debug)]
enum Mapping {
    NatPmp { router: Ipv4Addr, local: NonZeroU16 },
    Upnp { gateway: Box<Gateway<Tokio>>, external: u16 },
}

impl Mapping {
    fn words(&self) -> String {
        match self {
            Self::NatPmp { router, .. } => format!("NAT-PMP at {router}"),
            Self::Upnp { gateway, .. } => format!("UPnP at {}", gateway.addr),
        }
    }
}

/// Keeps the port mapped until `ends` says that the daemon ends; then takes the
/// mapping away. `told` gets who maps it, or nothing.
pub async fn keep(
    wish: Wish,
    told: watch::Sender<Option<String>>,
    mut ends: watch::Receiver<bool>,
) {
    let mut pause = FIRST;
    let mut mapping: Option<Mapping> = None;
    loop {
        // Making it again renews it.
        let made = tokio::select! {
            made = map(&wish) => made,
            _ = ends.wait_for(|end| *end) => break,
        };
        let wait = match made {
            Ok(made) => {
                let words = made.words();
                if told.send_replace(Some(words.clone())).as_ref() != Some(&words) {
                    tracing::info!(port = wish.external, "the router leads the port here: {words}");
                }
                mapping = Some(made);
                pause = FIRST;
                LIFETIME / 2
            }
            Err(error) => {
                told.send_replace(None);
                tracing::warn!("peering.map_port: {error:#}; again in {} s", pause.as_secs());
                let wait = pause;
                pause = pause.saturating_mul(2).min(LAST);
                wait
            }
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            _ = ends.wait_for(|end| *end) => break,
        }
    }
    if let Some(mapping) = mapping {
        match unmap(&mapping).await {
            Ok(()) => tracing::info!("the router's mapping is taken away"),
            Err(error) => tracing::warn!("taking the router's mapping away: {error:#}"),
        }
    }
}

/// The address that the router has outside, and how it was asked. It changes
/// nothing there: a daemon that runs is not disturbed.
pub async fn outside_address(wish: &Wish) -> anyhow::Result<(IpAddr, String)> {
    let router = wish.router.or_else(default_router);
    if let Some(router) = router {
        let asked = natpmp::external_address(GatewayAddress::IpV4(router), Some(NATPMP)).await;
        if let Ok(address) = asked {
            return Ok((IpAddr::V4(address), format!("NAT-PMP at {router}")));
        }
    }
    let gateway = search(wish).await?;
    let address = gateway.get_external_ip().await.context("asking for the outside address")?;
    Ok((address, format!("UPnP at {}", gateway.addr)))
}

async fn map(wish: &Wish) -> anyhow::Result<Mapping> {
    let by_natpmp = match wish.router.or_else(default_router) {
        Some(router) => map_by_natpmp(wish, router).await,
        None => Err(anyhow::anyhow!("there is no default route")),
    };
    match by_natpmp {
        Ok(mapping) => Ok(mapping),
        Err(first) => {
            let second = map_by_upnp(wish).await;
            second.with_context(|| format!("neither by NAT-PMP ({first:#}) nor by UPnP"))
        }
    }
}

async fn map_by_natpmp(wish: &Wish, router: Ipv4Addr) -> anyhow::Result<Mapping> {
    let port = |port| NonZeroU16::new(port).context("port 0");
    let (local, external) = (port(wish.listen.port())?, port(wish.external)?);
    let options = PortMappingOptions {
        external_port: Some(external),
        lifetime_seconds: u32::try_from(LIFETIME.as_secs()).ok(),
        timeout_config: Some(NATPMP),
    };
    let gateway = GatewayAddress::IpV4(router);
    let made = natpmp::port_mapping(gateway, InternetProtocol::Tcp, local, options).await;
    let made = made.map_err(|error| anyhow::anyhow!("{error}"))?;
    let mapping = Mapping::NatPmp { router, local };
    if made.external_port() != external {
        let _ = unmap(&mapping).await;
        anyhow::bail!(
            "the router would give port {} and not {external}, which gateway.host_uri names",
            made.external_port()
        );
    }
    Ok(mapping)
}

async fn map_by_upnp(wish: &Wish) -> anyhow::Result<Mapping> {
    let gateway = search(wish).await?;
    let local = own_address(wish.listen, gateway.addr).await?;
    let seconds = u32::try_from(LIFETIME.as_secs()).unwrap_or(u32::MAX);
    let protocol = PortMappingProtocol::TCP;
    gateway
        .add_port(protocol, wish.external, local, seconds, NAME)
        .await
        .with_context(|| format!("asking {} for port {}", gateway.addr, wish.external))?;
    Ok(Mapping::Upnp { gateway: Box::new(gateway), external: wish.external })
}

async fn search(wish: &Wish) -> anyhow::Result<Gateway<Tokio>> {
    let mut options = SearchOptions::default();
    options.timeout = Some(SEARCH);
    if let Some(address) = wish.upnp {
        options.broadcast_address = address;
        options.bind_addr = SocketAddr::new(address.ip(), 0);
        // Who is named needs no other proof, such as not being this machine.
        options.allowed_gateway_ips = vec![address.ip()];
    }
    search_gateway(options).await.context("no router answers by UPnP")
}

async fn unmap(mapping: &Mapping) -> anyhow::Result<()> {
    match mapping {
        Mapping::NatPmp { router, local } => {
            let (gateway, protocol) = (GatewayAddress::IpV4(*router), InternetProtocol::Tcp);
            let dropped =
                natpmp::try_drop_mapping(gateway, protocol, Some(*local), Some(NATPMP)).await;
            dropped.map_err(|error| anyhow::anyhow!("{error}"))
        }
        Mapping::Upnp { gateway, external } => {
            Ok(gateway.remove_port(PortMappingProtocol::TCP, *external).await?)
        }
    }
}

/// The address of this machine that the router sees, with the gateway's port.
async fn own_address(listen: SocketAddr, router: SocketAddr) -> anyhow::Result<SocketAddr> {
    if !listen.ip().is_unspecified() {
        return Ok(listen);
    }
    let socket = UdpSocket::bind(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0)).await?;
    socket.connect(router).await?;
    Ok(SocketAddr::new(socket.local_addr()?.ip(), listen.port()))
}
