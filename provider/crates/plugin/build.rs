//! Compiles the wire contract in `schemas/proto`, without protoc.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = "../../../schemas/proto";
    let files = ["tfplugin6.proto", "plugin.proto", "health.proto"];
    println!("cargo::rerun-if-changed={directory}");
    let descriptors = protox::compile(files, [directory])?;
    tonic_prost_build::configure()
        .build_client(true)
        // An RPC that we do not have answers UNIMPLEMENTED, as the protocol wants it.
        .generate_default_stubs(true)
        .compile_fds(descriptors)?;
    Ok(())
}
