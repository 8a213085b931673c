//! The webhook: a port that speaks TLS, and what it answers. Whatever cannot be found out in time, the pod is let in as it is.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use admission::body::{Bad, parse, reply};
use admission::certs::{self, Keeping};
use admission::review::{AdmissionRequest, Answer, Review};
use admission::tls::{self, BadTls, Current, Routes};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::response::Response;
use axum::routing::post;
use eck_csi::driver::{DRIVER_NAME, TOPOLOGY_REGION};
use kube::Client;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::affinity::{Decision, decide};
use crate::metrics::{Outcome, Pods};
use crate::reader::{Reader, Unfound, Unknown};
use crate::source::Source;

/// Where the API server asks about pods; deploy/charts/eck-csi names it too.
pub const PATH: &str = "/restores";

/// The Service by which the API server calls, the Secret of the certificate and the MutatingWebhookConfiguration, as
/// deploy/charts/eck-csi calls them.
const SERVICE: &str = "eck-csi-controller";
const SECRET: &str = "eck-csi-controller-tls";
const CONFIGURATION: &str = "eck-csi-restores";

/// How long the sources of a pod's claims are looked for. The API server waits for three seconds (`timeoutSeconds` of the chart).
pub const PATIENCE: Duration = Duration::from_millis(2500);

/// Between tries to get a certificate.
const ASK_AGAIN: Duration = Duration::from_secs(2);

/// The longest body that is read: the API server takes objects of 3 MiB, and a review is little more.
const MAX_BODY: usize = 8 << 20;

/// Settings of the webhook.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Address of the port.
    pub address: SocketAddr,
    /// Namespace of the controller: the Service and the Secret are there.
    pub namespace: String,
    /// How long the sources are looked for: [`PATIENCE`], except in tests.
    pub patience: Duration,
}

/// Why there is no webhook.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// TLS.
    #[error(transparent)]
    Tls(#[from] BadTls),
    /// The port.
    #[error("the webhook's port {0} cannot be served")]
    Port(SocketAddr, #[source] std::io::Error),
}

/// A webhook that serves.
pub struct Serving {
    /// Where.
    pub address: SocketAddr,
    /// Ends when it is told to, with its last answer.
    pub task: JoinHandle<()>,
}

/// Gets a certificate, however long that takes, tells the API server of it, and then serves until `token` fires.
pub async fn start(
    client: Client,
    settings: &Settings,
    pods: Pods,
    token: CancellationToken,
) -> Result<Serving, ServeError> {
    let (current, keeping) = (Arc::new(Current::default()), keeping(&settings.namespace));
    while let Err(error) = certs::keep(&client, &keeping, &current).await {
        tracing::warn!(error = serve::chain::chain(&error), "The webhook has no certificate yet");
        tokio::time::sleep(ASK_AGAIN).await;
    }
    let acceptor = tls::acceptor(Arc::clone(&current), None)?;
    let keep = certs::keep_on(client.clone(), keeping, current);
    tokio::spawn(token.clone().run_until_cancelled_owned(keep));
    let port = |error| ServeError::Port(settings.address, error);
    let listener = TcpListener::bind(settings.address).await.map_err(port)?;
    let address = listener.local_addr().map_err(port)?;
    let known = router(client, pods, settings.patience);
    let routes = Routes { unknown: known.clone(), known };
    tracing::info!(%address, "Webhook of restored pods");
    let task = tokio::spawn(tls::serve(listener, Some(acceptor), routes, token));
    Ok(Serving { address, task })
}

fn keeping(namespace: &str) -> Keeping {
    Keeping {
        program: SERVICE.to_owned(),
        domain: DRIVER_NAME.to_owned(),
        namespace: namespace.to_owned(),
        secret: SECRET.to_owned(),
        mutating: Some(CONFIGURATION.to_owned()),
        validating: None,
        hosts: vec![format!("{SERVICE}.{namespace}.svc")],
    }
}

struct App {
    reader: Reader,
    pods: Pods,
    patience: Duration,
}

/// What the port serves.
pub fn router(client: Client, pods: Pods, patience: Duration) -> Router {
    let app = Arc::new(App { reader: Reader::new(client), pods, patience });
    Router::new().route(PATH, post(on_pod)).layer(DefaultBodyLimit::max(MAX_BODY)).with_state(app)
}

async fn on_pod(State(app): State<Arc<App>>, body: Bytes) -> Result<Response, Bad> {
    let Review { request } = parse(&body)?;
    reply(&app.answer(&request).await)
}

impl App {
    async fn answer(&self, request: &AdmissionRequest) -> Answer {
        let is_new_pod = request.resource.resource == "pods" && request.operation == "CREATE";
        if !is_new_pod || !request.sub_resource.is_empty() {
            return Answer::allow(&request.uid);
        }
        let looked = self.reader.sources(&request.namespace, &request.object);
        let Ok(found) = tokio::time::timeout(self.patience, looked).await else {
            tracing::warn!(pod = name(request), "The sources of a pod's claims were not found in time");
            self.pods.count(Outcome::Failed);
            return Answer::allow(&request.uid);
        };
        let (mut sources, mut unfound) = (Vec::new(), Vec::new());
        for one in found {
            match one {
                Ok(source) => sources.push(source),
                Err(error) => unfound.push(error),
            }
        }
        for one in &unfound {
            let (claim, error) = (&one.claim, serve::chain::chain(&one.why));
            tracing::warn!(pod = name(request), claim, error, "Where a claim's source is nobody can say");
        }
        match unfound.first().filter(|_| sources.is_empty()) {
            Some(first) => self.unfound(request, first),
            None => self.decided(request, &sources),
        }
    }

    fn unfound(&self, request: &AdmissionRequest, unfound: &Unfound) -> Answer {
        let failed = matches!(unfound.why, Unknown::Api(..));
        self.pods.count(if failed { Outcome::Failed } else { Outcome::Unknown });
        let Unfound { claim, made_from, why } = unfound;
        let Some(made_from) = made_from else { return Answer::allow(&request.uid) };
        let text = format!(
            "claim {claim} is made from {made_from}, and nobody can say yet in which region that is: {why}. The pod may be sent elsewhere, \
             where no disk can be made of it. Once it is known make the pod anew, or give it the nodeSelector {TOPOLOGY_REGION}"
        );
        Answer::allow(&request.uid).with_warning(&text)
    }

    fn decided(&self, request: &AdmissionRequest, sources: &[Source]) -> Answer {
        let uid = &request.uid;
        let (outcome, answer) = match decide(&request.object, sources) {
            Decision::NoSource => (Outcome::NoSource, Answer::allow(uid)),
            Decision::Said => (Outcome::Said, Answer::allow(uid)),
            Decision::Add(region, steps) => {
                tracing::info!(pod = name(request), %region, "A pod goes where its claims' sources are");
                (Outcome::Added, Answer::patch(uid, steps))
            }
            Decision::Contradiction(text) => (Outcome::Contradiction, self.warned(request, &text)),
            Decision::Apart(text) => (Outcome::Apart, self.warned(request, &text)),
        };
        self.pods.count(outcome);
        answer
    }

    fn warned(&self, request: &AdmissionRequest, text: &str) -> Answer {
        tracing::warn!(pod = name(request), "{text}");
        Answer::allow(&request.uid).with_warning(text)
    }
}

/// Namespace and name of the pod; the name is only begun where the API server is to end it.
fn name(request: &AdmissionRequest) -> String {
    let metadata = &request.object["metadata"];
    let name = ["name", "generateName"].into_iter().find_map(|field| metadata[field].as_str());
    format!("{}/{}", request.namespace, name.unwrap_or_default())
}
