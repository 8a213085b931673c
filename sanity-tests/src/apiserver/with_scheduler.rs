//! The stub and its first client, `ideal-gpu-scheduler`, end to end: what the scheduler does when the API server misbehaves.

use std::time::Duration;

use ::serve::admin::Ready;
use ::serve::metrics::Metrics;
use clap::Parser as _;
use ideal_gpu_scheduler::args::Args;
use ideal_gpu_scheduler::run::{self, Running};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::tests::call_at;
use super::*;

const GPU: &str = "ideal.com/gpu";
const DECISION: &str = "ideal.com/decision";

/// One replica in this process.
struct Scheduler {
    running: Running,
    ready: Ready,
    metrics: Metrics,
    token: CancellationToken,
}

async fn start(api: &ApiServer, identity: &str, flags: &[&str]) -> Scheduler {
    let _ = tokio_rustls::rustls::crypto::aws_lc_rs::default_provider().install_default();
    let always = ["scheduler", "--address", "127.0.0.1:0", "--identity", identity];
    let args = Args::parse_from(always.iter().chain(flags));
    let client = kube::Client::try_from(kube::Config::new(api.url().parse().unwrap())).unwrap();
    let (metrics, ready, token) = (Metrics::default(), Ready::not_yet("start"), CancellationToken::new());
    let running = run::start(&args, client, &metrics, ready.clone(), token.clone()).await.unwrap();
    Scheduler { running, ready, metrics, token }
}

async fn alone(api: &ApiServer) -> Scheduler {
    let scheduler = start(api, "a", &["--plain-http", "--no-leader-election"]).await;
    until(|| scheduler.ready.is_ready()).await;
    scheduler
}

/// Lets everything else run until this holds.
async fn until(mut holds: impl FnMut() -> bool) {
    let wait = async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), wait).await.unwrap();
}

fn node(api: &ApiServer, name: &str, cards: u32) {
    let card = |index: u32| json!({"id": format!("GPU-{name}-{index}"), "model": "m", "memory_mib": 1000, "index": index, "healthy": true});
    let cards = json!({"cards": (0..cards).map(card).collect::<Vec<_>>()}).to_string();
    api.create("nodes", json!({"metadata": {"name": name, "annotations": {"ideal.com/cards": cards}}}))
        .unwrap();
}

fn pod(api: &ApiServer, name: &str, core: u32) -> Arc<Value> {
    let limits = json!({GPU: "1", "ideal.com/vcuda-core": core.to_string(), "ideal.com/vcuda-memory": "100"});
    let spec = json!({"containers": [{"name": "a", "resources": {"limits": limits}}]});
    api.create("pods", json!({"metadata": {"name": name}, "spec": spec})).unwrap()
}

impl Scheduler {
    async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        call_at(self.running.address, "POST", path, "application/json", &body.to_string()).await
    }

    async fn filter(&self, pod: &Value, nodes: &[&str]) -> Value {
        let (code, answer) = self.post("/filter", &json!({"Pod": pod, "NodeNames": nodes})).await;
        assert_eq!(code, 200, "{answer}");
        answer
    }

    /// The error's text, empty for success.
    async fn bind(&self, pod: &Value, node: &str) -> String {
        let metadata = &pod["metadata"];
        let args = json!({"PodName": metadata["name"], "PodNamespace": metadata["namespace"], "PodUID": metadata["uid"], "Node": node});
        let (code, answer) = self.post("/bind", &args).await;
        if code == 200 { answer["Error"].as_str().unwrap().to_owned() } else { format!("{code}: {answer}") }
    }

    /// Waits until the watch has told of the pod: a filter then knows what it holds.
    async fn until_used(&self, percent: u32) {
        until(|| {
            let text = self.metrics.encode().unwrap();
            let used = text.lines().filter(|line| line.starts_with("ideal_gpu_card_core_used_percent{"));
            used.filter_map(|line| line.rsplit(' ').next()?.parse::<u32>().ok()).sum::<u32>() == percent
        })
        .await;
    }
}

fn bound(api: &ApiServer, name: &str) -> (String, String) {
    let pod = api.get(&Key::pod("default", name)).unwrap();
    let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
    (text(&pod["spec"]["nodeName"]), text(&pod["metadata"]["annotations"][DECISION]))
}

