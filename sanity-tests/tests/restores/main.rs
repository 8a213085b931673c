//! Pods of restored and cloned volumes go where the sources are: the webhook, the API server that it asks, and the controller that makes
//! the disks, in this process.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod certificate;
mod first_try;
mod objects;
mod sources;
