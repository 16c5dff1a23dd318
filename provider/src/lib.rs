//! stoa-provider
