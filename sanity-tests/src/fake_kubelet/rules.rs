//! The kubelet's device manager as plain data: which devices there are, who holds which, and which a container gets next.
//! No sockets, no clock; chance comes from a seed. Each rule names the place in the kubelet that it keeps.

use std::collections::{BTreeMap, BTreeSet};

use proto::deviceplugin::v1beta1::ContainerAllocateResponse;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{Rng as _, SeedableRng as _};

use super::pod::{Kind, Pod};

/// Device ids.
pub type Ids = BTreeSet<String>;

/// What the kubelet reads of one message, in bytes: it dials with grpc-go's default. (plugin/v1beta1/client.go, dial)
pub const MAX_MESSAGE: usize = 4 * 1024 * 1024;

/// Why the kubelet refuses a pod that was bound to it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// `GeneralPredicates`. (lifecycle/predicate.go)
    #[error("OutOf{resource}: requested {requested}, used {used}, capacity {capacity}")]
    OutOf {
        /// Resource.
        resource: String,
        /// By this pod.
        requested: u64,
        /// By those admitted before.
        used: u64,
        /// Healthy devices, or what the node's status says.
        capacity: u64,
    },
    /// Too few devices are free. (devicemanager/manager.go, devicesToAllocate)
    #[error("UnexpectedAdmissionError: {resource}: requested {requested}, available {available}")]
    Unavailable {
        /// Resource.
        resource: String,
        /// Still needed.
        requested: usize,
        /// Healthy and free.
        available: usize,
    },
    /// The resource has no healthy device, e.g. while its plugin is away.
    #[error("UnexpectedAdmissionError: no healthy devices of {0}")]
    NoHealthy(String),
    /// The plugin's answer.
    #[error("UnexpectedAdmissionError: {0}")]
    Plugin(String),
}

/// What a container holds of one resource.
#[derive(Debug, Clone, PartialEq)]
pub struct Held {
    /// Device ids.
    pub ids: Ids,
    /// What the plugin answered: kept over restarts, and given to the runtime at every start.
    pub response: ContainerAllocateResponse,
}

/// Pod UID, container, resource.
pub type Holder = (String, String, String);

/// The fields of GetPreferredAllocation, which a plugin is sent before devices are chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreferredRequest {
    /// Healthy and free, and those that are given already.
    pub available: Ids,
    /// Those that are given already.
    pub must: Ids,
    /// All that the container gets.
    pub size: usize,
}

/// The first half of choosing devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pick {
    /// It has them since earlier: no RPC follows.
    Has,
    /// Enough was left by init containers.
    Given(Ids),
    /// The plugin may say which it prefers.
    Prefer(PreferredRequest),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Added,
    Admitted,
    Rejected,
}

#[derive(Debug, Default)]
struct Devices {
    healthy: Ids,
    unhealthy: Ids,
}

/// The device manager and the pods that it knows.
#[derive(Debug)]
pub struct Rules {
    rng: StdRng,
    devices: BTreeMap<String, Devices>,
    integers: BTreeMap<String, u64>,
    pods: Vec<(Pod, State)>,
    held: BTreeMap<Holder, Held>,
    taken: BTreeMap<String, Ids>,
    reuse: (String, BTreeMap<String, Ids>),
    rejections: Vec<(String, Rejection)>,
}

impl Rules {
    /// A kubelet of a new node.
    pub fn new(seed: u64) -> Self {
        Self {
            rng: StdRng::seed_from_u64(seed),
            devices: BTreeMap::new(),
            integers: BTreeMap::new(),
            pods: Vec::new(),
            held: BTreeMap::new(),
            taken: BTreeMap::new(),
            reuse: Default::default(),
            rejections: Vec::new(),
        }
    }

    /// A plugin's list: it replaces what was known of the resource. (manager.go, genericDeviceUpdateCallback)
    pub fn advertise(&mut self, resource: &str, list: impl IntoIterator<Item = (String, bool)>) {
        let mut devices = Devices::default();
        for (id, healthy) in list {
            if healthy { &mut devices.healthy } else { &mut devices.unhealthy }.insert(id);
        }
        self.devices.insert(resource.to_owned(), devices);
    }

    /// The plugin's stream has ended: every device of the resource is ill until it comes again. (markResourceUnhealthy)
    pub fn gone(&mut self, resource: &str) {
        if let Some(devices) = self.devices.get_mut(resource) {
            devices.unhealthy.append(&mut devices.healthy);
        }
    }

