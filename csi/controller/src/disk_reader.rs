//! Reads of disk state, shared by everybody.
//!
//! One task a region answers all questions. Those that arrive together, or while a read is under way, are one batch: one is
//! asked by itself, more by one ListDisks unless the region has too many disks for that to pay. What the list cannot answer is
//! asked by itself: that a disk is gone or free is never said because a list does not tell of it. A read only answers questions that were asked before it began, so nobody is
//! ever told an older state than the one at the time of asking. Waiting is the same: all waiters of a region share the
//! ticks of one poller.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use eck_csi::volume::Region;
use ecx::api::{Disk, FindDiskByName, GetDisk, Group};
use ecx::{Client, Error};
use futures::future::join_all;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::Instrument as _;

mod askers;
mod listing;
mod poller;
mod question;

use askers::{Askers, span_for};
use listing::Listing;

pub(crate) use question::Query;
use question::{Answer, HANGS, Question, ask};

/// Questions that arrive within this time share a batch. Far below any cloud call, long enough for fifty callers.
const GATHER: Duration = Duration::from_millis(3);

/// While requests stand in line for the account's rate, a read takes the turn of a write that somebody waits for: then
/// it waits so long for more questions, times the regions that do so now: the rate is the account's, and many regions are to read as
/// often together as one by itself. With the chart's 100 callers the line can be 10 s long at the shipped rate, so that it is not the
/// reads who end it.
const GATHER_IN_LINE: Duration = Duration::from_secs(3);

/// However many regions do so, a question waits no longer: an order has a read before it and one after, and if callers stand there for
/// longer than in the line, the line is empty at times and the rate unused.
const GATHER_AT_MOST: Duration = Duration::from_secs(6);

/// A region that need not answer and did not is asked again after so long: each question costs the account some requests, and all claims
/// that may be anywhere have one for it.
const ASKED_AGAIN: Duration = Duration::from_secs(30);

/// How soon it is seen that the line is gone.
const LOOK_AT_LINE: Duration = Duration::from_millis(100);

/// Why a wait ended without a verdict.
#[derive(Debug, thiserror::Error)]
pub enum WaitError {
    /// The cloud could not be read, and not for a moment only.
    #[error(transparent)]
    Cloud(#[from] Error),
    /// The wait was given up; the operation in the cloud may still end well.
    #[error("not finished after {} s; last seen: {last}", after.as_secs())]
    TooLong {
        /// How long it was waited.
        after: Duration,
        /// The state last seen.
        last: String,
    },
}

/// What a look at the disks means for who waits.
pub(crate) enum Verdict<T> {
    /// Over, with this.
    Done(T),
    /// Not yet; what was seen.
    Wait(String),
}

/// Reads for all regions. Clones share everything.
#[derive(Clone)]
pub(crate) struct DiskReader {
    client: Arc<Client>,
    regions: Arc<Mutex<HashMap<Region, RegionReader>>>,
    gathering: Gathering,
}

/// In how many regions questions come together now.
type Gathering = Arc<AtomicUsize>;

#[derive(Clone)]
struct RegionReader {
    questions: mpsc::UnboundedSender<Question>,
    waiters: mpsc::UnboundedSender<poller::Waiter>,
    /// When it was asked last without having to answer, if it did not.
    silent: Arc<Mutex<Option<Instant>>>,
}

impl DiskReader {
    pub(crate) fn new(client: Arc<Client>) -> Self {
        Self { client, regions: Arc::default(), gathering: Arc::default() }
    }

    /// By how much an answer may be old.
    pub(crate) fn lag(&self) -> Duration {
        self.client.profile().reads_lag()
    }

    /// Asks now; the answer is not older than this call.
    pub(crate) async fn ask(&self, region: &Region, query: Query) -> Answer {
        ask(&self.region(region).questions, query).await
    }

