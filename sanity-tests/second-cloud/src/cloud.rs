//! The cloud: requests in, replies out, at times that come from outside.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::answer::{NOTHING, Refusal};
use crate::ask::{Ask, Op};
use crate::dialect::{Dialect, Envelope, Fault, Replaced, Tokens, Wrong};
use crate::reads;
use crate::world::{Disk, Entry, HOME, Machine, Millis, REGIONS, State, World};
use crate::writes::{self, disk_id};

/// How long a request takes on its way, milliseconds.
const ON_THE_WAY: Millis = 20;

/// Longer than any client waits, milliseconds.
const FOR_EVER: Millis = 3_600_000;

/// A reply.
#[derive(Debug, Clone)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Names in lower case, and values.
    pub headers: Vec<(&'static str, String)>,
    /// The whole body.
    pub body: Vec<u8>,
    /// How long it takes.
    pub delay: Millis,
    /// The connection breaks instead.
    pub lost: bool,
}

/// A cloud.
pub struct Cloud(Mutex<World>);

impl Cloud {
    /// A cloud with its machines and other people's disks, in which as yet the base is spoken; only the form of ids
    /// holds from the beginning.
    pub fn new(dialect: &Dialect) -> Self {
        let base = Dialect { ids: dialect.ids, ..Dialect::base() };
        let mut world = World {
            dialect: base,
            now: 0,
            machines: Vec::new(),
            disks: Vec::new(),
            snapshots: Vec::new(),
            orders: Vec::new(),
            jobs: Vec::new(),
            log: Vec::new(),
            coming: BTreeMap::new(),
            number: 0,
            key: "ak-1".to_owned(),
            spoken: 0,
            faults: Vec::new(),
            first_said: BTreeMap::new(),
            begun: BTreeMap::new(),
        };
        world.populate();
        Self(Mutex::new(world))
    }

    /// From now on this dialect is spoken. Gives the names of volumes that other clusters have too their disks.
    pub fn speak(&self, dialect: Dialect, names: &[&str]) {
        let mut world = self.0.lock();
        world.faults = vec![0; dialect.faults.len()];
        world.begun.clear();
        world.spoken = 0;
        let twins = dialect.machines.twins;
        let same_name = dialect.same_name_elsewhere;
        world.dialect = dialect;
        if twins {
            world.twins();
        }
        for name in names.iter().filter(|_| same_name) {
            world.stranger(name, other_cluster());
        }
    }

    /// Another cluster has so many disks that are on no machine.
    pub fn another_cluster(&self, count: usize) {
        let mut world = self.0.lock();
        for number in 1..=count {
            world.stranger(&format!("of-another-cluster-{number}"), other_cluster());
            let now = world.now;
            if let Some(free) = world.disks.last_mut() {
                free.set(now, State::Available, None);
            }
        }
    }

    /// While nobody looks the machines are replaced, if the dialect says so.
    pub fn meanwhile(&self, now: Millis) {
        let mut world = self.0.lock();
        world.advance(now);
        if world.dialect.machines.replaced != Replaced::Never {
            world.replace();
        }
    }

    /// The access key that is right now.
    pub fn key(&self) -> String {
        self.0.lock().key.clone()
    }

    /// What is true at that time.
    pub fn truth(&self, now: Millis) -> World {
        let mut world = self.0.lock();
        world.advance(now);
        world.clone()
    }

    /// Answers a request that came at `now`.
    pub fn answer(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
        now: Millis,
    ) -> Reply {
        let mut world = self.0.lock();
        world.advance(now);
        world.spoken += 1;
        if world.dialect.keys_rotate_after.is_some_and(|after| world.spoken > after) {
            world.key = "ak-2".to_owned();
        }
        if !signed(headers, &world.key) {
            return told(&world, Err(Refusal::of((401, "900", "eop.auth.accessKey"), "unknown access key")));
        }
        match Ask::parse(method, target, body) {
            Some(ask) if !world.dialect.absent.contains(&ask.op) => world.serve(&ask),
            _ => raw(404, "<html><body>404 page not found</body></html>".to_owned()),
        }
    }
}

/// The label that another cluster's controller gives its disks.
fn other_cluster() -> Vec<(String, String)> {
    vec![("eck-csi".to_owned(), "another-cluster".to_owned())]
}

/// Whether the three headers of EOP are there, with a key that is right.
fn signed(headers: &[(&str, &str)], key: &str) -> bool {
    let header = |name: &str| {
        headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map_or("", |(_, value)| *value)
    };
    let authorization = header("Eop-Authorization");
    let date = header("eop-date");
    !header("ctyun-eop-request-id").is_empty()
        && date.len() == 16
        && authorization.split(' ').next() == Some(key)
        && authorization.contains(" Signature=")
}

