//! Traces, as a collector gets them by OTLP: of a volume that is made, by two callers at once, and attached.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use eck_csi::cluster::ClusterIdentity;
use eck_csi::volume::Region;
use eck_csi_controller::driver::Driver;
use eck_csi_controller::service::Controller;
use ecx::{Client, Profile};
use ecx_sim::{Config, Local};
use futures::future::join;
use opentelemetry_proto::tonic::collector::trace::v1 as collector;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, Span, span::SpanKind, status::StatusCode};
use parking_lot::Mutex;
use proto::csi::v1 as pb;
use proto::csi::v1::controller_client::ControllerClient;
use proto::csi::v1::controller_server::ControllerServer;
use serve::layer::RpcLayer;
use serve::metrics::Metrics;
use serve::telemetry::{self, LogArgs, LogFormat, TraceArgs};
use tokio::runtime::Builder;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};
use tower::Layer as _;

const REGION: &str = "zj-shaoxing-2";
const NODE: &str = "zj-shaoxing-2.10.0.0.3";
const NAME: &str = "pvc-0f3f1d9e";
const SECRET: &str = "correct-horse-battery-staple";
const CALLER: [u8; 8] = [0, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7];
const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<ResourceSpans>>>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<collector::ExportTraceServiceRequest>,
    ) -> Result<Response<collector::ExportTraceServiceResponse>, Status> {
        self.0.lock().extend(request.into_inner().resource_spans);
        Ok(Response::new(Default::default()))
    }
}

impl Collector {
    /// Serves in real time, for that of the test is paused.
    fn serve(&self) -> SocketAddr {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let (address, service) = (listener.local_addr().unwrap(), TraceServiceServer::new(self.clone()));
        std::thread::spawn(move || {
            Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
                let incoming = TcpIncoming::from(tokio::net::TcpListener::from_std(listener).unwrap());
                Server::builder().add_service(service).serve_with_incoming(incoming).await.unwrap();
            });
        });
        address
    }

    fn spans(&self) -> Spans {
        let got = self.0.lock().clone();
        Spans(got.into_iter().flat_map(|got| got.scope_spans).flat_map(|scope| scope.spans).collect())
    }
}

struct Spans(Vec<Span>);

impl Spans {
    fn named(&self, name: &str) -> Vec<&Span> {
        self.0.iter().filter(|span| span.name == name).collect()
    }

    /// The names from the trace's first span down to this one.
    fn way_to(&self, span: &Span) -> Vec<&str> {
        let parent = |span: &Span| {
            self.0.iter().find(|one| one.trace_id == span.trace_id && one.span_id == span.parent_span_id)
        };
        let mut way: Vec<&Span> = std::iter::successors(parent(span), |span| parent(span)).collect();
        way.reverse();
        way.into_iter().map(|span| span.name.as_str()).collect()
    }

    /// The ways to the requests of the operation.
    fn ways_to(&self, op: &str) -> BTreeSet<String> {
        self.named(op).into_iter().map(|span| self.way_to(span).join(" > ")).collect()
    }
}

fn told(span: &Span, name: &str) -> Option<String> {
    let value = span.attributes.iter().find(|attribute| attribute.key == name)?.value.clone()?.value?;
    match value {
        Value::StringValue(text) => Some(text),
        Value::IntValue(number) => Some(number.to_string()),
        other => panic!("{name}: {other:?}"),
    }
}

fn capability() -> pb::VolumeCapability {
    use pb::volume_capability::{AccessMode, AccessType, MountVolume, access_mode::Mode};
    pb::VolumeCapability {
        access_mode: Some(AccessMode { mode: Mode::SingleNodeWriter.into() }),
        access_type: Some(AccessType::Mount(MountVolume::default())),
    }
}

fn create() -> pb::CreateVolumeRequest {
    pb::CreateVolumeRequest {
        name: NAME.into(),
        capacity_range: Some(pb::CapacityRange { required_bytes: 20 << 30, limit_bytes: 0 }),
        volume_capabilities: vec![capability()],
        secrets: [("passphrase".to_owned(), SECRET.to_owned())].into(),
        ..Default::default()
    }
}

fn publish(volume_id: &str) -> pb::ControllerPublishVolumeRequest {
    pb::ControllerPublishVolumeRequest {
        volume_id: volume_id.into(),
        node_id: NODE.into(),
        volume_capability: Some(capability()),
        secrets: [("passphrase".to_owned(), SECRET.to_owned())].into(),
        ..Default::default()
    }
}

/// Makes a volume, asked twice at once, and attaches it; and attaches one that is not there. The volume's id, and how many requests of each
/// operation the cloud has got.
async fn sidecars(config: Config) -> (String, BTreeMap<String, usize>) {
    let cloud = Local::new(config).unwrap();
    cloud.begin();
    let profile = Profile { base_url: "http://ecx-sim".into(), ..Profile::default() };
    let transport = cloud.transport(1, Duration::from_secs(10));
    let client = Arc::new(Client::over(transport, profile, cloud.credentials()));
    let regions = vec![Region::parse("region", REGION).unwrap()];
    let driver = Arc::new(Driver::new(client, ClusterIdentity::of("c1"), regions));
    let routes = Routes::new(ControllerServer::new(Controller::new(driver))).prepare();
    let mut provisioner = ControllerClient::new(RpcLayer::new(Metrics::default()).layer(routes));
    let (mut retry, mut attacher) = (provisioner.clone(), provisioner.clone());

    let mut again = Request::new(create());
    again.metadata_mut().insert("traceparent", TRACEPARENT.parse().unwrap());
    let (first, second) = join(provisioner.create_volume(create()), retry.create_volume(again)).await;
    let id = first.unwrap().into_inner().volume.unwrap().volume_id;
    assert_eq!(second.unwrap().into_inner().volume.unwrap().volume_id, id);
    attacher.controller_publish_volume(publish(&id)).await.unwrap();
    attacher.controller_publish_volume(publish("cd-nowhere")).await.unwrap_err();

    let mut sent = BTreeMap::new();
    for entry in cloud.log_from(0) {
        *sent.entry(format!("{:?}", entry.op)).or_default() += 1;
    }
    (id, sent)
}

