//! HTTPS at the ingress: the own CA, the operator's files, a real ACME
//! server (Pebble), HTTP/2. Needs root and `ip` (iproute2).

// Clippy's own exception for tests does not see helpers.
#![allow(clippy::unwrap_used)]

mod support;

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use stoa_tunnel::routes::{HttpOptions, Route, RouteTable, Target};
use stoa_tunnel::{AcmeSettings, CertificateFile, TlsSettings};
use support::pebble::Pebble;
use support::tls::{TlsClient, Trust};
use support::{request, DataPlane, Namespace, Reply};

const PATIENCE: Duration = Duration::from_secs(60);

fn settings() -> TlsSettings {
    TlsSettings {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        redirect_to: None,
        ca_name: "stoa1test".into(),
        files: vec![],
        acme: None,
    }
}

fn table(generation: u64, hosts: &[&str], target: &Target, tls: TlsSettings) -> RouteTable {
    let route = |host: &&str| Route {
        hosts: vec![host.to_string()],
        http: HttpOptions::default(),
        targets: vec![target.clone()],
    };
    let routes = hosts.iter().map(route).collect();
    RouteTable { generation, routes, tls: Some(tls), ..RouteTable::default() }
}

async fn https(plane: &DataPlane) -> SocketAddr {
    plane.control.status().await.unwrap().https.expect("HTTPS is served")
}

