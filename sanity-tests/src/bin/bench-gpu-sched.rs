//! `bench-gpu-sched`: pods per second through filter, prioritize and bind, and what filter costs as the cluster grows.
//!
//! The scheduler runs in this process as it is shipped: behind its one TLS port with a certificate of its own making, holding a
//! Lease, fed by its watches from the stub of the API server. The client is made as kube-scheduler is: one pod after the other
//! is filtered and scored over every node, and Bindings go on beside that. Each card has 24 GiB; pods are of one to four slices.

// The numbers are what this program is for.
#![allow(clippy::print_stdout)]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use clap::Parser;
use hyper::Request;
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use ideal_gpu_scheduler::args::Args;
use ideal_gpu_scheduler::run;
use sanity_tests::apiserver::{ApiServer, Key};
use sanity_tests::process::resident_mib;
use serde_json::{Value, json};
use serve::admin::Ready;
use serve::metrics::Metrics;
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};
use tokio_util::sync::CancellationToken;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Connections for Bindings: kube-scheduler binds as many pods at once as answers take.
const BINDERS: usize = 8;

/// Measures the scheduler
#[derive(Parser)]
struct Flags {
    /// Nodes, one row each
    #[arg(long, value_delimiter = ',', default_value = "10,100,1000,5000")]
    nodes: Vec<usize>,
    /// Cards per node
    #[arg(long, default_value_t = 8)]
    cards: usize,
    /// Pods per row; fewer where they would not fit
    #[arg(long, default_value_t = 1000)]
    pods: usize,
}

/// One row.
struct Row {
    nodes: usize,
    pods: usize,
    wall: Duration,
    filter: Vec<Duration>,
    prioritize: Vec<Duration>,
    bind: Vec<Duration>,
    again: usize,
    calls: BTreeMap<(String, String), u64>,
}

/// A connection to the scheduler.
struct Connection(SendRequest<Body>);

impl Connection {
    async fn open(address: SocketAddr, connector: &TlsConnector) -> Result<Self, Failure> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let stream = connector.connect(ServerName::try_from("localhost")?, stream).await?;
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self(sender))
    }

    async fn post(&mut self, path: &str, body: &[u8]) -> Result<Value, Failure> {
        let request =
            Request::post(path).header("host", "localhost").header("content-type", "application/json");
        self.0.ready().await?;
        let response = self.0.send_request(request.body(Body::from(body.to_vec()))?).await?;
        let status = response.status();
        let body = axum::body::to_bytes(Body::new(response.into_body()), usize::MAX).await?;
        if !status.is_success() {
            return Err(format!("{path}: {status}: {}", String::from_utf8_lossy(&body)).into());
        }
        Ok(serde_json::from_slice(&body)?)
    }
}

fn node(api: &ApiServer, at: usize, cards: usize) -> Result<(), Failure> {
    let card = |index: usize| {
        json!({"id": format!("GPU-{at:08}-0000-0000-0000-{index:012}"), "model": "NVIDIA A10",
               "memory_mib": 24_000, "index": index, "healthy": true})
    };
    let cards = json!({"cards": (0..cards).map(card).collect::<Vec<_>>()}).to_string();
    let metadata = json!({"name": name(at), "annotations": {"ideal.com/cards": cards}});
    api.create("nodes", json!({"metadata": metadata}))?;
    Ok(())
}

fn name(at: usize) -> String {
    format!("zj-shaoxing-2.10.{}.{}.{}", at / 65_536, at / 256 % 256, at % 256)
}

/// Two thirds of the pods take one slice, the others two or four, 10 to 40 percent and 1 to 8 GiB of each.
fn pod(api: &ApiServer, at: usize) -> Result<Arc<Value>, Failure> {
    let gpu = [1, 1, 2, 1, 1, 4][at % 6];
    let (core, memory) = ([10, 20, 40, 30][at % 4], [1024, 2048, 8192][at % 3]);
    let limits = json!({"ideal.com/gpu": gpu.to_string(), "ideal.com/vcuda-core": core.to_string(),
                        "ideal.com/vcuda-memory": memory.to_string(), "cpu": "1", "memory": "1Gi"});
    let spec = json!({"containers": [{"name": "main", "image": "registry/image:tag",
                                     "resources": {"limits": limits, "requests": limits}}]});
    let metadata = json!({"name": format!("pod-{at}"), "labels": {"app": "bench"}});
    Ok(api.create("pods", json!({"metadata": metadata, "spec": spec}))?)
}

