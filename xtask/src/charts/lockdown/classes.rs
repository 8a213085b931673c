//! Rules of StorageClasses.

use serde_json::{Value, json};

use super::objects::{elements, names};

/// The node label by which eck-csi-node tells its region.
const REGION: &str = "topology.csi.esx.eck.ctyun.cn/region";

/// The scheduler knows nothing of a class's parameters: it goes by allowedTopologies, and the disk is ordered where it puts the pod.
pub(super) fn open_to_other_regions(objects: &[Value]) -> Vec<String> {
    let keeps_to = |class: &Value, region: &Value| {
        elements(&class["allowedTopologies"]).any(|term| {
            elements(&term["matchLabelExpressions"])
                .any(|label| label["key"] == REGION && label["values"] == json!([region]))
        })
    };
    let is_open = |class: &&Value| match &class["parameters"]["region"] {
        Value::Null => !class["allowedTopologies"].is_null(),
        region => !keeps_to(class, region),
    };
    names(objects.iter().filter(|object| object["kind"] == "StorageClass").filter(is_open))
}
