//! The inside of the fake engine's instances: a command that echoes, a file,
//! a port that answers.

use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::StreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

use crate::runtime::{
    Connection, ExecInput, ExecOutput, ExecRequest, ExecSession, InstanceKey, RuntimeError,
};

/// The port on which every fake instance listens.
pub(crate) const PORT: u16 = 8080;
/// The only file that there is.
pub(crate) const FILE: &str = "/etc/file";

/// Says what it was begun with, then gives back all that comes: bytes,
/// sizes, signals. Ends with code 3 when stdin ends, and with the number of
/// a signal.
pub(crate) fn exec(key: &InstanceKey, request: ExecRequest) -> ExecSession {
    let (input, mut inputs) = mpsc::channel(4);
    let (outputs, output) = mpsc::channel(4);
    let first =
        format!("{}[{}] {:?} tty={}\n", key.service, key.index, request.command, request.tty);
    tokio::spawn(async move {
        let mut next = Some(ExecOutput::Stderr(first.into()));
        loop {
            if let Some(output) = next.take() {
                let is_end = matches!(output, ExecOutput::Exit(_));
                if outputs.send(Ok(output)).await.is_err() || is_end {
                    return;
                }
            }
            next = match inputs.recv().await {
                Some(ExecInput::Stdin(bytes)) => Some(ExecOutput::Stdout(bytes)),
                Some(ExecInput::Resize(rows, columns)) => {
                    Some(ExecOutput::Stdout(format!("{rows}x{columns}").into()))
                }
                Some(ExecInput::Signal(signal)) => Some(ExecOutput::Exit(i64::from(128 + signal))),
                Some(ExecInput::EndStdin) => Some(ExecOutput::Exit(3)),
                None => return,
            };
        }
    });
    ExecSession { input, output }
}

pub(crate) fn read_files(
    key: &InstanceKey,
    path: &str,
) -> BoxStream<'static, Result<Bytes, RuntimeError>> {
    if path != FILE {
        let (during, message) = (format!("reading {path} of {key}"), "no such file".into());
        return stream::once(async { Err(RuntimeError::Absent { during, message }) }).boxed();
    }
    let pieces = tar_file("file", b"content");
    let pieces: Vec<_> = pieces.chunks(700).map(Bytes::copy_from_slice).map(Ok).collect();
    stream::iter(pieces).boxed()
}

/// A tar archive with one file.
pub(crate) fn tar_file(name: &str, content: &[u8]) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o640);
    let mut builder = tar::Builder::new(vec![]);
    builder.append_data(&mut header, name, content).unwrap();
    builder.into_inner().unwrap()
}

/// Answers what comes in capitals, until it ends.
pub(crate) fn dial(port: u16) -> Result<Box<dyn Connection>, RuntimeError> {
    if port != PORT {
        let during = format!("connecting to port {port}");
        let message = "nothing listens there".into();
        return Err(RuntimeError::Refused { during, status: 502, message });
    }
    let (ours, mut theirs) = tokio::io::duplex(1024);
    tokio::spawn(async move {
        let mut buffer = [0; 512];
        while let Ok(count) = theirs.read(&mut buffer).await {
            if count == 0 || theirs.write_all(&buffer[..count].to_ascii_uppercase()).await.is_err()
            {
                break;
            }
        }
        let _ = theirs.write_all(b"bye").await;
    });
    Ok(Box::new(ours))
}
