//! stoa-tunnel
