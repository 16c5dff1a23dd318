//! Tenants' certificates.

use clap::Subcommand;
use stoa_client::tx::any;
use stoa_proto::{
    cert::v1::{MsgCreateCertificate, MsgRevokeCertificate},
    Any,
};

use super::Sender;
use crate::{certificate, exit::Failure};

/// Certificate messages.
#[derive(Debug, Subcommand)]
pub enum CertMessage {
    /// Make a new tenant's certificate and register it; `stoa deploy` does so where needed
    CreateCert,
    /// Revoke one by its serial number
    RevokeCert { serial: String },
}

impl CertMessage {
    pub fn build(self, sender: &Sender) -> Result<Vec<Any>, Failure> {
        let owner = sender.address.clone();
        Ok(vec![match self {
            Self::CreateCert => {
                let identity = certificate::make(&sender.context, sender.chain.chain_id(), &owner)?;
                any(&MsgCreateCertificate { owner, der: identity.certificate().to_vec() })
            }
            Self::RevokeCert { serial } => any(&MsgRevokeCertificate { owner, serial }),
        }])
    }
}
