//! The order of a disk, and where it shows.

use std::collections::BTreeSet;
use std::time::Duration;

use ecx::api::{CreateDisk, Disk, FindDiskByName, GetDisk, GetOrder, Group, Label, OrderReply};
use ecx::{Error, token};
use tokio::time::{Instant, sleep};

use super::super::agree::disks;
use super::super::ask::{Ask, MOST};
use super::super::line::{Line, brief};
use super::super::page;
use super::terms::{LONGEST, PAUSE, SIZE, WHOM};

const ORDER: &str = "an order tells its id (op 1)";
const MADE: &str = "a disk is made as it was ordered (op 4)";
const BY_NAME: &str = "a new disk is found by its name as soon as by op 4 (op 5)";
const LISTED: &str = "a new disk is in the list as soon as op 4 knows it (op 6)";
const TOKEN: &str = "the same order with the same token is the same disk (op 1)";

/// How much later than op 4 a list may be, and count as being as new: two looks.
const AS_SOON: Duration = Duration::from_secs(3);

/// How long a disk that is at rest is waited for in lists.
const IN_LISTS: Duration = Duration::from_secs(60);

/// How long a second disk of the same order is waited for.
const SECOND: Duration = Duration::from_secs(20);

/// What came of an order.
pub(super) struct Ordered {
    pub(super) lines: Vec<Line>,
    /// Every disk that came of it, by its own name or label.
    pub(super) disks: BTreeSet<String>,
    /// Disks that the cloud told of it, and that are not shown to be the trial's: nobody's to refund.
    pub(super) strange: BTreeSet<String>,
    /// It may make one yet.
    pub(super) open: bool,
    /// By how much the lists came after op 4, where they are not as new.
    pub(super) lag: Option<Duration>,
}

/// When the disk was first seen.
#[derive(Default)]
struct Shown {
    by_name: Option<Duration>,
    listed: Option<Duration>,
    asked: Option<Duration>,
    settled: Option<Disk>,
    rests: Option<Instant>,
}

/// Everything that is known of an order.
struct Watch<'a> {
    ask: &'a Ask<'a>,
    body: CreateDisk,
    order: Option<String>,
    /// As the cloud told them.
    disks: BTreeSet<String>,
    /// Those that are the trial's by their own word.
    own: BTreeSet<String>,
    began: Instant,
    shown: Shown,
}

/// Orders, waits for the disk, and orders the same again.
pub(super) async fn order(ask: &Ask<'_>, name: &str) -> Ordered {
    let profile = ask.client.profile();
    let body = CreateDisk {
        client_token: token::create(WHOM, name),
        region_id: ask.region.clone(),
        disk_name: name.to_owned(),
        disk_mode: profile.disk_mode.clone(),
        disk_type: Some(profile.default_disk_type.clone()),
        disk_size: SIZE,
        on_demand: true,
        labels: vec![Label { key: WHOM.to_owned(), value: "1".to_owned() }],
        snapshot_id: None,
    };
    let (disks, own, shown) = (BTreeSet::new(), BTreeSet::new(), Shown::default());
    let mut watch = Watch { ask, body, order: None, disks, own, began: Instant::now(), shown };
    let first = ask.client.create_disk(&watch.body).await;
    watch.take(&first);
    let accepted = first.as_ref().err().is_none_or(Error::outcome_unknown);
    let (mut lines, mut again_open) = (vec![watch.told(&first)], false);
    if accepted {
        watch.wait(LONGEST, Watch::complete).await;
        lines.extend(watch.lines());
        let (line, open) = watch.again().await;
        lines.push(line);
        again_open = open;
    }
    let strange = watch.disks.difference(&watch.own).cloned().collect();
    let open = again_open || (accepted && watch.own.is_empty());
    Ordered { lines, lag: watch.lag(), disks: watch.own, strange, open }
}

/// Whether a disk is the trial's: by its label, or by its name as far as the cloud keeps names.
fn ours(disk: &Disk) -> bool {
    let named = disk.disk_name.to_ascii_lowercase().starts_with(WHOM);
    named || disk.labels.iter().any(|label| label.key == WHOM)
}

