//! What this process has made, by kind. These types know a card and nothing of the process that owns them.

pub(crate) mod arena;
pub(crate) mod captures;
pub(crate) mod graphs;
pub(crate) mod physical;
pub(crate) mod pools;
pub(crate) mod streams;
