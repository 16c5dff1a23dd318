//! Manifest types to protobuf.
