//! The operations that change something.

use serde_json::json;

use crate::answer::{Answer, NOTHING, Refusal};
use crate::ask::{Ask, Op};
use crate::dialect::{self, Ids, Names, Tokens, WithMachine, Word};
use crate::world::{Disk, Job, Next, Order, Snapshot, Stage, State, World};

const TOKEN_CONFLICT: Word = (200, "900", "ebs.order.tokenConflict");
const PARAMETER: Word = (400, "900", "openapi.parameter.diskSize");
const IN_PROGRESS: Word = (200, "900", "ebs.order.inProgress");
const FAILED: Word = (200, "900", "ebs.order.procFailed");
const SHRINK: Word = (200, "900", "ebs.resize.shrinkNotAllowed");
const SLOTS: Word = (200, "900", "ebs.attach.limitExceeded");

pub(crate) fn write(world: &mut World, ask: &Ask) -> Answer {
    let told = carry_out(world, ask)?;
    Ok(if world.dialect.writes_tell { told } else { NOTHING })
}

fn carry_out(world: &mut World, ask: &Ask) -> Answer {
    match ask.op {
        Op::NewDisk | Op::NewFromSnapshot => create(world, ask),
        Op::Refund => refund(world, ask),
        Op::Resize => resize(world, ask),
        Op::Attach | Op::Detach => attach_or_detach(world, ask),
        Op::NewSnapshot => new_snapshot(world, ask),
        Op::DropSnapshot => drop_snapshot(world, ask),
        _ => {
            let disk = index(world, ask)?;
            world.disks[disk].description = ask.text("volumeDescription");
            Ok(NOTHING)
        }
    }
}

/// The disk that is named.
fn index(world: &World, ask: &Ask) -> Result<usize, Refusal> {
    let found = world.index(&ask.text("diskID"), &ask.text("regionID"));
    found.ok_or_else(|| Refusal::of(world.dialect.words.no_disk, "no such disk"))
}

/// The answer to a token that was seen before.
fn replayed(world: &World, ask: &Ask) -> Option<Answer> {
    let token = ask.text("clientToken");
    let life = match world.dialect.tokens {
        Tokens::Ignored => return None,
        Tokens::Kept | Tokens::OfTheFirst => 24 * 3_600_000,
        Tokens::ForgottenAfter(life) => life,
    };
    if world.first_said.get(&token).is_some_and(|said| *said != ask.said()) {
        return Some(Err(Refusal::of(TOKEN_CONFLICT, "the token is of another request")));
    }
    let fresh = |order: &&Order| order.token == token && world.now < order.at + life;
    let order = world.orders.iter().rev().find(fresh).filter(|_| !token.is_empty())?;
    if order.said != ask.said() {
        return Some(Err(Refusal::of(TOKEN_CONFLICT, "the token is of another request")));
    }
    Some(answer(world, order))
}

/// What an order answers.
fn answer(world: &World, order: &Order) -> Answer {
    let payload =
        json!({"masterOrderID": order.id, "masterOrderNO": "20260101", "regionID": order.wish.region});
    match (order.stage, world.course(order.op).answer) {
        (Stage::Done, _) => {
            let ids = world.disks_of(order).into_iter();
            let resource = |id| json!({"diskID": id, "diskName": order.wish.name, "resourceType": "EBS", "isMaster": true});
            let mut payload = payload;
            payload["resources"] = ids.map(resource).collect();
            Ok(payload)
        }
        (Stage::Failed, _) => Err(Refusal::of(FAILED, "the order failed: arrears")),
        (_, dialect::Answer::InProgress) => {
            Err(Refusal { payload: Some(payload), ..Refusal::of(IN_PROGRESS, "order in progress") })
        }
        (_, dialect::Answer::NoId) => Err(Refusal::of(IN_PROGRESS, "order in progress")),
        (_, dialect::Answer::Bare) => Ok(payload),
    }
}

