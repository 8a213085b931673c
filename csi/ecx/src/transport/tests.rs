//! The HTTP client against a server of a few lines on loopback.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::{self, pki_types::PrivateKeyDer};

use super::*;

const PIECE: usize = 1 << 20;

/// A cloud whose one answer has up to `pieces` pieces of a megabyte. Gives how many were taken.
fn cloud(pieces: usize) -> (Profile, JoinHandle<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base_url = format!("http://{}", listener.local_addr().unwrap());
    let answered = spawn_blocking(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let head = BufReader::new(stream.try_clone().unwrap()).lines();
        head.map(Result::unwrap).take_while(|line| !line.is_empty()).for_each(drop);
        stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
        let piece = [format!("{PIECE:x}\r\n").as_bytes(), &[b' '; PIECE], b"\r\n"].concat();
        let taken = (0..pieces).take_while(|_| stream.write_all(&piece).is_ok()).count();
        // Whoever has gone away hears nothing of the end.
        drop(stream.write_all(b"0\r\n\r\n"));
        taken
    });
    (Profile { base_url, ..Profile::default() }, answered)
}

async fn ask(profile: &Profile) -> Result<Incoming, NoReply> {
    let transport = HttpTransport::new(profile, &Connection::new(true)).unwrap();
    transport.exchange(Outgoing { url: profile.base_url.clone(), body: None, headers: Vec::new() }).await
}

#[tokio::test]
async fn a_body_without_an_end_is_not_read_to_its_end() {
    let (profile, answered) = cloud(1000);
    let lost = ask(&profile).await.err().unwrap();
    assert_eq!(lost.code, "too long");
    assert!(lost.message.contains("more than 16777216 bytes"), "{}", lost.message);
    let taken = answered.await.unwrap();
    assert!(taken < 100, "{taken} pieces were taken");
}

#[tokio::test]
async fn the_longest_body_is_read_whole() {
    let (profile, answered) = cloud(LONGEST_BODY / PIECE);
    let reply = ask(&profile).await.ok().unwrap();
    assert_eq!((reply.http, reply.body.len()), (200, LONGEST_BODY));
    assert_eq!(answered.await.unwrap(), LONGEST_BODY / PIECE);
}

/// A cloud with a certificate of an authority of its own; gives its URL and the authority in PEM.
async fn private_cloud() -> (String, String) {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_key = KeyPair::generate().unwrap();
    let pem = authority.self_signed(&authority_key).unwrap().pem();
    let key = KeyPair::generate().unwrap();
    let issuer = Issuer::new(authority, authority_key);
    let certificate =
        CertificateParams::new(["127.0.0.1".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            // Whoever does not trust the certificate goes away.
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await;
            let _ = stream.shutdown().await;
        }
    });
    (url, pem)
}

async fn get(url: &str, connection: &Connection) -> Result<u16, String> {
    let profile = Profile { base_url: url.to_owned(), ..Profile::default() };
    let transport = HttpTransport::new(&profile, connection).unwrap();
    let request = Outgoing { url: url.to_owned(), body: None, headers: Vec::new() };
    transport.exchange(request).await.map(|reply| reply.http).map_err(|lost| lost.message)
}

#[tokio::test]
async fn a_private_authority_is_trusted_where_it_is_named_and_nowhere_else() {
    let (url, pem) = private_cloud().await;
    let refused = get(&url, &Connection::new(false)).await.unwrap_err();
    assert!(refused.contains("certificate"), "{refused}");
    let trusting = Connection::new(false).trusting(pem.as_bytes(), "pem").unwrap();
    assert_eq!(get(&url, &trusting).await, Ok(200));
    let (other, _) = private_cloud().await;
    assert!(get(&other, &trusting).await.is_err(), "an authority of the same name and with another key");
}

#[test]
fn what_holds_no_certificate_is_refused_by_its_name() {
    let broken = "-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n";
    for pem in ["", "no certificate", broken] {
        let error = Connection::new(false).trusting(pem.as_bytes(), "/ca.crt").unwrap_err().to_string();
        assert!(error.contains("/ca.crt") && error.contains("allowed: certificates in PEM"), "{error}");
    }
    let error =
        Connection::new(false).trusting_file(Some(Path::new("/none/ca.crt"))).unwrap_err().to_string();
    assert_eq!(error, "--cloud-ca-file: cannot read /none/ca.crt");
}

#[test]
fn plain_http_is_taken_only_where_it_is_allowed() {
    let profile = Profile { base_url: "http://ecx.example".to_owned(), ..Profile::default() };
    let refused = HttpTransport::new(&profile, &Connection::new(false)).err().unwrap().to_string();
    for word in ["base_url", "http://ecx.example", "an https:// URL", "--allow-plain-http"] {
        assert!(refused.contains(word), "{word}: {refused}");
    }
    assert!(HttpTransport::new(&profile, &Connection::new(true)).is_ok());
    let profile = Profile { base_url: "ftp://ecx.example".to_owned(), ..Profile::default() };
    assert!(HttpTransport::new(&profile, &Connection::new(true)).is_err());
}

/// Where nothing is: only a proxy can reach it.
const FAR: &str = "https://cloud.invalid";

/// Not a test of its own: what [`a_proxy_of_the_environment_is_asked_but_for_what_it_is_not_for`] runs.
#[tokio::test]
#[ignore = "run by another test, with an environment"]
async fn asks_the_cloud_of_the_environment() {
    assert!(get(FAR, &Connection::new(false)).await.is_err());
}

#[test]
fn a_proxy_of_the_environment_is_asked_but_for_what_it_is_not_for() {
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", proxy.local_addr().unwrap());
    let ask = |except: &str| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "transport::tests::asks_the_cloud_of_the_environment", "--ignored"]);
        for name in ["https_proxy", "no_proxy", "ALL_PROXY", "all_proxy"] {
            command.env_remove(name);
        }
        command.env("HTTPS_PROXY", &address).env("NO_PROXY", except).stdout(Stdio::null());
        command.spawn().unwrap()
    };
    assert!(ask("10.0.0.0/8,.invalid").wait().unwrap().success());
    proxy.set_nonblocking(true).unwrap();
    assert!(proxy.accept().is_err(), "the proxy was asked for what it is not for");
    proxy.set_nonblocking(false).unwrap();
    let mut asking = ask("10.0.0.0/8,.example");
    let (stream, _) = proxy.accept().unwrap();
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    assert_eq!(line, "CONNECT cloud.invalid:443 HTTP/1.1\r\n");
    assert!(asking.wait().unwrap().success());
}
