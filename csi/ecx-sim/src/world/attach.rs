//! Attach and detach: no tokens, one after the other per machine.

use ecx::api::{AttachDisk, DiskState, Group, Job, JobReply};
use ecx::codes;

use super::state::{Handle, Pending, PendingKind, Refusal, Twist, World};

impl World {
    /// Op 7.
    pub fn attach(
        &mut self,
        request: &AttachDisk,
        now: u64,
        latency: u64,
        twist: &Twist,
    ) -> Result<JobReply, Refusal> {
        let instance =
            request.instance_id.clone().ok_or_else(|| Refusal::parameter("instanceID", "required"))?;
        self.disk(&request.region_id, &request.disk_id)?;
        let machine = self.machine(&instance)?.clone();
        if machine.region != request.region_id {
            return Err(Refusal::new(codes::REGION_MISMATCH, format!("{instance} is in {}", machine.region)));
        }
        if !matches!(machine.status.as_str(), "running" | "stopped") {
            return Err(Refusal::new(codes::INSTANCE_STATE, format!("{instance} is {}", machine.status)));
        }
        if self.held(&instance) >= machine.max_disks {
            return Err(Refusal::new(codes::SLOTS, format!("{instance} holds {} disks", machine.max_disks)));
        }
        let due = self.slot(&instance, now, latency);
        let job = self.job_id();
        let record = self.disk(&request.region_id, &request.disk_id)?;
        if record.holder.is_some() {
            let holder = record.holder.clone().unwrap_or_default();
            return Err(Refusal::new(codes::ATTACHED, format!("the disk is attached to {holder}")));
        }
        if record.state().group() != Group::Settled {
            return Err(record.refuse("be attached"));
        }
        let xid = request.disk_id.trim_start_matches("cd-").to_owned();
        let serial = twist.serial.clone().unwrap_or(xid);
        record.disk.disk_status = DiskState::Attaching;
        record.holder = Some(instance.clone());
        record.history.push(instance.clone());
        let due = if twist.stuck { u64::MAX } else { due };
        let kind = PendingKind::Attach { instance, serial };
        record.pending = Some(Pending { kind, due, handle: job.clone(), fails: twist.fails });
        Ok(self.started(job, &request.disk_id))
    }

    /// Op 8.
    pub fn detach(
        &mut self,
        request: &AttachDisk,
        now: u64,
        latency: u64,
        twist: &Twist,
    ) -> Result<JobReply, Refusal> {
        let job = self.job_id();
        let record = self.disk(&request.region_id, &request.disk_id)?;
        let holder = record.holder.clone();
        let other = request.instance_id.is_some() && request.instance_id != holder;
        let (Some(holder), false) = (holder, other) else { return Err(record.refuse("be detached")) };
        if record.state().group() != Group::Attached {
            return Err(record.refuse("be detached"));
        }
        let due = self.slot(&holder, now, latency);
        let record = self.disk(&request.region_id, &request.disk_id)?;
        record.disk.disk_status = DiskState::Detaching;
        let due = if twist.stuck { u64::MAX } else { due };
        let kind = PendingKind::Detach { instance: holder };
        record.pending = Some(Pending { kind, due, handle: job.clone(), fails: twist.fails });
        Ok(self.started(job, &request.disk_id))
    }

    /// Op 10.
    pub fn job(&self, id: &str) -> Result<Job, Refusal> {
        let handle = self.handles.get(id).ok_or_else(|| Refusal::parameter("jobID", "no such job"))?;
        let text = ["executing", "success", "fail"][usize::from(handle.status.min(2))];
        Ok(Job {
            job_id: id.to_owned(),
            status: handle.status,
            job_status: Some(text.to_owned()),
            resource_id: Some(handle.disk.clone()),
        })
    }

    /// Disks that a machine holds.
    fn held(&self, instance: &str) -> usize {
        self.disks.values().filter(|d| d.holder.as_deref() == Some(instance)).count()
    }

    /// The moment at which a change of a machine's disks ends, if it begins when those before it have ended.
    fn slot(&mut self, instance: &str, now: u64, latency: u64) -> u64 {
        let Some(machine) = self.machines.get_mut(instance) else { return now + latency };
        machine.busy_until = machine.busy_until.max(now) + latency;
        machine.busy_until
    }

    fn started(&mut self, job: String, disk: &str) -> JobReply {
        self.handles.insert(job.clone(), Handle { disk: disk.to_owned(), status: 0, empty: false });
        JobReply { disk_request_id: Some(job.clone()), disk_job_id: Some(job) }
    }
}
