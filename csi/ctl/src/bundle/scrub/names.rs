//! Names of fields, variables, flags and headers whose values are secrets.

use serde_json::Value;

/// What stands in a secret's place.
pub(super) const STRUCK: &str = "[struck out]";

/// Parts of such names.
const PARTS: [&str; 18] = [
    "secret",
    "token",
    "passw",
    "passphrase",
    "pwd",
    "credential",
    "authorization",
    "private",
    "apikey",
    "api_key",
    "access_key",
    "accesskey",
    "client_key",
    "clientkey",
    "key_data",
    "cookie",
    "signature",
    "kubeconfig",
];

/// Last words of such names.
const LAST: [&str; 4] = ["ak", "sk", "auth", "auths"];

/// Names that contain one of [`PARTS`], and hold the name of a thing, or its kind, and not the thing.
const HARMLESS: [&str; 9] = [
    "secretkeyref",
    "imagepullsecrets",
    "automountserviceaccounttoken",
    "serviceaccounttoken",
    "tokenrequests",
    "credentials_dir",
    "ecx_credentials_dir",
    "expirationseconds",
    "stringsecrets",
];

/// Ends of such names: a class names the Secret of its passphrases, and its namespace.
const HARMLESS_ENDS: [&str; 6] =
    ["secretref", "secretname", "secret_name", "secretnamespace", "secret_namespace", "secret_key_ref"];

/// Fields that hold a structure about a Secret, which names it.
const ABOUT: [&str; 2] = ["secret", "secrets"];

/// Variables of which the value is kept: those of our own programs and sidecars that hold no secret.
const KEPT: [&str; 19] = [
    "NAMESPACE",
    "POD_NAME",
    "NODE_NAME",
    "LOG_LEVEL",
    "LOG_FORMAT",
    "CSI_ENDPOINT",
    "ADMIN_ADDRESS",
    "ECK_CLUSTER_ID",
    "ECK_CLUSTER_UID",
    "ECK_FORMER_CLUSTER_IDS",
    "ECK_FORMER_CLUSTER_UIDS",
    "ECX_REGION",
    "ECX_REGIONS",
    "ECX_INSTANCE_ID",
    "KUBELET_REGISTRATION_PATH",
    "KUBELET_REGISTRATION_DIR",
    "DEVICE_TIMEOUT_SECONDS",
    "RESERVED_DISKS",
    "GOMEMLIMIT",
];

/// Whether what has this name is a secret.
pub(super) fn names_a_secret(name: &str) -> bool {
    let name = plain(name);
    let harmless = HARMLESS.contains(&name.as_str()) || HARMLESS_ENDS.iter().any(|end| name.ends_with(end));
    let last = name.rsplit(['/', '.', '_']).next().unwrap_or_default();
    !harmless && (LAST.contains(&last) || PARTS.iter().any(|part| name.contains(part)))
}

/// Whether the name is one that sentences use as well, as in `eck-csi-credentials: not found`.
pub(super) fn is_also_a_word(name: &str) -> bool {
    let name = plain(name);
    name.contains("credential") && !PARTS.iter().any(|part| *part != "credential" && name.contains(part))
}

/// Whether a field of this name holds secrets, whatever is in it.
pub(super) fn holds_secrets(name: &str, value: &Value) -> bool {
    let about = value.is_object() || value.is_array();
    names_a_secret(name) && !(about && ABOUT.contains(&plain(name).as_str()))
}

/// Whether a variable's value may stay.
pub(super) fn env_is_kept(name: &str) -> bool {
    KEPT.contains(&name)
}

/// kubectl's form of a flag, a header's, an environment's of a variable and a label's are the same name.
fn plain(name: &str) -> String {
    name.to_ascii_lowercase().trim_start_matches('-').replace('-', "_")
}
