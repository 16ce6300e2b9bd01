//! The messages and services of the protocol, generated from `schemas/proto`. Public for tests that
//! speak the wire; everything else goes through [`Resource`](crate::Resource).

/// Terraform's own protocol.
#[expect(clippy::all, clippy::allow_attributes, reason = "generated code")]
pub mod tfplugin6 {
    tonic::include_proto!("tfplugin6");
}

/// What the plugin host asks of every plugin.
#[expect(clippy::allow_attributes, reason = "generated code")]
pub mod plugin {
    tonic::include_proto!("plugin");
}

/// The standard health service.
#[expect(clippy::allow_attributes, reason = "generated code")]
pub mod health {
    tonic::include_proto!("grpc.health.v1");
}