fn raw(status: u16, body: String) -> Reply {
    Reply { status, headers: Vec::new(), body: body.into_bytes(), delay: ON_THE_WAY, lost: false }
}

impl World {
    fn serve(&mut self, ask: &Ask) -> Reply {
        let wrong = self.wrong(ask);
        let carried_out = match wrong {
            None => true,
            Some(wrong) => match wrong {
                Wrong::Lost
                | Wrong::RefusedButDone(_)
                | Wrong::EmptyBody
                | Wrong::Truncated
                | Wrong::Huge => true,
                Wrong::Dropped
                | Wrong::Hangs
                | Wrong::Refused(_)
                | Wrong::Html(_)
                | Wrong::RetryAfter(_)
                | Wrong::Endless => false,
            },
        };
        let again = self.under_way(ask);
        if self.dialect.tokens == Tokens::OfTheFirst && ask.op.makes_disks() {
            self.first_said.entry(ask.text("clientToken")).or_insert_with(|| ask.said());
        }
        let answer = if !carried_out {
            Err(Refusal::of((500, "900", "openapi.implementation.error"), "not carried out"))
        } else if ask.op.writes() {
            writes::write(self, ask)
        } else {
            reads::read(self, ask)
        };
        let accepted = ask.op.writes()
            && answer.as_ref().map_or_else(|no| no.word.2 == "ebs.order.inProgress", |_| true);
        let (disk, machine) = (ask.text("diskID"), ask.text("instanceID"));
        let region = ask.text("regionID");
        self.log.push(Entry { at: self.now, op: ask.op, region, disk, machine, accepted, again });
        let reply = told(self, answer);
        match wrong {
            None => reply,
            Some(wrong) => spoilt(self, wrong, reply),
        }
    }

    /// What the dialect does wrong with this request.
    fn wrong(&mut self, ask: &Ask) -> Option<Wrong> {
        let faults: Vec<Fault> = self.dialect.faults.clone();
        for (number, fault) in faults.iter().enumerate() {
            let here = fault.op.is_none_or(|op| op == ask.op)
                && fault.region.is_none_or(|region| region == ask.text("regionID"));
            if !here {
                continue;
            }
            self.faults[number] += 1;
            let (came, from) = (self.faults[number], fault.skip);
            if came > from && came - from <= fault.count {
                return Some(fault.what);
            }
        }
        None
    }

    /// Whether the same is being done to the disk already.
    fn under_way(&self, ask: &Ask) -> bool {
        let id = ask.text("diskID");
        let of = |disk: usize| self.disks[disk].id == id;
        match ask.op {
            Op::Attach | Op::Detach => {
                self.jobs.iter().any(|job| job.op == ask.op && job.stage.open() && of(job.disk))
            }
            Op::Refund | Op::Resize => {
                let token = ask.text("clientToken");
                let same = |order: &crate::world::Order| order.op == ask.op && order.disk.is_some_and(of);
                self.orders.iter().any(|order| same(order) && order.token != token && order.stage.open())
            }
            _ => false,
        }
    }

    fn populate(&mut self) {
        for region in REGIONS {
            let mut machine = |id: String, ip: String, ours: bool| {
                let (vpc, slots) = (if ours { "vpc-ours" } else { "vpc-other" }, 100);
                self.machines.push(Machine { id, region, ip, vpc, ours, gone: false, slots });
            };
            for number in 1..=if region == HOME { 55 } else { 2 } {
                machine(format!("evm-other-{region}-{number}"), format!("172.16.9.{number}"), false);
            }
            for number in 6..=8 {
                machine(format!("evm-ours-{region}-{number}"), format!("172.16.0.{number}"), true);
            }
        }
        for number in 1..=14 {
            self.stranger(&format!("other-{number}"), Vec::new());
        }
    }

    /// Each machine of the cluster is gone, lets its disks go, and another one has its address.
    fn replace(&mut self) {
        let now = self.now;
        let new = |old: &Machine| Machine { id: old.id.replace("ours", "new-ours"), ..old.clone() };
        let new: Vec<Machine> = self.machines.iter().filter(|machine| machine.ours).map(new).collect();
        for machine in self.machines.iter_mut().filter(|machine| machine.ours) {
            machine.gone = true;
            let held = |disk: &&mut Disk| disk.holder.as_ref() == Some(&machine.id);
            for disk in self.disks.iter_mut().filter(held) {
                let left = if disk.goes_with_machine { State::Gone } else { State::Available };
                disk.set(now, left, None);
            }
        }
        self.machines.extend(new);
    }