    /// The kubelet is started anew: what was handed out is read from the checkpoint, no plugin has come yet.
    pub fn restart(&mut self) {
        for resource in self.devices.keys().cloned().collect::<Vec<_>>() {
            self.gone(&resource);
        }
        self.reuse = Default::default();
        self.collect_garbage();
    }

    /// An extended resource that somebody patched into the node's status.
    pub fn patch(&mut self, resource: &str, amount: u64) {
        self.integers.insert(resource.to_owned(), amount);
    }

    /// What the node's status says of a resource; `None` if the node does not know it.
    pub fn allocatable(&self, resource: &str) -> Option<u64> {
        match self.devices.get(resource) {
            Some(devices) => Some(devices.healthy.len() as u64),
            None => self.integers.get(resource).copied(),
        }
    }

    /// Takes a pod in: it is listed from now on, before it is admitted. (kubelet.go, HandlePodAdditions)
    pub fn add(&mut self, pod: Pod) {
        if self.pod(&pod.uid).is_none() {
            self.pods.push((pod, State::Added));
        }
    }

    /// The pod is over: its devices are free.
    pub fn remove(&mut self, uid: &str) {
        self.pods.retain(|(pod, _)| pod.uid != uid);
        self.collect_garbage();
    }

    /// `GeneralPredicates` on extended resources: counts only, and a resource that the node does not know is no reason.
    /// (lifecycle/predicate.go, removeMissingExtendedResources)
    pub fn predicates(&self, uid: &str) -> Result<(), Rejection> {
        let Some(pod) = self.pod(uid) else { return Ok(()) };
        for resource in pod.resources() {
            let Some(capacity) = self.allocatable(resource) else { continue };
            let others = self.pods.iter().filter(|(pod, state)| *state == State::Admitted && pod.uid != uid);
            let used = others.map(|(pod, _)| pod.request(resource)).sum();
            let requested = pod.request(resource);
            if requested > 0 && used + requested > capacity {
                return Err(Rejection::OutOf { resource: resource.to_owned(), requested, used, capacity });
            }
        }
        Ok(())
    }

    /// The containers of the pod in the order of admission, each with its devices in the order of a Go map: none.
    pub fn order(&mut self, uid: &str) -> Vec<(String, Vec<(String, usize)>)> {
        let Some(pod) = self.pod(uid).cloned() else { return Vec::new() };
        let mut order = Vec::new();
        for container in pod.containers {
            let limits =
                container.limits.into_iter().filter(|(name, n)| self.devices.contains_key(name) && *n > 0);
            let mut limits: Vec<_> = limits.map(|(name, n)| (name, n as usize)).collect();
            limits.shuffle(&mut self.rng);
            order.push((container.name, limits));
        }
        order
    }

    /// Begins to choose `size` devices: what finished init containers have left comes first, at random.
    /// (manager.go, devicesToAllocate)
    pub fn pick(
        &mut self,
        uid: &str,
        container: &str,
        resource: &str,
        size: usize,
    ) -> Result<Pick, Rejection> {
        let healthy = self.devices.get(resource).map(|d| d.healthy.clone()).unwrap_or_default();
        if healthy.is_empty() {
            return Err(Rejection::NoHealthy(resource.to_owned()));
        }
        if self.held(uid, container, resource).is_some() {
            return Ok(Pick::Has);
        }
        self.collect_garbage();
        let left = if self.reuse.0 == uid { self.reuse.1.get(resource).cloned() } else { None };
        let mut must = Ids::new();
        self.draw(&mut must, left.unwrap_or_default(), size);
        let taken = self.taken.entry(resource.to_owned()).or_default();
        taken.extend(must.iter().cloned());
        if must.len() == size {
            return Ok(Pick::Given(must));
        }
        let free: Ids = healthy.difference(taken).cloned().collect();
        let requested = size - must.len();
        if free.len() < requested {
            return Err(Rejection::Unavailable {
                resource: resource.to_owned(),
                requested,
                available: free.len(),
            });
        }
        Ok(Pick::Prefer(PreferredRequest { available: free.union(&must).cloned().collect(), must, size }))
    }

    /// Ends the choice: the plugin's wish as far as it is free, chance for the rest.
    pub fn choose(&mut self, request: &PreferredRequest, preferred: &[String]) -> Ids {
        let mut chosen = request.must.clone();
        let wished = preferred.iter().filter(|id| request.available.contains(*id)).cloned().collect();
        self.draw(&mut chosen, wished, request.size);
        self.draw(&mut chosen, request.available.clone(), request.size);
        chosen
    }

