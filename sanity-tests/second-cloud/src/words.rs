//! How disks, machines and snapshots are told, in the words of the dialect.

use serde_json::{Map, Value, json};

use crate::dialect::{DiskWords, Names, OddDisk, Told, WithMachine};
use crate::world::{Disk, Machine, Millis, Moment, Snapshot, State, World};

/// When the cloud began, in epoch milliseconds.
const BEGAN: Millis = 1_767_225_600_000;

/// Where a disk is told.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Info,
    ByName,
    List,
}

/// What the state is called.
fn state_word(state: State, aliases: bool) -> &'static str {
    match (state, aliases) {
        (State::Attaching, true) => "diskAttaching",
        (State::InUse, true) => "attached",
        (State::Extending, true) => "resizing",
        (State::Available, true) => "detached",
        (State::Creating, _) => "creating",
        (State::Available, _) => "available",
        (State::Attaching, _) => "attaching",
        (State::InUse, _) => "in-use",
        (State::Detaching, _) => "detaching",
        (State::Extending, _) => "extending",
        (State::Deleting | State::Gone, _) => "deleting",
        (State::Error, _) => "error",
    }
}

/// Puts a field as it is told.
fn put(into: &mut Map<String, Value>, key: &str, told: Told, right: Value, otherwise: Value) {
    match told {
        Told::Right => into.insert(key.to_owned(), right),
        Told::Null => into.insert(key.to_owned(), Value::Null),
        Told::Otherwise => into.insert(key.to_owned(), otherwise),
        Told::Absent => into.remove(key),
    };
}

/// The disk as it was at the moment.
pub(crate) fn disk(world: &World, disk: &Disk, at: &Moment, place: Place) -> Value {
    let dialect = &world.dialect;
    let plain = dialect.disk.in_lists_only && place == Place::Info;
    let words = if plain { &crate::dialect::Dialect::base().disk } else { &dialect.disk };
    let mut told = Map::new();
    told.insert("diskID".into(), json!(disk.id));
    if place != Place::ByName || dialect.names != Names::NotInLookUp {
        told.insert("diskName".into(), json!(disk.name));
    }
    told.insert("diskMode".into(), json!("VBD"));
    told.insert("regionID".into(), json!(disk.region));
    told.insert("multiAttach".into(), json!(false));
    told.insert("onDemand".into(), json!(true));
    put(&mut told, "diskSize", words.size, json!(at.gib), json!(at.gib.to_string()));
    put(&mut told, "diskType", words.kind, json!(disk.kind), json!(disk.kind.to_lowercase()));
    let created = BEGAN + disk.created;
    put(&mut told, "createTime", words.created, json!(created), json!(created / 1000));
    let state = if disk.refunded && at.state == State::Available {
        dialect.left.state
    } else {
        state_word(at.state, words.aliases)
    };
    put(&mut told, "diskStatus", words.state, json!(state), json!(state.to_uppercase()));
    let labels: Vec<Value> =
        disk.labels.iter().map(|(key, value)| json!({"key": key, "value": value})).collect();
    put(&mut told, "labels", words.labels, json!(labels), json!({}));
    if !disk.source.is_empty() {
        put(&mut told, "volumeSourceID", words.source, json!(disk.source), json!(disk.asked));
    }
    if !disk.description.is_empty() {
        told.insert("volumeDescription".into(), json!(disk.description));
    }
    holder(&mut told, words, at);
    if dialect.with_machine != WithMachine::Untold {
        told.insert("deleteDiskWithInstance".into(), json!(disk.goes_with_machine));
    }
    if !disk.bought && place == Place::List {
        oddly(&mut told, dialect.odd_disk);
    }
    Value::Object(told)
}

fn holder(told: &mut Map<String, Value>, words: &DiskWords, at: &Moment) {
    let Some(machine) = &at.holder else { return };
    put(told, "instanceID", words.instance, json!(machine), json!(""));
    told.insert("instanceStatus".into(), json!("running"));
    let one = json!([{"instanceID": machine, "attachmentID": "a-1", "device": "/dev/vdb"}]);
    put(told, "attachments", words.attachments, one, json!([]));
}

fn oddly(told: &mut Map<String, Value>, odd: Option<OddDisk>) {
    match odd {
        None => {}
        Some(OddDisk::NullSize) => drop(told.insert("diskSize".into(), Value::Null)),
        Some(OddDisk::TextSize) => drop(told.insert("diskSize".into(), json!("40"))),
        Some(OddDisk::TextTime) => drop(told.insert("createTime".into(), json!("2026-01-01 08:00:00"))),
        Some(OddDisk::NullState) => drop(told.insert("diskStatus".into(), Value::Null)),
        Some(OddDisk::NoId) => drop(told.remove("diskID")),
    }
}

/// A machine.
pub(crate) fn machine(world: &World, machine: &Machine) -> Value {
    let held: Vec<&str> = (world.disks.iter())
        .filter(|disk| disk.holder.as_deref() == Some(machine.id.as_str()))
        .map(|disk| disk.id.as_str())
        .collect();
    let address = json!({"addr": machine.ip, "version": 4, "type": "fixed", "isMaster": true});
    let Value::Object(mut told) = json!({
        "instanceID": machine.id, "instanceName": format!("vm-{}", machine.id), "displayName": "",
        "instanceStatus": if machine.gone { "deleted" } else { "running" },
        "fixedIPList": [machine.ip], "attachedVolume": held, "vpcID": machine.vpc,
        "addresses": [{"vpcName": machine.vpc, "addressList": [address]}],
    }) else {
        return Value::Null;
    };
    put(&mut told, "privateIP", world.dialect.machines.ip, json!(machine.ip), json!([machine.ip]));
    Value::Object(told)
}

/// A snapshot.
pub(crate) fn snapshot(snapshot: &Snapshot) -> Value {
    let seconds = snapshot.created / 1000;
    let time = format!("2026-01-01T{:02}:{:02}:{:02}Z", seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    json!({
        "snapshotID": snapshot.id, "snapshotName": snapshot.name, "diskID": snapshot.disk, "snapshotType": "manu",
        "snapshotStatus": state_word(snapshot.state, false), "volumeSize": snapshot.gib, "volumeType": snapshot.kind,
        "regionID": snapshot.region, "createTime": time, "retentionPolicy": "forever",
    })
}
