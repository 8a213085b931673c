//! The operations that tell something.

use serde_json::{Map, Value, json};

use crate::answer::{Answer, NOTHING, Refusal};
use crate::ask::{Ask, Op};
use crate::dialect::{List, Names, Omits, Page, Replaced, Shape, Told};
use crate::words::{self, Place};
use crate::world::{Disk, Millis, Order, Stage, State, World};

/// Disks or machines of a page that is not asked to be larger.
const TEN: usize = 10;

pub(crate) fn read(world: &World, ask: &Ask) -> Answer {
    match ask.op {
        Op::Info => info(world, ask),
        Op::ByName => Ok(by_name(world, ask)),
        Op::List => Ok(list(world, ask)),
        Op::Job => job(world, ask),
        Op::Order => order(world, ask),
        Op::ListSnapshots => Ok(snapshots(world, ask)),
        Op::Machines => Ok(machines(world, ask)),
        Op::Demand => Ok(stock(world)),
        _ => {
            let kind = json!({"diskType": "SAS", "resourceStatus": "Available", "minDiskSize": 10, "maxDiskSize": 32768});
            Ok(json!({"quotaStatus": "ok", "diskTypeList": [kind]}))
        }
    }
}

fn stock(world: &World) -> Value {
    let quota = json!({"ebsSizeQuota": 100_000});
    match world.dialect.stock {
        Told::Right => {
            json!({"satisfied": true, "sellout": false, "hasQuota": true, "quotaInfo": quota, "usedInfo": {"ebsSize": 1000}})
        }
        Told::Null => json!({"satisfied": null, "sellout": null, "hasQuota": null}),
        Told::Otherwise => json!({"isSatisfied": true, "isSellout": false, "quota": true}),
        Told::Absent => json!({}),
    }
}

fn info(world: &World, ask: &Ask) -> Answer {
    let (id, region) = (ask.text("diskID"), ask.text("regionID"));
    let at = world.now.saturating_sub(world.dialect.info_lag);
    let found = world.disks.iter().find(|disk| disk.id == id && disk.region == region);
    let seen =
        found.and_then(|disk| Some((disk, disk.seen(at)?))).filter(|(_, seen)| seen.state != State::Gone);
    match seen {
        Some((disk, seen)) => Ok(words::disk(world, disk, seen, Place::Info)),
        None => Err(Refusal::of(world.dialect.words.no_disk, "no such disk")),
    }
}

/// The disks of the region that a list with this lag can show.
fn shown<'a>(world: &'a World, region: &str, list: &List) -> Vec<(&'a Disk, Millis)> {
    let at = world.now.saturating_sub(list.lag);
    let here = |disk: &&Disk| {
        let seen = disk.seen(at).is_some_and(|seen| seen.state != State::Gone);
        disk.region == region && seen
    };
    world.disks.iter().filter(here).map(|disk| (disk, at)).collect()
}

fn told(world: &World, found: Vec<(&Disk, Millis)>, place: Place) -> Vec<Value> {
    let tell = |(disk, at): (&Disk, Millis)| Some(words::disk(world, disk, disk.seen(at)?, place));
    found.into_iter().filter_map(tell).collect()
}

fn by_name(world: &World, ask: &Ask) -> Value {
    let (name, list) = (ask.text("diskName"), &world.dialect.lists.by_name);
    let mut found = shown(world, &ask.text("regionID"), list);
    found.retain(|(disk, _)| match world.dialect.names {
        Names::Suffix => disk.asked == name || disk.name == name,
        _ => disk.name == name,
    });
    listed(list, told(world, found, Place::ByName), "diskList", ask)
}

fn list(world: &World, ask: &Ask) -> Value {
    let list = &world.dialect.lists.disks;
    let found = shown(world, &ask.text("regionID"), list);
    listed(list, told(world, found, Place::List), "diskList", ask)
}

fn snapshots(world: &World, ask: &Ask) -> Value {
    let (list, region) = (&world.dialect.lists.snapshots, ask.text("regionID"));
    let (id, name, disk) = (ask.text("snapshotID"), ask.text("snapshotName"), ask.text("diskID"));
    let at = world.now.saturating_sub(list.lag);
    let fits = |snapshot: &&crate::world::Snapshot| {
        let there = snapshot.created <= at && snapshot.gone.is_none_or(|gone| gone > at);
        let asked = (id.is_empty() || snapshot.id == id) && (disk.is_empty() || snapshot.disk == disk);
        there && asked && snapshot.region == region && snapshot.name.contains(&name)
    };
    let found = world.snapshots.iter().filter(fits).map(words::snapshot).collect();
    listed(list, found, "snapshotList", ask)
}

