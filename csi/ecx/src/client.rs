//! The client: one method per operation, 1:1 with ecx/API.md B.3. It signs, paces, retries and decodes; what an answer means
//! for a volume is the caller's business.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::RwLock;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::Instant;
use tracing::Instrument as _;
use uuid::Builder;

use crate::api::*;
use crate::call_record::{CallFigures, CallRecord};
use crate::decode::{Reply, Told, decode, told};
use crate::error::{ApiMessage, Error};
use crate::fields::{Fields, asked, bad, fields};
use crate::outages::Outages;
use crate::profile::Profile;
use crate::sign::{self, Credentials, Signed};
use crate::throttle::Budget;
use crate::trace;
use crate::transport::{Connection, HttpTransport, Outgoing, Transport};

pub use crate::transport::BadClient;

/// First pause between two attempts; doubled each time, with jitter. Not by `backon`: its jitter has a source of chance of its
/// own, and a simulation's seed must give the same pauses again.
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// The longest pause that a throttle reply can make everybody take. A gateway that says an hour, by mistake or for one caller, must
/// not stop all regions for an hour; a minute later it is asked again.
const LONGEST_HOLD: Duration = Duration::from_secs(60);

/// Reads the account's key pair where it is kept.
type Keys = Box<dyn Fn() -> Option<Credentials> + Send + Sync>;