    /// Asks a region that must answer; of another nothing is known if it does not answer, and a region that did not answer the last time
    /// is not waited for: now and then it is asked, so that it is known when it answers again.
    pub(crate) fn ask_or_skip(
        &self,
        region: &Region,
        query: Query,
        must: bool,
    ) -> impl Future<Output = Answer> + use<> {
        let region = self.region(region);
        async move {
            let (silent, questions, now) =
                (Arc::clone(&region.silent), region.questions.clone(), Instant::now());
            if must {
                let answer = ask(&questions, query).await;
                if answer.is_ok() {
                    *silent.lock() = None;
                }
                return answer;
            }
            let waited_for = match &mut *silent.lock() {
                None => true,
                Some(asked) if asked.elapsed() < ASKED_AGAIN => return Ok(Vec::new()),
                Some(asked) => {
                    *asked = now;
                    false
                }
            };
            let asking = async move {
                let answer = tokio::time::timeout(HANGS, ask(&questions, query)).await;
                *silent.lock() = if matches!(answer, Ok(Ok(_))) { None } else { Some(now) };
                answer.ok().and_then(Result::ok).unwrap_or_default()
            };
            let asked = tokio::spawn(asking.in_current_span());
            Ok(if waited_for { asked.await.unwrap_or_default() } else { Vec::new() })
        }
    }

    /// The disk `id` as it is now.
    pub(crate) async fn disk(&self, region: &Region, id: &str) -> Result<Option<Disk>, Error> {
        Ok(self.ask(region, Query::Id(id.to_owned())).await?.pop())
    }

    /// The disk `id` as it is now, by its own word where it is not busy: what an end may be founded on.
    pub(crate) async fn proven(&self, region: &Region, id: &str) -> Result<Option<Disk>, Error> {
        Ok(self.ask(region, Query::Proven(id.to_owned())).await?.pop())
    }

    /// Looks at every tick of the region's poller until `judge` has a verdict, or `deadline`. A read that fails for a moment is a tick
    /// without a look.
    pub(crate) async fn wait_until<T>(
        &self,
        deadline: Instant,
        region: &Region,
        query: Query,
        mut judge: impl FnMut(&[Disk]) -> Verdict<T>,
    ) -> Result<T, WaitError> {
        let started = Instant::now();
        let mut last = "nothing".to_owned();
        let (sender, mut looks) = mpsc::unbounded_channel();
        // The reader lives as long as `self`, so a failed send can only be followed by a closed channel below.
        let _ = self.region(region).waiters.send(poller::Waiter::new(query, sender));
        loop {
            let look = tokio::time::timeout_at(deadline, looks.recv()).await;
            match look {
                Ok(Some(Ok(disks))) => match judge(&disks) {
                    Verdict::Done(verdict) => return Ok(verdict),
                    Verdict::Wait(seen) => last = seen,
                },
                Ok(Some(Err(error))) if error.retryable() => last = error.to_string(),
                Ok(Some(Err(error))) => return Err(error.into()),
                Ok(None) | Err(_) => return Err(WaitError::TooLong { after: started.elapsed(), last }),
            }
        }
    }

    /// Waits until nothing goes on with the disk; `None` if it is gone. Proven, as [`Self::proven`].
    pub(crate) async fn settled(&self, region: &Region, id: &str) -> Result<Option<Disk>, WaitError> {
        self.settled_until(Instant::now() + self.client.profile().poll.give_up(), region, id).await
    }

    /// The same, until `deadline`.
    pub(crate) async fn settled_until(
        &self,
        deadline: Instant,
        region: &Region,
        id: &str,
    ) -> Result<Option<Disk>, WaitError> {
        let judge = |disks: &[Disk]| match disks.first() {
            None => Verdict::Done(None),
            Some(disk) if disk.disk_status.group() == Group::Busy => {
                Verdict::Wait(disk.disk_status.as_str().to_owned())
            }
            Some(disk) => Verdict::Done(Some(disk.clone())),
        };
        self.wait_until(deadline, region, Query::Proven(id.to_owned()), judge).await
    }

