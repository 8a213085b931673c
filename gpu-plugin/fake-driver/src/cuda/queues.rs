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
