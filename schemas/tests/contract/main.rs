//! What the crate promises to the outside: bytes that other libraries wrote and read, JSON, versions.

mod agreement;
mod compatibility;
mod evolution;
mod golden;
mod json;
mod mutations;
mod topics;
mod values;
