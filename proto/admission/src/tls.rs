//! The one port: TLS with a certificate that may change while connections are open, HTTP/1.1 on top.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use parking_lot::RwLock;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::{CryptoProvider, aws_lc_rs};
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{
    ClientHello, ResolvesServerCert, VerifierBuilderError, WebPkiClientVerifier,
};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{self, RootCertStore, ServerConfig};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long a client may take for its handshake, and for a request's head.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long open requests may take after the end was told: longer than any Binding.
const GOODBYE: Duration = Duration::from_secs(20);

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BadPair {
    /// Its form.
    #[error("the certificate or key is not PEM")]
    Pem(#[from] rustls::pki_types::pem::Error),
    /// There is none in it.
    #[error("there is no certificate in it")]
    Empty,
    /// The two do not belong together, or are not known.
    #[error("certificate and key cannot be used together")]
    Pair(#[from] rustls::Error),
}

/// The certificate that new connections get.
#[derive(Debug, Default)]
pub struct Current(RwLock<Option<Arc<CertifiedKey>>>);

impl Current {
    /// Takes a chain and its key, both PEM, from now on.
    pub fn set(&self, chain: &[u8], key: &[u8]) -> Result<(), BadPair> {
        let chain = CertificateDer::pem_slice_iter(chain).collect::<Result<Vec<_>, _>>()?;
        if chain.is_empty() {
            return Err(BadPair::Empty);
        }
        let key = PrivateKeyDer::from_pem_slice(key)?;
        let pair = CertifiedKey::from_der(chain, key, &provider())?;
        *self.0.write() = Some(Arc::new(pair));
        Ok(())
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.read().clone()
    }
}

fn provider() -> CryptoProvider {
    aws_lc_rs::default_provider()
}

/// Why TLS cannot be spoken.
#[derive(Debug, thiserror::Error)]
pub enum BadTls {
    /// The provider.
    #[error("TLS cannot be set up")]
    Config(#[from] rustls::Error),
    /// The clients' authority.
    #[error("the clients' authority cannot be used")]
    Authority(#[from] VerifierBuilderError),
    /// Its form.
    #[error("the clients' authority is not PEM")]
    Pem(#[from] rustls::pki_types::pem::Error),
}

/// Speaks TLS with the current certificate. Clients may show one of the authority `clients` (PEM), if there is one.
pub fn acceptor(current: Arc<Current>, clients: Option<&[u8]>) -> Result<TlsAcceptor, BadTls> {
    let provider = Arc::new(provider());
    let config =
        ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let config = match clients {
        None => config.with_no_client_auth(),
        Some(clients) => {
            let mut roots = RootCertStore::empty();
            for authority in CertificateDer::pem_slice_iter(clients) {
                roots.add(authority?)?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            // The API server calls the webhook without a certificate; what it may not call is another router's affair.
            config.with_client_cert_verifier(verifier.allow_unauthenticated().build()?)
        }
    };
    let mut config = config.with_cert_resolver(current);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Who is served what.
#[derive(Clone)]
pub struct Routes {
    /// Clients that show a certificate of the clients' authority; everybody if there is no such authority.
    pub known: Router,
    /// The others.
    pub unknown: Router,
}

/// Serves until `token` fires; then open requests are finished. Without an acceptor it is plain HTTP, and everybody is known.
pub async fn serve(
    listener: TcpListener,
    acceptor: Option<TlsAcceptor>,
    routes: Routes,
    token: CancellationToken,
) {
    let tracker = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = token.cancelled() => break,
        };
        let Ok((stream, _)) = accepted else { continue };
        // Requests and answers are small: none waits for an acknowledgement.
        let _ = stream.set_nodelay(true);
        let (acceptor, routes, token) = (acceptor.clone(), routes.clone(), token.clone());
        tracker.spawn(connection(stream, acceptor, routes, token));
    }
    tracker.close();
    if tokio::time::timeout(GOODBYE, tracker.wait()).await.is_err() {
        tracing::warn!("Requests were still running at the end");
    }
}

async fn connection(
    stream: TcpStream,
    acceptor: Option<TlsAcceptor>,
    routes: Routes,
    token: CancellationToken,
) {
    let Some(acceptor) = acceptor else { return http(stream, routes.known, token).await };
    match tokio::time::timeout(PATIENCE, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => {
            let known = stream.get_ref().1.peer_certificates().is_some();
            http(stream, if known { routes.known } else { routes.unknown }, token).await;
        }
        Ok(Err(error)) => tracing::debug!(%error, "No TLS"),
        Err(_) => tracing::debug!("No TLS in time"),
    }
}

async fn http(stream: impl AsyncRead + AsyncWrite + Unpin, router: Router, token: CancellationToken) {
    let mut builder = hyper::server::conn::http1::Builder::new();
    let builder = builder.timer(TokioTimer::new()).header_read_timeout(PATIENCE.max(IDLE));
    let served = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut served = std::pin::pin!(served);
    let ended = tokio::select! {
        ended = served.as_mut() => ended,
        () = token.cancelled() => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "A connection ended");
    }
}

/// How long an open connection may be without a request: hyper counts the wait for the next head too. Go's clients keep
/// theirs for 90 s.
const IDLE: Duration = Duration::from_secs(120);
