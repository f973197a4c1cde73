//! Compiles the protocol files without an external compiler.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files = ["toji/builder/v1/builder.proto", "toji/events/v1/events.proto"];
    println!("cargo::rerun-if-changed=proto");
    let descriptors = protox::compile(files, ["proto"])?;
    tonic_prost_build::configure().compile_fds(descriptors)?;
    Ok(())
}
