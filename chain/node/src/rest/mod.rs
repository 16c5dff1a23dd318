//! REST: every unary call of [`Services`] that has a path in its `google.api.http` option, as
//! JSON in the form that Cosmos wallets and explorers know.
//!
//! Nothing here knows a module: routes, parameters, answers and the OpenAPI document are made
//! from the descriptors in `proto/`. What the node does not serve answers 404.

#![allow(clippy::result_large_err, reason = "tonic's Status is the error of every call")]

mod answer;
mod http_status;
mod json;
mod openapi;
mod params;
mod routes;
mod server;

#[cfg(test)]
mod tests;

pub use server::{bind, Options, Server};
