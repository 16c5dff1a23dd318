//! stoad