/// Tries until something is so.
async fn until<T>(what: &str, mut attempt: impl AsyncFnMut() -> Option<T>) -> T {
    let trying = async {
        loop {
            if let Some(found) = attempt().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(PATIENCE, trying).await.unwrap_or_else(|_| panic!("never: {what}"))
}

#[tokio::test]
async fn names_of_routes_get_certificates_of_the_own_ca_and_others_none() {
    let mut plane = DataPlane::start().await;
    let namespace = Namespace::new();
    let workload = namespace.serve(1, Reply::Echo);
    plane.push(table(1, &["web.example"], &workload, settings())).await;
    let ca = Trust::file(&plane.state().join("tls/ca.crt"));
    let client = TlsClient::new(https(&plane).await, &ca, &[b"http/1.1"]);
    let answer = client.get("web.example", "/").await.unwrap().to_ascii_lowercase();
    assert!(answer.starts_with("http/1.1 200"), "{answer}");
    assert!(answer.contains("x-forwarded-proto: https\r\n"), "{answer}");
    assert!(answer.contains("x-forwarded-for: 127.0.0.1\r\n"), "{answer}");
    assert!(client.get("other.example", "/").await.is_err(), "a name that no route has");
    // A restart serves with the same CA.
    plane.kill_and_restart().await;
    let client = TlsClient::new(https(&plane).await, &ca, &[b"http/1.1"]);
    assert!(client.get("WEB.example", "/").await.unwrap().starts_with("HTTP/1.1 200"));
    // And HTTPS ends where the table no longer wants it.
    plane.push(RouteTable { generation: 2, ..RouteTable::default() }).await;
    assert_eq!(plane.control.status().await.unwrap().https, None);
    assert!(client.get("web.example", "/").await.is_err());
}

#[tokio::test]
async fn http_2_carries_many_requests_over_one_connection() {
    let plane = DataPlane::start().await;
    let namespace = Namespace::new();
    let workload = namespace.serve(1, Reply::Echo);
    plane.push(table(1, &["web.example"], &workload, settings())).await;
    let ca = Trust::file(&plane.state().join("tls/ca.crt"));
    let client = TlsClient::new(https(&plane).await, &ca, &[b"h2", b"http/1.1"]);
    let before = plane.control.status().await.unwrap().counters.connections;
    let answers = client.get_h2("web.example", 20).await.unwrap();
    assert_eq!(answers.len(), 20);
    for (number, (status, body)) in answers.iter().enumerate() {
        let body = body.to_ascii_lowercase();
        assert_eq!(*status, 200, "{body}");
        assert!(body.contains(&format!("get /{number} http/1.1\r\n")), "{body}");
        assert!(body.contains("host: web.example\r\n"), "{body}");
        assert!(body.contains("x-forwarded-proto: https\r\n"), "{body}");
    }
    let after = plane.control.status().await.unwrap().counters.connections;
    assert_eq!(after - before, 1);
    let (status, _) = client.get_h2("web.example:1", 1).await.unwrap().remove(0);
    assert_eq!(status, 200, "a port in the name is not part of it");
    // A header that names another host than the pseudo-header is refused.
    let (status, _) = client.get_h2_with_host("web.example", "other.example").await.unwrap();
    assert_eq!(status, 400);
}

#[tokio::test]
async fn a_web_socket_goes_through_tls() {
    let plane = DataPlane::start().await;
    let namespace = Namespace::new();
    let workload = namespace.serve(1, Reply::Upgrade);
    plane.push(table(1, &["ws.example"], &workload, settings())).await;
    let ca = Trust::file(&plane.state().join("tls/ca.crt"));
    let client = TlsClient::new(https(&plane).await, &ca, &[b"http/1.1"]);
    let mut stream = client.connect("ws.example").await.unwrap();
    let head = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
    support::tls::send(&mut stream, &request("GET", "/", "ws.example", head)).await;
    let answer = support::tls::read_until(&mut stream, "\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
    support::tls::send(&mut stream, "hello").await;
    assert_eq!(support::tls::read_until(&mut stream, "hello").await, "hello");
}

#[tokio::test]
async fn plain_http_is_redirected_where_the_operator_wants_it() {
    let plane = DataPlane::start().await;
    let namespace = Namespace::new();
    let workload = namespace.serve(1, Reply::Echo);
    let redirecting = TlsSettings { redirect_to: Some(8443), ..settings() };
    plane.push(table(1, &["web.example"], &workload, redirecting)).await;
    let answer = plane.get("/a?b=c", "web.example:8080", "").await;
    assert!(answer.starts_with("HTTP/1.1 308"), "{answer}");
    let head = answer.to_ascii_lowercase();
    assert!(head.contains("location: https://web.example:8443/a?b=c\r\n"), "{answer}");
    let usual = TlsSettings { redirect_to: Some(443), ..settings() };
    plane.push(table(2, &["web.example"], &workload, usual)).await;
    let answer = plane.get("/", "web.example", "").await.to_ascii_lowercase();
    assert!(answer.contains("location: https://web.example/\r\n"), "{answer}");
    assert!(plane.get("/", "other.example", "").await.starts_with("HTTP/1.1 404"));
}

#[tokio::test]
async fn the_operators_certificate_is_used_and_changes_without_a_restart() {
    let plane = DataPlane::start().await;
    let namespace = Namespace::new();
    let workload = namespace.serve(1, Reply::Echo);
    let dir = tempfile::tempdir().unwrap();
    let files = CertificateFile {
        certificate: dir.path().join("wild.crt"),
        key: dir.path().join("wild.key"),
    };
    let first = write_certificate(&files, &["*.p.example"]);
    let settings = TlsSettings { files: vec![files.clone()], ..settings() };
    let hosts = ["web.p.example", "own.example"];
    plane.push(table(1, &hosts, &workload, settings)).await;
    let address = https(&plane).await;
    let get = async |trust: &Trust, host: &str| {
        let client = TlsClient::new(address, trust, &[b"http/1.1"]);
        client.get(host, "/").await.is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
    };
    assert!(get(&first, "web.p.example").await);
    assert!(!get(&first, "own.example").await, "it is not for that name");
    let ca = Trust::file(&plane.state().join("tls/ca.crt"));
    assert!(get(&ca, "own.example").await);
    let second = write_certificate(&files, &["*.p.example", "more.example"]);
    until("the new certificate", async || get(&second, "web.p.example").await.then_some(())).await;
    assert!(!get(&first, "web.p.example").await);
    // Half a file: what was there goes on, and the status says so.
    std::fs::write(&files.certificate, "-----BEGIN").unwrap();
    let problem = until("a problem", async || {
        plane.control.status().await.unwrap().problems.into_iter().next()
    });
    assert!(problem.await.contains("wild.crt"));
    assert!(get(&second, "web.p.example").await);
}

/// Writes a self-signed certificate; trusts it.
fn write_certificate(files: &CertificateFile, names: &[&str]) -> Trust {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
    std::fs::write(&files.certificate, made.cert.pem()).unwrap();
    Trust::file(&files.certificate)
}

#[tokio::test]
async fn certificates_come_from_an_acme_server_are_renewed_and_outlive_it() {
    let Some(program) = std::env::var_os("PEBBLE") else {
        assert!(std::env::var_os("CI").is_none(), "PEBBLE is not set");
        eprintln!("skipped: PEBBLE names no ACME server; scripts/pebble.sh makes one");
        return;
    };
    let mut plane = DataPlane::start().await;
    let namespace = Namespace::new();
    let workload = namespace.serve(1, Reply::Echo);
    // Certificates of nine seconds: a renewal is due after six.
    let pebble = Pebble::start(Path::new(&program), plane.http().port(), 9).await;
    let acme = AcmeSettings {
        directory: pebble.directory(),
        contact: vec!["mailto:operator@example.com".into()],
        roots: Some(pebble.api_certificate()),
        except_domain: Some("p.example".into()),
    };
    let settings = TlsSettings { acme: Some(acme), redirect_to: Some(443), ..settings() };
    let hosts = ["shop.tenant.example", "web.p.example", "blocked.tenant.example"];
    plane.push(table(1, &hosts, &workload, settings)).await;
    let address = https(&plane).await;
    let roots = pebble.roots().await;
    let serial = async |address: SocketAddr| {
        let client = TlsClient::new(address, &roots, &[b"http/1.1"]);
        client.certificate("shop.tenant.example").await.ok()
    };
    let first = until("a certificate of the CA", async || serial(address).await).await;
    // Names under the operator's own domain are left to the own CA.
    let ca = Trust::file(&plane.state().join("tls/ca.crt"));
    let own = TlsClient::new(address, &ca, &[b"http/1.1"]);
    assert!(own.get("web.p.example", "/").await.is_ok());
    // A name that the CA refuses is told, and waits.
    let problem = until("the refused name", async || {
        let problems = plane.control.status().await.unwrap().problems;
        problems.into_iter().find(|problem| problem.contains("blocked.tenant.example"))
    })
    .await;
    assert!(problem.contains("after 1 tries"), "{problem}");
    let renewed =
        until("a renewed certificate", async || serial(address).await.filter(|now| *now != first))
            .await;
    assert_ne!(renewed, first);
    assert_private(&plane.state().join("tls/acme"));
    // Without the CA, and over a kill, what is on disk serves at once.
    drop(pebble);
    plane.kill_and_restart().await;
    let address = https(&plane).await;
    let client = TlsClient::new(address, &Trust::anything(), &[b"http/1.1"]);
    let certificate = client.certificate("shop.tenant.example").await.unwrap();
    assert!(support::tls::issuer(&certificate).contains("Pebble"), "the own CA stepped in");
}

/// Every file below has a key in it or beside it: nobody else may read them.
fn assert_private(directory: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let mut seen = 0;
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        if path.is_dir() {
            assert_eq!(mode, 0o700, "{}", path.display());
            assert_private(&path);
        } else {
            assert_eq!(mode, 0o600, "{}", path.display());
        }
        seen += 1;
    }
    assert!(seen > 0, "{} is empty", directory.display());
}
