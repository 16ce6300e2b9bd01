//! The provider as a process: what a host sees of it. The host is this test, and once Terraform
//! itself; the provider is `examples/toy.rs`.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod end;
mod handshake;
mod identity;
mod mutual_tls;
mod requests;
mod start;
mod terraform;
