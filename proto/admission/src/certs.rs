//! Certificates that the program makes itself: an authority and a serving certificate in one Secret that all replicas share,
//! renewed long before they end, and told to the webhook configurations. Or files, read again when they change.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingWebhookConfiguration,
};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{ObjectMeta, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::tls::{BadPair, Current};

/// A serving certificate's life: a year, as kubelets' and etcd's.
const LIFE: Duration = Duration::from_secs(365 * 86_400);

/// Renewed with so much left, so that months of trouble do no harm.
const LEFT: Duration = Duration::from_secs(120 * 86_400);

/// Before now, for clocks that are late.
const EARLIER: Duration = Duration::from_secs(86_400);

/// The Secret is looked at so often: what another replica has renewed is served soon.
const LOOK: Duration = Duration::from_secs(300);

/// Given files are looked at so often; kubelet updates mounted Secrets once a minute.
const LOOK_AT_FILES: Duration = Duration::from_secs(20);

/// Annotation, behind the program's domain: the serving certificate's end, in seconds since 1970.
const NOT_AFTER: &str = "not-after";

/// Annotation, behind the program's domain: the names that it is for.
const HOSTS: &str = "hosts";

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum CertError {
    /// The API server.
    #[error("the Secret or a webhook configuration cannot be read or written")]
    Api(#[from] kube::Error),
    /// Making it.
    #[error("a certificate cannot be made")]
    Make(#[from] rcgen::Error),
    /// Using it.
    #[error(transparent)]
    Use(#[from] BadPair),
    /// A file.
    #[error("cannot read {0}")]
    Read(PathBuf, #[source] std::io::Error),
    /// Somebody else wrote the Secret.
    #[error("the Secret {0} lacks {1}; delete it and a new one is made")]
    Damaged(String, &'static str),
}

/// An authority and a serving certificate, PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct Made {
    /// Authority.
    pub ca: String,
    ca_key: String,
    /// Serving certificate.
    pub chain: String,
    /// Its key.
    pub key: String,
}

impl Made {
    /// Makes both for this program, valid for `hosts`.
    pub fn new(program: &str, hosts: &[String]) -> Result<Self, rcgen::Error> {
        let key = KeyPair::generate()?;
        let ca = authority(program).self_signed(&key)?.pem();
        let authority = Self { ca, ca_key: key.serialize_pem(), chain: String::new(), key: String::new() };
        authority.renewed(program, hosts)
    }

    /// A new serving certificate under the same authority: who trusts it need not be told.
    fn renewed(self, program: &str, hosts: &[String]) -> Result<Self, rcgen::Error> {
        let issuer = Issuer::new(authority(program), KeyPair::from_pem(&self.ca_key)?);
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(hosts)?;
        params.distinguished_name.push(DnType::CommonName, program);
        params.not_before = (SystemTime::now() - EARLIER).into();
        params.not_after = (SystemTime::now() + LIFE).into();
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let chain = params.signed_by(&key, &issuer)?.pem();
        Ok(Self { chain, key: key.serialize_pem(), ..self })
    }
}

/// The authority's own fields. They never change, so that its key alone brings it back; it does not end, and is replaced by
/// deleting the Secret.
fn authority(program: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, format!("{program} authority"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2099, 1, 1);
    params
}

/// Where the self-made certificate is kept, and who is told.
#[derive(Debug, Clone)]
pub struct Keeping {
    /// Name of the program: the certificates'.
    pub program: String,
    /// Domain before the names of the Secret's annotations.
    pub domain: String,
    /// Namespace of the Secret.
    pub namespace: String,
    /// The Secret.
    pub secret: String,
    /// The MutatingWebhookConfiguration that calls us.
    pub mutating: Option<String>,
    /// The ValidatingWebhookConfiguration that calls us.
    pub validating: Option<String>,
    /// Names and addresses by which we are called.
    pub hosts: Vec<String>,
}

/// Brings the Secret, the served certificate and the webhook configurations into line, once.
pub async fn keep(client: &Client, keeping: &Keeping, current: &Current) -> Result<(), CertError> {
    let made = secret(client, keeping).await?;
    current.set(made.chain.as_bytes(), made.key.as_bytes())?;
    if let Some(name) = &keeping.mutating {
        let configurations: Api<MutatingWebhookConfiguration> = Api::all(client.clone());
        let found = configurations.get_opt(name).await?;
        let hooks = found.iter().flat_map(|found| found.webhooks.iter().flatten());
        let hooks = hooks.map(|hook| (&hook.name, &hook.client_config.ca_bundle));
        tell(&configurations, name, bundle(hooks, &made.ca)).await?;
    }
    if let Some(name) = &keeping.validating {
        let configurations: Api<ValidatingWebhookConfiguration> = Api::all(client.clone());
        let found = configurations.get_opt(name).await?;
        let hooks = found.iter().flat_map(|found| found.webhooks.iter().flatten());
        let hooks = hooks.map(|hook| (&hook.name, &hook.client_config.ca_bundle));
        tell(&configurations, name, bundle(hooks, &made.ca)).await?;
    }
    Ok(())
}

/// Writes the patch, if there is one.
async fn tell<K>(configurations: &Api<K>, name: &str, patch: Option<Value>) -> kube::Result<()>
where
    K: Clone + Debug + DeserializeOwned,
{
    if let Some(patch) = patch {
        configurations.patch(name, &PatchParams::default(), &Patch::Strategic(patch)).await?;
    }
    Ok(())
}

/// Keeps them in line for ever.
pub async fn keep_on(client: Client, keeping: Keeping, current: Arc<Current>) {
    loop {
        tokio::time::sleep(LOOK).await;
        if let Err(error) = keep(&client, &keeping, &current).await {
            tracing::warn!(error = serve::chain::chain(&error), "The certificates could not be looked after");
        }
    }
}

/// A patch of those webhooks that trust something else; by name, so that nothing else of them is touched.
fn bundle<'a>(hooks: impl Iterator<Item = (&'a String, &'a Option<ByteString>)>, ca: &str) -> Option<Value> {
    let text = base64::engine::general_purpose::STANDARD.encode(ca);
    let stale = hooks.filter(|(_, has)| has.as_ref().is_none_or(|has| has.0 != ca.as_bytes()));
    let hooks: Vec<Value> =
        stale.map(|(name, _)| json!({"name": name, "clientConfig": {"caBundle": text}})).collect();
    (!hooks.is_empty()).then(|| json!({"webhooks": hooks}))
}

/// The Secret's content, made or renewed if need be. Of two replicas that write at once one is refused and reads the other's.
async fn secret(client: &Client, keeping: &Keeping) -> Result<Made, CertError> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), &keeping.namespace);
    let params = PostParams::default();
    for _ in 0..5 {
        let found = secrets.get_opt(&keeping.secret).await?;
        let written = match &found {
            None => {
                let made = Made::new(&keeping.program, &keeping.hosts)?;
                tracing::info!(secret = keeping.secret, "Making an authority and a certificate");
                secrets.create(&params, &written(keeping, &made, ObjectMeta::default())).await
            }
            Some(old) if fresh(old, keeping) => return read(old, keeping),
            Some(old) => {
                let made = read(old, keeping)?.renewed(&keeping.program, &keeping.hosts)?;
                tracing::info!(secret = keeping.secret, "Renewing the certificate");
                secrets
                    .replace(&keeping.secret, &params, &written(keeping, &made, old.metadata.clone()))
                    .await
            }
        };
        match written {
            Ok(secret) => return read(&secret, keeping),
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(CertError::Damaged(keeping.secret.clone(), "a writer that lets others write"))
}

/// The annotation's whole name.
fn annotation(keeping: &Keeping, name: &str) -> String {
    format!("{}/{name}", keeping.domain)
}

fn fresh(secret: &Secret, keeping: &Keeping) -> bool {
    let annotation =
        |name: &str| secret.metadata.annotations.as_ref()?.get(&annotation(keeping, name)).cloned();
    let ends = annotation(NOT_AFTER).and_then(|text| text.parse().ok()).map(Duration::from_secs);
    let ends = ends.and_then(|ends| UNIX_EPOCH.checked_add(ends));
    let lasts =
        ends.and_then(|ends| ends.duration_since(SystemTime::now()).ok()).is_some_and(|left| left > LEFT);
    lasts && annotation(HOSTS).as_deref() == Some(&keeping.hosts.join(","))
}

fn read(secret: &Secret, keeping: &Keeping) -> Result<Made, CertError> {
    let field = |name: &'static str| {
        let bytes = secret.data.as_ref().and_then(|data| data.get(name));
        let text = bytes.and_then(|bytes| String::from_utf8(bytes.0.clone()).ok());
        text.ok_or_else(|| CertError::Damaged(keeping.secret.clone(), name))
    };
    Ok(Made {
        ca: field("ca.crt")?,
        ca_key: field("ca.key")?,
        chain: field("tls.crt")?,
        key: field("tls.key")?,
    })
}

fn written(keeping: &Keeping, made: &Made, metadata: ObjectMeta) -> Secret {
    let ends = (SystemTime::now() + LIFE).duration_since(UNIX_EPOCH).unwrap_or_default();
    let annotations = [(NOT_AFTER, ends.as_secs().to_string()), (HOSTS, keeping.hosts.join(","))];
    let fields =
        [("ca.crt", &made.ca), ("ca.key", &made.ca_key), ("tls.crt", &made.chain), ("tls.key", &made.key)];
    let data = fields.map(|(name, text)| (name.to_owned(), ByteString(text.clone().into_bytes())));
    Secret {
        metadata: ObjectMeta {
            name: Some(keeping.secret.clone()),
            annotations: Some(annotations.map(|(name, text)| (annotation(keeping, name), text)).into()),
            ..metadata
        },
        type_: Some("kubernetes.io/tls".to_owned()),
        data: Some(BTreeMap::from(data)),
        ..Secret::default()
    }
}

/// Reads given files into `current`; the texts, to see changes by.
pub async fn read_files(
    chain: &Path,
    key: &Path,
    current: &Current,
) -> Result<(Vec<u8>, Vec<u8>), CertError> {
    let read = async |path: &Path| {
        tokio::fs::read(path).await.map_err(|error| CertError::Read(path.to_owned(), error))
    };
    let both = (read(chain).await?, read(key).await?);
    current.set(&both.0, &both.1)?;
    Ok(both)
}

/// Reads given files again for ever; a pair that cannot be used is told, and the old one stays.
pub async fn watch_files(chain: PathBuf, key: PathBuf, current: Arc<Current>) {
    let mut told = String::new();
    loop {
        tokio::time::sleep(LOOK_AT_FILES).await;
        match read_files(&chain, &key, &current).await {
            Ok(_) => told.clear(),
            Err(error) => {
                let text = serve::chain::chain(&error);
                if text != told {
                    tracing::warn!(
                        error = text,
                        "The certificate's files cannot be used; the old ones are served"
                    );
                }
                told = text;
            }
        }
    }
}
