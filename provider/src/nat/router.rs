//! The default route's router, as the kernel lists it.

use std::net::Ipv4Addr;

const ROUTES: &str = "/proc/net/route";

/// None where there is no IPv4 default route.
pub fn default_router() -> Option<Ipv4Addr> {
    of_table(&std::fs::read_to_string(ROUTES).ok()?)
}

/// Columns: interface, destination, router, …; addresses in hex, as they lie
/// in this machine's memory.
fn of_table(table: &str) -> Option<Ipv4Addr> {
    let rows = table.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
    let mut routers = rows.filter_map(|row| match row.as_slice() {
        [_, "00000000", router, ..] => u32::from_str_radix(router, 16).ok(),
        _ => None,
    });
    routers.find(|router| *router != 0).map(|router| Ipv4Addr::from(router.to_ne_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_router_is_that_of_the_route_to_everywhere() {
        let hex = |ip: Ipv4Addr| format!("{:08X}", u32::from_ne_bytes(ip.octets()));
        let router = Ipv4Addr::new(192, 168, 7, 1);
        let head = "Iface\tDestination\tGateway\tFlags\n";
        let near = format!("eth0\t{}\t00000000\t0001\n", hex(Ipv4Addr::new(192, 168, 7, 0)));
        assert_eq!(of_table(&format!("{head}{near}")), None);
        let far = format!("eth0\t00000000\t{}\t0003\n", hex(router));
        assert_eq!(of_table(&format!("{head}{near}{far}")), Some(router));
        assert_eq!(of_table(""), None);
    }
}
