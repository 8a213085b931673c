//! Secrets, ways in which programs and people write them, and places where they do.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::super::content::Content;

/// A secret that was put somewhere.
pub(super) struct Planted {
    /// It, its pieces, and it encoded: none of these may be found.
    pub(super) traces: Vec<String>,
    /// For whoever reads a failure.
    pub(super) written: String,
}

/// The same for the same seed.
pub(super) struct Chance(pub(super) u64);

impl Chance {
    /// splitmix64.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end).unwrap()).unwrap()
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    fn letters(&mut self, of: &[u8], count: usize) -> String {
        (0..count).map(|_| char::from(self.one(of))).collect()
    }

    fn word(&mut self, count: usize) -> String {
        self.letters(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", count)
    }

    /// Pieces of what a log may hold, in no order.
    pub(super) fn odd_text(&mut self) -> String {
        const PIECES: [&str; 24] = [
            "password",
            "=",
            ":",
            " ",
            "\"",
            "'",
            "\\",
            "\\\"",
            "\n",
            "{",
            "}",
            "[",
            "]",
            "%",
            "%3D",
            "%e7",
            "://",
            "@",
            "盘",
            "é",
            "eyJ",
            "-----BEGIN PRIVATE KEY-----",
            "Bearer",
            "[struck out]",
        ];
        (0..self.below(12)).map(|_| self.one(&PIECES)).collect()
    }

    /// As the cloud's keys are.
    pub(super) fn key(&mut self) -> String {
        self.letters(b"0123456789abcdef", 32)
    }

    /// A password: words with marks between, and in a passphrase spaces.
    fn password(&mut self, marks: &[u8]) -> String {
        let words: Vec<String> = (0..2 + self.below(3)).map(|_| self.word(8)).collect();
        let mut text = String::new();
        for word in words {
            text += &word;
            text.push(char::from(self.one(marks)));
        }
        text + &self.word(8)
    }
}

/// No quotes: whoever writes those writes them escaped, which has tests of its own.
const MARKS: &[u8] = b"@!#$%^&*()-_+=/?.,;:~|<>[]{}";
const MARKS_AND_SPACES: &[u8] = b"   @!#$%^&*()-_+=/?.,;:~|<>[]{}";

const NAMES: [&str; 18] = [
    "password",
    "passphrase",
    "encryptionPassphrase",
    "token",
    "sk",
    "ak",
    "CTYUN_SK",
    "client_secret",
    "secretKey",
    "api-key",
    "accessKey",
    "x-auth-token",
    "DB_PASSWORD",
    "private_key",
    "Cookie",
    "client-key-data",
    "auth",
    "dbPwd",
];

/// A name that tells nothing.
const PLAIN: [&str; 5] = ["note", "DSN", "JAVA_OPTS", "company.example/hint", "config"];

fn percent(text: &str) -> String {
    let escape =
        |b: u8| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") };
    text.bytes().map(escape).collect()
}

/// The secret whole and encoded, and each of its words that chance would not make.
fn traces(secret: &str) -> Vec<String> {
    let words = secret.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| word.len() >= 8);
    let encoded = [STANDARD.encode(secret), URL_SAFE_NO_PAD.encode(secret), percent(secret)];
    words.map(str::to_owned).chain(encoded).chain([secret.to_owned()]).collect()
}

/// A key of the account, which is known: it needs no name.
fn known(chance: &mut Chance, keys: &[String; 2]) -> (String, String) {
    let key = keys[chance.below(2)].clone();
    let before = "x".repeat(chance.below(4));
    let hexadecimal: String = key.bytes().map(|b| format!("{b:02x}")).collect();
    let written = match chance.below(5) {
        0 => format!("signed with {key} in fj-xiamen-4"),
        1 => format!("body {} was sent", STANDARD.encode(format!("{before}{key}:x"))),
        2 => format!("body {} was sent", URL_SAFE_NO_PAD.encode(format!("{before}{key}"))),
        3 => format!("dump {hexadecimal}"),
        _ => format!("{before}{key}{before}"),
    };
    (key, written)
}

/// A secret that is nobody's here, and a text with it.
fn foreign(chance: &mut Chance) -> (String, String) {
    let name = chance.one(&NAMES);
    let (password, phrase, token) =
        (chance.password(MARKS), chance.password(MARKS_AND_SPACES), chance.word(40));
    let (unmarked, key) = (chance.word(16), chance.key());
    match chance.below(22) {
        0 => (phrase.clone(), format!("refused: {name}={phrase}")),
        1 => (phrase.clone(), format!("refused, {name}: {phrase}")),
        2 => (phrase.clone(), format!("{name}=\"{phrase}\" was refused")),
        3 => (phrase.clone(), format!("{name} = '{phrase}' was refused")),
        4 => (token.clone(), format!("Authorization: Bearer {token}")),
        5 => (token.clone(), format!("curl -H 'Authorization: Bearer {token}' https://host/")),
        6 => (unmarked.clone(), format!("HTTPS_PROXY=http://user:{unmarked}@proxy:3128")),
        7 => (password.clone(), format!("dialing https://user:{}@host/path failed", percent(&password))),
        8 => (password.clone(), format!("dialing https://user:{password}@host/path failed")),
        9 => (password.clone(), format!("GET https://host/path?x=1&{name}={}&y=2", percent(&password))),
        10 => (password.clone(), format!("started with --{name} {password} --log-level=info")),
        11 => (
            password.clone(),
            format!("authorization: Basic {}", STANDARD.encode(format!("user:{password}"))),
        ),
        12 => (phrase.clone(), format!("{name}: {}", STANDARD.encode(&phrase))),
        13 => (phrase.clone(), format!("value {}", STANDARD.encode(format!("{name}={phrase}")))),
        14 => (phrase.clone(), format!("body x%3D1%26{name}%3D{}", percent(&phrase))),
        15 => (phrase.clone(), format!("got {} from {{}}", json!({name: phrase, "disk": "cd-1"}))),
        16 => (phrase.clone(), json!({"outer": json!({name: phrase}).to_string()}).to_string()),
        17 => (phrase.clone(), format!("{{Data:map[user:x {name}:{phrase}]}}")),
        18 => (unmarked.clone(), format!("root:{unmarked}@tcp(10.0.0.1:3306)/db")),
        19 => (key.clone(), format!("an older key {key} was tried")),
        20 => (token.clone(), format!("token eyJhbGciOiJSUzI1NiIsImtpZCI6In.{token}.{token} alone")),
        _ => several_lines(chance),
    }
}

