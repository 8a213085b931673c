//! Unix sockets that only their owner can open.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tokio::net::{UnixListener, UnixStream};
use tokio_stream::wrappers::UnixListenerStream;
use tonic::transport::{Channel, Endpoint};

/// Longest path of a unix socket in bytes: `sun_path` of Linux less its terminating zero.
const MAX_SOCKET_PATH: usize = 107;

/// Why an endpoint is no socket path.
#[derive(Debug, thiserror::Error)]
#[error(
    "endpoint {value:?} is not allowed; allowed: unix:///absolute/path or /absolute/path, at most {MAX_SOCKET_PATH} bytes"
)]
pub struct BadEndpoint {
    /// What came.
    pub value: String,
}

/// Why a socket cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Something that is not a socket stands there; it is not ours to remove.
    #[error("{0} exists and is not a socket")]
    NotASocket(PathBuf),
    /// Another process answers there.
    #[error("{0} is served by another process")]
    Served(PathBuf),
    /// The file system refuses.
    #[error("cannot serve {0}")]
    Io(PathBuf, #[source] io::Error),
}

/// The socket path of an endpoint written `unix:///path`, `unix:/path` or `/path`.
pub fn path_of(endpoint: &str) -> Result<PathBuf, BadEndpoint> {
    let path =
        endpoint.strip_prefix("unix://").or_else(|| endpoint.strip_prefix("unix:")).unwrap_or(endpoint);
    if path.starts_with('/') && path.len() <= MAX_SOCKET_PATH {
        Ok(PathBuf::from(path))
    } else {
        Err(BadEndpoint { value: endpoint.to_owned() })
    }
}

/// Serves `path`: the socket is private (0600) before anybody can reach it under its name, since it is bound under
/// another one and renamed. A socket that nobody answers on is replaced; anything else there is an error.
pub async fn bind(path: &Path) -> Result<UnixListenerStream, BindError> {
    let failed = |e| BindError::Io(path.to_owned(), e);
    match std::fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => return Err(BindError::NotASocket(path.to_owned())),
        Ok(_) if UnixStream::connect(path).await.is_ok() => return Err(BindError::Served(path.to_owned())),
        Ok(_) => {}
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            if let Some(parent) = path.parent() {
                std::fs::create_dir_all(parent).map_err(failed)?;
            }
        }
        Err(e) => return Err(failed(e)),
    }
    // Hidden also from the kubelet, which asks every socket that appears in its folders unless its name begins with a dot.
    let hidden = format!(".{}~", std::process::id());
    let listener = atomic_file::place_by(path, &hidden, |new| {
        let listener = UnixListener::bind(new)?;
        std::fs::set_permissions(new, Permissions::from_mode(0o600))?;
        Ok(listener)
    });
    listener.map(UnixListenerStream::new).map_err(failed)
}

/// Connects to the gRPC server on `path`. HTTP/2 wants an authority: `localhost`, as the kubelet sends it.
pub async fn connect(path: &Path) -> Result<Channel, tonic::transport::Error> {
    let path = path.to_owned();
    let dial = tower::service_fn(move |_| {
        let path = path.clone();
        async move { UnixStream::connect(path).await.map(hyper_util::rt::TokioIo::new) }
    });
    Endpoint::from_static("http://localhost").connect_with_connector(dial).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_paths_or_refused() {
        assert_eq!(path_of("unix:///csi/csi.sock").unwrap(), Path::new("/csi/csi.sock"));
        assert_eq!(path_of("/csi/csi.sock").unwrap(), Path::new("/csi/csi.sock"));
        for bad in ["", "tcp://1.2.3.4:5", "csi.sock", "unix://csi.sock"] {
            assert!(path_of(bad).unwrap_err().to_string().contains("allowed"), "{bad}");
        }
        assert!(path_of(&format!("/{}", "x".repeat(MAX_SOCKET_PATH))).is_err());
    }

    #[tokio::test]
    async fn a_stale_socket_is_replaced_a_served_one_and_a_file_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new/csi.sock");
        let first = bind(&path).await.unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(matches!(bind(&path).await, Err(BindError::Served(_))));
        drop(first);
        drop(bind(&path).await.unwrap());
        let file = dir.path().join("file");
        std::fs::write(&file, "data").unwrap();
        assert!(matches!(bind(&file).await, Err(BindError::NotASocket(_))));
        assert_eq!(std::fs::read(&file).unwrap(), b"data");
    }
}
