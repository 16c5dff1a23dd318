//! stoa
