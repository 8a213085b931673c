//! Strikes secrets out: the account's own keys wherever they are and however they are written, fields and words that name a secret, and
//! the forms that tokens and keys have. Rather too much than too little: a support case needs no value of any of them.
//!
//! What has a structure is scrubbed by it: a value ends where its field ends. In other text a secret ends at its closing quote, and
//! without one at the end of the line, for a passphrase may hold anything.

use serde_json::Value;

mod form;
mod known;
mod line;
mod names;

use known::Known;
use names::{STRUCK, env_is_kept, holds_secrets, names_a_secret};

/// Fields of an object that repeat it, or its history: nothing is lost with them.
const REPEATS: [&str; 2] = ["managedFields", "kubectl.kubernetes.io/last-applied-configuration"];

/// The scrubber. Has no `Debug`: it knows the keys.
pub struct Scrub {
    known: Known,
}

impl Scrub {
    /// Which also strikes `known` out, wherever they are.
    pub fn new(known: &[String]) -> Self {
        Self { known: Known::new(known) }
    }

    /// An object of the API server, or what else has a structure.
    pub fn object(&self, value: &mut Value) {
        match value {
            Value::Object(fields) => {
                fields.retain(|name, _| !REPEATS.contains(&name.as_str()));
                let called = ["name", "key"].iter().filter_map(|field| fields.get(*field)?.as_str());
                let variable = called.into_iter().any(names_a_secret);
                let of_secret = fields.get("kind").is_some_and(|kind| kind == "Secret");
                for (name, value) in fields.iter_mut() {
                    let content = of_secret && matches!(name.as_str(), "data" | "stringData");
                    if content || (variable && name == "value") || holds_secrets(name, value) {
                        strike(value);
                    } else if name == "env" {
                        self.environment(value);
                    } else {
                        self.object(value);
                    }
                }
            }
            Value::Array(items) => self.words(items),
            Value::String(text) => *text = self.text(text),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// The variables of a container: what people put into them has any form, so only those are kept that are known to be harmless.
    fn environment(&self, variables: &mut Value) {
        for variable in variables.as_array_mut().into_iter().flatten() {
            let kept = variable["name"].as_str().is_some_and(env_is_kept);
            if let Some(value) = variable.get_mut("value").filter(|_| !kept) {
                strike(value);
            }
            self.object(variable);
        }
    }

    /// A list, which may be a command line: a flag and its value may be two words.
    fn words(&self, items: &mut [Value]) {
        let mut after = false;
        for item in items {
            let flag = item.as_str().filter(|text| text.starts_with('-') && !text.contains('='));
            let next = flag.is_some_and(names_a_secret);
            if after && item.is_string() {
                strike(item);
            } else {
                self.object(item);
            }
            after = next;
        }
    }

    /// Any text: logs, metrics, files in a ConfigMap. Line by line, and what goes over lines is seen by its borders: PEM by its own, a
    /// value by its indentation.
    pub fn text(&self, text: &str) -> String {
        let text = self.known.strike(text);
        let mut clean = String::with_capacity(text.len());
        let (mut in_key, mut deeper_than) = (false, None);
        for line in text.split_inclusive('\n') {
            // A PEM block within one line of JSON ends on it; `\n` there is two letters.
            let (begins, ends) =
                (line.contains("-----BEGIN") && line.contains("PRIVATE KEY"), line.contains("-----END"));
            let indent = line::indent(line);
            let goes_on = deeper_than.is_some_and(|of_name| indent.is_none_or(|indent| indent > of_name));
            let key = begins || in_key;
            if key {
                in_key = !ends;
            }
            if key || goes_on {
                clean.push_str(STRUCK);
                clean.push('\n');
                continue;
            }
            deeper_than = None;
            if let Some(json) = self.json(line) {
                clean.push_str(&json);
                continue;
            }
            let scrubbed = line::scrub(line);
            clean.push_str(&scrubbed.text);
            deeper_than = indent.filter(|_| scrubbed.goes_on);
        }
        clean
    }

    /// A line that is JSON, after the time that the API server puts before it.
    fn json(&self, line: &str) -> Option<String> {
        let end = if line.ends_with('\n') { "\n" } else { "" };
        let (time, rest) = line::time(line);
        if !rest.starts_with('{') {
            return None;
        }
        let mut value: Value = serde_json::from_str(rest).ok()?;
        self.object(&mut value);
        Some(format!("{time}{value}{end}"))
    }
}

/// All of it.
fn strike(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(strike),
        Value::Object(fields) => fields.values_mut().for_each(strike),
        Value::String(_) | Value::Number(_) => *value = Value::String(STRUCK.to_owned()),
        Value::Null | Value::Bool(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const PLANTED: &str = "hunter2hunter2";
    const KEY: &str = "0123456789abcdef0123456789abcdef";

    fn scrub() -> Scrub {
        Scrub::new(&[KEY.to_owned(), "ab".to_owned()])
    }

    #[test]
    fn planted_secrets_are_struck_out_of_objects() {
        let mut object = json!({
            "metadata": {
                "name": "eck-csi-controller",
                "managedFields": [{ "f": PLANTED }],
                "annotations": {
                    "kubectl.kubernetes.io/last-applied-configuration": PLANTED,
                    "company/api-token": PLANTED,
                },
            },
            "spec": {
                "automountServiceAccountToken": true,
                "containers": [{
                    "args": ["--cluster-id=c1", format!("--sk={PLANTED}"), "--password", PLANTED, "--log-level=info"],
                    "env": [
                        { "name": "CTYUN_SK", "value": PLANTED },
                        { "name": "AK", "value": KEY },
                        { "name": "LOG_LEVEL", "value": "info" },
                        { "name": "DSN", "value": format!("password={PLANTED}") },
                    ],
                }],
                "volumes": [{ "name": "credentials", "secret": { "secretName": "ctyun-keys" } }],
            },
        });
        scrub().object(&mut object);
        let text = object.to_string();
        assert!(!text.contains(PLANTED) && !text.contains(KEY), "{object:#}");
        for kept in ["--cluster-id=c1", "--log-level=info", "ctyun-keys", "eck-csi-controller"] {
            assert!(text.contains(kept), "{kept}: {object:#}");
        }
        assert_eq!(object["spec"]["automountServiceAccountToken"], true);
    }

    #[test]
    fn planted_secrets_are_struck_out_of_texts() {
        let token = format!("eyJhbGciOiJSUzI1NiIsImtpZCI6In{}", "x".repeat(40));
        let lines = [
            format!("INFO signing with ak={KEY} in fj-xiamen-4"),
            format!("{{\"level\":\"info\",\"password\":\"{PLANTED}\",\"disk\":\"cd-1\"}}"),
            format!("Authorization: Bearer {PLANTED}"),
            format!("authorization: {PLANTED} Headers=ctyun-eop-request-id"),
            format!("the client_secret = '{PLANTED}' was refused"),
            format!("a token {token} alone"),
            format!("-----BEGIN EC PRIVATE KEY-----\n{PLANTED}\n-----END EC PRIVATE KEY-----"),
            format!("{{\\\"sk\\\": \\\"{PLANTED}\\\"}}"),
        ];
        let clean = scrub().text(&lines.join("\n"));
        for secret in [PLANTED, KEY, token.as_str()] {
            assert!(!clean.contains(secret), "{clean}");
        }
        for kept in ["in fj-xiamen-4", "\"disk\":\"cd-1\"", "was refused", "alone"] {
            assert!(clean.contains(kept), "{kept}: {clean}");
        }
    }

    #[test]
    fn what_is_no_secret_stays_as_it_is() {
        let text = "2026-11-26T12:00:00Z WARN ecx: throttled: too fast (openapi.flow, request 5f0c-1)\n\
            ecx_calls_total{op=\"CreateDisk\"} 5\n盘 cd-1 is in-use; secretName: keys; no token was used\n";
        assert_eq!(scrub().text(text), text);
        assert_eq!(scrub().text(""), "");
    }
}
