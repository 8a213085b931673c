//! The webhook as the API server calls it: over TLS, trusting what the webhook's configuration says.

use std::sync::Arc;

use base64::Engine as _;
use eck_csi_admission::metrics::Pods;
use eck_csi_admission::server::{PATH, Serving, Settings, start};
use sanity_tests::apiserver::{ApiServer, Key};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tokio_util::sync::CancellationToken;

use super::objects::{cluster, pod, review};
use super::sources::FOR_EVER;

/// The name by which the API server calls the Service.
const SERVICE: &str = "eck-csi-controller.kube-system.svc";

/// A replica of the webhook. It ends when this is dropped.
pub(crate) struct Webhook {
    serving: Serving,
    stop: CancellationToken,
}

impl Webhook {
    /// Serves for a cluster that has the chart's MutatingWebhookConfiguration.
    pub(crate) async fn start(api: &ApiServer) -> Self {
        let _ = tokio_rustls::rustls::crypto::aws_lc_rs::default_provider().install_default();
        let client = kube::Client::try_from(kube::Config::new(api.url().parse().unwrap())).unwrap();
        let settings = Settings {
            address: "127.0.0.1:0".parse().unwrap(),
            namespace: "kube-system".to_owned(),
            patience: FOR_EVER,
        };
        let stop = CancellationToken::new();
        let serving = start(client, &settings, Pods::default(), stop.clone()).await.unwrap();
        Self { serving, stop }
    }

    /// Asks about the pod as the API server does.
    pub(crate) async fn ask(&self, api: &ApiServer, pod: &Value) -> Value {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(&bundle(api).unwrap()).unwrap()).unwrap();
        let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        let stream = TcpStream::connect(self.serving.address).await.unwrap();
        let name = ServerName::try_from(SERVICE).unwrap();
        let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
        let (body, head) = (review(pod).to_string(), "connection: close\r\ncontent-type: application/json");
        let request = format!(
            "POST {PATH} HTTP/1.1\r\nhost: x\r\n{head}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).await.unwrap();
        let (head, body) = reply.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        serde_json::from_str(body).unwrap()
    }
}

impl Drop for Webhook {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// The chart's MutatingWebhookConfiguration, as far as the webhook cares.
pub(crate) fn configure(api: &ApiServer) {
    let hook = json!({"name": "restores.eck.csi.k8s.io", "clientConfig": {"service": {"name": "eck-csi-controller"}}});
    let configuration = json!({"metadata": {"name": "eck-csi-restores"}, "webhooks": [hook]});
    api.create("mutatingwebhookconfigurations", configuration).unwrap();
}

/// Whom the API server trusts.
fn bundle(api: &ApiServer) -> Option<Vec<u8>> {
    let found = api.get(&Key::new("mutatingwebhookconfigurations", "", "eck-csi-restores")).unwrap();
    let text = found["webhooks"][0]["clientConfig"]["caBundle"].as_str()?;
    Some(base64::engine::general_purpose::STANDARD.decode(text).unwrap())
}

#[tokio::test]
async fn replicas_share_a_certificate_of_which_the_api_server_is_told() {
    let api = cluster();
    configure(&api);
    let replicas = [Webhook::start(&api).await, Webhook::start(&api).await];
    assert_eq!(api.calls_of("create", "secrets"), 1);
    assert_eq!(api.calls_of("patch", "mutatingwebhookconfigurations"), 1);
    assert_eq!(
        api.calls_of("get", "validatingwebhookconfigurations"),
        0,
        "it has none, and no right to look"
    );
    for replica in &replicas {
        let answer = replica.ask(&api, &pod("not-there-yet")).await;
        assert_eq!(answer["response"], json!({"uid": "u-1", "allowed": true}));
    }
    let secret = api.get(&Key::new("secrets", "kube-system", "eck-csi-controller-tls")).unwrap();
    let annotations = secret["metadata"]["annotations"].as_object().unwrap();
    assert!(annotations.keys().all(|name| name.starts_with("eck.csi.k8s.io/")), "{annotations:?}");
}
