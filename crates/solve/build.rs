//! Compiles the shim against libsolv's headers; the library itself is loaded when it is first needed.

fn main() {
    println!("cargo::rerun-if-changed=shim/shim.c");
    println!("cargo::rerun-if-changed=shim/shim.h");
    #[cfg(feature = "libsolv")]
    cc::Build::new()
        .file("shim/shim.c")
        .flag_if_supported("-std=gnu11")
        .warnings(true)
        .compile("toji_solv_shim");
}