/// Reads a reply.
type Read<T> = fn(Op, &Reply<'_>, &[String]) -> Result<T, Error>;

/// A client of one account.
pub struct Client {
    profile: Profile,
    credentials: RwLock<Credentials>,
    keys: Option<Keys>,
    transport: Arc<dyn Transport>,
    budget: Budget,
    outages: Outages,
    calls: [AtomicU64; Op::ALL.len()],
    ended: CallRecord,
    throttled: AtomicU64,
}

impl Client {
    /// A client of the cloud that `profile` describes, reached as `connection` says.
    pub fn new(
        profile: Profile,
        credentials: Credentials,
        connection: &Connection,
    ) -> Result<Self, BadClient> {
        let transport = HttpTransport::new(&profile, connection)?;
        Ok(Self::over(Arc::new(transport), profile, credentials))
    }

    /// The same client over a transport of the caller's.
    pub fn over(transport: Arc<dyn Transport>, profile: Profile, credentials: Credentials) -> Self {
        let budget = Budget::new(profile.limits());
        let calls = std::array::from_fn(|_| AtomicU64::new(0));
        let credentials = RwLock::new(credentials);
        let (ended, throttled) = (CallRecord::default(), AtomicU64::new(0));
        let outages = Outages::default();
        Self { profile, credentials, keys: None, transport, budget, outages, calls, ended, throttled }
    }

    /// The same client, which reads its keys anew where they are kept when the cloud refuses them, and when [`Self::read_keys`] is
    /// called. A key pair that cannot be read changes nothing.
    pub fn with_keys(self, keys: impl Fn() -> Option<Credentials> + Send + Sync + 'static) -> Self {
        Self { keys: Some(Box::new(keys)), ..self }
    }

    /// Takes the keys as they are kept now.
    pub fn read_keys(&self) {
        if let Some(credentials) = self.keys.as_ref().and_then(|read| read()) {
            *self.credentials.write() = credentials;
        }
    }

    /// The profile the client was made with.
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// Requests sent so far, by operation; retries count.
    pub fn calls(&self) -> BTreeMap<Op, u64> {
        Op::ALL.iter().map(|op| (*op, self.calls[*op as usize].load(Ordering::Relaxed))).collect()
    }

    /// How long the requests took that have ended, and what they came to; retries count. An operation without one is left out.
    pub fn call_figures(&self) -> BTreeMap<Op, CallFigures> {
        self.ended.figures()
    }

    /// Throttle replies so far, and the requests per second that are allowed now, as learnt from them.
    pub fn throttling(&self) -> (u64, f64) {
        (self.throttled.load(Ordering::Relaxed), self.budget.rate())
    }

    /// Requests that wait for their turn now: whoever can wait with his own need not make the line longer.
    pub fn in_line(&self) -> usize {
        self.budget.in_line()
    }

    /// Op 1 (or 2, with a snapshot). [`Error::InProgress`] while the order runs: ask by name, or send the same again.
    pub async fn create_disk(&self, body: &CreateDisk) -> Result<OrderReply, Error> {
        let op = if body.snapshot_id.is_some() { Op::CreateDiskFromSnapshot } else { Op::CreateDisk };
        self.call(op, body).await
    }

    /// Op 3.
    pub async fn delete_disk(&self, body: &DeleteDisk) -> Result<OrderReply, Error> {
        self.call(Op::DeleteDisk, body).await
    }

    /// Op 4. Never another disk than the one asked for.
    pub async fn get_disk(&self, query: &GetDisk) -> Result<Disk, Error> {
        let disk: Disk = self.call(Op::GetDisk, query).await?;
        disk.about(&query.disk_id)
    }

    /// Op 5: every disk that has exactly this name.
    pub async fn find_disk_by_name(&self, query: &FindDiskByName) -> Result<DiskList, Error> {
        let mut list: DiskList = self.call(Op::FindDiskByName, query).await?;
        // Whether the cloud's filter is exact is not known.
        list.disk_list.retain(|disk| disk.disk_name == query.disk_name);
        Ok(list)
    }

    /// Op 6: one page.
    pub async fn list_disks(&self, query: &ListDisks) -> Result<DiskList, Error> {
        self.call(Op::ListDisks, query).await
    }

    /// Op 7. Never sent twice by itself: after [`Error::outcome_unknown`] read the disk before anything else.
    pub async fn attach_disk(&self, body: &AttachDisk) -> Result<JobReply, Error> {
        self.call(Op::AttachDisk, body).await
    }

    /// Op 8; as [`Self::attach_disk`].
    pub async fn detach_disk(&self, body: &AttachDisk) -> Result<JobReply, Error> {
        self.call(Op::DetachDisk, body).await
    }

    /// Op 9.
    pub async fn resize_disk(&self, body: &ResizeDisk) -> Result<OrderReply, Error> {
        self.call(Op::ResizeDisk, body).await
    }

    /// Op 10.
    pub async fn get_job(&self, query: &GetJob) -> Result<Job, Error> {
        self.call(Op::GetJob, query).await
    }

    /// Op 11.
    pub async fn get_order(&self, query: &GetOrder) -> Result<Order, Error> {
        self.call(Op::GetOrder, query).await
    }

    /// Op 12.
    pub async fn create_snapshot(&self, body: &CreateSnapshot) -> Result<SnapshotReply, Error> {
        self.call(Op::CreateSnapshot, body).await
    }

    /// Op 13.
    pub async fn delete_snapshot(&self, body: &DeleteSnapshot) -> Result<SnapshotReply, Error> {
        self.call(Op::DeleteSnapshot, body).await
    }

    /// Op 14: one page.
    pub async fn list_snapshots(&self, query: &ListSnapshots) -> Result<SnapshotList, Error> {
        self.call(Op::ListSnapshots, query).await
    }

    /// Op 15.
    pub async fn list_disk_types(&self, query: &ListDiskTypes) -> Result<DiskTypes, Error> {
        self.call(Op::ListDiskTypes, query).await
    }

    /// Op 16.
    pub async fn check_stock(&self, query: &CheckStock) -> Result<Stock, Error> {
        self.call(Op::CheckStock, query).await
    }

    /// Op 17: one page.
    pub async fn list_instances(&self, body: &ListInstances) -> Result<InstanceList, Error> {
        self.call(Op::ListInstances, body).await
    }

    /// Sets a disk's description.
    pub async fn update_disk(&self, body: &UpdateDisk) -> Result<Empty, Error> {
        self.call(Op::UpdateDisk, body).await
    }

    /// Changes a disk's type or speed, where [`Profile::has`] says that the cloud can.
    pub async fn modify_disk(&self, body: &ModifyDisk) -> Result<OrderReply, Error> {
        self.call(Op::ModifyDisk, body).await
    }

    /// A read, as it was answered: for whoever looks at the cloud itself. What is worked with has a method of its own.
    pub async fn told<Q: Serialize>(&self, op: Op, query: &Q) -> Result<Told, Error> {
        self.send(op, query, told).await
    }

    async fn call<Q: Serialize, T: DeserializeOwned>(&self, op: Op, request: &Q) -> Result<T, Error> {
        self.send(op, request, decode).await
    }

    /// Sends until there is an answer worth giving up on: see [`again`].
    async fn send<Q: Serialize, T>(&self, op: Op, request: &Q, read: Read<T>) -> Result<T, Error> {
        let (mut pause, mut open) = (FIRST_PAUSE, None);
        let fields = fields(request)?;
        let region = fields.get("regionID").and_then(Value::as_str).unwrap_or_default();
        for attempt in 1.. {
            let asked = Instant::now();
            self.budget.turn(self.outages.priority(region)).await;
            let span = trace::of(op, attempt, asked.elapsed());
            let result = self.attempt(op, &fields, read).instrument(span).await;
            self.outages.ended(region, &result);
            let error = match result {
                Ok(reply) => {
                    self.budget.succeeded();
                    return Ok(reply);
                }
                Err(error) => error,
            };
            if let Error::Throttled { retry_after, .. } = &error {
                self.throttled.fetch_add(1, Ordering::Relaxed);
                self.budget.throttled(*retry_after);
            }
            if attempt >= self.profile.attempts || !again(op, &error, attempt) {
                return Err(total(open, error));
            }
            if matches!(error, Error::Auth(_)) {
                self.read_keys();
            }
            if error.outcome_unknown() && !op.reads() {
                open = Some(error);
            }
            // 0.5 to 1.
            let share = (self.transport.random() >> 64) as f64 / u64::MAX as f64;
            let jittered = pause.mul_f64(0.5 + share / 2.0);
            tokio::time::sleep(jittered).await;
            pause *= 2;
        }
        unreachable!("the loop ends by returning")
    }

    async fn attempt<T>(&self, op: Op, fields: &Fields, read: Read<T>) -> Result<T, Error> {
        let (request, id) = self.prepare(op, fields.clone())?;
        self.calls[op as usize].fetch_add(1, Ordering::Relaxed);
        let began = Instant::now();
        let result = self.exchange(op, request, &id, read).await;
        self.ended.ended(op, began.elapsed(), &result);
        trace::ended(&result);
        result
    }

    /// Sends one attempt and reads its reply.
    async fn exchange<T>(
        &self,
        op: Op,
        request: Outgoing,
        request_id: &str,
        read: Read<T>,
    ) -> Result<T, Error> {
        let reply = self.transport.exchange(request).await.map_err(|lost| {
            let (code, message) = (lost.code.to_owned(), lost.message);
            Error::NoReply(ApiMessage { code, message, request_id: request_id.into(), order_id: None })
        })?;
        trace::replied(reply.http);
        let retry_after = reply.retry_after.as_deref().and_then(pause_asked_for);
        let reply = Reply { http: reply.http, body: &reply.body, retry_after, request_id };
        read(op, &reply, &self.profile.ok_codes)
    }

    /// Builds and signs one attempt: a fresh request id, which is given too with what is asked and where, and date each time.
    fn prepare(&self, op: Op, mut fields: Fields) -> Result<(Outgoing, String), Error> {
        let random = self.transport.random().to_be_bytes();
        let request_id = Builder::from_random_bytes(random).into_uuid().to_string();
        trace::about(&fields);
        trace::sent(&request_id);
        let id = asked(&request_id, op, &fields);
        if self.profile.region_key != "regionID"
            && let Some(region) = fields.remove("regionID")
        {
            fields.insert(self.profile.region_key.clone(), region);
        }
        if self.profile.send_delete_disk_with_instance && op.may_bind_a_disk_to_a_machine() {
            fields.insert("deleteDiskWithInstance".to_owned(), Value::Bool(false));
        }
        let (query, body) = if op.is_post() {
            (String::new(), Some(serde_json::to_vec(&fields).map_err(|e| bad(e.to_string()))?))
        } else {
            let text = |value: Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let pairs: Vec<_> = fields.into_iter().map(|(key, value)| (key, text(value))).collect();
            (sign::query(&pairs), None)
        };
        let date = sign::eop_date(self.transport.now());
        let headers = vec![(sign::REQUEST_ID, request_id.as_str()), (sign::DATE, date.as_str())];
        let signed = Signed { headers, query: &query, body: body.as_deref().unwrap_or_default() };
        let authorization = signed.authorization(&self.credentials.read(), &date);
        let mark = if query.is_empty() { "" } else { "?" };
        let url =
            format!("{}{}{mark}{query}", self.profile.base_url.trim_end_matches('/'), self.profile.path(op));
        let mut headers = vec![
            ("content-type", "application/json".to_owned()),
            ("user-agent", self.profile.user_agent.clone()),
            (sign::REQUEST_ID, request_id.clone()),
            (sign::DATE, date),
            (sign::AUTHORIZATION, authorization),
        ];
        if self.profile.send_external_id {
            let digits = format!("{:010}", self.transport.random() % 10_000_000_000);
            headers.push(("x-alogic-externalId", digits));
        }
        Ok((Outgoing { url, body, headers }, id))
    }
}

/// The pause of a `Retry-After` in seconds. It holds everybody, so that no server may ask for a longer one than [`LONGEST_HOLD`].
fn pause_asked_for(header: &str) -> Option<Duration> {
    let seconds = header.trim().parse::<f64>().ok().filter(|seconds| *seconds >= 0.0)?;
    Some(Duration::from_secs_f64(seconds.min(LONGEST_HOLD.as_secs_f64())))
}

/// The error of all attempts of a write together: an earlier attempt whose outcome is open stays open, whatever refuses the last one.
/// It may have taken the last of the stock or the quota itself, and keys that are changed meanwhile say nothing of it. Only what the
/// last attempt tells of the disk is more than that: whoever asked looks at the disk then.
fn total(open: Option<Error>, last: Error) -> Error {
    match open {
        Some(open) if !last.tells_of_the_disk() => open,
        _ => last,
    }
}

/// Whether the same request is sent once more.
fn again(op: Op, error: &Error, attempt: u32) -> bool {
    match error {
        // An order in progress is an answer: who waits for it paces itself.
        Error::InProgress(_) | Error::InstanceState(_) => false,
        // Refused before anything happened, so even attach may be sent again.
        Error::Throttled { .. } => true,
        // The clock may just have jumped, or the keys were changed: once more with a fresh date and the keys as they are now.
        Error::Auth(_) => attempt == 1,
        // Nobody knows whether it was carried out.
        Error::Server(_) | Error::NoReply(_) | Error::Unreadable(_) | Error::Unknown(_) => op.repeatable(),
        // Answers.
        Error::DiskNotFound(_)
        | Error::InstanceNotFound(_)
        | Error::DiskState(_)
        | Error::AttachedElsewhere(_)
        | Error::NoSlot(_)
        | Error::RegionMismatch(_)
        | Error::Shrink(_)
        | Error::Quota(_)
        | Error::SoldOut(_)
        | Error::Billing(_)
        | Error::TokenConflict(_)
        | Error::Parameter(_)
        | Error::Denied(_) => false,
    }
}

#[cfg(test)]
mod tests;
