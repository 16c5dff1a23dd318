//! Letting others act in one's name, or on one's fees.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use stoa_client::{
    money::{parse_coins, parse_dec_coin},
    tx::any,
};
use stoa_proto::{
    cosmos::{
        authz::v1beta1::{GenericAuthorization, Grant, MsgExec, MsgGrant, MsgRevoke},
        bank::v1beta1::SendAuthorization,
        feegrant::v1beta1::{
            AllowedMsgAllowance, BasicAllowance, MsgGrantAllowance, MsgRevokeAllowance,
        },
    },
    deployment::v1::DeploymentAuthorization,
    Any, Timestamp,
};

use super::{raw, Sender};
use crate::{exit::Failure, text};

/// Grants. GRANTEE and GRANTER are addresses or key names.
#[derive(Debug, Subcommand)]
pub enum GrantMessage {
    /// Let another account send a kind of message in one's name
    Grant {
        grantee: String,
        #[command(flatten)]
        what: Box<GrantArgs>,
    },
    /// Take a grant back
    RevokeGrant {
        grantee: String,
        /// Type of the message, such as /cosmos.bank.v1beta1.MsgSend; for a grant over
        /// deployments: each of its messages
        message: String,
    },
    /// Send the messages of a JSON file in their granter's name; the file is as for `raw`
    Exec { file: PathBuf },
    /// Pay another account's fees
    GrantFees {
        grantee: String,
        /// Most in all, such as 1000000ustoa; default: no bound
        #[arg(long)]
        limit: Option<String>,
        /// Seconds until it ends; default: never
        #[arg(long)]
        expires_in: Option<u64>,
        /// Only for these types of message
        #[arg(long = "message")]
        messages: Vec<String>,
    },
    /// Pay them no longer
    RevokeFees { grantee: String },
}

/// What is granted: one of the three.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("what").required(true).multiple(false))]
pub struct GrantArgs {
    /// Any message of this type
    #[arg(long, group = "what")]
    message: Option<String>,
    /// Sending at most so much, such as 1000000ustoa
    #[arg(long, group = "what")]
    send: Option<String>,
    /// Managing one's deployments, spending at most so much, such as 1000000ustoa
    #[arg(long, group = "what")]
    deployments: Option<String>,
    /// To these accounts alone (with --send)
    #[arg(long, requires = "send")]
    to: Vec<String>,
    /// Most that a group may offer, such as 12.5ustoa a second (with --deployments)
    #[arg(long, requires = "deployments")]
    max_rate: Option<String>,
    /// Groups that may be touched; `*` at the end stands for anything (with --deployments)
    #[arg(long = "group", requires = "deployments")]
    groups: Vec<String>,
    /// Most instances of a group (with --deployments)
    #[arg(long, requires = "deployments")]
    max_replicas: Option<u32>,
    /// Seconds until it ends; default: never
    #[arg(long)]
    expires_in: Option<u64>,
}

fn usage(error: impl std::fmt::Display) -> Failure {
    Failure::usage(error.to_string())
}

fn expiry(seconds: Option<u64>) -> Option<Timestamp> {
    let end = text::now().saturating_add(seconds?);
    Some(Timestamp { seconds: i64::try_from(end).unwrap_or(i64::MAX), nanos: 0 })
}

impl GrantArgs {
    fn authorization(&self, sender: &Sender) -> Result<Any, Failure> {
        if let Some(msg) = &self.message {
            return Ok(any(&GenericAuthorization { msg: msg.clone() }));
        }
        if let Some(limit) = &self.send {
            let to = self.to.iter().map(|to| sender.context.address_of(Some(to)));
            return Ok(any(&SendAuthorization {
                spend_limit: parse_coins(limit).map_err(usage)?,
                allow_list: to.collect::<Result<_, _>>()?,
            }));
        }
        let limit = self.deployments.as_deref().unwrap_or_default();
        let max_rate = self.max_rate.as_deref().map(parse_dec_coin).transpose().map_err(usage)?;
        Ok(any(&DeploymentAuthorization {
            spend_limit: parse_coins(limit).map_err(usage)?,
            max_rate,
            allowed_groups: self.groups.clone(),
            max_replicas: self.max_replicas.unwrap_or_default(),
            expiration: None,
        }))
    }
}

impl GrantMessage {
    pub fn build(self, sender: &Sender) -> Result<Vec<Any>, Failure> {
        let me = sender.address.clone();
        let account = |text: &str| sender.context.address_of(Some(text));
        let message = match self {
            Self::Grant { grantee, what } => any(&MsgGrant {
                granter: me,
                grantee: account(&grantee)?,
                grant: Some(Grant {
                    authorization: Some(what.authorization(sender)?),
                    expiration: expiry(what.expires_in),
                }),
            }),
            Self::RevokeGrant { grantee, message } => {
                any(&MsgRevoke { granter: me, grantee: account(&grantee)?, msg_type_url: message })
            }
            Self::Exec { file } => any(&MsgExec { grantee: me, msgs: raw::messages(&file)? }),
            Self::GrantFees { grantee, limit, expires_in, messages } => {
                let spend_limit = limit.as_deref().map(parse_coins).transpose().map_err(usage)?;
                let basic = any(&BasicAllowance {
                    spend_limit: spend_limit.unwrap_or_default(),
                    expiration: expiry(expires_in),
                });
                let allowance = match messages.is_empty() {
                    true => basic,
                    false => any(&AllowedMsgAllowance {
                        allowance: Some(basic),
                        allowed_messages: messages,
                    }),
                };
                let grantee = account(&grantee)?;
                any(&MsgGrantAllowance { granter: me, grantee, allowance: Some(allowance) })
            }
            Self::RevokeFees { grantee } => {
                any(&MsgRevokeAllowance { granter: me, grantee: account(&grantee)? })
            }
        };
        Ok(vec![message])
    }
}