impl Watch<'_> {
    /// Notes what an answer tells of order and disks.
    fn take(&mut self, answer: &Result<OrderReply, Error>) {
        match answer {
            Ok(reply) => {
                let told = reply.resources.iter().flatten().filter_map(|one| one.disk_id.clone());
                self.disks.extend(told.filter(|id| !id.is_empty()));
                self.order = self.order.take().or_else(|| reply.master_order_id.clone());
            }
            Err(Error::InProgress(said)) => {
                self.order = self.order.take().or_else(|| said.order_id.as_deref().map(str::to_owned));
            }
            Err(_) => {}
        }
    }

    fn told(&self, first: &Result<OrderReply, Error>) -> Line {
        match (first, &self.order) {
            (Ok(_) | Err(Error::InProgress(_)), Some(order)) => Line::fits(ORDER, brief(order)),
            (Ok(_) | Err(Error::InProgress(_)), None) => {
                Line::differs(ORDER, "accepted without an order's id")
            }
            (Err(error), _) => Line::unanswered(ORDER, error),
        }
    }

    /// Seen everywhere, and at rest; or at rest for so long that lists do not show it.
    fn complete(&self) -> bool {
        let Shown { by_name, listed, asked, settled, rests } = &self.shown;
        let everywhere = by_name.is_some() && listed.is_some() && asked.is_some() && settled.is_some();
        everywhere || rests.is_some_and(|since| since.elapsed() > IN_LISTS)
    }

    /// Looks again and again, until `enough` or so long.
    async fn wait(&mut self, longest: Duration, enough: fn(&Self) -> bool) {
        let end = Instant::now() + longest;
        loop {
            self.look().await;
            if enough(self) || Instant::now() >= end {
                return;
            }
            sleep(PAUSE).await;
        }
    }

    /// Looks once from every side. A question that is not answered is asked again at the next look.
    async fn look(&mut self) {
        let (client, region_id) = (self.ask.client, self.ask.region.clone());
        let elapsed = |watch: &Self| Some(watch.began.elapsed());
        if let Some(order) = self.order.clone() {
            let order = client.get_order(&GetOrder { master_order_id: order }).await;
            self.disks.extend(order.ok().and_then(|order| order.instance_id_list).unwrap_or_default());
        }
        let query = FindDiskByName { region_id: region_id.clone(), disk_name: self.body.disk_name.clone() };
        let found = client.find_disk_by_name(&query).await.map(|list| list.disk_list).unwrap_or_default();
        if !found.is_empty() {
            self.shown.by_name = self.shown.by_name.or(elapsed(self));
            self.disks.extend(found.into_iter().map(|disk| disk.disk_id));
        }
        if let Ok((first, _)) = page::disks(self.ask, MOST, None).await {
            let all = disks(&page::walk(self.ask, first).await);
            let mine =
                |disk: &Disk| disk.disk_name == self.body.disk_name || self.disks.contains(&disk.disk_id);
            let mine: Vec<String> = all.into_iter().filter(mine).map(|disk| disk.disk_id).collect();
            if !mine.is_empty() {
                self.shown.listed = self.shown.listed.or(elapsed(self));
                self.disks.extend(mine);
            }
        }
        for disk_id in self.disks.clone() {
            let Ok(disk) = client.get_disk(&GetDisk { region_id: region_id.clone(), disk_id }).await else {
                continue;
            };
            if !ours(&disk) {
                continue;
            }
            self.own.insert(disk.disk_id.clone());
            self.shown.asked = self.shown.asked.or(elapsed(self));
            if disk.disk_status.group() == Group::Settled {
                self.shown.rests.get_or_insert_with(Instant::now);
                self.shown.settled.get_or_insert(disk);
            }
        }
    }

    fn lag(&self) -> Option<Duration> {
        let Shown { by_name, listed, asked, .. } = &self.shown;
        (*by_name).max(*listed)?.checked_sub((*asked)?).filter(|lag| *lag > AS_SOON)
    }

    fn lines(&self) -> Vec<Line> {
        let Some(asked) = self.shown.asked else {
            let why = format!("no disk of the order is seen after {} s", self.began.elapsed().as_secs());
            return vec![
                Line::differs(MADE, why.clone()),
                Line::unknown(BY_NAME, why.clone()),
                Line::unknown(LISTED, why),
            ];
        };
        let soon = |assumption, shown: Option<Duration>| match shown {
            None => Line::differs(assumption, "not seen there a minute after it is at rest"),
            Some(at) => {
                let seen = format!("{} s after the order, op 4 {} s", at.as_secs(), asked.as_secs());
                Line::of(assumption, at <= asked + AS_SOON, seen)
            }
        };
        vec![self.made(), soon(BY_NAME, self.shown.by_name), soon(LISTED, self.shown.listed)]
    }

    fn made(&self) -> Line {
        let Some(disk) = &self.shown.settled else {
            return Line::differs(MADE, format!("not at rest after {} s", self.began.elapsed().as_secs()));
        };
        let words = |name: &str, size: u64, kind: &str, labels: &[Label]| {
            let label =
                labels.iter().find(|label| label.key == WHOM).map_or("no", |label| label.value.as_str());
            format!("{name}, {size} GiB, {kind}, label {label}")
        };
        let kind = self.body.disk_type.as_deref().unwrap_or_default();
        let wanted = words(&self.body.disk_name, SIZE, kind, &self.body.labels);
        let made = words(&disk.disk_name, disk.disk_size, &disk.disk_type, &disk.labels);
        Line::of(MADE, wanted == made, format!("{}: {}", disk.disk_id, brief(&made)))
    }

    /// The same order again: it must make nothing. Gives too whether it may make something yet.
    async fn again(&mut self) -> (Line, bool) {
        if self.own.is_empty() {
            return (Line::unknown(TOKEN, "the first order has made no disk"), false);
        }
        let (first, known) = (self.order.take(), self.disks.clone());
        let answer = self.ask.client.create_disk(&self.body).await;
        self.take(&answer);
        let told = match &answer {
            Ok(reply) => reply.resources.iter().flatten().any(|one| one.disk_id.is_some()),
            Err(_) => false,
        };
        let same_order = self.order.is_some() && self.order == first;
        let refused = answer.as_ref().is_err_and(|error| !error.outcome_unknown());
        let same = refused || same_order || (told && self.disks == known);
        // Another order may take as long as the first.
        self.wait(if same { SECOND } else { LONGEST }, |watch| watch.own.len() > 1).await;
        let names = brief(&self.own.iter().cloned().collect::<Vec<_>>().join(" and "));
        match (self.own.len(), same) {
            (1, true) => (Line::fits(TOKEN, names), false),
            (1, false) => {
                (Line::differs(TOKEN, format!("{names}, and another order that has made nothing")), true)
            }
            (_, _) => (Line::differs(TOKEN, names), false),
        }
    }
}
