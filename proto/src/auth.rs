//! Auth's parameters with a field of ours, and the messages that hold them:
//! they are cosmos-sdk-proto's else. `stubs/cosmos/auth/v1beta1` declares them.

/// `cosmos.auth.v1beta1.Params`.
#[derive(Clone, PartialEq, Eq, ::prost::Message)]
pub struct Params {
    /// Bytes of a memo.
    #[prost(uint64, tag = "1")]
    pub max_memo_characters: u64,
    /// Signers of one transaction.
    #[prost(uint64, tag = "2")]
    pub tx_sig_limit: u64,
    /// Gas for each byte of a transaction.
    #[prost(uint64, tag = "3")]
    pub tx_size_cost_per_byte: u64,
    /// Gas for a signature.
    #[prost(uint64, tag = "4")]
    pub sig_verify_cost_ed25519: u64,
    /// Gas for a signature.
    #[prost(uint64, tag = "5")]
    pub sig_verify_cost_secp256k1: u64,
    /// How far ahead an unordered transaction's timeout may lie. In an update 0 leaves it as it
    /// is, for who does not know the field.
    #[prost(uint32, tag = "100")]
    pub max_unordered_seconds: u32,
}

/// `cosmos.auth.v1beta1.MsgUpdateParams`.
#[derive(Clone, PartialEq, Eq, ::prost::Message)]
pub struct MsgUpdateParams {
    /// Governance's address.
    #[prost(string, tag = "1")]
    pub authority: ::prost::alloc::string::String,
    /// All of them.
    #[prost(message, optional, tag = "2")]
    pub params: ::core::option::Option<Params>,
}

impl ::prost::Name for MsgUpdateParams {
    const NAME: &'static str = "MsgUpdateParams";
    const PACKAGE: &'static str = "cosmos.auth.v1beta1";
}

/// `cosmos.auth.v1beta1.QueryParamsResponse`.
#[derive(Clone, PartialEq, Eq, ::prost::Message)]
pub struct QueryParamsResponse {
    /// Those in force.
    #[prost(message, optional, tag = "1")]
    pub params: ::core::option::Option<Params>,
}