/// Takes an order.
fn place(world: &mut World, ask: &Ask, wish: Disk, disk: Option<usize>, snapshot: Option<usize>) -> Answer {
    let (now, number) = (world.now, world.next_number());
    let fails = world.count(ask.op) <= world.course(ask.op).fail;
    let course = world.course(ask.op).clone();
    let index = world.orders.len();
    let (op, token, said) = (ask.op, ask.text("clientToken"), ask.said());
    let (id, stage) = (format!("{number:032x}"), Stage::Waiting);
    world.orders.push(Order { id, op, token, said, at: now, stage, disk, wish, fails, snapshot });
    world.plan(now + course.begins, Next::OrderBegins(index));
    if course.begins + course.runs == 0 || course.begins == 0 {
        // What begins at once is seen at once.
        world.advance(now);
    }
    answer(world, &world.orders[index])
}

fn create(world: &mut World, ask: &Ask) -> Answer {
    if let Some(known) = replayed(world, ask) {
        return known;
    }
    let gib = ask.number("diskSize", 0);
    let source = ask.text("snapshotID");
    let from = world.snapshots.iter().find(|s| s.id == source && s.gone.is_none());
    if (!source.is_empty() && from.is_none()) || gib < from.map_or(10, |s| s.gib) {
        return Err(Refusal::of(PARAMETER, "no such snapshot, or too small"));
    }
    let kind = from.map_or_else(|| ask.text("diskType"), |s| s.kind.clone());
    let (asked, number) = (ask.text("diskName"), world.next_number());
    let wish = Disk {
        id: disk_id(world.dialect.ids, number),
        name: name(world.dialect.names, &asked),
        asked,
        region: ask.text("regionID"),
        gib,
        kind,
        labels: ask.labels(),
        description: ask.text("volumeDescription"),
        source,
        bought: true,
        created: world.now,
        state: State::Creating,
        holder: None,
        goes_with_machine: ask.flag("deleteDiskWithInstance", true),
        refunded: false,
        history: Vec::new(),
        moments: Vec::new(),
    };
    place(world, ask, wish, None, None)
}

fn name(names: Names, asked: &str) -> String {
    match names {
        Names::Kept | Names::NotInLookUp => asked.to_owned(),
        Names::Cut => asked.chars().take(20).collect(),
        Names::UpperCase => asked.to_uppercase(),
        Names::Suffix | Names::SuffixNotFound => format!("{asked}-0001"),
    }
}

/// An id of the form; a `cd-` one ends in an xid.
pub(crate) fn disk_id(ids: Ids, number: u64) -> String {
    let digits = b"0123456789abcdefghijklmnopqrstuv";
    let place = |shift: u64| char::from(digits[usize::try_from(number >> (5 * shift) & 31).unwrap_or(0)]);
    let tail: String = (0..5).rev().map(place).collect();
    match ids {
        Ids::Xid => format!("cd-cfebko79upsq2iu{tail}"),
        Ids::OtherPrefix => format!("ecd-cfebko79upsq2iu{tail}"),
        Ids::UpperCase => format!("cd-CFEBKO79UPSQ2IU{}", tail.to_uppercase()),
        Ids::CdUuid => format!("cd-5a054301-a9b2-41ed-94aa-0242ac{number:06}"),
        Ids::BareUuid => format!("5a054301-a9b2-41ed-94aa-0242ac{number:06}"),
    }
}

fn refund(world: &mut World, ask: &Ask) -> Answer {
    if let Some(known) = replayed(world, ask) {
        return known;
    }
    let at = index(world, ask)?;
    let disk = &world.disks[at];
    let snapshots = world.snapshots.iter().any(|s| s.disk == disk.id && s.gone.is_none());
    if disk.refunded || snapshots || !matches!(disk.state, State::Available | State::Error) {
        return Err(Refusal::of(world.dialect.words.state, "the disk's state does not allow this"));
    }
    let wish = disk.clone();
    place(world, ask, wish, Some(at), None)
}

fn resize(world: &mut World, ask: &Ask) -> Answer {
    if let Some(known) = replayed(world, ask) {
        return known;
    }
    let (at, gib) = (index(world, ask)?, ask.number("diskSize", 0));
    let disk = &world.disks[at];
    if disk.refunded || !matches!(disk.state, State::Available | State::InUse) {
        return Err(Refusal::of(world.dialect.words.state, "the disk's state does not allow this"));
    }
    if gib <= disk.gib {
        return Err(Refusal::of(SHRINK, "not larger"));
    }
    let wish = Disk { gib, ..disk.clone() };
    place(world, ask, wish, Some(at), None)
}