/// Kubeconfigs and keys in PEM.
fn several_lines(chance: &mut Chance) -> (String, String) {
    let (secret, phrase) = (chance.word(40), chance.password(MARKS_AND_SPACES));
    let encoded = STANDARD.encode(&secret);
    let user = |entry: &str| {
        format!(
            "apiVersion: v1\nkind: Config\nusers:\n- name: admin\n  user:\n    {entry}\ncurrent-context: c\n"
        )
    };
    match chance.below(6) {
        0 => (secret.clone(), user(&format!("token: {secret}"))),
        1 => (secret, user(&format!("client-key-data: {encoded}"))),
        2 => (phrase.clone(), user(&format!("password: |\n      {phrase}\n      and more"))),
        3 => (phrase.clone(), user(&format!("password: {phrase}\n      {phrase}"))),
        4 => (
            secret.clone(),
            format!("-----BEGIN EC PRIVATE KEY-----\n{secret}\n-----END EC PRIVATE KEY-----\n"),
        ),
        _ => (secret.clone(), format!("file {}", STANDARD.encode(user(&format!("token: {secret}"))))),
    }
}

/// An object with the text in one of the places where people write.
fn object(chance: &mut Chance, written: &str, secret: &str) -> Value {
    let (name, plain) = (chance.one(&NAMES), chance.one(&PLAIN));
    let container =
        |field: &str, value: Value| json!({"spec": {"containers": [{"name": "c", field: value}]}});
    match chance.below(18) {
        0 => json!({"kind": "ConfigMap", "data": {plain: written}}),
        1 => json!({"kind": "ConfigMap", "data": {name: secret}}),
        2 => json!({"kind": "ConfigMap", "data": {"kubeconfig": written}}),
        3 => json!({"kind": "Secret", "data": {plain: STANDARD.encode(secret)}}),
        4 => json!({"kind": "Secret", "stringData": {plain: secret}}),
        5 => container("env", json!([{"name": plain, "value": written}])),
        6 => container("env", json!([{"name": name, "value": secret}, {"name": plain, "value": secret}])),
        7 => container("args", json!(["--cluster-id=c", format!("--{name}={secret}")])),
        8 => container("args", json!([format!("--{name}"), secret, "--log-level=info"])),
        9 => container("command", json!(["sh", "-c", written])),
        10 => json!({"metadata": {"annotations": {plain: written}}}),
        11 => json!({"metadata": {"annotations": {format!("company.example/{name}"): secret}}}),
        12 => {
            json!({"metadata": {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": written}}})
        }
        13 => json!({"metadata": {"managedFields": [{"f": secret}]}}),
        14 => json!({"reason": "Failed", "message": written, "involvedObject": {"name": "pv-1"}}),
        15 => json!({"spec": {"csi": {"volumeAttributes": {"diskType": "cloud", plain: written}}}}),
        16 => {
            json!({"spec": {"csi": {"volumeAttributes": {name: secret}}, "mountOptions": [format!("{name}={secret}")]}})
        }
        _ => json!({"parameters": {name: secret}, name: [secret], "credentials": {"of": {"them": secret}}}),
    }
}

/// Puts a secret somewhere into what a bundle is made from.
pub(super) fn plant(chance: &mut Chance, keys: &[String; 2], content: &mut Content) -> Planted {
    let (secret, written) = if chance.below(5) == 0 { known(chance, keys) } else { foreign(chance) };
    let number = content.files.len();
    let time = "2026-11-26T12:00:00.123456789Z";
    match chance.below(8) {
        0 => {
            content.add(format!("logs/{number}.log"), format!("INFO begin\nWARN ecx: {written}\nINFO end\n"))
        }
        1 => {
            let lines = written.lines().map(|line| format!("{time} {line}\n"));
            content.add(format!("logs/{number}.log"), lines.collect::<String>());
        }
        2 => {
            let line = json!({"level": "warn", "fields": {"message": written, "disk": "cd-1"}});
            content.add(format!("logs/{number}.log"), format!("{time} {line}\n"));
        }
        3 => content.add(format!("metrics/{number}.txt"), format!("calls{{url={written:?}}} 7\n")),
        4 => content.missing.push(written.clone()),
        _ => {
            let object = object(chance, &written, &secret);
            content.add_json(format!("objects/{number}.json"), json!([object]));
        }
    }
    content.add("missing.txt", content.missing.join("\n"));
    Planted { traces: traces(&secret), written }
}
