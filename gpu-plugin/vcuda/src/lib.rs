//! `libvcuda.so`: holds the programs of a container to their slice of a card.
//!
//! It is loaded into every program of the container through `/etc/ld.so.preload` and intercepts those functions of the CUDA driver and
//! of NVML that allocate, launch or report sizes. It does nothing until one of them is called: no constructor, no
//! thread, no file is opened in a program that never uses CUDA.
//!
//! Imports point one way: `abi`, `glibc`, `log`, `symbols`, `sync` ← `driver` ← `hook` ← (`limits`, `accounting`) ← `cards` ←
//! (`compute`, `memory`) ← `hooks` ← `dlsym`.

mod abi;
mod accounting;
mod cards;
mod compute;
mod dlsym;
mod driver;
mod glibc;
mod hook;
mod hooks;
mod limits;
mod log;
mod memory;
mod symbols;
mod sync;