#[tokio::test]
async fn a_pod_is_filtered_scored_and_bound_with_its_decision_in_one_write() {
    let api = ApiServer::start().unwrap();
    node(&api, "n", 1);
    node(&api, "m", 1);
    let scheduler = alone(&api).await;
    let first = pod(&api, "p", 60);
    let answer = scheduler.filter(&first, &["n", "m", "x"]).await;
    assert_eq!(answer["NodeNames"], json!(["n", "m"]));
    assert_eq!(answer["FailedAndUnresolvableNodes"], json!({"x": "no GPU cards"}));
    assert_eq!(scheduler.bind(&first, "n").await, "");
    let (node, decision) = bound(&api, "p");
    assert!(node == "n" && decision.contains("GPU-n-0"), "{decision}");
    assert_eq!(api.calls_of("create", "pods/binding"), 1);
    // One look at most: if the watch has not told of the pod yet.
    assert!(api.calls_of("get", "pods") <= 1 && api.calls_of("patch", "pods") == 0);
    let second = pod(&api, "q", 50);
    let answer = scheduler.filter(&second, &["n", "m"]).await;
    assert_eq!(answer["NodeNames"], json!(["m"]));
    let reason = "1 shares of up to 50 percent and 100 MiB wanted; card 0: 40 percent, 900 MiB, 4 slots free";
    assert_eq!(answer["FailedNodes"], json!({"n": reason}));
    // Older schedulers write small letters and send whole nodes.
    let whole = json!({"pod": *pod(&api, "r", 40), "nodes": {"items": [{"metadata": {"name": "n"}}]}});
    let (_, answer) = scheduler.post("/filter", &whole).await;
    assert_eq!(answer["Nodes"]["items"], json!([{"metadata": {"name": "n"}}]));
    let (_, scores) =
        scheduler.post("/prioritize", &json!({"Pod": *pod(&api, "s", 40), "NodeNames": ["n", "m"]})).await;
    assert_eq!(scores, json!([{"Host": "n", "Score": 10}, {"Host": "m", "Score": 0}]));
    api.delete(&Key::pod("default", "p")).unwrap();
    scheduler.until_used(0).await;
    assert_eq!(scheduler.filter(&second, &["n"]).await["NodeNames"], json!(["n"]));
}

#[tokio::test]
async fn a_refused_binding_gives_its_cards_back() {
    let api = ApiServer::start().unwrap();
    node(&api, "n", 1);
    let scheduler = alone(&api).await;
    let (first, second) = (pod(&api, "p", 60), pod(&api, "q", 60));
    api.fail("create", "pods/binding", 1, Fault::Refused(403));
    assert!(scheduler.bind(&first, "n").await.contains("the API server refused the binding to n"));
    assert_eq!(scheduler.bind(&second, "n").await, "");
    // Bound by somebody else meanwhile: a conflict, and theirs is what counts.
    let third = pod(&api, "r", 30);
    api.modify(&Key::pod("default", "r"), |pod| pod["spec"]["nodeName"] = json!("m")).unwrap();
    let refused = scheduler.bind(&third, "n").await;
    assert!(refused.contains("already"), "{refused}");
    // Gone, and another one has its name.
    let gone = pod(&api, "s", 30);
    api.delete(&Key::pod("default", "s")).unwrap();
    pod(&api, "s", 30);
    assert_ne!(scheduler.bind(&gone, "n").await, "");
    assert_eq!(bound(&api, "s").0, "");
    scheduler.until_used(60).await;
}

#[tokio::test]
async fn a_binding_whose_answer_was_lost_is_looked_up() {
    let api = ApiServer::start().unwrap();
    node(&api, "n", 1);
    let scheduler = alone(&api).await;
    for (name, fault) in [("p", Fault::DoneCut), ("q", Fault::DoneBut(504))] {
        let pod = pod(&api, name, 30);
        api.fail("create", "pods/binding", 1, fault);
        assert_eq!(scheduler.bind(&pod, "n").await, "", "{fault:?}");
    }
    // One look each, and one more if the watch has not told of the pod yet.
    assert!((2..=4).contains(&api.calls_of("get", "pods")));
    scheduler.until_used(60).await;
}