    /// In another VPC there is a machine for each address of the cluster's; it is listed after that one.
    fn twins(&mut self) {
        let twin = |machine: &Machine| Machine {
            id: machine.id.replace("ours", "twin"),
            vpc: "vpc-other",
            ours: false,
            ..machine.clone()
        };
        let twins: Vec<Machine> = self.machines.iter().filter(|machine| machine.ours).map(twin).collect();
        self.machines.extend(twins);
    }

    /// Somebody else's disk, attached to somebody else's machine.
    fn stranger(&mut self, name: &str, labels: Vec<(String, String)>) {
        let number = self.next_number();
        let mut disk = Disk {
            id: disk_id(self.dialect.ids, number),
            asked: name.to_owned(),
            name: name.to_owned(),
            region: HOME.to_owned(),
            gib: 20,
            kind: "SAS".to_owned(),
            labels,
            description: String::new(),
            source: String::new(),
            bought: false,
            created: self.now,
            state: State::InUse,
            holder: None,
            goes_with_machine: true,
            refunded: false,
            history: Vec::new(),
            moments: Vec::new(),
        };
        disk.set(self.now, State::InUse, Some(format!("evm-other-{HOME}-1")));
        self.disks.push(disk);
    }

    /// Whether an order for a disk of this name has not ended.
    pub fn on_order(&self, name: &str) -> bool {
        let of_name = |order: &crate::world::Order| order.op.makes_disks() && order.wish.asked == name;
        self.orders.iter().any(|order| of_name(order) && order.stage.open())
    }
}

/// The reply in the dialect's envelope.
fn told(world: &World, answer: Result<Value, Refusal>) -> Reply {
    let envelope = world.dialect.envelope;
    match answer {
        Ok(payload) => {
            let mut told = match envelope {
                Envelope::Number800 => {
                    json!({"statusCode": 800, "message": "SUCCESS", "description": "成功"})
                }
                Envelope::Text800 => {
                    json!({"statusCode": "800", "message": "SUCCESS", "description": "成功"})
                }
                Envelope::Text200 => json!({"statusCode": "200", "message": "ok", "error": ""}),
                Envelope::CoreOk => json!({"code": "core.ok", "reason": ""}),
            };
            let key = if envelope == Envelope::CoreOk { "data" } else { "returnObj" };
            if payload != NOTHING {
                told[key] = payload;
            }
            raw(200, told.to_string())
        }
        Err(no) => {
            let (status, number, code) = no.word;
            let mut told = match envelope {
                Envelope::CoreOk => json!({"code": code, "reason": no.message}),
                Envelope::Number800 => {
                    json!({"statusCode": number.parse::<u64>().unwrap_or(900), "errorCode": code,
                    "error": code, "message": no.message, "description": no.message})
                }
                Envelope::Text800 | Envelope::Text200 => {
                    json!({"statusCode": number, "errorCode": code, "error": code, "message": no.message})
                }
            };
            if let Some(payload) = no.payload {
                told[if envelope == Envelope::CoreOk { "data" } else { "returnObj" }] = payload;
            }
            raw(status, told.to_string())
        }
    }
}

/// The reply as the dialect spoils it.
fn spoilt(world: &World, wrong: Wrong, reply: Reply) -> Reply {
    match wrong {
        Wrong::Lost | Wrong::Dropped => Reply { lost: true, ..reply },
        Wrong::Hangs | Wrong::Endless => Reply { delay: FOR_EVER, ..reply },
        Wrong::Refused(word) | Wrong::RefusedButDone(word) => told(world, Err(Refusal::of(word, "refused"))),
        Wrong::Html(status) => {
            let headers = vec![("location", "https://login.example/".to_owned())];
            Reply { headers, ..raw(status, "<html><body>gateway</body></html>".to_owned()) }
        }
        Wrong::RetryAfter(seconds) => {
            let headers = vec![("retry-after", seconds.to_string())];
            Reply { headers, ..told(world, Err(Refusal::of((429, "900", "eop.flow.limited"), "slower"))) }
        }
        Wrong::EmptyBody => Reply { body: Vec::new(), ..reply },
        Wrong::Truncated => {
            let half = reply.body.len() / 2;
            Reply { body: reply.body[..half].to_vec(), ..reply }
        }
        Wrong::Huge => {
            let mut body = vec![b' '; 8 << 20];
            body.extend_from_slice(&reply.body);
            Reply { body, ..reply }
        }
    }
}
