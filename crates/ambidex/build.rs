//! Gives the linker of a `dist` build the order of the functions: what a gateway runs lies side by side, so that little
//! of the program is resident. `cargo xtask order` writes the list.

use std::path::PathBuf;

fn main() {
    println!("cargo:rerun-if-changed={ORDER}");
    let is = |name: &str, wanted: &str| told(name) == wanted;
    let ours = is("CARGO_CFG_TARGET_OS", "linux") && is("CARGO_CFG_TARGET_ARCH", "x86_64");
    // target/PROFILE/build/PACKAGE/out: nothing else tells a profile's own name. Only the compiler's own linker, which
    // is used on this target, is known to take such a script beside its own layout.
    let out = PathBuf::from(told("OUT_DIR"));
    let dist = out.ancestors().nth(3).is_some_and(|profile| profile.ends_with("dist"));
    if ours && is("CARGO_CFG_TARGET_ENV", "gnu") && dist {
        let script = PathBuf::from(told("CARGO_MANIFEST_DIR")).join(ORDER);
        println!("cargo:rustc-link-arg-bins=-Wl,-T,{}", script.display());
    }
}

#[expect(clippy::disallowed_methods, reason = "what Cargo tells a build script stands in its environment")]
fn told(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

const ORDER: &str = "order.ld";
