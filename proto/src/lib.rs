//! What is spoken on our sockets: CSI 1.13 and the kubelet's plugin registration v1, device plugin v1beta1 and pod resources
//! v1, generated from our own `.proto` files.
//!
//! A message that holds a secret has no `Debug`:
//!
//! ```compile_fail
//! println!("{:?}", proto::csi::v1::CreateVolumeRequest::default());
//! ```

// The generated code is not ours to document or to lint; these are the only allowances of the workspace.
#![allow(missing_docs, unreachable_pub, clippy::all, clippy::too_many_lines)]

/// Container Storage Interface.
pub mod csi {
    /// Version 1 (1.13).
    pub mod v1 {
        tonic::include_proto!("csi.v1");
    }
}

/// A moment, as CSI tells it; read from and shown as RFC 3339.
pub use prost_types::Timestamp;

/// The kubelet's plugin registration API, v1.
pub mod pluginregistration {
    tonic::include_proto!("pluginregistration");
}

/// The kubelet's device plugin API.
pub mod deviceplugin {
    /// Version v1beta1, the only one.
    pub mod v1beta1 {
        tonic::include_proto!("v1beta1");
    }
}

/// The kubelet's pod resources API.
pub mod podresources {
    /// Version 1.
    pub mod v1 {
        tonic::include_proto!("v1");
    }
}

/// Our descriptors, serialized: a `FileDescriptorSet` with imports.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// Full names of the messages that hold a secret field, one a line.
pub const SECRET_MESSAGES: &str = include_str!(concat!(env!("OUT_DIR"), "/secret_messages.txt"));
