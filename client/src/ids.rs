//! Ids as text: `owner/dseq[/gseq[/oseq[/provider]]]`, as events write them.

use stoa_proto::types::v1::{BidId, DeploymentId, GroupId, OrderId};

use crate::{Address, Error, Result};

/// An id that has a text.
pub trait TextId: Sized {
    /// What is expected, such as `owner/dseq`.
    const SHAPE: &'static str;
    /// As events and the command line write it.
    fn text(&self) -> String;
    /// From that text.
    fn parse(text: &str) -> Result<Self>;
}

fn parts<const N: usize>(text: &str, shape: &str) -> Result<[String; N]> {
    let parts: Vec<String> = text.split('/').map(str::to_owned).collect();
    let found = parts.len();
    parts.try_into().map_err(|_| {
        Error::Invalid(format!("`{text}` has {found} parts, not {N}; right is {shape}"))
    })
}

fn address(text: &str) -> Result<String> {
    text.parse::<Address>().map(|a| a.to_string()).map_err(|e| Error::Invalid(e.to_string()))
}

fn number<T: std::str::FromStr>(text: &str, name: &str) -> Result<T> {
    text.parse().map_err(|_| Error::Invalid(format!("{name} `{text}` is no number")))
}

impl TextId for DeploymentId {
    const SHAPE: &'static str = "owner/dseq";

    fn text(&self) -> String {
        format!("{}/{}", self.owner, self.dseq)
    }

    fn parse(text: &str) -> Result<Self> {
        let [owner, dseq] = parts(text, Self::SHAPE)?;
        Ok(Self { owner: address(&owner)?, dseq: number(&dseq, "dseq")? })
    }
}

impl TextId for GroupId {
    const SHAPE: &'static str = "owner/dseq/gseq";

    fn text(&self) -> String {
        format!("{}/{}/{}", self.owner, self.dseq, self.gseq)
    }

    fn parse(text: &str) -> Result<Self> {
        let [owner, dseq, gseq] = parts(text, Self::SHAPE)?;
        Ok(Self {
            owner: address(&owner)?,
            dseq: number(&dseq, "dseq")?,
            gseq: number(&gseq, "gseq")?,
        })
    }
}

impl TextId for OrderId {
    const SHAPE: &'static str = "owner/dseq/gseq/oseq";

    fn text(&self) -> String {
        format!("{}/{}/{}/{}", self.owner, self.dseq, self.gseq, self.oseq)
    }

    fn parse(text: &str) -> Result<Self> {
        let [owner, dseq, gseq, oseq] = parts(text, Self::SHAPE)?;
        Ok(Self {
            owner: address(&owner)?,
            dseq: number(&dseq, "dseq")?,
            gseq: number(&gseq, "gseq")?,
            oseq: number(&oseq, "oseq")?,
        })
    }
}

impl TextId for BidId {
    const SHAPE: &'static str = "owner/dseq/gseq/oseq/provider";

    fn text(&self) -> String {
        format!("{}/{}/{}/{}/{}", self.owner, self.dseq, self.gseq, self.oseq, self.provider)
    }

    fn parse(text: &str) -> Result<Self> {
        let [owner, dseq, gseq, oseq, provider] = parts(text, Self::SHAPE)?;
        Ok(Self {
            owner: address(&owner)?,
            dseq: number(&dseq, "dseq")?,
            gseq: number(&gseq, "gseq")?,
            oseq: number(&oseq, "oseq")?,
            provider: address(&provider)?,
        })
    }
}

/// The order that a bid is on.
pub fn order_of(bid: &BidId) -> OrderId {
    OrderId { owner: bid.owner.clone(), dseq: bid.dseq, gseq: bid.gseq, oseq: bid.oseq }
}

/// The deployment that a bid or lease belongs to.
pub fn deployment_of(bid: &BidId) -> DeploymentId {
    DeploymentId { owner: bid.owner.clone(), dseq: bid.dseq }
}

/// A provider's bid on an order.
pub fn bid_on(order: &OrderId, provider: &str) -> BidId {
    BidId {
        owner: order.owner.clone(),
        dseq: order.dseq,
        gseq: order.gseq,
        oseq: order.oseq,
        provider: provider.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_and_refusals() {
        let owner = Address::from([1; 20]).to_string();
        let id = BidId { owner: owner.clone(), dseq: 7, gseq: 1, oseq: 2, provider: owner.clone() };
        assert_eq!(BidId::parse(&id.text()).unwrap(), id);
        assert_eq!(OrderId::parse(&order_of(&id).text()).unwrap(), order_of(&id));
        let error = OrderId::parse(&format!("{owner}/7")).unwrap_err().to_string();
        assert!(error.contains("owner/dseq/gseq/oseq"), "{error}");
        assert!(DeploymentId::parse(&format!("{owner}/x")).is_err());
        assert!(DeploymentId::parse("nobody/7").is_err());
    }
}
