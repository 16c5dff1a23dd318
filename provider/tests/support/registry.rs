//! A registry on this machine that serves one image to one account, for
//! there is none to pull from where these tests run.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use super::{busybox_layer, digest, image_config, oci_image};

/// `user:secret`, as HTTP's basic authentication has it.
const AUTHORIZATION: &str = "Basic dXNlcjpzZWNyZXQ=";

/// Serves until the test's process ends.
pub struct Registry {
    pub address: SocketAddr,
    /// The digest of the image's manifest.
    pub digest: String,
}

struct Content {
    manifest: Vec<u8>,
    blobs: Vec<Vec<u8>>,
}

impl Registry {
    pub fn start(mark: &str) -> Self {
        let layer = busybox_layer(mark);
        let (manifest, config, layer) = oci_image(image_config(&layer), &layer);
        let digest = digest(&manifest);
        let content = Arc::new(Content { manifest, blobs: vec![config, layer] });
        // The engine speaks plain HTTP to loopback addresses.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let content = Arc::clone(&content);
                std::thread::spawn(move || serve(&stream, &content));
            }
        });
        Self { address, digest }
    }
}

fn serve(stream: &TcpStream, content: &Content) -> Option<()> {
    let mut reader = BufReader::new(stream);
    loop {
        // The engine's first try is TLS; that line is no text, and ends this.
        let mut request = String::new();
        reader.read_line(&mut request).ok().filter(|read| *read > 0)?;
        let mut authorized = false;
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).ok()?;
            authorized |= header.trim_end().ends_with(AUTHORIZATION);
            if header.trim_end().is_empty() {
                break;
            }
        }
        let path = request.split(' ').nth(1)?.to_string();
        let head_only = request.starts_with("HEAD");
        answer(stream, &path, head_only, authorized, content)?;
    }
}

fn answer(
    mut stream: &TcpStream,
    path: &str,
    head_only: bool,
    authorized: bool,
    content: &Content,
) -> Option<()> {
    let blob = |digest_wanted: &str| content.blobs.iter().find(|b| digest(b) == digest_wanted);
    let (status, kind, body): (_, _, &[u8]) = if !authorized {
        ("401 Unauthorized", "application/json", b"{}")
    } else if path.contains("/manifests/") {
        ("200 OK", "application/vnd.oci.image.manifest.v1+json", &content.manifest)
    } else if let Some(blob) = path.rsplit_once("/blobs/").and_then(|(_, name)| blob(name)) {
        ("200 OK", "application/octet-stream", blob)
    } else {
        ("200 OK", "application/json", b"{}")
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\
         Docker-Distribution-Api-Version: registry/2.0\r\nDocker-Content-Digest: {}\r\n\
         WWW-Authenticate: Basic realm=\"test\"\r\n\r\n",
        body.len(),
        digest(body),
    );
    stream.write_all(head.as_bytes()).ok()?;
    if !head_only {
        stream.write_all(body).ok()?;
    }
    Some(())
}
