//! Compiles the protocol files without an external compiler.

use prost::Message as _;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let generated = ["toji/builder/v1/builder.proto", "toji/events/v1/events.proto"];
    // These are written and read by hand; reflection shows them.
    let described = ["toji/hub/v1/hub.proto", "toji/hub/v1/calls.proto"];
    println!("cargo::rerun-if-changed=proto");
    let descriptors = protox::compile(generated, ["proto"])?;
    tonic_prost_build::configure().compile_fds(descriptors)?;
    let all = protox::compile(generated.into_iter().chain(described), ["proto"])?;
    #[expect(clippy::disallowed_methods, reason = "cargo says by it where a build's files go")]
    let out = std::env::var_os("OUT_DIR").ok_or("no OUT_DIR")?;
    let out = std::path::PathBuf::from(out);
    std::fs::write(out.join("toji.bin"), all.encode_to_vec())?;
    Ok(())
}
