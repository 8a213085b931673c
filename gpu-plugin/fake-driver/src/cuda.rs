//! A simulated `libcuda.so.1`: the CUDA driver for machines without a card, on the cards of the same file as NVML's.
//!
//! What behaves: memory, which every process of a machine takes from the same cards in blocks of 2 MiB, and which comes back when
//! a process ends in whatever way; time, which kernels take from a card one after the other whoever launched them; streams,
//! events, capture, graphs, pools, physical memory and addresses. Device memory is memory of the process, so that what is copied
//! is there. All other functions of the driver answer that they are not supported, so that a program that names them loads.
//!
//! A kernel is a function of any module: `spin` takes as many ns as its first parameter says, `fill` writes its third to as many
//! words as its second says at the address that is its first and takes the ns of its fourth, `fault` breaks its context.
//!
//! What the card has given away stands in `<state>/<uuid>.used`, as numbers of 8 bytes in the machine's order. A header of 4096
//! bytes: the card's clock, and the most bytes that were ever held at one time. Then a record for each process: its id as it sees
//! it, the clock tick that it started at, bytes, and ns of device time.

mod abi;
mod api;
mod card;
mod clock;
mod contexts;
mod current;
mod device;
mod exports;
mod mapping;
mod meeting;
mod moment;
mod process;
mod queues;
mod state;
mod sync;
#[cfg(test)]
mod testing;
mod work;

pub(crate) use card::holders;