#[test]
fn a_collector_gets_what_a_volume_cost_from_create_to_publish() {
    let collector = Collector::default();
    let (endpoint, config) = (format!("http://{}", collector.serve()), Config::default());
    let keys: Vec<String> = config.keys.iter().flat_map(|(ak, sk)| [ak.clone(), sk.clone()]).collect();
    assert!(!keys.is_empty());
    let log = LogArgs { log_level: "error".into(), log_format: LogFormat::Text };
    let traces = TraceArgs { endpoint: Some(endpoint), service_name: None };
    let telemetry = telemetry::start(&log, &traces, "eck-csi-controller", "1.2.3");
    let runtime = Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let (id, sent) = runtime.block_on(sidecars(config));
    drop(runtime);
    drop(telemetry);
    let spans = collector.spans();

    rpcs(&spans, &id);
    cloud_calls(&spans, &sent);
    let everything = format!("{:?}", collector.0.lock());
    assert!(everything.contains("eck-csi-controller") && everything.contains("1.2.3"), "{everything}");
    for secret in keys.iter().map(String::as_str).chain([SECRET, "passphrase", "Signature", "Eop-"]) {
        assert!(!everything.contains(secret), "{secret}: {everything}");
    }
}

/// One trace an RPC; the work is the child of who started it, and who joined has a link to it. All tell the volume.
fn rpcs(spans: &Spans, id: &str) {
    let mut creates = spans.named("csi.v1.Controller/CreateVolume");
    creates.sort_by_key(|rpc| rpc.parent_span_id != CALLER);
    let [retry, first] = creates[..] else { panic!("{creates:?}") };
    let [work] = spans.named("CreateVolume")[..] else { panic!("the work is not one span") };
    assert_eq!((&work.trace_id, &work.parent_span_id), (&first.trace_id, &first.span_id));
    assert_eq!((first.parent_span_id.len(), first.links.len(), retry.links.len()), (0, 0, 1));
    let link = &retry.links[0];
    assert_eq!((&link.trace_id, &link.span_id), (&work.trace_id, &work.span_id));
    assert_eq!(retry.trace_id[..4], [0x4b, 0xf9, 0x2f, 0x35]);

    let mut attaches = spans.named("csi.v1.Controller/ControllerPublishVolume");
    attaches.sort_by_key(|rpc| told(rpc, "rpc.response.status_code"));
    let [missing, attach] = attaches[..] else { panic!("{attaches:?}") };
    for rpc in [first, retry, attach] {
        assert_eq!(rpc.kind(), SpanKind::Server);
        assert_eq!(told(rpc, "rpc.response.status_code").as_deref(), Some("Ok"));
        assert_eq!(told(rpc, "csi.volume_id").as_deref(), Some(id));
    }
    assert_eq!(told(work, "csi.volume_name").as_deref(), Some(NAME));
    assert_eq!(told(missing, "rpc.response.status_code").as_deref(), Some("NotFound"));
    let status = missing.status.as_ref().unwrap();
    assert!(status.code() == StatusCode::Error && status.message.contains("cd-nowhere"), "{status:?}");

    // What somebody finds who asks for the volume.
    let about = spans.0.iter().filter(|span| told(span, "csi.volume_id").as_deref() == Some(id));
    let traces: BTreeSet<_> = about.map(|span| &span.trace_id).collect();
    assert_eq!(traces, BTreeSet::from([&first.trace_id, &retry.trace_id, &attach.trace_id]));
}

/// Each request to the cloud is one span below the operation that needs it.
fn cloud_calls(spans: &Spans, sent: &BTreeMap<String, usize>) {
    let calls: Vec<&Span> = spans.0.iter().filter(|span| told(span, "ecx.op").is_some()).collect();
    let mut counted = BTreeMap::new();
    for call in &calls {
        *counted.entry(call.name.clone()).or_default() += 1;
    }
    assert_eq!(&counted, sent);
    for call in calls {
        assert_eq!(call.kind(), SpanKind::Client);
        let way = spans.way_to(call);
        assert!(
            way.first().is_some_and(|root| root.starts_with("csi.v1.Controller/")),
            "{way:?} > {}",
            call.name
        );
        if told(call, "ecx.code").as_deref() == Some("ok") {
            assert_eq!(told(call, "http.response.status_code").as_deref(), Some("200"), "{call:?}");
        }
        // Orders have none.
        let region = told(call, "ecx.region");
        assert!(region.as_deref() == Some(REGION) || call.name == "GetOrder", "{call:?}");
        for name in
            ["ecx.code", "http.response.status_code", "ecx.request_id", "ecx.attempt", "ecx.waited_ms"]
        {
            assert!(told(call, name).is_some(), "{name}: {call:?}");
        }
    }
    let one = |way: &str| BTreeSet::from([way.to_owned()]);
    assert_eq!(spans.ways_to("CreateDisk"), one("csi.v1.Controller/CreateVolume > CreateVolume"));
    assert_eq!(
        spans.ways_to("AttachDisk"),
        one("csi.v1.Controller/ControllerPublishVolume > ControllerPublishVolume")
    );
    assert!(spans.ways_to("FindDiskByName").contains("csi.v1.Controller/CreateVolume > CreateVolume > read"));
}