    /// A map in Go is walked in any order.
    fn draw(&mut self, into: &mut Ids, from: Ids, size: usize) {
        let mut from: Vec<String> = from.into_iter().filter(|id| !into.contains(id)).collect();
        from.shuffle(&mut self.rng);
        from.truncate(size.saturating_sub(into.len()));
        into.extend(from);
    }

    /// The plugin has answered to Allocate: the container holds the devices from now on, and the checkpoint says so.
    pub fn record(&mut self, holder: Holder, held: Held) {
        self.taken.entry(holder.2.clone()).or_default().extend(held.ids.iter().cloned());
        self.held.insert(holder, held);
    }

    /// The container has all its devices. An init container leaves them to those after it, others keep them.
    /// (manager.go, Allocate)
    pub fn container_done(&mut self, uid: &str, container: &str) {
        if self.reuse.0 != uid {
            self.reuse = (uid.to_owned(), BTreeMap::new());
        }
        let kind = self.pod(uid).and_then(|pod| pod.container(container)).map(|container| container.kind);
        for ((_, _, resource), held) in self.held.iter().filter(|((u, c, _), _)| u == uid && c == container) {
            let left = self.reuse.1.entry(resource.clone()).or_default();
            if kind == Some(Kind::Init) {
                left.extend(held.ids.iter().cloned());
            } else {
                left.retain(|id| !held.ids.contains(id));
            }
        }
    }

    /// The pod runs here.
    pub fn admit(&mut self, uid: &str) {
        self.set(uid, State::Admitted);
    }

    /// The pod is failed; what it held so far is free with the next look.
    pub fn reject(&mut self, uid: &str, why: Rejection) {
        self.set(uid, State::Rejected);
        self.rejections.push((uid.to_owned(), why));
    }

    /// Frees what pods hold that are no more. (manager.go, UpdateAllocatedDevices; also List of pod-resources calls it)
    pub fn collect_garbage(&mut self) {
        let pods = &self.pods;
        let active = |uid: &str| pods.iter().any(|(pod, state)| pod.uid == uid && *state != State::Rejected);
        self.held.retain(|(uid, _, _), _| active(uid));
        self.taken.clear();
        for ((_, _, resource), held) in &self.held {
            self.taken.entry(resource.clone()).or_default().extend(held.ids.iter().cloned());
        }
    }

    fn set(&mut self, uid: &str, to: State) {
        for (_, state) in self.pods.iter_mut().filter(|(pod, _)| pod.uid == uid) {
            *state = to;
        }
    }

    /// A pod that is known here.
    pub fn pod(&self, uid: &str) -> Option<&Pod> {
        self.pods.iter().map(|(pod, _)| pod).find(|pod| pod.uid == uid)
    }

    /// The pods that pod-resources lists: all that are not over. (server_v1.go, GetActivePods)
    pub fn active(&self) -> impl Iterator<Item = &Pod> {
        self.pods.iter().filter(|(_, state)| *state != State::Rejected).map(|(pod, _)| pod)
    }

    /// Whether the pod was admitted.
    pub fn admitted(&self, uid: &str) -> bool {
        self.pods.iter().any(|(pod, state)| pod.uid == uid && *state == State::Admitted)
    }

    /// What a container holds of a resource.
    pub fn held(&self, uid: &str, container: &str, resource: &str) -> Option<&Held> {
        self.held.get(&(uid.to_owned(), container.to_owned(), resource.to_owned()))
    }

    /// Everything that is held.
    pub fn holders(&self) -> &BTreeMap<Holder, Held> {
        &self.held
    }

    /// Every device of a resource that is known, healthy or not.
    pub fn known(&self, resource: &str) -> Ids {
        let all = |devices: &Devices| devices.healthy.union(&devices.unhealthy).cloned().collect();
        self.devices.get(resource).map(all).unwrap_or_default()
    }

    /// The resources that plugins have registered.
    pub fn resources(&self) -> impl Iterator<Item = &str> {
        self.devices.keys().map(String::as_str)
    }

    /// Pods refused so far, and why.
    pub fn rejections(&self) -> &[(String, Rejection)] {
        &self.rejections
    }

    /// A number below `n`, from the kubelet's seed.
    pub fn chance(&mut self, n: usize) -> usize {
        self.rng.random_range(0..n.max(1))
    }
}

#[cfg(test)]
mod tests;
