//! Strikes secrets out: the account's own keys wherever they are, fields and words that name a secret, and the forms that
//! tokens and keys have. Rather too much than too little: a support case needs no value of any of them.

use serde_json::Value;

/// What stands in a secret's place.
pub const STRUCK: &str = "[struck out]";

/// Parts of the names of fields, variables and flags whose values are secrets.
const NAMES: [&str; 11] = [
    "secret",
    "token",
    "passw",
    "passphrase",
    "credential",
    "authorization",
    "private",
    "apikey",
    "api_key",
    "access_key",
    "accesskey",
];

/// Whole names of the same kind.
const WHOLE: [&str; 4] = ["ak", "sk", "ctyun_ak", "ctyun_sk"];

/// Names that contain one of [`NAMES`], and hold the name of a thing and not the thing.
const HARMLESS: [&str; 8] = [
    "secretname",
    "secretref",
    "secretkeyref",
    "imagepullsecrets",
    "automountserviceaccounttoken",
    "serviceaccounttoken",
    "tokenrequests",
    "credentials-dir",
];

/// Begins of words that are secrets by their form: JSON web tokens.
const FORMS: [&str; 1] = ["eyJ"];

/// Fields of an object that repeat it, or its history: nothing is lost with them.
const REPEATS: [&str; 2] = ["managedFields", "kubectl.kubernetes.io/last-applied-configuration"];

/// The scrubber. Has no `Debug`: it knows the keys.
pub struct Scrub {
    known: Vec<String>,
}

fn names_a_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    // kubectl's form of a flag and an environment's of a variable are the same name.
    let name = name.trim_start_matches('-').replace('-', "_");
    let harmless = HARMLESS.iter().any(|one| name == one.replace('-', "_"));
    !harmless && (WHOLE.contains(&name.as_str()) || NAMES.iter().any(|part| name.contains(part)))
}

impl Scrub {
    /// Which also strikes `known` out, wherever they are.
    pub fn new(known: &[String]) -> Self {
        // A key of three letters would strike out half of the text, and no key is that short.
        Self { known: known.iter().filter(|key| key.len() >= 8).cloned().collect() }
    }

    /// An object of the API server.
    pub fn object(&self, value: &mut Value) {
        match value {
            Value::Object(fields) => {
                fields.retain(|name, _| !REPEATS.contains(&name.as_str()));
                let variable = fields.get("name").and_then(Value::as_str).is_some_and(names_a_secret);
                for (name, value) in fields.iter_mut() {
                    let secret = (names_a_secret(name) && !value.is_object() && !value.is_array())
                        || (variable && name == "value");
                    if secret && !value.is_boolean() && !value.is_null() {
                        *value = Value::String(STRUCK.to_owned());
                    } else {
                        self.object(value);
                    }
                }
            }
            Value::Array(items) => {
                let mut after = false;
                for item in items {
                    // A flag and its value may be two words.
                    let flag = item.as_str().filter(|text| text.starts_with('-') && !text.contains('='));
                    let next = flag.is_some_and(names_a_secret);
                    if after && item.is_string() && flag.is_none() {
                        *item = Value::String(STRUCK.to_owned());
                    } else {
                        self.object(item);
                    }
                    after = next;
                }
            }
            Value::String(text) => *text = self.text(text),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// Any text: logs, metrics, JSON. Line by line, so that what goes over lines (PEM) is seen by its borders.
    pub fn text(&self, text: &str) -> String {
        let mut clean = String::with_capacity(text.len());
        let mut in_key = false;
        for line in text.split_inclusive('\n') {
            // A PEM block within one line of JSON ends on it; `\n` there is two letters.
            let (begins, ends) =
                (line.contains("-----BEGIN") && line.contains("PRIVATE KEY"), line.contains("-----END"));
            if begins || in_key {
                in_key = !ends;
                clean.push_str(STRUCK);
                clean.push('\n');
                continue;
            }
            clean.push_str(&self.line(line));
        }
        clean
    }

    fn line(&self, line: &str) -> String {
        let mut line = line.to_owned();
        for key in &self.known {
            line = line.replace(key.as_str(), STRUCK);
        }
        let (mut clean, mut rest) = (String::with_capacity(line.len()), line.as_str());
        // The name before a value, and what joins them: `name=value`, `name: value`, `"name":"value"`, `Bearer value`.
        let mut name = String::new();
        while let Some(first) = rest.chars().next() {
            let word = rest.find(|c: char| !is_word(c)).unwrap_or(rest.len());
            if word == 0 {
                let joins = matches!(first, '=' | ':' | ' ' | '"' | '\'' | '\\');
                if !joins {
                    name.clear();
                }
                clean.push(first);
                rest = &rest[first.len_utf8()..];
                continue;
            }
            let (text, after) = rest.split_at(word);
            let bearer = matches!(name.to_ascii_lowercase().as_str(), "bearer" | "basic");
            let joined = clean.trim_end_matches([' ', '"', '\'', '\\']).ends_with(['=', ':']);
            let secret =
                (joined && names_a_secret(&name)) || bearer || FORMS.iter().any(|form| is_form(text, form));
            if secret && !text.starts_with("[struck") {
                clean.push_str(STRUCK);
                // `Authorization: Bearer …`: the word was the scheme, and what follows is the secret.
                name = if is_scheme(text) { text.to_owned() } else { String::new() };
            } else {
                clean.push_str(text);
                name = text.to_owned();
            }
            rest = after;
        }
        clean
    }
}

/// Of which names and secrets are made.
fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | '+' | '[' | ']')
}

fn is_form(text: &str, begin: &str) -> bool {
    text.starts_with(begin) && text.len() > 40
}

fn is_scheme(text: &str) -> bool {
    matches!(text.to_ascii_lowercase().as_str(), "bearer" | "basic")
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
