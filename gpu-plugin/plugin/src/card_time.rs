//! The time of the cards: the arbiter is told which containers there are, and what each may use of it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arbiter::{Arbiter, ArbiterError, Shares};
use ideal_gpu::limits::Limits;
use parking_lot::Mutex;
use tracing::{info, warn};

use crate::pod_cache::PodCache;
use crate::state_layout::{ARBITER_NAME, LIMITS_NAME, containers_folder, pod_folder};

/// The containers whose launches are arbitrated. Clones share them.
#[derive(Clone)]
pub struct CardTime {
    arbiter: Arbiter,
    state: PathBuf,
    burst: Duration,
    /// Names of containers, with the uid of the pod of each.
    served: Arc<Mutex<BTreeMap<String, String>>>,
}

impl CardTime {
    /// Starts the arbiter. It serves the containers that an earlier life of the plugin has served; `burst`: card time that a container may
    /// use at once after it wanted none for long.
    pub fn start(state: PathBuf, burst: Duration) -> Result<Self, ArbiterError> {
        let time = Self { arbiter: Arbiter::start()?, state, burst, served: Arc::default() };
        for limits in time.started() {
            if let Err(error) = time.serve(&limits) {
                let error = serve::chain::chain(&error);
                warn!(
                    pod = limits.pod_name,
                    container = limits.container,
                    error,
                    "A container keeps to its share by itself until it starts again"
                );
            }
        }
        info!(containers = time.served.lock().len(), "Card time is arbitrated");
        Ok(time)
    }

    /// What containers were created with.
    fn started(&self) -> Vec<Limits> {
        let entries = |folder: &Path| fs::read_dir(folder).into_iter().flatten().flatten();
        let containers = entries(&containers_folder(&self.state)).flat_map(|pod| entries(&pod.path()));
        let limits =
            |container: fs::DirEntry| Limits::parse(&fs::read(container.path().join(LIMITS_NAME)).ok()?).ok();
        containers.filter_map(limits).collect()
    }

    /// A container starts.
    pub(crate) fn serve(&self, limits: &Limits) -> Result<(), ArbiterError> {
        let name = format!("{}/{}", limits.pod_uid, limits.container);
        let folder = pod_folder(&self.state, &limits.pod_uid).join(&limits.container).join(ARBITER_NAME);
        self.arbiter.serve(&name, &folder, Shares::of(limits, self.burst))?;
        self.served.lock().insert(name, limits.pod_uid.clone());
        Ok(())
    }

    /// Forgets the containers of pods that are gone, whenever one may be. Runs until it is dropped.
    pub(crate) async fn forget_gone(self, pod_cache: PodCache) {
        let mut changes = pod_cache.changes();
        while changes.changed().await.is_ok() {
            self.keep(|uid| pod_cache.read(|pods| pods.contains_key(uid)));
        }
    }

    fn keep(&self, there: impl Fn(&str) -> bool) {
        self.served.lock().retain(|name, uid| {
            let stays = there(uid);
            if !stays {
                self.arbiter.forget(name);
            }
            stays
        });
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    fn limits(container: &str) -> Limits {
        let text = format!(
            r#"{{"version":1,"pod_uid":"u1","pod_namespace":"n","pod_name":"p","container":"{container}",
            "virtual_memory":false,"work_conserving":false,"cards":[{{"index":0,"uuid":"GPU-a","core_percent":50,
            "memory_mib":1,"context_mib":0}}]}}"#
        );
        Limits::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn containers_that_started_before_the_plugin_are_served_and_those_of_a_pod_that_is_gone_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let folder = pod_folder(dir.path(), "u1").join("app");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(LIMITS_NAME), serde_json::to_vec(&limits("app")).unwrap()).unwrap();
        let time = CardTime::start(dir.path().to_owned(), Duration::ZERO).unwrap();
        time.serve(&limits("other")).unwrap();
        let connects = |container: &str| {
            let folder = pod_folder(dir.path(), "u1").join(container).join(ARBITER_NAME);
            UnixStream::connect(folder.join("socket")).is_ok()
        };
        assert!(connects("app") && connects("other"));
        time.keep(|uid| uid == "u1");
        assert_eq!(time.served.lock().len(), 2);
        time.keep(|_| false);
        assert!(time.served.lock().is_empty());
    }
}
