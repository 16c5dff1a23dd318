//! A /28 for each workload, out of the provider's own pool. (Docker's own
//! pools run out at about 30 networks.) Nothing is written down: what is
//! taken is read from the engine's networks.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Addresses in one workload's network.
pub(super) const SUBNET_PREFIX: u8 = 28;
const SUBNET_SIZE: u32 = 1 << (32 - SUBNET_PREFIX as u32);
/// The widest pool: 16,384 workloads in the default /14, a million in a /8.
const WIDEST_POOL: u8 = 8;

/// A range of IPv4 addresses to take /28 networks from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressPool {
    base: u32,
    prefix: u8,
}

/// Any IPv4 network, such as 192.0.2.0/24.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Block {
    first: u32,
    prefix: u8,
}

/// One workload's network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subnet {
    base: u32,
}

/// A network that is in use, from its first to its last address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    first: u32,
    last: u32,
}

impl Default for AddressPool {
    /// 10.224.0.0/14.
    fn default() -> Self {
        Self { base: u32::from(Ipv4Addr::new(10, 224, 0, 0)), prefix: 14 }
    }
}

impl FromStr for AddressPool {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (address, prefix) = parse_network(text)
            .ok_or_else(|| format!("{text:?} is not a network such as 10.224.0.0/14"))?;
        if !(WIDEST_POOL..=SUBNET_PREFIX).contains(&prefix) {
            return Err(format!("{text}: the prefix must be /{WIDEST_POOL} to /{SUBNET_PREFIX}"));
        }
        let base = u32::from(address);
        if base & host_mask(prefix) != 0 {
            return Err(format!("{text}: the address has bits set after the prefix"));
        }
        Ok(Self { base, prefix })
    }
}

impl fmt::Display for AddressPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", Ipv4Addr::from(self.base), self.prefix)
    }
}

impl FromStr for Block {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (address, prefix) = parse_network(text)
            .ok_or_else(|| format!("{text:?} is not an IPv4 network such as 192.0.2.0/24"))?;
        let first = u32::from(address);
        if first & host_mask(prefix) != 0 {
            return Err(format!("{text}: the address has bits set after the prefix"));
        }
        Ok(Self { first, prefix })
    }
}

impl TryFrom<String> for Block {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Block> for String {
    fn from(block: Block) -> Self {
        block.to_string()
    }
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", Ipv4Addr::from(self.first), self.prefix)
    }
}

impl AddressPool {
    /// How many networks fit.
    pub fn slots(self) -> u32 {
        1 << (SUBNET_PREFIX - self.prefix)
    }

    /// Free networks, starting at a place that `seed` chooses, so that
    /// providers which share an engine and a pool seldom try the same one.
    pub fn free(self, seed: u64, taken: &[Taken]) -> impl Iterator<Item = Subnet> {
        let slots = self.slots();
        let start = (seed % u64::from(slots)) as u32;
        let used = self.used_slots(taken);
        (0..slots)
            .map(move |step| (start + step) % slots)
            .filter(move |slot| !used.get(*slot as usize).copied().unwrap_or(true))
            .map(move |slot| Subnet { base: self.base + slot * SUBNET_SIZE })
    }

    fn used_slots(self, taken: &[Taken]) -> Vec<bool> {
        let mut used = vec![false; self.slots() as usize];
        let last = self.base + (self.slots() * SUBNET_SIZE - 1);
        for range in taken.iter().filter(|r| r.last >= self.base && r.first <= last) {
            let from = (range.first.max(self.base) - self.base) / SUBNET_SIZE;
            let to = (range.last.min(last) - self.base) / SUBNET_SIZE;
            for slot in used.iter_mut().take(to as usize + 1).skip(from as usize) {
                *slot = true;
            }
        }
        used
    }

    /// True where any address of the other network lies in this pool.
    pub fn overlaps(self, other: Taken) -> bool {
        let last = self.base + host_mask(self.prefix);
        other.last >= self.base && other.first <= last
    }
}

