//! What a process has given its devices and they have not begun, as it waits for something else than the device.

use std::collections::VecDeque;

use super::device::Device;
use super::meeting::Meeting;
use super::moment::{DEVICES, Moment};

/// One thing after the other.
#[derive(Debug)]
enum Item {
    /// What follows begins after this, on other devices.
    After(Moment),
    /// So many ns of work.
    Work(u64),
    /// What follows begins when the others have come.
    Meet(Meeting),
}

/// By device.
#[derive(Debug, Default)]
pub(crate) struct Queues {
    items: [VecDeque<Item>; DEVICES],
    /// Work that each device has or will have, in ns.
    planned: [u64; DEVICES],
}

/// Whether all work is done that is by then.
pub(crate) fn is_reached(devices: &[Device], moment: Moment, now: u64) -> bool {
    let mut of_each = devices.iter().enumerate().filter(|(at, _)| moment.is_about(*at));
    of_each.all(|(at, device)| device.card.has_done(moment.work(at), now))
}

/// How many ns of work are left until then, on the device that has most.
pub(crate) fn left(devices: &[Device], moment: Moment) -> u64 {
    devices.iter().enumerate().map(|(at, device)| device.card.left(moment.work(at))).max().unwrap_or(0)
}

impl Queues {
    /// Gives a device work that begins after a moment, and ends in a meeting; when it ends.
    pub(crate) fn give(
        &mut self,
        devices: &[Device],
        at: usize,
        after: Moment,
        time: u64,
        meeting: Option<Meeting>,
        now: u64,
    ) -> Moment {
        let (Some(items), Some(planned)) = (self.items.get_mut(at), self.planned.get_mut(at)) else {
            return after;
        };
        // What is done is what the device itself does in order.
        if (0..devices.len()).any(|other| other != at && after.is_about(other)) {
            items.push_back(Item::After(after));
        }
        items.push_back(Item::Work(time));
        *planned += time;
        if let Some(meeting) = meeting {
            // It has an end of its own, after which others can wait.
            items.extend([Item::Meet(meeting), Item::Work(1)]);
            *planned += 1;
        }
        let end = after.and(Moment::of(at, *planned));
        self.go_on(devices, now);
        end
    }

    /// Devices begin what they can.
    pub(crate) fn go_on(&mut self, devices: &[Device], now: u64) {
        let mut again = true;
        while std::mem::take(&mut again) {
            for (device, items) in devices.iter().zip(&mut self.items) {
                while items.front().is_some_and(|item| begins(item, device, devices, now)) {
                    items.pop_front();
                    again = true;
                }
            }
        }
    }

    /// Whether something waits for more than its device.
    pub(crate) fn is_held_up(&self) -> bool {
        self.items.iter().any(|items| !items.is_empty())
    }
}

fn begins(item: &Item, device: &Device, devices: &[Device], now: u64) -> bool {
    match item {
        Item::After(moment) => is_reached(devices, *moment, now),
        Item::Work(time) => {
            device.card.submit(now, *time);
            true
        }
        Item::Meet(meeting) => {
            if !device.card.has_done(device.card.all_given(), now) {
                return false;
            }
            let met = meeting.come();
            device.card.set_meets(!met, now);
            met
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cuda::testing::Machine;

    /// Two devices of a process, each of a machine of its own.
    fn devices(machines: &[Machine; 2]) -> [Device; 2] {
        machines.each_ref().map(|machine| {
            let (card, model) = (machine.card(1), String::new());
            Device { card, uuid: [0; 16], model, context_bytes: 0 }
        })
    }

    #[test]
    fn work_does_not_begin_before_what_it_waits_for_on_another_device() {
        let machines = [Machine::new(), Machine::new()];
        let (devices, mut queues) = (devices(&machines), Queues::default());
        let first = queues.give(&devices, 0, Moment::default(), 400, None, 100);
        let second = queues.give(&devices, 1, first, 10, None, 100);
        queues.go_on(&devices, 499);
        assert!(queues.is_held_up() && !is_reached(&devices, second, 499));
        queues.go_on(&devices, 500);
        assert!(!queues.is_held_up() && !is_reached(&devices, second, 509));
        assert!(is_reached(&devices, second, 510));
    }

    #[test]
    fn work_after_a_meeting_begins_when_the_others_have_come() {
        let machines = [Machine::new(), Machine::new()];
        let (devices, mut queues) = (devices(&machines), Queues::default());
        let state = machines[0].state();
        let mine = Meeting::open(state, 1, 0, 2, 1).unwrap();
        let end = queues.give(&devices, 0, Moment::default(), 50, Some(mine), 0);
        queues.go_on(&devices, 1_000);
        assert!(queues.is_held_up() && !is_reached(&devices, end, 1_000), "on the card, and waiting");
        Meeting::open(state, 1, 1, 2, 1).unwrap().come();
        queues.go_on(&devices, 1_000);
        assert!(!queues.is_held_up() && is_reached(&devices, end, 1_001));
    }
}
