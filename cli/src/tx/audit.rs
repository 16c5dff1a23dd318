//! Auditors' records.

use clap::Subcommand;
use stoa_client::tx::any;
use stoa_proto::{
    audit::v1::{MsgDeleteProviderAttributes, MsgSignProviderAttributes},
    types::v1::Attribute,
    Any,
};

use super::{arguments, Sender};
use crate::exit::Failure;

/// Audit messages.
#[derive(Debug, Subcommand)]
pub enum AuditMessage {
    /// Vouch for a provider's attributes
    SignAttributes {
        /// Address or key name
        provider: String,
        #[arg(required = true, value_name = "KEY=VALUE", value_parser = arguments::attribute)]
        attributes: Vec<Attribute>,
    },
    /// Take that back, for some keys or all
    DeleteAttributes { provider: String, keys: Vec<String> },
}

impl AuditMessage {
    pub fn build(self, sender: &Sender) -> Result<Vec<Any>, Failure> {
        let auditor = sender.address.clone();
        Ok(vec![match self {
            Self::SignAttributes { provider, attributes } => any(&MsgSignProviderAttributes {
                auditor,
                provider: sender.context.address_of(Some(&provider))?,
                attributes,
            }),
            Self::DeleteAttributes { provider, keys } => any(&MsgDeleteProviderAttributes {
                auditor,
                provider: sender.context.address_of(Some(&provider))?,
                keys,
            }),
        }])
    }
}
