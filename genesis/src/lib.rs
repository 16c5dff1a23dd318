//! stoa-genesis
