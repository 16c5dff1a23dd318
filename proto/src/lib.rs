//! stoa-proto
