//! Ten thousand secrets, of every kind, written in every way, in every place that a bundle is made from: none is in the archive, neither
//! as it is nor encoded, nor a piece of it.

mod plant;

use std::io::Read as _;

use super::*;
use plant::{Chance, Planted, plant};

/// A bundle of so many secrets is as large as a real one, and is looked through once for each.
const SECRETS: usize = 100;
const BUNDLES: u64 = 100;

/// The text of all files of the archive that is made of the content.
fn archived(content: &Content, keys: &[String]) -> String {
    let archive = write(Vec::new(), content, &Scrub::new(keys), 0).unwrap();
    let mut text = String::new();
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(archive.as_slice()));
    for entry in archive.entries().unwrap() {
        entry.unwrap().read_to_string(&mut text).unwrap();
    }
    text
}

/// What of the secret is in the text.
fn left<'a>(planted: &'a Planted, text: &str) -> Option<&'a str> {
    planted.traces.iter().map(String::as_str).find(|trace| text.contains(trace))
}

#[test]
fn of_ten_thousand_planted_secrets_none_is_in_the_archive() {
    let mut out = Vec::new();
    for seed in 0..BUNDLES {
        let mut chance = Chance(seed);
        let keys = [chance.key(), chance.key()];
        let mut content = Content::default();
        let planted: Vec<Planted> = (0..SECRETS).map(|_| plant(&mut chance, &keys, &mut content)).collect();
        let text = archived(&content, &keys);
        for planted in planted {
            if let Some(trace) = left(&planted, &text) {
                let line = text.lines().find(|line| line.contains(trace)).unwrap_or_default();
                out.push(format!("seed {seed}: {trace:?} of {:?} in {line:?}", planted.written));
            }
        }
    }
    let shown = out.iter().take(20).map(String::as_str).collect::<Vec<_>>();
    println!("{} planted, {} out", SECRETS as u64 * BUNDLES, out.len());
    assert!(out.is_empty(), "{} out:\n{}", out.len(), shown.join("\n"));
}

#[test]
fn text_of_any_form_is_taken() {
    let mut chance = Chance(0);
    for _ in 0..20_000 {
        let text = chance.odd_text();
        let clean = Scrub::new(&[]).text(&text);
        assert_eq!(clean.is_empty(), text.is_empty(), "{text:?}");
    }
}

#[test]
fn what_support_needs_is_in_the_archive() {
    let pod = json!({"metadata": {"name": "eck-csi-node-x7"}, "spec": {"containers": [{"args": ["--cluster-id=c1"],
        "env": [{"name": "NODE_NAME", "value": "fj-xiamen-4.172.16.0.6"}]}]}});
    let class = json!({"parameters": {"csi.storage.k8s.io/node-stage-secret-name": "passphrases"}});
    let mut content = Content::default();
    content.add_json("objects/pods.json", json!([pod, class]));
    let log = "2026-11-26T12:00:00Z {\"level\":\"warn\",\"disk\":\"cd-cfebko79upsq2iuo7lkg\",\"code\":\"BC_0008\"}\n\
        E1126 12:00:00.1 1 reflector.go:285] \"Failed\" err=\"*v1.VolumeAttributesClassList: unknown\"\n\
        Pulled registry.k8s.io/csi:v6@sha256:00ff in 3 s; secret \"keys\" not found\n";
    content.add("logs/a.log", log.to_owned());
    let text = archived(&content, &[]);
    let words = [
        "eck-csi-node-x7",
        "--cluster-id=c1",
        "fj-xiamen-4.172.16.0.6",
        "\"passphrases\"",
        "cd-cfebko79upsq2iuo7lkg",
        "BC_0008",
        "*v1.VolumeAttributesClassList: unknown",
        "registry.k8s.io/csi:v6@sha256:00ff",
        "secret \"keys\" not found",
    ];
    for word in words {
        assert!(text.contains(word), "{word} is not in:\n{text}");
    }
}