#[tokio::test]
async fn while_an_outcome_is_not_known_the_cards_stay_promised_to_that_pod_on_that_node() {
    let api = ApiServer::start().unwrap();
    node(&api, "n", 1);
    node(&api, "m", 1);
    let scheduler = alone(&api).await;
    let (first, second) = (pod(&api, "p", 60), pod(&api, "q", 60));
    api.fail("create", "pods/binding", 1, Fault::Cut);
    assert!(scheduler.bind(&first, "n").await.contains("its outcome is not known"));
    assert_eq!(scheduler.filter(&second, &["n", "m"]).await["NodeNames"], json!(["m"]));
    let again = scheduler.filter(&first, &["n", "m"]).await;
    assert_eq!(again["NodeNames"], json!(["n"]));
    assert_eq!(again["FailedNodes"]["m"], json!("the outcome of an earlier binding to n is not known yet"));
    assert!(scheduler.bind(&first, "m").await.contains("earlier binding to n"));
    assert_eq!(scheduler.bind(&first, "n").await, "");
    assert_eq!(scheduler.bind(&first, "n").await, "", "twice is once");
    // The same with a pod that is deleted before anybody knows: its cards are free.
    api.fail("create", "pods/binding", 1, Fault::Cut);
    assert!(scheduler.bind(&second, "m").await.contains("its outcome is not known"));
    api.delete(&Key::pod("default", "q")).unwrap();
    scheduler.until_used(60).await;
}

#[tokio::test]
async fn what_is_malformed_or_forged_never_gets_a_card() {
    let api = ApiServer::start().unwrap();
    node(&api, "n", 1);
    let scheduler = alone(&api).await;
    for path in ["/filter", "/prioritize", "/bind", "/validate", "/mutate"] {
        for body in ["", "{", "[]", "{\"Pod\": 5}", "null", "{\"request\": {\"uid\": 5}}"] {
            let (code, _) = call_at(scheduler.running.address, "POST", path, "application/json", body).await;
            assert_eq!(code, 400, "{path} {body}");
        }
    }
    let forged = pod(&api, "p", 60);
    let forge = |pod: &mut Value| pod["metadata"]["annotations"] = json!({DECISION: "{\"version\":1}"});
    let forged = api.modify(&Key::pod("default", "p"), forge).map(|_| forged).unwrap();
    assert_eq!(scheduler.bind(&forged, "n").await, "");
    assert!(bound(&api, "p").1.contains("GPU-n-0"), "ours has replaced it");
    let too_much = pod(&api, "q", 101);
    let answer = scheduler.filter(&too_much, &["n"]).await;
    assert!(
        answer["FailedAndUnresolvableNodes"]["n"].as_str().unwrap().contains("101 is not allowed"),
        "{answer}"
    );
    assert_ne!(scheduler.bind(&too_much, "n").await, "");
    assert_eq!(bound(&api, "q").0, "");
}

#[tokio::test]
async fn many_at_once_overcommit_nothing() {
    let api = ApiServer::start().unwrap();
    node(&api, "n", 4);
    let scheduler = alone(&api).await;
    let pods: Vec<_> = (0..40).map(|at| pod(&api, &format!("p{at}"), 20)).collect();
    let bound = futures::future::join_all(pods.iter().map(|pod| scheduler.bind(pod, "n"))).await;
    assert_eq!(bound.iter().filter(|error| error.is_empty()).count(), 20, "{bound:?}");
    let mut cards: Vec<String> = api
        .list("pods")
        .iter()
        .filter_map(|pod| {
            let decision: Value =
                serde_json::from_str(pod["metadata"]["annotations"][DECISION].as_str()?).unwrap();
            Some(decision["held"][0]["card"].to_string())
        })
        .collect();
    cards.sort();
    assert!(cards.chunk_by(|a, b| a == b).all(|same| same.len() == 5) && cards.len() == 20, "{cards:?}");
}

#[tokio::test]
async fn of_two_replicas_one_binds_and_the_other_takes_over_with_all_that_was_bound() {
    let api = ApiServer::start().unwrap();
    node(&api, "n", 1);
    let first = start(&api, "a", &["--plain-http", "--lease-retry", "1"]).await;
    until(|| first.ready.is_ready()).await;
    let second = start(&api, "b", &["--plain-http", "--lease-retry", "1"]).await;
    let (p, q) = (pod(&api, "p", 60), pod(&api, "q", 60));
    assert_eq!(first.bind(&p, "n").await, "");
    let refused = second.bind(&q, "n").await;
    assert!(refused.starts_with("503") && !second.ready.is_ready(), "{refused}");
    first.token.cancel();
    first.running.ended().await;
    until(|| second.ready.is_ready()).await;
    assert!(second.bind(&q, "n").await.contains("40 percent, 900 MiB"));
    assert_eq!(second.bind(&pod(&api, "r", 40), "n").await, "");
    let lease = api.get(&Key::new("leases", "kube-system", "ideal-gpu-scheduler")).unwrap();
    assert_eq!(lease["spec"]["holderIdentity"], json!("b"), "{lease}");
}