fn machines(world: &World, ask: &Ask) -> Value {
    let (region, keyword) = (ask.text("regionID"), ask.text("keyword"));
    let ids = ask.text("instanceIDList");
    let twist = &world.dialect.machines;
    let fits = |machine: &&crate::world::Machine| {
        let word = keyword.is_empty() || machine.ip.contains(&keyword) || machine.id.contains(&keyword);
        let named = ids.is_empty() || ids.split(',').any(|id| id == machine.id);
        let there = !machine.gone || twist.replaced == Replaced::Listed;
        machine.region == region && word && named && there && !(twist.hidden && machine.ours)
    };
    let found = world.machines.iter().filter(fits).map(|machine| words::machine(world, machine)).collect();
    listed(&world.dialect.lists.machines, found, "results", ask)
}

/// A page of a list, in the shape that it has.
fn listed(list: &List, mut found: Vec<Value>, key: &str, ask: &Ask) -> Value {
    let mut total = found.len();
    match list.omits {
        Omits::Nothing => {}
        Omits::Last => drop(found.pop()),
        Omits::LastUncounted => {
            found.pop();
            total = found.len();
        }
    }
    let (page, token) = page(list.page, found, key == "results", ask);
    let key =
        if list.shape == Shape::OtherKey { if key == "diskList" { "disks" } else { "items" } } else { key };
    let mut told = Map::new();
    let here = page.len();
    told.insert(key.into(), if list.shape == Shape::NullList { Value::Null } else { json!(page) });
    told.insert("currentCount".into(), json!(here));
    let name = if key == "snapshotList" { "snapshotTotal" } else { "totalCount" };
    match list.total {
        Told::Right => drop(told.insert(name.into(), json!(total))),
        Told::Null => drop(told.insert(name.into(), Value::Null)),
        Told::Otherwise => drop(told.insert(name.into(), json!(total.to_string()))),
        Told::Absent => {}
    }
    if let Some(token) = token {
        told.insert("nextToken".into(), json!(token));
    }
    match list.shape {
        Shape::NoPayload => NOTHING,
        Shape::NullPayload => Value::Null,
        Shape::EmptyObject => json!({}),
        Shape::EmptyArray => json!([]),
        Shape::Right | Shape::OtherKey | Shape::NullList => Value::Object(told),
    }
}

/// The part that is asked for, and the token of the next one.
fn page(how: Page, found: Vec<Value>, numbered: bool, ask: &Ask) -> (Vec<Value>, Option<String>) {
    let size = match how {
        Page::TenOnly | Page::Ten => TEN,
        _ => usize::try_from(ask.number(if numbered { "pageSize" } else { "maxResults" }, 10)).unwrap_or(TEN),
    };
    let number = usize::try_from(ask.number("pageNo", 1)).unwrap_or(1);
    let from = match (how, numbered) {
        (Page::NumberIgnored, _) => 0,
        (Page::FromZero, true) => number * size,
        (_, true) => number.saturating_sub(1) * size,
        (Page::TokenRepeated, false) => 0,
        (_, false) => usize::try_from(ask.number("nextToken", 0)).unwrap_or(0),
    };
    let more = found.len() > from + size;
    let token = match how {
        Page::TokenRepeated => Some("again".to_owned()),
        Page::TenOnly => None,
        _ => (more && !numbered).then(|| (from + size).to_string()),
    };
    (found.into_iter().skip(from).take(size).collect(), token)
}

fn job(world: &World, ask: &Ask) -> Answer {
    let id = ask.text("jobID");
    let job = world.jobs.iter().find(|job| job.id == id);
    let job = job.ok_or_else(|| Refusal::of((200, "900", "openapi.job.notFound"), "no such job"))?;
    let (status, word) = match job.stage {
        Stage::Waiting | Stage::Running => (0, "executing"),
        Stage::Done => (1, "success"),
        Stage::Failed => (2, "fail"),
    };
    let disk = &world.disks[job.disk].id;
    Ok(json!({"jobID": id, "status": status, "jobStatus": word, "resourceId": disk, "fields": {}}))
}

fn order(world: &World, ask: &Ask) -> Answer {
    let id = ask.text("masterOrderID");
    let order = world.orders.iter().find(|order| order.id == id);
    let order = order.ok_or_else(|| Refusal::of((200, "900", "openapi.order.notFound"), "no such order"))?;
    Ok(json!({"orderStatus": order_status(world, order), "instanceIDList": world.disks_of(order)}))
}

fn order_status(world: &World, order: &Order) -> &'static str {
    match order.stage {
        Stage::Waiting | Stage::Running if order.op == Op::Refund && world.dialect.refund.done == "13" => {
            "12"
        }
        Stage::Waiting | Stage::Running => "14",
        Stage::Done => world.course(order.op).done,
        Stage::Failed => "5",
    }
}
