//! stoa-tunnel
fn main() {}