#[tokio::test]
async fn an_api_server_that_goes_away_stops_the_binding_and_nothing_is_forgotten() {
    let api = ApiServer::start().unwrap();
    node(&api, "n", 1);
    let flags = [
        "--plain-http",
        "--lease-retry",
        "1",
        "--lease-renew-within",
        "2",
        "--lease-duration",
        "3",
        "--bind-timeout",
        "1",
    ];
    let scheduler = start(&api, "a", &flags).await;
    until(|| scheduler.ready.is_ready()).await;
    assert_eq!(scheduler.bind(&pod(&api, "p", 60), "n").await, "");
    let late = pod(&api, "q", 30);
    api.go_away();
    until(|| !scheduler.ready.is_ready()).await;
    assert!(scheduler.bind(&late, "n").await.starts_with("503"));
    api.delete(&Key::pod("default", "p")).unwrap();
    api.compact();
    api.come_back();
    until(|| scheduler.ready.is_ready()).await;
    assert_eq!(scheduler.bind(&late, "n").await, "");
    scheduler.until_used(30).await;
}

#[tokio::test]
async fn certificates_are_made_shared_and_told_to_the_webhooks() {
    let api = ApiServer::start().unwrap();
    for kind in ["mutatingwebhookconfigurations", "validatingwebhookconfigurations"] {
        let hook = json!({"name": "gpu.ideal.com", "clientConfig": {"service": {"name": "s", "namespace": "kube-system"}}, "sideEffects": "None", "admissionReviewVersions": ["v1"]});
        api.create(kind, json!({"metadata": {"name": "ideal-gpu-scheduler"}, "webhooks": [hook]})).unwrap();
    }
    let first = start(&api, "a", &["--no-leader-election"]).await;
    let second = start(&api, "b", &[]).await;
    assert_eq!(api.calls_of("create", "secrets"), 1, "the second replica shares the first one's");
    let secret = api.get(&Key::new("secrets", "kube-system", "ideal-gpu-scheduler-tls")).unwrap();
    let hooks = api.get(&Key::new("validatingwebhookconfigurations", "", "ideal-gpu-scheduler")).unwrap();
    assert_eq!(hooks["webhooks"][0]["clientConfig"]["caBundle"], secret["data"]["ca.crt"]);
    assert_eq!(
        hooks["webhooks"][0]["clientConfig"]["service"]["name"],
        json!("s"),
        "nothing else is touched"
    );
    assert_eq!(api.calls_of("patch", "validatingwebhookconfigurations"), 1);
    for (replica, name) in [(&first, "ideal-gpu-scheduler.kube-system.svc"), (&second, "127.0.0.1")] {
        let (code, _) = post_tls(replica, &secret, name, "/validate").await;
        assert_eq!(code, 400);
    }
}

#[tokio::test]
async fn without_the_schedulers_certificate_only_the_webhook_is_served() {
    let api = ApiServer::start().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.crt");
    std::fs::write(&file, admission::certs::Made::new("a", &[]).unwrap().ca).unwrap();
    let flags = ["--no-leader-election", "--extender-client-ca-file", file.to_str().unwrap()];
    let scheduler = start(&api, "a", &flags).await;
    let secret = api.get(&Key::new("secrets", "kube-system", "ideal-gpu-scheduler-tls")).unwrap();
    for (path, code) in
        [("/filter", 404), ("/prioritize", 404), ("/bind", 404), ("/validate", 400), ("/mutate", 400)]
    {
        assert_eq!(post_tls(&scheduler, &secret, "localhost", path).await.0, code, "{path}");
    }
}

/// An empty request over TLS, trusting the Secret's authority only.
async fn post_tls(replica: &Scheduler, secret: &Value, name: &'static str, path: &str) -> (u16, String) {
    use base64::Engine as _;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, pem::PemObject as _};
    use tokio_rustls::rustls::{ClientConfig, RootCertStore};

    let ca = secret["data"]["ca.crt"].as_str().unwrap();
    let ca = base64::engine::general_purpose::STANDARD.decode(ca).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(&ca).unwrap()).unwrap();
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let stream = tokio::net::TcpStream::connect(replica.running.address).await.unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let mut stream = connector.connect(ServerName::try_from(name).unwrap(), stream).await.unwrap();
    let request =
        format!("POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).await.unwrap();
    (reply[9..12].parse().unwrap(), reply)
}
