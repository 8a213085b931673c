//! A pod as the API server sends it: scheduler and node must read the same out of it.

use ideal_gpu_plugin::pod::ApiPod;
use ideal_gpu_scheduler::pod::Request;
use k8s_openapi::api::core::v1::Pod;
use serde_json::Value;

pub(crate) fn run(bytes: &[u8]) {
    let Ok(mut value) = serde_json::from_slice::<Value>(bytes) else { return };
    // The API server leaves out what is not set; it never writes null there.
    without_nulls(&mut value);
    // An object without metadata is none of its.
    if !value.get("metadata").is_some_and(Value::is_object) {
        return;
    }
    let wire = serde_json::from_value::<ApiPod>(value.clone());
    if let Ok(wire) = &wire {
        assert_eq!(wire.request(), wire.request(), "twice is once");
    }
    let Ok(pod) = serde_json::from_value::<Pod>(value) else { return };
    let wire = match wire {
        Ok(wire) => wire,
        Err(_) if Request::of(&pod).is_err() => return,
        Err(error) => panic!("the scheduler reads a pod that the node cannot read: {error}"),
    };
    let scheduler = Request::of(&pod).map(|request| request.map(|request| request.ask().clone()));
    let node = wire.request().and_then(|request| match request {
        Some(request) => request.policies.map(|_| Some(request.ask)),
        None => Ok(None),
    });
    assert_eq!(node, scheduler, "the scheduler and the node read the same, and refuse the same");
}

fn without_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, field| !field.is_null());
            fields.values_mut().for_each(without_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(without_nulls),
        _ => {}
    }
}
