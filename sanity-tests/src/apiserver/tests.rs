use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::*;

async fn call(server: &ApiServer, method: &str, path: &str, kind: &str, body: &Value) -> (u16, Value) {
    call_at(server.address, method, path, kind, &body.to_string()).await
}

pub(super) async fn call_at(
    address: SocketAddr,
    method: &str,
    path: &str,
    kind: &str,
    body: &str,
) -> (u16, Value) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\ncontent-type: {kind}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).await.unwrap();
    let code = reply[9..12].parse().unwrap();
    let body = reply.split_once("\r\n\r\n").unwrap().1;
    (code, serde_json::from_str(body).unwrap_or_else(|_| json!(body)))
}

const JSON: &str = "application/json";
const POD: &str = "/api/v1/namespaces/default/pods/p";

fn server_with_pod() -> ApiServer {
    let server = ApiServer::start().unwrap();
    server.create("pods", json!({"metadata": {"name": "p", "annotations": {"a": "1"}}, "spec": {}})).unwrap();
    server
}

#[tokio::test]
async fn a_binding_writes_node_and_annotations_at_once_and_only_once() {
    let server = server_with_pod();
    let uid = server.get(&Key::pod("default", "p")).unwrap()["metadata"]["uid"].clone();
    let binding = |node: &str, uid: &Value| json!({"metadata": {"name": "p", "uid": uid, "annotations": {"b": "2"}}, "target": {"name": node}});
    let path = format!("{POD}/binding");
    assert_eq!(call(&server, "POST", &path, JSON, &binding("n", &json!("another"))).await.0, 409);
    assert_eq!(call(&server, "POST", &path, JSON, &binding("n", &uid)).await.0, 201);
    let (code, status) = call(&server, "POST", &path, JSON, &binding("m", &uid)).await;
    assert_eq!((code, &status["reason"]), (409, &json!("Conflict")), "{status}");
    let pod = server.get(&Key::pod("default", "p")).unwrap();
    assert_eq!(
        (&pod["spec"]["nodeName"], &pod["metadata"]["annotations"]),
        (&json!("n"), &json!({"a": "1", "b": "2"}))
    );
    assert_eq!(
        call(&server, "POST", "/api/v1/namespaces/default/pods/q/binding", JSON, &binding("n", &uid)).await.0,
        404
    );
    assert_eq!(server.calls_of("create", "pods/binding"), 4);
}

#[tokio::test]
async fn a_watch_tells_every_change_that_its_selector_sees_and_gone_after_compaction() {
    let server = server_with_pod();
    let version = server.list("pods")[0]["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    server.modify(&Key::pod("default", "p"), |pod| pod["spec"]["nodeName"] = json!("n")).unwrap();
    server.delete(&Key::pod("default", "p")).unwrap();
    let path = format!(
        "/api/v1/pods?watch=true&timeoutSeconds=0&fieldSelector=spec.nodeName%3Dn&resourceVersion={version}"
    );
    let (_, lines) = call(&server, "GET", &path, JSON, &json!({})).await;
    let lines = lines.as_str().unwrap().to_owned();
    let at = |kind: &str| lines.find(&format!("{{\"type\":\"{kind}\"")).unwrap();
    assert!(at("ADDED") < at("DELETED"), "{lines}");
    server.compact();
    let (_, gone) = call(&server, "GET", &path, JSON, &json!({})).await;
    assert!(gone.to_string().contains("410"), "{gone}");
}

#[tokio::test]
async fn stale_writes_conflict_and_status_goes_its_own_way() {
    let server = ApiServer::start().unwrap();
    let path = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases";
    let lease = json!({"metadata": {"name": "l"}, "spec": {"holderIdentity": "a"}});
    let (code, mut made) = call(&server, "POST", path, JSON, &lease).await;
    assert_eq!(code, 201, "{made}");
    assert_eq!(call(&server, "POST", path, JSON, &lease).await.0, 409);
    made["spec"]["holderIdentity"] = json!("b");
    let one = format!("{path}/l");
    assert_eq!(call(&server, "PUT", &one, JSON, &made).await.0, 200);
    assert_eq!(call(&server, "PUT", &one, JSON, &made).await.0, 409, "its version is old now");
    server.create("nodes", json!({"metadata": {"name": "n"}, "status": {"capacity": {"cpu": "1"}}})).unwrap();
    let patch = json!({"status": {"capacity": {"ideal.com/gpu": "5"}}});
    let merge = "application/merge-patch+json";
    call(&server, "PATCH", "/api/v1/nodes/n", merge, &patch).await;
    assert_eq!(server.get(&Key::node("n")).unwrap()["status"]["capacity"], json!({"cpu": "1"}));
    call(&server, "PATCH", "/api/v1/nodes/n/status", merge, &patch).await;
    assert_eq!(
        server.get(&Key::node("n")).unwrap()["status"]["capacity"],
        json!({"cpu": "1", "ideal.com/gpu": "5"})
    );
}

#[tokio::test]
async fn faults_are_used_up_and_say_whether_the_work_was_done() {
    let server = server_with_pod();
    server.fail("delete", "pods", 1, Fault::Refused(503));
    server.fail("delete", "pods", 1, Fault::DoneBut(504));
    assert_eq!(call(&server, "DELETE", POD, JSON, &json!({})).await.0, 503);
    assert!(server.get(&Key::pod("default", "p")).is_some());
    assert_eq!(call(&server, "DELETE", POD, JSON, &json!({})).await.0, 504);
    assert!(server.get(&Key::pod("default", "p")).is_none());
    assert_eq!(call(&server, "DELETE", POD, JSON, &json!({})).await.0, 404);
}

#[tokio::test]
async fn an_object_with_a_finalizer_goes_when_the_last_one_is_taken() {
    let server = ApiServer::start().unwrap();
    let object = json!({"metadata": {"name": "a", "finalizers": ["x/y"]}, "spec": {}});
    server.create("volumeattachments", object).unwrap();
    let path = "/apis/storage.k8s.io/v1/volumeattachments/a";
    assert_eq!(call(&server, "DELETE", path, JSON, &json!({})).await.0, 200);
    let (code, object) = call(&server, "GET", path, JSON, &json!({})).await;
    assert!(code == 200 && object["metadata"]["deletionTimestamp"].is_string(), "{object}");
    let patch = json!({"metadata": {"finalizers": [], "resourceVersion": "1"}});
    assert_eq!(call(&server, "PATCH", path, "application/merge-patch+json", &patch).await.0, 409);
    let patch = json!({"metadata": {"finalizers": []}});
    assert_eq!(call(&server, "PATCH", path, "application/merge-patch+json", &patch).await.0, 200);
    assert_eq!(call(&server, "GET", path, JSON, &json!({})).await.0, 404);
    server.say("/version", "{}");
    assert_eq!(call(&server, "GET", "/version", JSON, &json!({})).await, (200, json!({})));
}
