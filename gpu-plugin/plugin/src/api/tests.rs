//! The watch against a server that answers by rote: one list of two pages, one watch, then "too old".

use std::sync::Mutex;

use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

fn object(name: &str, version: u32) -> Value {
    json!({ "metadata": { "name": name, "resourceVersion": version.to_string() } })
}

fn answer(path: &str, lists: &mut u32) -> String {
    if path.contains("watch=") {
        if path.contains("resourceVersion=12") {
            return json!({ "type": "ERROR", "object": { "kind": "Status", "code": 410, "message": "too old" } }).to_string();
        }
        let lines = [
            json!({ "type": "MODIFIED", "object": object("a", 11) }),
            json!({ "type": "DELETED", "object": object("b", 12) }),
        ];
        return lines.map(|line| format!("{line}\n")).concat();
    }
    *lists += u32::from(!path.contains("continue="));
    let (item, metadata) = match path.contains("continue=") {
        false if *lists > 1 => (object("c", 20), json!({ "resourceVersion": "20" })),
        false => (object("a", 1), json!({ "resourceVersion": "10", "continue": "more" })),
        true => (object("b", 2), json!({ "resourceVersion": "10" })),
    };
    json!({ "metadata": metadata, "items": [item] }).to_string()
}

async fn serve(listener: TcpListener) {
    let mut lists = 0;
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.windows(4).any(|end| end == b"\r\n\r\n") {
            stream.read_buf(&mut head).await.unwrap();
        }
        let head = String::from_utf8(head).unwrap();
        let body = answer(head.split_whitespace().nth(1).unwrap(), &mut lists);
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
        stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    }
}

#[tokio::test]
async fn everything_is_told_page_by_page_then_what_changes_and_anew_when_the_thread_is_lost() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(serve(listener));
    let client = Client::try_from(Config::new(url.parse().unwrap())).unwrap();
    let told = Mutex::new(Vec::new());
    let done = tokio_util::sync::CancellationToken::new();
    let name = |object: ConfigMap| object.metadata.name.unwrap();
    let tell = |event: Event<ConfigMap>| {
        let mut told = told.lock().unwrap();
        told.push(match event {
            Event::Init => return,
            Event::InitApply(object) | Event::Apply(object) => name(object),
            Event::Delete(object) => format!("-{}", name(object)),
            Event::InitDone => "all".to_owned(),
        });
        if told.len() == 7 {
            done.cancel();
        }
    };
    let follow = follow(Api::all(client), "spec.nodeName=n", tell);
    tokio::select! {
        () = follow => {}
        () = done.cancelled() => {}
    }
    assert_eq!(*told.lock().unwrap(), ["a", "b", "all", "a", "-b", "c", "all"]);
}