/// The pod, its node, and how long the filter took.
type Bound = Result<(Arc<Value>, String, Duration), Failure>;

async fn measure(flags: &Flags, nodes: usize) -> Result<Row, Failure> {
    let api = ApiServer::start()?;
    (0..nodes).try_for_each(|at| node(&api, at, flags.cards))?;
    // An average pod takes less than two slots: this leaves room on the last card.
    let pods = flags.pods.min(nodes * flags.cards * 2);
    let args = Args::parse_from(["scheduler", "--address", "127.0.0.1:0", "--log-level", "warn"]);
    let client = kube::Client::try_from(kube::Config::new(api.url().parse()?))?;
    let (metrics, ready, token) = (Metrics::default(), Ready::not_yet("start"), CancellationToken::new());
    let running = run::start(&args, client, &metrics, ready.clone(), token.clone()).await?;
    let connector = connector(&api)?;
    let mut scheduling = Connection::open(running.address, &connector).await?;
    while !ready.is_ready() {
        tokio::task::yield_now().await;
    }
    let mut binders = Vec::new();
    for _ in 0..BINDERS {
        binders.push(Arc::new(Mutex::new(Connection::open(running.address, &connector).await?)));
    }
    let pods = (0..pods).map(|at| pod(&api, at)).collect::<Result<Vec<_>, _>>()?;
    let before = api.calls();
    let mut row = schedule(nodes, &pods, &mut scheduling, &binders).await?;
    row.calls = calls(&before, &api.calls());
    let unbound = |pod: &&Arc<Value>| pod["spec"]["nodeName"].is_null();
    let left = api.list("pods").iter().filter(unbound).count();
    token.cancel();
    running.ended().await;
    if left > 0 {
        return Err(format!("{left} pods are not bound").into());
    }
    Ok(row)
}

/// Every pod in turn, Bindings beside; a pod whose cards were gone by then is tried again, as kube-scheduler does.
async fn schedule(
    nodes: usize,
    pods: &[Arc<Value>],
    scheduling: &mut Connection,
    binders: &[Arc<Mutex<Connection>>],
) -> Result<Row, Failure> {
    let names: Vec<String> = (0..nodes).map(name).collect();
    let mut row = Row {
        nodes,
        pods: pods.len(),
        wall: Duration::ZERO,
        filter: Vec::new(),
        prioritize: Vec::new(),
        bind: Vec::new(),
        again: 0,
        calls: BTreeMap::new(),
    };
    let start = Instant::now();
    let mut queue: Vec<Arc<Value>> = pods.iter().rev().cloned().collect();
    let mut binding: JoinSet<Bound> = JoinSet::new();
    let mut turn = 0;
    loop {
        let full = binding.len() >= binders.len() || (queue.is_empty() && !binding.is_empty());
        let ended = if full { binding.join_next().await } else { binding.try_join_next() };
        if let Some(ended) = ended {
            let (pod, error, took) = ended??;
            row.bind.push(took);
            if !error.is_empty() {
                row.again += 1;
                queue.push(pod);
            }
            continue;
        }
        let Some(pod) = queue.pop() else { break };
        let node = choose(&pod, &names, scheduling, &mut row).await?;
        let connection = Arc::clone(&binders[turn % binders.len()]);
        turn += 1;
        binding.spawn(bind(connection, pod, node));
    }
    row.wall = start.elapsed();
    Ok(row)
}

async fn choose(
    pod: &Value,
    names: &[String],
    scheduling: &mut Connection,
    row: &mut Row,
) -> Result<String, Failure> {
    let body = serde_json::to_vec(&json!({"Pod": pod, "NodeNames": names}))?;
    let start = Instant::now();
    let mut answer = scheduling.post("/filter", &body).await?;
    row.filter.push(start.elapsed());
    let body = serde_json::to_vec(&json!({"Pod": pod, "NodeNames": answer["NodeNames"].take()}))?;
    let start = Instant::now();
    let scores = scheduling.post("/prioritize", &body).await?;
    row.prioritize.push(start.elapsed());
    let best = scores.as_array().and_then(|scores| scores.iter().max_by_key(|score| score["Score"].as_i64()));
    let best = best.and_then(|best| best["Host"].as_str());
    Ok(best.ok_or_else(|| format!("no node for {}: {answer}", pod["metadata"]["name"]))?.to_owned())
}

