//! What must hold, judged by the cloud's truth.

use second_cloud::{Disk, Event, HOME, Op, Snapshot, World};
use tonic::{Code, Status};

use crate::call::{Call, From, LARGER, Told};
use crate::hopeless::{HOPELESS, Hopeless};
use crate::rig::Rig;

/// Requests of one call at most; a wait of five minutes is about seventy.
const REQUESTS: usize = 300;

/// Writes of one kind for one disk in one call at most: the client's attempts, of one request.
const WRITES: usize = 4;

/// One of `many` calls of one time, all of which have ended: what they did is in the log from `before` on.
pub(crate) fn call(rig: &mut Rig, call: &Call, result: &Result<Told, Status>, before: usize, many: usize) {
    let truth = rig.truth();
    effort(rig, &truth, call, before, many);
    strangers(rig, &truth, before);
    match result {
        Ok(told) => done(rig, &truth, call, told),
        Err(status) => refused(rig, &truth, call, status.code()),
    }
}

/// What the call says is so.
pub(crate) fn done(rig: &mut Rig, truth: &World, call: &Call, told: &Told) {
    match (call, told) {
        (Call::Create { name, from, .. }, Told::Id(id)) => created(rig, truth, name, from, id),
        (Call::Snapshot { volume, .. }, Told::Id(id)) => {
            let made = snapshot(truth, id).is_some_and(|made| made.disk == *volume && made.gone.is_none());
            rig.expect(made, "snapshot is OK and there is none");
        }
        (Call::Unsnapshot { snapshot: id }, _) => {
            let gone = snapshot(truth, id).is_some_and(|left| left.gone.is_some());
            rig.expect(gone, "unsnapshot is OK and it is still there");
        }
        (Call::List { volumes, published }, Told::Volumes(listed)) => {
            for volume in volumes {
                let nodes = listed.iter().find(|(id, _)| id == volume).map(|(_, nodes)| nodes.len());
                rig.expect(nodes.is_some(), "list is OK and a volume is not in it");
                rig.expect(
                    nodes.is_none_or(|n| n == usize::from(*published)),
                    "list is OK and a node is not told",
                );
            }
        }
        (Call::Capacity, Told::Bytes(bytes)) => rig.expect(*bytes > 0, "capacity is OK and 0"),
        (Call::Publish { volume, node }, _) => {
            let (disk, machine) = (truth.disk(volume), truth.node(ip(node)));
            let there = disk.is_some_and(|disk| disk.holder.is_some() && disk.holder == machine);
            rig.expect(there, "publish is OK and the disk is not there");
            let goes = disk.is_some_and(|disk| disk.goes_with_machine);
            rig.expect(!goes, "publish is OK and the disk goes with its machine");
        }
        (Call::Unpublish { volume, node }, _) => {
            let (disk, machine) = (truth.disk(volume), truth.node(ip(node)));
            let there = disk.is_some_and(|disk| disk.holder.is_some() && disk.holder == machine);
            rig.expect(!there, "unpublish is OK and the disk is still there");
        }
        (Call::Expand { volume }, _) => {
            let grown = truth.disk(volume).is_some_and(|disk| disk.gib >= LARGER);
            rig.expect(grown, "expand is OK and the disk is not larger");
        }
        (Call::Delete { volume }, _) => {
            let left = truth.disk(volume).is_some_and(Disk::exists);
            rig.expect(!left, "delete is OK and the disk is not refunded");
        }
        (Call::Create { .. } | Call::Snapshot { .. } | Call::List { .. } | Call::Capacity, _) => {
            rig.expect(false, "it is OK and tells something else");
        }
    }
}

/// The address in a node's name.
fn ip(node: &str) -> &str {
    node.trim_start_matches(HOME).trim_start_matches('.')
}

/// The snapshot of a handle.
fn snapshot<'a>(truth: &'a World, handle: &str) -> Option<&'a Snapshot> {
    let id = handle.rsplit('/').next()?;
    truth.snapshots.iter().find(|snapshot| snapshot.id == id)
}

fn created(rig: &mut Rig, truth: &World, name: &str, from: &From, id: &str) {
    let Some(disk) = truth.disk(id) else {
        return rig.expect(false, "create is OK for a disk that never was");
    };
    rig.expect(disk.bought && disk.asked == name, "create is OK with somebody else's disk");
    rig.expect(disk.exists(), "create is OK with a disk that is gone");
    rig.expect(!truth.is_stillborn(disk), "create is OK with a disk that never was usable");
    let source = match from {
        From::Nothing => disk.source.is_empty(),
        From::Snapshot(handle) => snapshot(truth, handle).is_some_and(|source| source.id == disk.source),
        From::Volume(volume) => {
            truth.snapshots.iter().any(|source| source.id == disk.source && source.disk == *volume)
        }
    };
    rig.expect(source, "create is OK and the content is another");
}

