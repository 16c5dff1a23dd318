//! Governance's messages, of cosmos.gov.v1 and, for software that knows no
//! other, of v1beta1.

mod cancel;
mod deposit;
mod legacy;
mod submit;
mod update_params;
mod vote;

pub use cancel::CancelProposal;
pub use deposit::{Deposit, LegacyDeposit};
pub use legacy::{ExecLegacyContent, LegacySubmitProposal};
pub use submit::{SubmitProposal, MAX_MESSAGES};
pub use update_params::UpdateParams;
pub use vote::{LegacyVote, LegacyVoteWeighted, VoteOne, VoteWeighted};
