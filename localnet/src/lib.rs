//! stoa-localnet
