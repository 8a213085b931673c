//! The functions that programs call. Each takes C's arguments, does its work on the process, and answers C's result.

mod arrays;
mod capture;
mod context;
mod copy;
mod events;
mod forms;
mod graph;
mod green_contexts;
mod host;
mod ipc;
mod launch;
mod memory;
mod memset;
mod modules;
mod physical;
mod pools;
mod proc_address;
mod streams;
