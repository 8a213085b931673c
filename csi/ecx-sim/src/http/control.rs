//! The simulator's own pages, unsigned and on loopback only: `/_sim/state`, `/_sim/log`, `/_sim/calls`, `/_sim/faults`,
//! `/_sim/clock`, `/_sim/release`, `/_sim/instance`, `/_sim/stock`. The product never calls them.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::Value;

use crate::fault::Fault;
use crate::shared::Shared;

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/_sim/state", get(state))
        .route("/_sim/log", get(log))
        .route("/_sim/calls", get(calls))
        .route("/_sim/faults", get(faults).post(add).delete(clear))
        .route("/_sim/clock", post(advance))
        .route("/_sim/release", post(release))
        .route("/_sim/instance", post(instance))
        .route("/_sim/stock", post(stock))
}

async fn state(State(shared): State<Arc<Shared>>) -> Json<Value> {
    Json(shared.look(|world| serde_json::to_value(world).unwrap_or_default()))
}

async fn log(State(shared): State<Arc<Shared>>) -> Json<Value> {
    Json(serde_json::to_value(shared.log.entries_from(0)).unwrap_or_default())
}

async fn calls(State(shared): State<Arc<Shared>>) -> Json<Value> {
    Json(serde_json::to_value(shared.log.counts()).unwrap_or_default())
}

async fn faults(State(shared): State<Arc<Shared>>) -> Json<Vec<Fault>> {
    Json(shared.faults().list().to_vec())
}

async fn add(State(shared): State<Arc<Shared>>, Json(fault): Json<Fault>) -> StatusCode {
    shared.faults().add(fault);
    StatusCode::NO_CONTENT
}

async fn clear(State(shared): State<Arc<Shared>>) -> StatusCode {
    shared.faults().clear();
    StatusCode::NO_CONTENT
}

#[derive(Deserialize)]
struct Advance {
    advance_ms: u64,
}

async fn advance(State(shared): State<Arc<Shared>>, Json(by): Json<Advance>) -> StatusCode {
    shared.advance(Duration::from_millis(by.advance_ms));
    StatusCode::NO_CONTENT
}

/// Ends every transition that is stuck, and lets every held request go on.
async fn release(State(shared): State<Arc<Shared>>) -> StatusCode {
    shared.release();
    StatusCode::NO_CONTENT
}

#[derive(Deserialize)]
struct Instance {
    id: String,
    status: String,
}

async fn instance(State(shared): State<Arc<Shared>>, Json(request): Json<Instance>) -> StatusCode {
    match shared.act(|world, _| world.set_instance_status(&request.id, &request.status)) {
        Ok(()) => StatusCode::NO_CONTENT,
        Err(_) => StatusCode::NOT_FOUND,
    }
}

#[derive(Deserialize)]
struct Stock {
    region: String,
    gib: u64,
}

async fn stock(State(shared): State<Arc<Shared>>, Json(request): Json<Stock>) -> StatusCode {
    match shared.act(|world, _| world.set_stock(&request.region, request.gib)) {
        Ok(()) => StatusCode::NO_CONTENT,
        Err(_) => StatusCode::NOT_FOUND,
    }
}
