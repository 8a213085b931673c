//! An operation, and what was done before it.

use std::collections::HashMap;

use ecx::Profile;
use ecx::api::Op;
use ecx::codes;
use ecx::profile::Poll;
use ecx_sim::LogEntry;
use ecx_sim::config::Latency;
use ecx_sim::{Config, Sim};
use sanity_tests::in_process::InProcess;
use sanity_tests::sidecar::{Claim, Reply, Request, RetryPolicy, Sidecar};

/// The cluster's regions, those of the simulator's built-in cloud.
pub(crate) const REGIONS: [&str; 3] = ["zj-shaoxing-2", "fj-xiamen-4", "hi-haikou-6"];

/// The volume's name.
pub(crate) const NAME: &str = "pvc-0f3f1d9e";

/// Size at first, and after it has grown.
pub(crate) const GIB: u64 = 20;
pub(crate) const GROWN: u64 = 30;

/// The operations that change something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    Create,
    Publish,
    Expand,
    Unpublish,
    Delete,
}

/// An operation under test.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scene {
    pub(crate) name: &'static str,
    /// What is done before, undisturbed.
    pub(crate) before: &'static [Act],
    pub(crate) act: Act,
    /// The controller is a new one that knows nothing of what was done before.
    pub(crate) forgotten: bool,
    /// The node's id is its address, as the guide's node names are; else its instance.
    pub(crate) address: bool,
    /// The StorageClass names the region.
    pub(crate) class: bool,
    /// The cloud does everything at once.
    pub(crate) instant: bool,
    /// The region that is preferred first has no disk left.
    pub(crate) sold_out: bool,
    /// The cloud forgets client tokens from one call of the sidecar to the next: how long it keeps them is not known
    /// (ecx/API.md B.5), so the name has to do.
    pub(crate) short_tokens: bool,
}

/// The first scene.
pub(crate) const PLAIN: Scene = Scene {
    name: "create",
    before: &[],
    act: Act::Create,
    forgotten: false,
    address: false,
    class: false,
    instant: false,
    sold_out: false,
    short_tokens: false,
};

/// All scenes.
pub(crate) const SCENES: [Scene; 14] = [
    PLAIN,
    Scene { name: "create in the class's region", class: true, ..PLAIN },
    Scene { name: "create, done at once", instant: true, ..PLAIN },
    Scene { name: "create, first region sold out", sold_out: true, ..PLAIN },
    Scene { name: "create, tokens forgotten", short_tokens: true, ..PLAIN },
    Scene { name: "attach", before: &[Act::Create], act: Act::Publish, ..PLAIN },
    Scene {
        name: "attach by address, new controller",
        before: &[Act::Create],
        act: Act::Publish,
        forgotten: true,
        address: true,
        ..PLAIN
    },
    Scene { name: "expand", before: &[Act::Create], act: Act::Expand, ..PLAIN },
    Scene {
        name: "expand attached, new controller",
        before: &[Act::Create, Act::Publish],
        act: Act::Expand,
        forgotten: true,
        ..PLAIN
    },
    Scene { name: "detach", before: &[Act::Create, Act::Publish], act: Act::Unpublish, ..PLAIN },
    Scene {
        name: "detach by address, new controller",
        before: &[Act::Create, Act::Publish],
        act: Act::Unpublish,
        forgotten: true,
        address: true,
        ..PLAIN
    },
    Scene { name: "delete", before: &[Act::Create], act: Act::Delete, ..PLAIN },
    Scene {
        name: "delete, new controller",
        before: &[Act::Create],
        act: Act::Delete,
        forgotten: true,
        ..PLAIN
    },
    Scene { name: "delete, done at once", before: &[Act::Create], act: Act::Delete, instant: true, ..PLAIN },
];

impl Scene {
    /// The cloud: always done with a transition before the first look at it, so that each undisturbed run is the same
    /// conversation; and slow enough for a look right after an unknown outcome to meet the transition.
    pub(crate) fn cloud(&self) -> Config {
        let ms = if self.instant { 0 } else { 40 };
        let latency =
            Latency { reply: 0, create: ms, attach: ms, detach: ms, delete: ms, resize: ms, snapshot: ms };
        let mut config = Config { latency, ..Config::default() };
        if self.sold_out {
            config.regions.get_mut(REGIONS[0]).unwrap().stock.insert("SAS".to_owned(), 0);
        }
        config
    }
}

/// How the controller of a test reads the cloud.
pub(crate) fn profile(sim: &Sim) -> Profile {
    let poll = Poll { first_ms: 60, factor: 1.2, max_ms: 80, give_up_ms: 5000 };
    Profile { poll, ..sim.profile() }
}

