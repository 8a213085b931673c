//! What must hold, judged by the cloud's truth.

use second_cloud::{Disk, Event, HOME, Op, World};
use tonic::{Code, Status};

use crate::call::Call;
use crate::hopeless::HOPELESS;
use crate::rig::Rig;

/// Requests of one call at most; a wait of five minutes is about seventy.
const REQUESTS: usize = 300;

/// Writes of one kind for one disk in one call at most.
const WRITES: usize = 3;

/// The machine of a node.
pub(crate) fn machine(node: &str) -> String {
    format!("evm-ours-{HOME}-{}", node.rsplit('.').next().unwrap_or_default())
}

/// One of `many` calls of one time, all of which have ended: what they did is in the log from `before` on.
pub(crate) fn call(rig: &mut Rig, call: &Call, result: &Result<String, Status>, before: usize, many: usize) {
    let truth = rig.truth();
    effort(rig, &truth, call, before, many);
    strangers(rig, &truth, before);
    let id = match result {
        Ok(id) => id,
        Err(status) => return refused(rig, &truth, call, status.code()),
    };
    let disk = truth.disk(id).cloned();
    match (call, disk) {
        (_, None) => rig.broken(format!("{} is OK for a disk that never was", call.kind())),
        (Call::Create { name }, Some(disk)) => created(rig, name, &disk),
        (Call::Publish { node, .. }, Some(disk)) => published(rig, &machine(node), &disk),
        (Call::Unpublish { node, .. }, Some(disk)) => {
            if disk.holder == Some(machine(node)) {
                rig.broken("unpublish is OK and the disk is still there".into());
            }
        }
        (Call::Delete { .. }, Some(disk)) => {
            if disk.exists() {
                rig.broken("delete is OK and the disk is not refunded".into());
            }
        }
    }
}

/// The end of all calls of one kind. It must be OK some time, unless the dialect allows no more than a refusal.
pub(crate) fn last_word(rig: &mut Rig, call: &Call, result: Option<&Result<String, Status>>) {
    let kind = if rig.again { format!("{} again", call.kind()) } else { call.kind().to_owned() };
    let fits = |hopeless: &&str| *hopeless == kind || *hopeless == call.kind();
    let hopeless = HOPELESS.iter().any(|row| row.dialect == rig.name && row.calls.iter().any(fits));
    if let (Some(Err(status)), false) = (result, hopeless) {
        rig.broken(format!("{kind} never is OK: {:?}", status.code()));
    }
}

/// After these codes the provisioner goes on, whether the claim is there or not; after every other one nobody does if it is
/// deleted now.
fn refused(rig: &mut Rig, truth: &World, call: &Call, code: Code) {
    let Call::Create { name } = call else { return };
    let goes_on = matches!(code, Code::Unavailable | Code::DeadlineExceeded | Code::Aborted);
    let there = truth.disks.iter().any(|disk| disk.bought && disk.asked == *name && disk.exists());
    if !goes_on && (there || truth.on_order(name)) {
        rig.broken(format!("create ends with {code:?} and a disk is there or on order"));
    }
}

fn effort(rig: &mut Rig, truth: &World, call: &Call, before: usize, many: usize) {
    let log = &truth.log[before..];
    if log.len() > REQUESTS * many {
        rig.broken(format!("{} takes {} requests", call.kind(), log.len()));
    }
    for op in [Op::Attach, Op::Detach, Op::Refund, Op::Resize] {
        let of = |disk: &Disk| log.iter().filter(|entry| entry.op == op && entry.disk == disk.id).count();
        let most = truth.disks.iter().map(of).max().unwrap_or(0);
        if most > WRITES {
            rig.broken(format!("{op:?} is sent more than {WRITES} times in one call"));
        }
    }
    if let Some(entry) = log.iter().find(|entry| entry.again && entry.accepted) {
        rig.broken(format!("{:?} is sent again while it is under way", entry.op));
    }
}

fn strangers(rig: &mut Rig, truth: &World, before: usize) {
    let strange = |id: &str| truth.disk(id).is_some_and(|disk| !disk.bought);
    if let Some(entry) = truth.log[before..].iter().find(|entry| entry.op.writes() && strange(&entry.disk)) {
        rig.broken(format!("{:?} is sent for somebody else's disk", entry.op));
    }
}

fn created(rig: &mut Rig, name: &str, disk: &Disk) {
    if !disk.bought || disk.asked != name {
        rig.broken("create is OK with somebody else's disk".into());
    } else if !disk.exists() {
        rig.broken("create is OK with a disk that is gone".into());
    }
}

fn published(rig: &mut Rig, machine: &str, disk: &Disk) {
    if disk.holder.as_deref() != Some(machine) {
        rig.broken("publish is OK and the disk is not there".into());
    }
}

/// What must hold at the end, when all orders have ended.
pub(crate) fn end(rig: &mut Rig, names: &[String], kept: bool) {
    let truth = rig.truth();
    for name in names {
        let of_name = |disk: &&Disk| disk.bought && disk.asked == *name;
        let bought = truth.disks.iter().filter(of_name).count();
        let left = truth.disks.iter().filter(of_name).filter(|disk| disk.exists()).count();
        if bought > 1 {
            rig.broken("more than one disk is bought for a name".into());
        }
        if !kept && (left > 0 || truth.on_order(name)) {
            rig.broken("a disk is left that nobody knows of".into());
        }
    }
    for disk in truth.disks.iter().filter(|disk| disk.bought) {
        let on = |event: &Event| match event {
            Event::Attached(machine) => !machine.contains("-ours-"),
            Event::Bought | Event::Detached(_) | Event::Grown(_) | Event::Refunded => false,
        };
        if disk.history.iter().any(|(_, event)| on(event)) {
            rig.broken("the disk was on somebody else's machine".into());
        }
    }
}