    fn region(&self, region: &Region) -> RegionReader {
        let mut regions = self.regions.lock();
        let start =
            || RegionReader::start(Arc::clone(&self.client), region.as_str(), Arc::clone(&self.gathering));
        regions.entry(region.clone()).or_insert_with(start).clone()
    }
}

impl RegionReader {
    fn start(client: Arc<Client>, region: &str, gathering: Gathering) -> Self {
        let (questions, asked) = mpsc::unbounded_channel();
        let (waiters, waiting) = mpsc::unbounded_channel();
        let poll = client.profile().poll.clone();
        tokio::spawn(answer_all(client, region.to_owned(), gathering, asked));
        tokio::spawn(poller::run(poll, questions.clone(), waiting));
        Self { questions, waiters, silent: Arc::default() }
    }
}

/// The region's task: gathers a batch, reads, answers, and again. The next batch waits for this one, so that it takes along
/// whatever is asked meanwhile; but a read that hangs holds up nobody but those that wait for it.
async fn answer_all(
    client: Arc<Client>,
    region: String,
    gathering: Gathering,
    mut asked: mpsc::UnboundedReceiver<Question>,
) {
    // What a list of all disks takes; known after the first.
    let pages = Arc::new(AtomicUsize::new(1));
    while let Some(first) = asked.recv().await {
        gathering.fetch_add(1, Ordering::Relaxed);
        gather(&client, &gathering).await;
        gathering.fetch_sub(1, Ordering::Relaxed);
        // Sorted, like all that is gone through here: the same questions are the same requests in the same order.
        let mut batch: BTreeMap<Query, Askers> = BTreeMap::new();
        let mut next = Some(first);
        while let Some(question) = next {
            // Nobody waits for an answer whose caller is gone.
            if !question.reply.is_closed() {
                batch.entry(question.query).or_default().push(question.reply, question.asking);
            }
            next = asked.try_recv().ok();
        }
        let reading = tokio::spawn(read(Arc::clone(&client), region.clone(), batch, Arc::clone(&pages)));
        let _ = tokio::time::timeout(HANGS, reading).await;
    }
}

/// Lets questions come together.
async fn gather(client: &Client, gathering: &Gathering) {
    let began = Instant::now();
    tokio::time::sleep(GATHER).await;
    while client.in_line() > 0 && began.elapsed() < patience(gathering.load(Ordering::Relaxed)) {
        tokio::time::sleep(LOOK_AT_LINE).await;
    }
}

/// How long questions come together while requests stand in line, of so many regions that do so.
fn patience(gathering: usize) -> Duration {
    let times = u32::try_from(gathering).unwrap_or(u32::MAX);
    GATHER_IN_LINE.saturating_mul(times).min(GATHER_AT_MOST)
}

/// Reads and answers by whichever way takes fewer calls. ECX-API B.8 lists from six questions on; calls are what the
/// account is limited in, and in a region of up to a thousand disks a list is one call, in a larger one not.
async fn read(client: Arc<Client>, region: String, batch: BTreeMap<Query, Askers>, pages: Arc<AtomicUsize>) {
    if batch.len() <= pages.load(Ordering::Relaxed) && !batch.contains_key(&Query::All) {
        let (client, region) = (&client, &region);
        // Each as soon as it is there.
        let each = |(query, askers)| ask_for(client, region, query, askers);
        join_all(batch.into_iter().map(each)).await;
        return;
    }
    let span = span_for(batch.values());
    let listing = match Listing::read(&client, &region).instrument(span).await {
        Ok(listing) => {
            pages.store(listing.pages, Ordering::Relaxed);
            listing
        }
        // A cloud whose list is of no use still tells of each disk: nothing but ListVolumes needs it.
        Err(error) if no_list(&error) => Listing::useless(error),
        Err(error) => return batch.into_values().for_each(|askers| askers.answer(&Err(error.clone()))),
    };
    let (client, region, listing) = (&client, &region, &listing);
    let each = |(query, askers): (Query, Askers)| async move {
        match listing.answer(&query) {
            Some(told) => askers.answer(&told),
            None => ask_for(client, region, query, askers).await,
        }
    };
    join_all(batch.into_iter().map(each)).await;
}

/// Whether the cloud has answered, only not with a list.
fn no_list(error: &Error) -> bool {
    matches!(
        error,
        Error::Unreadable(_)
            | Error::Unknown(_)
            | Error::Parameter(_)
            | Error::DiskNotFound(_)
            | Error::Denied(_)
    )
}

/// Asks one question by itself, for all who have it.
async fn ask_for(client: &Client, region: &str, query: Query, askers: Askers) {
    let span = askers.span();
    let answer = one(client, region, &query).instrument(span).await;
    askers.answer(&answer);
}

async fn one(client: &Client, region: &str, query: &Query) -> Answer {
    let region_id = region.to_owned();
    match query {
        Query::All => Listing::read(client, region).await?.all(),
        Query::Name(name) | Query::Shown(name) => {
            let query = FindDiskByName { region_id, disk_name: name.clone() };
            client.find_disk_by_name(&query).await.map(|found| found.disk_list)
        }
        Query::Hint(id) | Query::Id(id) | Query::Proven(id) => {
            match client.get_disk(&GetDisk { region_id, disk_id: id.clone() }).await {
                Ok(disk) => Ok(vec![disk]),
                Err(Error::DiskNotFound(_)) => Ok(vec![]),
                Err(error) => Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests;
