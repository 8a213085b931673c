//! Inside of a virtual edge node: the node program's socket and a shell, each as a TCP port for the tests outside.

use std::process::Stdio;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::process::Command;

/// Where the node program listens.
const CSI: &str = "/csi/csi.sock";

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let csi = TcpListener::bind("0.0.0.0:7000").await?;
    let shell = TcpListener::bind("0.0.0.0:7001").await?;
    loop {
        tokio::select! {
            Ok((stream, _)) = csi.accept() => drop(tokio::spawn(pass_on(stream))),
            Ok((stream, _)) = shell.accept() => drop(tokio::spawn(run(stream))),
        }
    }
}

async fn pass_on(mut outside: TcpStream) -> std::io::Result<()> {
    let mut inside = UnixStream::connect(CSI).await?;
    copy_bidirectional(&mut outside, &mut inside).await.map(drop)
}

/// Runs what comes until its end, and answers with what it said and, on the last line, its exit status.
async fn run(mut outside: TcpStream) -> std::io::Result<()> {
    let mut script = String::new();
    outside.read_to_string(&mut script).await?;
    let script = format!("exec 2>&1\n{script}");
    let ended = Command::new("/bin/sh").args(["-c", &script]).stdin(Stdio::null()).output().await?;
    outside.write_all(&ended.stdout).await?;
    outside.write_all(format!("\n{}", ended.status.code().unwrap_or(-1)).as_bytes()).await?;
    outside.shutdown().await
}
