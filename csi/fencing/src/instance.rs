//! Which machine of the cloud a Node says that it is.

use std::str::FromStr;

use eck_csi::field::BadField;
use k8s_openapi::api::core::v1::Node as CoreNode;

/// Where the platform writes the machine's id into the Node.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum InstanceSource {
    /// `spec.providerID`, which cloud controller managers write: `<provider>://[…/]<id>`.
    #[default]
    ProviderId,
    /// An annotation with this key.
    Annotation(String),
    /// A label with this key.
    Label(String),
}

impl InstanceSource {
    /// The id: what stands behind the last `/`. `None` where nothing is told, or nothing that can be an id.
    pub(crate) fn read(&self, node: &CoreNode) -> Option<String> {
        let text = match self {
            Self::ProviderId => node.spec.as_ref()?.provider_id.as_ref(),
            Self::Annotation(key) => node.metadata.annotations.as_ref()?.get(key),
            Self::Label(key) => node.metadata.labels.as_ref()?.get(key),
        }?;
        let id = text.rsplit('/').next().unwrap_or_default();
        let plain = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_graphic());
        plain.then(|| id.to_owned())
    }
}

impl FromStr for InstanceSource {
    type Err = BadField;

    fn from_str(text: &str) -> Result<Self, BadField> {
        match text.split_once(':') {
            None if text == "providerID" => Ok(Self::ProviderId),
            Some(("annotation", key)) if !key.is_empty() => Ok(Self::Annotation(key.to_owned())),
            Some(("label", key)) if !key.is_empty() => Ok(Self::Label(key.to_owned())),
            _ => Err(BadField::new("instance-id-from", text, "providerID, annotation:KEY or label:KEY")),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_id_is_what_stands_at_the_end_of_where_it_is_said_to_be() {
        let node: CoreNode = serde_json::from_value(json!({
            "metadata": {"annotations": {"ccm/id": "evm-2"}, "labels": {"id": "evm-3", "none": ""}},
            "spec": {"providerID": "ecx://fj-xiamen-4/evm-1"},
        }))
        .unwrap();
        let read = |source: &str| source.parse::<InstanceSource>().unwrap().read(&node);
        assert_eq!(read("providerID").as_deref(), Some("evm-1"));
        assert_eq!(read("annotation:ccm/id").as_deref(), Some("evm-2"));
        assert_eq!(read("label:id").as_deref(), Some("evm-3"));
        assert_eq!((read("label:none"), read("annotation:other")), (None, None));
        assert_eq!(InstanceSource::ProviderId.read(&CoreNode::default()), None);
    }

    #[test]
    fn a_source_that_does_not_exist_is_refused() {
        for bad in ["", "providerId", "annotation:", "metadata:x"] {
            assert!(bad.parse::<InstanceSource>().is_err(), "{bad}");
        }
    }
}
