//! stoa-manifest
