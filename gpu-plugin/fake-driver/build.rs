//! Links the library as NVIDIA's own behaves.

fn main() {
    // It stays in the process once it was loaded: NVML's wrapper closes it at every shutdown, and what was delivered to a set of
    // events before must still be known after.
    println!("cargo::rustc-link-arg-cdylib=-Wl,-z,nodelete");
    // It calls its own functions, not a preloaded library's of the same name: libvcuda would see a pitched allocation twice.
    println!("cargo::rustc-link-arg-cdylib=-Wl,-Bsymbolic");
    println!("cargo::rerun-if-changed=build.rs");
}
