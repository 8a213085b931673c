//! What must hold of the objects that a chart renders, whatever its values are.

mod access;
mod classes;
mod objects;
mod pods;

use serde_json::Value;

/// A rule, and what breaks it: each by its kind and name, a container by its pod's and its own name.
pub(super) struct Rule {
    pub(super) says: &'static str,
    pub(super) broken_by: fn(&[Value]) -> Vec<String>,
}

pub(super) const RULES: [Rule; 16] = [
    Rule { says: "there are a Deployment and a DaemonSet", broken_by: pods::of_other_kinds },
    Rule { says: "only a node half is privileged", broken_by: pods::privileged },
    Rule { says: "no container writes into its image", broken_by: pods::writes_into_image },
    Rule { says: "seccomp is RuntimeDefault, except where privileged", broken_by: pods::without_seccomp },
    Rule { says: "every capability is dropped, except where privileged", broken_by: pods::with_capabilities },
    Rule { says: "no pod shares the host's processes or network", broken_by: pods::shares_host },
    Rule { says: "only a node half mounts folders of its host", broken_by: pods::mounts_host },
    Rule { says: "CPU and memory are requested, memory is limited", broken_by: pods::without_resources },
    Rule { says: "no pod is evicted before its users", broken_by: pods::evicted },
    Rule { says: "a drain takes one replica at a time", broken_by: access::drained_at_once },
    Rule {
        says: "a NetworkPolicy lets in to the ports of the program, and to no others",
        broken_by: access::open_to_others,
    },
    Rule { says: "a node half tolerates everything", broken_by: pods::tolerates_little },
    Rule { says: "rather not on an edge node", broken_by: pods::on_edge_nodes },
    Rule { says: "a token is mounted only where the API server is asked", broken_by: pods::with_token },
    Rule { says: "no role has a wildcard, or all Secrets or Leases", broken_by: access::wide_roles },
    Rule {
        says: "a class of a region keeps its pods to the nodes of that region",
        broken_by: classes::open_to_other_regions,
    },
];

#[cfg(test)]
mod tests;