impl Subnet {
    /// Reads a network as the engine reports it; `None` unless it is a /28.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = parse_network(text)?;
        let base = u32::from(address);
        (prefix == SUBNET_PREFIX && base & host_mask(prefix) == 0).then_some(Self { base })
    }

    /// The host's address, in a network that has one.
    pub fn gateway(self) -> Ipv4Addr {
        Ipv4Addr::from(self.base + 1)
    }

    /// The link container's address.
    pub fn link(self) -> Ipv4Addr {
        Ipv4Addr::from(self.base + 2)
    }

    /// The workload's address.
    pub fn workload(self) -> Ipv4Addr {
        Ipv4Addr::from(self.base + 3)
    }

    /// What is left after these, the engine's (the first) and the broadcast
    /// address: the link's to take.
    pub fn virtual_addresses(self) -> Vec<Ipv4Addr> {
        (4..SUBNET_SIZE - 1).map(|offset| Ipv4Addr::from(self.base + offset)).collect()
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{SUBNET_PREFIX}", Ipv4Addr::from(self.base))
    }
}

impl Taken {
    /// Reads a network of any size; `None` for IPv6 and for what is none.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = parse_network(text)?;
        let mask = host_mask(prefix);
        let first = u32::from(address) & !mask;
        Some(Self { first, last: first | mask })
    }
}

fn parse_network(text: &str) -> Option<(Ipv4Addr, u8)> {
    let (address, prefix) = text.split_once('/')?;
    let prefix: u8 = prefix.parse().ok()?;
    (prefix <= 32).then_some((address.parse().ok()?, prefix))
}

/// The bits after a prefix.
fn host_mask(prefix: u8) -> u32 {
    u32::MAX.checked_shr(u32::from(prefix)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(texts: &[&str]) -> Vec<Taken> {
        texts.iter().map(|t| Taken::parse(t).unwrap()).collect()
    }

    #[test]
    fn skips_what_others_hold_of_whatever_size() {
        let pool: AddressPool = "10.224.0.0/26".parse().unwrap();
        let used = taken(&["10.224.0.16/28", "10.224.0.33/32", "172.17.0.0/16"]);
        let free: Vec<_> = pool.free(1, &used).map(|s| s.to_string()).collect();
        assert_eq!(free, ["10.224.0.48/28", "10.224.0.0/28"]);
        assert_eq!(pool.free(0, &taken(&["10.0.0.0/8"])).count(), 0);
        assert_eq!(pool.free(0, &taken(&["0.0.0.0/0"])).count(), 0);
    }

    #[test]
    fn the_default_pool_has_room_for_sixteen_thousand() {
        let pool = AddressPool::default();
        assert_eq!(pool.slots(), 16_384);
        assert_eq!(pool.free(u64::MAX, &[]).count(), 16_384);
        let last = pool.free(16_383, &[]).next().unwrap();
        assert_eq!(last.to_string(), "10.227.255.240/28");
        assert_eq!(last.link().to_string(), "10.227.255.242");
        assert_eq!(last.workload().to_string(), "10.227.255.243");
        let left = last.virtual_addresses();
        assert_eq!((left.len(), left[0].to_string().as_str()), (11, "10.227.255.244"));
        assert_eq!(left[10].to_string(), "10.227.255.254");
    }

    #[test]
    fn refuses_pools_that_are_none() {
        for text in ["10.224.0.0", "10.224.0.1/14", "10.224.0.0/29", "1.0.0.0/7", "x/14"] {
            assert!(text.parse::<AddressPool>().is_err(), "{text}");
        }
        for text in ["10.0.0.1/8", "10.0.0.0", "fd00::/64", "1.2.3.4/33"] {
            assert!(text.parse::<Block>().is_err(), "{text}");
        }
        assert_eq!("168.63.129.16/32".parse::<Block>().unwrap().to_string(), "168.63.129.16/32");
        assert!(Subnet::parse("10.224.0.0/24").is_none());
        assert!(Taken::parse("fd00::/64").is_none());
    }
}
