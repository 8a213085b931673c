//! Keeps the library in the process once it was loaded: NVML's wrapper closes it at every shutdown, and what was delivered to
//! a set of events before must still be known after.

fn main() {
    println!("cargo::rustc-link-arg-cdylib=-Wl,-z,nodelete");
    println!("cargo::rerun-if-changed=build.rs");
}