/// A cloud with one volume of a scene.
pub(crate) struct Stage {
    pub(crate) sim: Sim,
    scene: Scene,
    /// Its id and region, once it exists.
    volume: Option<(String, String)>,
}

impl Stage {
    pub(crate) fn new(scene: Scene) -> Self {
        Self { sim: Sim::start(scene.cloud()).unwrap(), scene, volume: None }
    }

    /// The volume's id, once it exists.
    pub(crate) fn volume(&self) -> Option<&str> {
        self.volume.as_ref().map(|(id, _)| id.as_str())
    }

    /// A controller in this process.
    pub(crate) async fn controller(&self, profile: Profile) -> InProcess {
        InProcess::start(profile, self.sim.credentials(), REGIONS).await.unwrap()
    }

    /// Does what the scene wants done before, through `sidecar`.
    pub(crate) async fn prepare(&mut self, sidecar: &Sidecar) {
        for act in self.scene.before {
            let reply = sidecar.call(&self.request(*act), &RetryPolicy::default(), |_| ()).await.unwrap();
            if let Reply::Created { volume, region, .. } = reply {
                self.volume = Some((volume, region));
            }
        }
    }

    /// What happens in the cloud from one call of the sidecar to the next.
    pub(crate) fn time_passes(&self) {
        if self.scene.short_tokens {
            self.sim.change(|world| world.tokens.clear());
        }
    }

    /// The request of an operation.
    pub(crate) fn request(&self, act: Act) -> Request {
        let volume = self.volume().unwrap_or_default().to_owned();
        match act {
            Act::Create => Request::Create(self.claim()),
            Act::Publish => self.publish(0),
            Act::Unpublish => self.unpublish(0),
            Act::Expand => Request::Expand { volume, gib: GROWN },
            Act::Delete => Request::Delete { volume },
        }
    }

    /// To the region's node number `index`.
    pub(crate) fn publish(&self, index: usize) -> Request {
        let (volume, region) = self.volume.clone().unwrap_or_default();
        Request::Publish { node: self.node(&region, index), volume }
    }

    /// From the region's node number `index`.
    pub(crate) fn unpublish(&self, index: usize) -> Request {
        let (volume, region) = self.volume.clone().unwrap_or_default();
        Request::Unpublish { node: self.node(&region, index), volume }
    }

    pub(crate) fn claim(&self) -> Claim {
        let regions = REGIONS.map(str::to_owned).to_vec();
        let class = HashMap::from([("region".to_owned(), REGIONS[1].to_owned())]);
        Claim {
            name: NAME.to_owned(),
            gib: GIB,
            parameters: if self.scene.class { class } else { HashMap::new() },
            requisite: regions.clone(),
            preferred: regions,
        }
    }

    /// The id of a node in a region.
    pub(crate) fn node(&self, region: &str, index: usize) -> String {
        let instance = &self.scene.cloud().regions[region].instances[index];
        if self.scene.address {
            format!("{region}.{}", instance.ip)
        } else {
            format!("{region}/{}", instance.id)
        }
    }

    /// Runs the operation undisturbed; gives the requests of its conversation.
    pub(crate) async fn record(mut self) -> Vec<LogEntry> {
        let mut controller = self.controller(profile(&self.sim)).await;
        self.prepare(&Sidecar::new(controller.channel())).await;
        if self.scene.forgotten {
            controller = self.controller(profile(&self.sim)).await;
        }
        let before = self.sim.log().len();
        let sidecar = Sidecar::new(controller.channel());
        sidecar.call(&self.request(self.scene.act), &RetryPolicy::default(), |_| ()).await.unwrap();
        self.sim.log().split_off(before)
    }
}

/// One request of a conversation: the `nth` (from 0) of an operation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step {
    pub(crate) op: Op,
    pub(crate) nth: u32,
    /// Whether it starts something that takes time: a write that the cloud takes.
    pub(crate) starts: bool,
}

impl Step {
    /// The steps of a recorded conversation.
    pub(crate) fn all(conversation: &[LogEntry]) -> Vec<Self> {
        use Op::*;
        let step = |(i, entry): (usize, &LogEntry)| {
            let earlier = conversation[..i].iter().filter(|e| e.op == entry.op).count();
            let write = matches!(entry.op, CreateDisk | AttachDisk | DetachDisk | ResizeDisk | DeleteDisk);
            let taken = entry.code.is_empty() || entry.code == codes::ORDER_IN_PROGRESS;
            Self { op: entry.op, nth: u32::try_from(earlier).unwrap(), starts: write && taken }
        };
        conversation.iter().enumerate().map(step).collect()
    }
}
