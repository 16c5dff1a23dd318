//! stoa-provider
fn main() {}
