//! Our descriptions against the upstream Go modules' descriptors, number by number.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use prost_reflect::{
    DescriptorPool, EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor, ServiceDescriptor,
};

/// The upstream descriptors, printed by the small Go program that pins the modules' versions.
fn upstream() -> DescriptorPool {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../hack/csi-descriptor");
    let output = Command::new("go").args(["run", "."]).current_dir(folder).output();
    let output = output.expect("`go` is needed to read the upstream module: install Go");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut pool = DescriptorPool::global();
    pool.decode_file_descriptor_set(output.stdout.as_slice()).expect("a descriptor set");
    pool
}

fn ours() -> DescriptorPool {
    DescriptorPool::decode(proto::FILE_DESCRIPTOR_SET).expect("our descriptor set")
}

fn kind(field: &FieldDescriptor) -> String {
    let name = match field.kind() {
        Kind::Message(m) => m.full_name().to_owned(),
        Kind::Enum(e) => e.full_name().to_owned(),
        scalar => format!("{scalar:?}"),
    };
    let oneof = field.containing_oneof().map(|o| o.name().to_owned()).unwrap_or_default();
    let secret = field.options().extensions().any(|(e, _)| e.number() == 1059);
    format!("{:?} {name} {} oneof={oneof} secret={secret}", field.cardinality(), field.is_map())
}

fn message(out: &mut BTreeMap<String, String>, message: &MessageDescriptor) {
    for field in message.fields() {
        let key = format!("message {} = {}", message.full_name(), field.number());
        out.insert(key, format!("{} {}", field.name(), kind(&field)));
    }
    out.insert(format!("message {}", message.full_name()), format!("{} fields", message.fields().len()));
}

fn enumeration(out: &mut BTreeMap<String, String>, e: &EnumDescriptor) {
    for value in e.values() {
        out.insert(format!("enum {} = {}", e.full_name(), value.number()), value.name().to_owned());
    }
}

fn service(out: &mut BTreeMap<String, String>, service: &ServiceDescriptor) {
    for m in service.methods() {
        let text = format!(
            "{} {} -> {} {}",
            m.is_client_streaming(),
            m.input().full_name(),
            m.output().full_name(),
            m.is_server_streaming()
        );
        out.insert(format!("rpc {}", m.full_name()), text);
    }
}

/// Everything a wire format consists of, as sorted lines.
fn facts(pool: &DescriptorPool, package: &str) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    pool.all_messages().filter(|m| m.package_name() == package).for_each(|m| message(&mut out, &m));
    pool.all_enums().filter(|e| e.package_name() == package).for_each(|e| enumeration(&mut out, &e));
    pool.services().filter(|s| s.package_name() == package).for_each(|s| service(&mut out, &s));
    out
}

#[test]
fn every_number_is_the_upstream_modules() {
    let (upstream, ours) = (upstream(), ours());
    for package in ["csi.v1", "pluginregistration", "v1beta1", "v1"] {
        let (theirs, mine) = (facts(&upstream, package), facts(&ours, package));
        assert!(theirs.len() > 5, "{package}: the upstream descriptor is empty");
        let differ = |a: &BTreeMap<String, String>, b: &BTreeMap<String, String>| -> Vec<String> {
            a.iter().filter(|(k, v)| b.get(*k) != Some(*v)).map(|(k, v)| format!("{k}: {v}")).collect()
        };
        assert_eq!(differ(&theirs, &mine), Vec::<String>::new(), "{package}: upstream has, ours has not");
        assert_eq!(differ(&mine, &theirs), Vec::<String>::new(), "{package}: ours has, upstream has not");
        println!("{package}: {} facts compared", theirs.len());
    }
}

#[test]
fn the_secret_requests_have_no_debug() {
    let listed: Vec<&str> = proto::SECRET_MESSAGES.lines().collect();
    for request in ["CreateVolumeRequest", "NodeStageVolumeRequest", "ControllerPublishVolumeRequest"] {
        assert!(listed.contains(&format!("csi.v1.{request}").as_str()), "{request} is not in {listed:?}");
    }
    assert!(listed.len() >= 12, "{listed:?}");
}
