//! QEMU's machine protocol, as much of it as plugging disks takes: one request, one reply, events passed over.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

/// How long QEMU may take to answer: it does at once, unless its machine is so busy that nothing runs.
const PATIENCE: Duration = Duration::from_secs(30);

/// A connection to a machine.
pub struct Qmp {
    reader: BufReader<UnixStream>,
    writer: UnixStream,
}

impl Qmp {
    /// Connects to the socket of a machine; `None` if the machine is off.
    pub fn connect(socket: &Path) -> io::Result<Option<Self>> {
        let stream = match UnixStream::connect(socket) {
            Ok(stream) => stream,
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
                return Ok(None);
            }
            Err(e) => return Err(e),
        };
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut qmp = Self { writer: stream.try_clone()?, reader: BufReader::new(stream) };
        // The greeting, and the end of it.
        qmp.line()?;
        qmp.ask("qmp_capabilities", &json!({}))?;
        Ok(Some(qmp))
    }

    /// A command; its reply, or QEMU's words about why not.
    pub fn ask(&mut self, command: &str, arguments: &Value) -> io::Result<Value> {
        let request = json!({"execute": command, "arguments": arguments});
        self.writer.write_all(format!("{request}\n").as_bytes())?;
        loop {
            let reply = self.line()?;
            if let Some(error) = reply.get("error") {
                let words = error["desc"].as_str().unwrap_or("no words").to_owned();
                return Err(io::Error::other(format!("{command}: {words}")));
            }
            if let Some(value) = reply.get("return") {
                return Ok(value.clone());
            }
        }
    }

    fn line(&mut self) -> io::Result<Value> {
        let mut line = String::new();
        if self.reader.read_line(&mut line)? == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the machine is gone"));
        }
        serde_json::from_str(&line).map_err(io::Error::other)
    }
}