/// The end of all calls of one kind. It must be OK some time, unless the dialect allows no more than a refusal; then that must say what
/// is otherwise.
pub(crate) fn last_word(rig: &mut Rig, call: &Call, result: Option<&Result<Told, Status>>) {
    rig.unfinished = matches!(result, Some(Err(_)));
    let again = if rig.again { " again" } else { "" };
    let Some(Err(status)) = result else { return };
    match hopeless(rig.name, call, again) {
        None => rig.broken(format!("{}{again} never is OK: {:?}", call.kind(), status.code())),
        Some(row) if !status.message().contains(row.says) => {
            let (kind, message) = (call.kind(), status.message());
            rig.broken(format!("{kind}{again} is refused and does not say {:?}: {message}", row.says));
        }
        Some(_) => {}
    }
}

/// Why no more can be asked of the call in this dialect than a refusal; `again`: what it asks for was done before.
pub(crate) fn hopeless(dialect: &str, call: &Call, again: &str) -> Option<&'static Hopeless> {
    let kind = format!("{}{again}", call.kind());
    let fits = |hopeless: &&str| *hopeless == kind || *hopeless == call.kind();
    HOPELESS.iter().find(|row| row.dialect == dialect && row.calls.iter().any(fits))
}

/// After these codes the provisioner goes on, whether the claim is there or not; after every other one nobody does if it is
/// deleted now.
pub(crate) fn refused(rig: &mut Rig, truth: &World, call: &Call, code: Code) {
    let Call::Create { name, .. } = call else { return };
    let goes_on = matches!(code, Code::Unavailable | Code::DeadlineExceeded | Code::Aborted);
    let there = truth.disks.iter().any(|disk| disk.bought && disk.asked == *name && disk.exists());
    if !goes_on && (there || truth.on_order(name)) {
        rig.broken(format!("{} ends with {code:?} and a disk is there or on order", call.kind()));
    }
}

fn effort(rig: &mut Rig, truth: &World, call: &Call, before: usize, many: usize) {
    let log = &truth.log[before..];
    if log.len() > REQUESTS * many {
        rig.broken(format!("{} takes {} requests", call.kind(), log.len()));
    }
    for op in [Op::Attach, Op::Detach, Op::Refund, Op::Resize, Op::NewSnapshot, Op::DropSnapshot] {
        let of = |disk: &Disk| log.iter().filter(|entry| entry.op == op && entry.disk == disk.id).count();
        let most = truth.disks.iter().map(of).max().unwrap_or(0);
        rig.expect(most <= WRITES, &format!("{op:?} is sent more than {WRITES} times in one call"));
    }
    if let Some(entry) = log.iter().find(|entry| entry.again && entry.accepted) {
        rig.broken(format!("{:?} is sent again while it is under way", entry.op));
    }
}

/// Another cluster's disk: whatever is asked, nothing is done to it, and nothing is said to be done.
pub(crate) fn foreign(rig: &mut Rig, call: &Call, result: &Result<Told, Status>, before: usize) {
    let truth = rig.truth();
    strangers(rig, &truth, before);
    rig.expect(result.is_err(), &format!("{} is OK for another cluster's disk", call.kind()));
}

/// Nothing was done to anybody else's disk by what is in the log from `before` on.
pub(crate) fn strangers(rig: &mut Rig, truth: &World, before: usize) {
    let strange = |id: &str| truth.disk(id).is_some_and(|disk| !disk.bought);
    if let Some(entry) = truth.log[before..].iter().find(|entry| entry.op.writes() && strange(&entry.disk)) {
        rig.broken(format!("{:?} is sent for somebody else's disk", entry.op));
    }
}

/// What must hold at the end, when all orders have ended: of each name one disk, or none if it is `kept` no more.
pub(crate) fn end(rig: &mut Rig, names: &[String], kept: bool) {
    let truth = rig.truth();
    for name in names {
        let of_name = |disk: &&Disk| disk.bought && disk.asked == *name;
        let bought = truth.disks.iter().filter(of_name).filter(|disk| !truth.is_stillborn(disk)).count();
        let left = truth.disks.iter().filter(of_name).filter(|disk| disk.exists()).count();
        rig.expect(bought <= 1, "more than one disk is bought for a name");
        rig.expect(kept || (left == 0 && !truth.on_order(name)), "a disk is left that nobody knows of");
    }
    for disk in truth.disks.iter().filter(|disk| disk.bought) {
        let strange = |event: &Event| match event {
            Event::Attached(machine) => !machine.contains("-ours-"),
            Event::Bought | Event::Detached(_) | Event::Grown(_) | Event::Refunded => false,
        };
        let was = disk.history.iter().any(|(_, event)| strange(event));
        rig.expect(!was, "the disk was on somebody else's machine");
    }
}

/// So many snapshots are there at the end.
pub(crate) fn snapshots(rig: &mut Rig, wanted: usize) {
    let there = rig.truth().snapshots.iter().filter(|snapshot| snapshot.gone.is_none()).count();
    rig.expect(there <= wanted, "a snapshot is left that nobody knows of");
}