fn attach_or_detach(world: &mut World, ask: &Ask) -> Answer {
    let (at, id, region) = (index(world, ask)?, ask.text("instanceID"), ask.text("regionID"));
    let (disk, words) = (&world.disks[at], &world.dialect.words);
    let machine =
        world.machines.iter().find(|machine| machine.id == id && machine.region == region && !machine.gone);
    let held = world.disks.iter().filter(|disk| disk.holder.as_ref() == Some(&id)).count();
    let no = match (ask.op, disk.state) {
        _ if machine.is_none() => Some((words.no_machine, "no such machine")),
        _ if disk.refunded => Some((words.state, "it is being refunded")),
        (Op::Attach, State::Available) if machine.is_some_and(|m| held >= m.slots) => {
            Some((SLOTS, "no slot"))
        }
        (Op::Attach, State::Available) => None,
        (Op::Attach, State::InUse) => Some((words.attached, "it is attached")),
        (Op::Detach, State::InUse) if disk.holder.as_ref() == Some(&id) => None,
        (Op::Detach, State::InUse | State::Available) => {
            Some((words.not_attached, "it is not attached there"))
        }
        _ => Some((words.state, "the disk's state does not allow this")),
    };
    if let Some((word, text)) = no {
        return Err(Refusal::of(word, text));
    }
    let (now, number, index) = (world.now, world.next_number(), world.jobs.len());
    let fails = world.count(ask.op) <= world.course(ask.op).fail;
    let job = format!("5a054301-0000-4000-8000-{number:012x}");
    world.jobs.push(Job {
        id: job.clone(),
        op: ask.op,
        disk: at,
        machine: id,
        at: now,
        stage: Stage::Waiting,
        fails,
        goes_with_machine: world.dialect.with_machine == WithMachine::Always
            || ask.flag("deleteDiskWithInstance", true),
    });
    world.plan(now + world.course(ask.op).begins, Next::JobBegins(index));
    world.advance(now);
    Ok(json!({"diskRequestID": job, "diskJobID": job}))
}

fn new_snapshot(world: &mut World, ask: &Ask) -> Answer {
    let at = index(world, ask)?;
    let disk = world.disks[at].clone();
    // The token counts only on the order path: while the disk has no other.
    let first = world.snapshots.iter().all(|s| s.disk != disk.id || s.gone.is_some());
    if let Some(known) = replayed(world, ask).filter(|_| first) {
        return known;
    }
    if disk.refunded || !matches!(disk.state, State::Available | State::InUse) {
        return Err(Refusal::of(world.dialect.words.state, "the disk's state does not allow this"));
    }
    let (now, number, index) = (world.now, world.next_number(), world.snapshots.len());
    let created = now + world.course(ask.op).begins;
    let (id, name, region) = (format!("cs-{number:020}"), ask.text("snapshotName"), disk.region.clone());
    let state = State::Creating;
    let (kind, gib) = (disk.kind.clone(), disk.gib);
    world.snapshots.push(Snapshot {
        id,
        name,
        disk: disk.id.clone(),
        region,
        gib,
        kind,
        created,
        gone: None,
        state,
    });
    if first {
        return place(world, ask, disk, Some(at), Some(index));
    }
    world.plan(created + world.course(ask.op).runs, Next::SnapshotThere(index));
    Ok(json!({"snapshotJobID": format!("5a054301-0000-4000-8000-{number:012x}")}))
}

fn drop_snapshot(world: &mut World, ask: &Ask) -> Answer {
    let (id, gone) = (ask.first("snapshotIDs"), world.now + world.dialect.snapshot.runs);
    let found = world.snapshots.iter_mut().find(|s| s.id == id && s.gone.is_none());
    let (mut not_found, mut not_allowed) = (vec![], vec![]);
    match found {
        None => not_found.push(id),
        Some(snapshot) if snapshot.state == State::Creating => not_allowed.push(id),
        Some(snapshot) => (snapshot.gone, snapshot.state) = (Some(gone), State::Deleting),
    }
    let job = format!("5a054301-0000-4000-8000-{:012x}", world.next_number());
    Ok(json!({"snapshotJobID": job, "notFoundList": not_found, "notAllowedList": not_allowed}))
}
