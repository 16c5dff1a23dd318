//! stoa-localnet
fn main() {}
