//! Scenarios, contracts and end-to-end tests of the whole, and the real parts that they run against.

pub mod altered;
pub mod api;
pub mod apicurio;
pub mod cpu;
pub mod history;
pub mod memory;
pub mod moving;
pub mod recovery;
pub mod scenario;
pub mod stage;
pub mod tampered;
