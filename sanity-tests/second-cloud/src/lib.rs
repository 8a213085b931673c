//! A second cloud, written from ECX-API.md alone: it shares neither the client's types nor the simulator's code, so that an
//! error in reading that paper is not made on both sides. It speaks *dialects*: each is the base with one thing said or done
//! otherwise, as a real cloud may ([`DIALECTS`]). Time comes from outside, and the truth can be looked at ([`Cloud::truth`]).

mod answer;
mod ask;
mod cloud;
mod dialect;
mod dialects;
mod http;
mod passing;
mod reads;
mod words;
mod world;
mod writes;

pub use ask::Op;
pub use cloud::{Cloud, Reply};
pub use dialect::*;
pub use dialects::{DIALECTS, Named};
pub use http::Served;
pub use world::{
    Disk, Entry, Event, HOME, Job, Machine, Millis, Order, REGIONS, Snapshot, Stage, State, World,
};
