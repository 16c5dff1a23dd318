//! What peers say to each other. Each message is a frame: one byte for its
//! kind, four for its length (big-endian), then so many bytes. Numbers are
//! big-endian. Every kind has a bound of its own, looked at before anything
//! is allocated.

mod frames;
mod message;

pub use frames::{read, write_to, ReadError};
pub use message::{Bye, DecodeError, Message, Refusal, MAX_GOT, MAX_NAME, VERSION};
