//! Time passes: orders and jobs begin and end.

use crate::ask::Op;
use crate::dialect::Course;
use crate::world::{Event, Millis, Next, Stage, State, World};

impl World {
    /// Lets all happen that is due by now.
    pub(crate) fn advance(&mut self, now: Millis) {
        while let Some(((at, number), next)) = self.coming.first_key_value().map(|(key, next)| (*key, *next))
        {
            if at > now {
                break;
            }
            self.coming.remove(&(at, number));
            self.now = at;
            match next {
                Next::OrderBegins(order) => self.order_begins(order),
                Next::OrderEnds(order) => self.order_ends(order),
                Next::JobBegins(job) => self.job_begins(job),
                Next::JobEnds(job) => self.job_ends(job),
                Next::SnapshotThere(snapshot) => self.snapshots[snapshot].state = State::Available,
            }
        }
        self.now = self.now.max(now);
    }

    /// How operations of this kind go on.
    pub(crate) fn course(&self, op: Op) -> &Course {
        let dialect = &self.dialect;
        match op {
            Op::Refund => &dialect.refund,
            Op::Resize => &dialect.resize,
            Op::NewSnapshot | Op::DropSnapshot => &dialect.snapshot,
            Op::Attach => &dialect.attach,
            Op::Detach => &dialect.detach,
            Op::NewDisk
            | Op::NewFromSnapshot
            | Op::Info
            | Op::ByName
            | Op::List
            | Op::Job
            | Op::Order
            | Op::ListSnapshots
            | Op::Types
            | Op::Demand
            | Op::Machines
            | Op::Update => &dialect.create,
        }
    }

    fn order_begins(&mut self, number: usize) {
        let (now, op) = (self.now, self.orders[number].op);
        let runs = self.course(op).runs;
        self.orders[number].stage = Stage::Running;
        match op {
            // An order that will fail makes no disk.
            Op::NewDisk | Op::NewFromSnapshot
                if self.course(op).shown && (!self.orders[number].fails || self.course(op).leaves_dead) =>
            {
                self.make_disk(number, State::Creating);
            }
            Op::Refund => self.show(number, State::Deleting),
            Op::Resize => self.show(number, State::Extending),
            _ => {}
        }
        self.plan(now + runs, Next::OrderEnds(number));
    }

    /// The state of an order's disk while the order runs, where it tells.
    fn show(&mut self, number: usize, state: State) {
        let (now, order) = (self.now, &self.orders[number]);
        let shown = self.course(order.op).shown;
        let Some(disk) = order.disk.filter(|_| shown) else { return };
        let holder = self.disks[disk].holder.clone();
        self.disks[disk].set(now, state, holder);
    }

    fn make_disk(&mut self, number: usize, state: State) {
        let mut disk = self.orders[number].wish.clone();
        disk.created = self.now;
        disk.history.push((self.now, Event::Bought));
        disk.set(self.now, state, None);
        self.orders[number].disk = Some(self.disks.len());
        self.disks.push(disk);
    }

    fn order_ends(&mut self, number: usize) {
        let (now, op, fails) = (self.now, self.orders[number].op, self.orders[number].fails);
        self.orders[number].stage = if fails { Stage::Failed } else { Stage::Done };
        if matches!(op, Op::NewDisk | Op::NewFromSnapshot) {
            match self.orders[number].disk {
                Some(disk) if fails => self.disks[disk].set(now, State::Error, None),
                None if fails => {}
                Some(disk) => self.disks[disk].set(now, State::Available, None),
                None => self.make_disk(number, State::Available),
            }
            return;
        }
        if let Some(snapshot) = self.orders[number].snapshot {
            self.snapshots[snapshot].state = State::Available;
            return;
        }
        let Some(index) = self.orders[number].disk else { return };
        let (left, wanted) = (self.dialect.left, self.orders[number].wish.gib);
        let disk = &mut self.disks[index];
        let rest = if disk.holder.is_some() { State::InUse } else { State::Available };
        let holder = disk.holder.clone();
        if op == Op::Refund && !fails && !disk.refunded {
            disk.refunded = true;
            disk.history.push((now, Event::Refunded));
            if left.shown > 0 {
                disk.set(now, State::Available, None);
            }
            disk.set(now + left.shown, State::Gone, None);
        } else if op == Op::Resize && !fails {
            disk.gib = wanted;
            disk.history.push((now, Event::Grown(wanted)));
            disk.set(now, rest, holder);
        } else if !disk.refunded {
            disk.set(now, rest, holder);
        }
    }

    fn job_begins(&mut self, number: usize) {
        let (now, op, index) = (self.now, self.jobs[number].op, self.jobs[number].disk);
        let (runs, shown) = (self.course(op).runs, self.course(op).shown);
        let (from, busy) = match op {
            Op::Attach => (State::Available, State::Attaching),
            _ => (State::InUse, State::Detaching),
        };
        let disk = &mut self.disks[index];
        if disk.state != from {
            // An earlier one was first.
            self.jobs[number].stage = Stage::Failed;
            return;
        }
        let holder = disk.holder.clone();
        if shown {
            disk.set(now, busy, holder);
        }
        self.jobs[number].stage = Stage::Running;
        self.plan(now + runs, Next::JobEnds(number));
    }

    fn job_ends(&mut self, number: usize) {
        let (now, job) = (self.now, self.jobs[number].clone());
        let (fails, lies) = (job.fails, self.course(job.op).lies);
        self.jobs[number].stage = if fails { Stage::Failed } else { Stage::Done };
        let done = !fails || lies;
        let disk = &mut self.disks[job.disk];
        let holder = disk.holder.clone();
        match (job.op, done) {
            // Where the state did not tell, another one may have been first.
            (Op::Attach, true) if holder.is_none() => {
                disk.history.push((now, Event::Attached(job.machine.clone())));
                disk.goes_with_machine = job.goes_with_machine;
                disk.set(now, State::InUse, Some(job.machine));
            }
            (Op::Attach, _) if holder.is_none() => disk.set(now, State::Available, None),
            (Op::Detach, true) if holder.is_some() => {
                disk.history.push((now, Event::Detached(job.machine)));
                disk.set(now, State::Available, None);
            }
            (Op::Detach, _) if holder.is_some() => disk.set(now, State::InUse, holder),
            _ => {}
        }
    }
}
