//! stoad
fn main() {}
