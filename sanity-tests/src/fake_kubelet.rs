//! A kubelet as far as devices are concerned, on real sockets: it keeps the real one's rules, with chance from a seed where the
//! real one has Go's maps. `rules` are those rules as plain data, `admission` what happens to a pod in order, `registry` the
//! plugins, `lister` the pod-resources API. `node` is the kubelet in a cluster, `kube_scheduler` who sends it pods.
//!
//! Plugins find it in a folder of its own: `device-plugins/kubelet.sock` and `pod-resources/kubelet.sock`.

use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use proto::deviceplugin::v1beta1::ContainerAllocateResponse;
use proto::deviceplugin::v1beta1::registration_server::RegistrationServer;
use proto::podresources::v1::pod_resources_lister_server::PodResourcesListerServer;
use serve::uds;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;

use self::lister::Lister;
use self::pod::Pod;
use self::registry::{Heard, Register, Registry};
use self::rules::{Rejection, Rules};

pub mod admission;
pub mod kube_scheduler;
pub mod lister;
pub mod node;
pub mod pod;
pub mod programs;
pub mod registry;
pub mod rules;

/// How often a condition is looked at while somebody waits for it.
const LOOK: Duration = Duration::from_millis(2);

/// Why the kubelet does not serve.
#[derive(Debug, thiserror::Error)]
pub enum KubeletError {
    /// Its folder.
    #[error("{0}")]
    Io(PathBuf, #[source] std::io::Error),
    /// A socket.
    #[error(transparent)]
    Bind(#[from] uds::BindError),
}

/// A node's kubelet. Dropping it ends its sockets.
pub struct FakeKubelet {
    folder: PathBuf,
    rules: Arc<Mutex<Rules>>,
    registry: Arc<Registry>,
    admission: tokio::sync::Mutex<()>,
    servers: Mutex<CancellationToken>,
    pre_start_errors: Mutex<Vec<String>>,
}

impl FakeKubelet {
    /// Serves in `folder`, which stands for `/var/lib/kubelet`.
    pub async fn start(folder: &Path, seed: u64) -> Result<Self, KubeletError> {
        let rules = Arc::new(Mutex::new(Rules::new(seed)));
        let plugins = folder.join("device-plugins");
        let kubelet = Self {
            folder: folder.to_owned(),
            registry: Arc::new(Registry::new(&plugins, rules.clone())),
            rules,
            admission: Default::default(),
            servers: Mutex::default(),
            pre_start_errors: Mutex::default(),
        };
        kubelet.serve().await?;
        Ok(kubelet)
    }

    /// The folder of the plugins' sockets.
    pub fn device_plugins(&self) -> PathBuf {
        self.folder.join("device-plugins")
    }

    /// The socket of the pod-resources API.
    pub fn pod_resources(&self) -> PathBuf {
        self.folder.join("pod-resources/kubelet.sock")
    }

    async fn serve(&self) -> Result<(), KubeletError> {
        let stop = CancellationToken::new();
        let registration = uds::bind(&self.device_plugins().join("kubelet.sock")).await?;
        let resources = uds::bind(&self.pod_resources()).await?;
        let register = RegistrationServer::new(Register(self.registry.clone()));
        let lister = PodResourcesListerServer::new(Lister::new(self.rules.clone()));
        let ended = stop.clone().cancelled_owned();
        tokio::spawn(
            Server::builder().add_service(register).serve_with_incoming_shutdown(registration, ended),
        );
        let ended = stop.clone().cancelled_owned();
        tokio::spawn(Server::builder().add_service(lister).serve_with_incoming_shutdown(resources, ended));
        let old = std::mem::replace(&mut *self.servers.lock(), stop);
        old.cancel();
        Ok(())
    }

    /// What it knows and decided so far.
    pub fn rules(&self) -> MutexGuard<'_, Rules> {
        self.rules.lock()
    }

    /// What plugins have told about a resource.
    pub fn heard(&self, resource: &str) -> Heard {
        self.registry.heard(resource)
    }

    /// Takes a pod in that is bound to the node, and admits or rejects it.
    pub async fn admit(&self, pod: Pod) -> Result<(), Rejection> {
        let _one_at_a_time = self.admission.lock().await;
        let uid = pod.uid.clone();
        self.rules().add(pod);
        admission::admit(&self.rules, &*self.registry, &uid).await
    }

    /// Starts a container, for the first time or again; gives what the runtime gets.
    pub async fn start_container(
        &self,
        uid: &str,
        container: &str,
    ) -> Result<Vec<ContainerAllocateResponse>, String> {
        let started = admission::start(&self.rules, &*self.registry, uid, container).await;
        if let Err(why) = &started {
            let line = format!("pod {uid}, container {container}: {why}");
            self.pre_start_errors.lock().push(line);
        }
        started
    }

    /// Why containers could not be started.
    pub fn pre_start_errors(&self) -> Vec<String> {
        self.pre_start_errors.lock().clone()
    }

    /// The pod is over.
    pub fn delete(&self, uid: &str) {
        self.rules().remove(uid);
    }

    /// The kubelet's process ends and starts again. It removes every socket in `device-plugins`, not the files.
    /// (plugin/v1beta1/server.go, CleanupPluginDirectory)
    pub async fn restart(&self) -> Result<(), KubeletError> {
        let _one_at_a_time = self.admission.lock().await;
        self.servers.lock().cancel();
        self.registry.clear();
        self.rules().restart();
        let folder = self.device_plugins();
        let failed = |e| KubeletError::Io(folder.clone(), e);
        for entry in std::fs::read_dir(&folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            // A plugin may take its own away in this moment.
            if entry.file_type().is_ok_and(|kind| kind.is_socket()) {
                let _gone = std::fs::remove_file(entry.path());
            }
        }
        let _gone = std::fs::remove_file(self.pod_resources());
        self.serve().await
    }

    /// Waits until so many devices of the resource are healthy; false if that does not come in time.
    pub async fn has(&self, resource: &str, devices: u64, patience: Duration) -> bool {
        let look = async {
            while self.rules().allocatable(resource).unwrap_or(0) != devices {
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::time::timeout(patience, look).await.is_ok()
    }
}

impl Drop for FakeKubelet {
    fn drop(&mut self) {
        self.servers.lock().cancel();
        self.registry.clear();
    }
}

#[cfg(test)]
mod tests;
