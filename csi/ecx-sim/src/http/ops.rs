//! From an operation's fields to the world and back.

use ecx::api::Op;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::shared::Shared;
use crate::world::{Refusal, Twist, World};

pub(super) fn act(
    world: &mut World,
    op: Op,
    fields: Value,
    now: u64,
    shared: &Shared,
    twist: &Twist,
) -> Result<Value, Refusal> {
    let ms = &shared.config.latency;
    match op {
        Op::CreateDisk | Op::CreateDiskFromSnapshot => {
            world.create(&typed(fields)?, now, ms.create, twist).and_then(value)
        }
        Op::DeleteDisk => world.delete(&typed(fields)?, now, ms.delete, twist).and_then(value),
        Op::GetDisk => world.get(&typed(fields)?).and_then(value),
        Op::FindDiskByName => world.find(&typed(fields)?).and_then(value),
        Op::ListDisks => world.list(&typed(fields)?).and_then(value),
        Op::AttachDisk => world.attach(&typed(fields)?, now, ms.attach, twist).and_then(value),
        Op::DetachDisk => world.detach(&typed(fields)?, now, ms.detach, twist).and_then(value),
        Op::ResizeDisk => world.resize(&typed(fields)?, now, ms.resize, twist).and_then(value),
        Op::GetJob => {
            let request: ecx::api::GetJob = typed(fields)?;
            world.job(&request.job_id).and_then(value)
        }
        Op::GetOrder => world.order(&typed(fields)?).and_then(value),
        Op::CreateSnapshot => {
            world.create_snapshot(&typed(fields)?, now, ms.snapshot, shared.plane()).and_then(value)
        }
        Op::DeleteSnapshot => world.delete_snapshot(&typed(fields)?, now, ms.snapshot).and_then(value),
        Op::ListSnapshots => world.list_snapshots(&typed(fields)?).and_then(value),
        Op::ListDiskTypes => world.types(&typed(fields)?).and_then(value),
        Op::CheckStock => world.stock(&typed(fields)?).and_then(value),
        Op::UpdateDisk => world.update(&typed(fields)?).and_then(value),
        Op::ModifyDisk => world.modify(&typed(fields)?, now).and_then(value),
        Op::ListInstances => world.instances(&typed(fields)?).and_then(value),
    }
}

fn typed<T: DeserializeOwned>(fields: Value) -> Result<T, Refusal> {
    serde_json::from_value(fields).map_err(|e| Refusal::parameter("request", e.to_string()))
}

fn value<T: Serialize>(reply: T) -> Result<Value, Refusal> {
    serde_json::to_value(reply).map_err(|e| Refusal::parameter("reply", e.to_string()))
}
