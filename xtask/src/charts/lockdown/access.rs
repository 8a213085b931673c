//! Rules of objects beside pods: budgets, networks, roles.

use serde_json::{Value, json};

use super::objects::{deployments, elements, names, pod};

/// Objects of this kind that select the workload's pods.
fn selecting<'a>(
    objects: &'a [Value],
    kind: &'a str,
    workload: &'a Value,
) -> impl Iterator<Item = &'a Value> {
    let labels = &workload["spec"]["template"]["metadata"]["labels"];
    objects.iter().filter(move |object| {
        let spec = &object["spec"];
        let selector = [&spec["selector"]["matchLabels"], &spec["podSelector"]["matchLabels"]];
        let selector = selector.into_iter().find_map(Value::as_object);
        object["kind"] == kind
            && selector
                .is_some_and(|wanted| wanted.iter().all(|(name, value)| labels[name.as_str()] == *value))
    })
}

pub(super) fn drained_at_once(objects: &[Value]) -> Vec<String> {
    let budgets = |workload: &Value| {
        let budgets = selecting(objects, "PodDisruptionBudget", workload);
        Value::Array(budgets.map(|budget| budget["spec"]["maxUnavailable"].clone()).collect())
    };
    names(deployments(objects).filter(|workload| budgets(workload) != json!([1])))
}

pub(super) fn open_to_others(objects: &[Value]) -> Vec<String> {
    let ports_of = |list: &Value, field: &str| -> Vec<Value> {
        elements(list).flat_map(|one| elements(&one["ports"])).map(|port| port[field].clone()).collect()
    };
    let is_closed = |workload: &Value| {
        let ports = ports_of(&pod(workload)["containers"], "containerPort");
        let policies: Vec<&Value> = selecting(objects, "NetworkPolicy", workload).collect();
        let [policy] = policies[..] else { return false };
        let spec = &policy["spec"];
        spec["policyTypes"] == json!(["Ingress"])
            && ports_of(&spec["ingress"], "port") == ports
            && spec["ingress"][0]["from"].is_null()
    };
    names(deployments(objects).filter(|workload| !is_closed(workload)))
}

pub(super) fn wide_roles(objects: &[Value]) -> Vec<String> {
    let is_wide = |rule: &Value| {
        let wildcard = ["verbs", "resources", "apiGroups"]
            .iter()
            .any(|field| elements(&rule[field]).any(|value| value == "*"));
        // Others' Secrets, and the Leases by which others lead.
        let by_name =
            elements(&rule["resources"]).any(|resource| resource == "secrets" || resource == "leases");
        wildcard || (by_name && rule["verbs"] != json!(["create"]) && rule["resourceNames"].is_null())
    };
    names(objects.iter().filter(|object| elements(&object["rules"]).any(is_wide)))
}