async fn bind(
    connection: Arc<Mutex<Connection>>,
    pod: Arc<Value>,
    node: String,
) -> Result<(Arc<Value>, String, Duration), Failure> {
    let metadata = &pod["metadata"];
    let body =
        serde_json::to_vec(&json!({"PodName": metadata["name"], "PodNamespace": metadata["namespace"],
                                          "PodUID": metadata["uid"], "Node": node}))?;
    let mut connection = connection.lock().await;
    let start = Instant::now();
    let answer = connection.post("/bind", &body).await?;
    let took = start.elapsed();
    Ok((Arc::clone(&pod), answer["Error"].as_str().unwrap_or("").to_owned(), took))
}

/// Trusts what the scheduler has made for itself.
fn connector(api: &ApiServer) -> Result<TlsConnector, Failure> {
    use base64::Engine as _;
    let key = Key::new("secrets", "kube-system", "ideal-gpu-scheduler-tls");
    let secret = api.get(&key).ok_or("the scheduler has made no certificate")?;
    let ca = secret["data"]["ca.crt"].as_str().unwrap_or("");
    let mut roots = RootCertStore::empty();
    let ca = base64::engine::general_purpose::STANDARD.decode(ca)?;
    roots.add(CertificateDer::from_pem_slice(&ca)?)?;
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

type Calls = BTreeMap<(String, String), u64>;

fn calls(before: &Calls, after: &Calls) -> Calls {
    let since = |(call, count): (&(String, String), &u64)| {
        (call.clone(), count - before.get(call).copied().unwrap_or(0))
    };
    after.iter().map(since).filter(|(_, count)| *count > 0).collect()
}

fn quantile(times: &[Duration], part: f64) -> f64 {
    let mut times: Vec<f64> = times.iter().map(|time| time.as_secs_f64() * 1e3).collect();
    times.sort_by(f64::total_cmp);
    // A place in a list: nothing is lost that matters.
    let at = (times.len() as f64 * part) as usize;
    times.get(at.min(times.len().saturating_sub(1))).copied().unwrap_or(0.0)
}

impl Row {
    fn print(&self) {
        let per_second = self.pods as f64 / self.wall.as_secs_f64();
        // The Lease is renewed whether pods come or not.
        let per_pod: u64 =
            self.calls.iter().filter(|(call, _)| call.1 != "leases").map(|(_, count)| count).sum();
        println!(
            "{:>6} {:>6} {:>8.0} {:>9.2} {:>9.2} {:>9.2} {:>9.2} {:>9.2} {:>9.2} {:>9.2} {:>6}",
            self.nodes,
            self.pods,
            per_second,
            quantile(&self.filter, 0.5),
            quantile(&self.filter, 0.99),
            quantile(&self.prioritize, 0.5),
            quantile(&self.prioritize, 0.99),
            quantile(&self.bind, 0.5),
            quantile(&self.bind, 0.99),
            per_pod as f64 / self.pods as f64,
            self.again,
        );
    }
}

fn main() -> Result<(), Failure> {
    let flags = Flags::parse();
    let _ = crypto::aws_lc_rs::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("{} cards a node; all over TLS; load of this machine before: {}", flags.cards, load.trim());
    println!(
        "times in ms; goals at 1,000 nodes: 200 pods/s, filter p99 < 10 ms; API calls per pod: HAMi >= 11"
    );
    println!(
        " nodes   pods   pods/s  filt p50  filt p99  prio p50  prio p99  bind p50  bind p99 calls/pod  again"
    );
    for nodes in &flags.nodes {
        runtime.block_on(measure(&flags, *nodes))?.print();
    }
    println!("resident at the end, stub and client included: {:.0} MiB", resident_mib(std::process::id())?);
    Ok(())
}
