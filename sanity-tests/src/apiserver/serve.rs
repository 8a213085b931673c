//! Connections: taken, cut, and each request's way through faults to its answer.

use std::sync::Arc;

use axum::body::Body;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

use super::error::Refusal;
use super::fault::Fault;
use super::http;
use super::shared::Shared;

/// The connection ends without an answer.
#[derive(Debug, thiserror::Error)]
#[error("cut")]
struct Cut;

/// Takes connections for ever.
pub(super) async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let _ = stream.set_nodelay(true);
        let mut up = shared.up.subscribe();
        if !*up.borrow_and_update() {
            continue;
        }
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            tokio::select! {
                () = connection(stream, shared) => {}
                // Dropping the connection closes it, whatever runs on it.
                _ = up.wait_for(|up| !*up) => {}
            }
        });
    }
}

async fn connection(stream: TcpStream, shared: Arc<Shared>) {
    let service = service_fn(move |request| answer(Arc::clone(&shared), request));
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(shared: Arc<Shared>, request: Request<hyper::body::Incoming>) -> Result<Response<Body>, Cut> {
    if let Some(text) = shared.texts.lock().get(request.uri().path()) {
        return Ok(Response::new(Body::from(text.clone())));
    }
    let call = match http::Call::read(request).await {
        Ok(call) => call,
        Err(refusal) => return Ok(http::refused(&refusal)),
    };
    let resource = call.target.rbac_name();
    shared.count(call.verb, &resource);
    let fault = shared.faults.lock().take(call.verb, &resource);
    let Some(fault) = fault else { return Ok(call.carry_out(&shared)) };
    if fault.is_done() {
        call.carry_out(&shared);
    }
    match fault {
        Fault::Refused(code) | Fault::DoneBut(code) => {
            Ok(http::refused(&Refusal::new(code, reason(code), "a fault that the test asked for".to_owned())))
        }
        Fault::Cut | Fault::DoneCut => Err(Cut),
        Fault::Hang | Fault::DoneHang => std::future::pending().await,
    }
}

fn reason(code: u16) -> &'static str {
    match code {
        403 => "Forbidden",
        404 => "NotFound",
        409 => "Conflict",
        429 => "TooManyRequests",
        503 => "ServiceUnavailable",
        504 => "Timeout",
        _ => "InternalError",
    }
}
