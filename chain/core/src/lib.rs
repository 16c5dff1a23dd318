//! stoa-chain
