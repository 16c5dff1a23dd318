//! The data plane as a process: requests through network namespaces, to
//! workloads of our own and to a real container.
//!
//! Needs root, `ip` (iproute2), and for one test a Docker engine and Debian's
//! static busybox.

// Clippy's own exception for tests does not see helpers.
#![allow(clippy::unwrap_used)]

mod relay;
mod support;

use std::time::Duration;

use stoa_tunnel::routes::{HttpOptions, NextCase, Route, RouteTable};
use stoa_tunnel::ControlError;
use support::{one_route, request, Connection, Container, DataPlane, Namespace, Reply};

#[tokio::test]
async fn a_request_reaches_the_workload_and_unknown_hosts_do_not() {
    let plane = DataPlane::start().await;
    let namespace = Namespace::new();
    let workload = namespace.serve(1, Reply::Echo);
    plane.push(one_route(1, "web.example", &[&workload])).await;

    let answer = plane
        .get(
            "/path?q=1",
            "WEB.example:8080",
            "X-Forwarded-For: 6.6.6.6\r\nConnection: close, X-Secret\r\nX-Secret: 1\r\n",
        )
        .await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let seen = answer.to_ascii_lowercase();
    assert!(seen.contains("get /path?q=1 http/1.1"), "{answer}");
    assert!(seen.contains("x-forwarded-for: 127.0.0.1\r\n"), "{answer}");
    assert!(seen.contains("x-forwarded-proto: http\r\n"), "{answer}");
    assert!(!seen.contains("x-secret") && !seen.contains("6.6.6.6"), "{answer}");

    let unknown = plane.get("/", "other.example", "").await;
    assert!(unknown.starts_with("HTTP/1.1 404"), "{unknown}");
    assert!(unknown.contains("no deployment answers for host other.example here"), "{unknown}");
    assert!(plane.send("GET / HTTP/1.1\r\n\r\n").await.starts_with("HTTP/1.1 400"));
    let status = plane.control.status().await.unwrap();
    assert_eq!((status.generation, status.hosts), (1, 1));
    assert_eq!(status.counters.unknown_hosts, 1);
}

#[tokio::test]
async fn instances_take_turns_and_a_dead_one_is_passed_over() {
    let plane = DataPlane::start().await;
    let namespace = Namespace::new();
    let (one, two) =
        (namespace.serve(1, Reply::Name("one")), namespace.serve(2, Reply::Name("two")));
    let dead = namespace.nobody(3);
    plane.push(one_route(1, "web.example", &[&one, &dead, &two])).await;
    let mut answers = Vec::new();
    for _ in 0..6 {
        let answer = plane.get("/", "web.example", "").await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        answers.push(answer.contains("\r\n\r\none"));
    }
    assert!(answers.contains(&true) && answers.contains(&false), "both serve");
    let status = plane.control.status().await.unwrap();
    assert_eq!(status.failing.len(), 1, "{:?}", status.failing);
    assert_eq!(status.failing[0].instance, dead.instance);
    // A dead one alone: named as such, and no instance at all another way.
    plane.push(one_route(2, "web.example", &[&dead])).await;
    assert!(plane.get("/", "web.example", "").await.starts_with("HTTP/1.1 502"));
    plane.push(one_route(3, "web.example", &[])).await;
    assert!(plane.get("/", "web.example", "").await.starts_with("HTTP/1.1 503"));
}

#[tokio::test]
async fn many_requests_at_once_and_a_restarted_link() {
    let plane = DataPlane::start().await;
    let before = Namespace::new();
    let old = before.serve(1, Reply::Name("old"));
    plane.push(one_route(1, "web.example", &[&old])).await;
    let answers = futures::future::join_all((0..300).map(|_| plane.get("/", "web.example", "")));
    assert!(answers.await.iter().all(|answer| answer.ends_with("old")));
    // The link container restarted: another namespace, at another path.
    drop(before);
    let after = Namespace::new();
    let new = after.serve(1, Reply::Name("new"));
    plane.push(one_route(2, "web.example", &[&new])).await;
    assert!(plane.get("/", "web.example", "").await.ends_with("new"));
}

#[tokio::test]
async fn the_manifests_options_are_kept() {
    let plane = DataPlane::start().await;
    let namespace = Namespace::new();
    let slow = namespace.serve(1, Reply::Silence);
    let failing = namespace.serve(2, Reply::Unavailable);
    let good = namespace.serve(3, Reply::Name("good"));
    let route = |host: &str, http: HttpOptions, targets: &[&stoa_tunnel::routes::Target]| Route {
        hosts: vec![host.into()],
        http,
        targets: targets.iter().map(|target| (*target).clone()).collect(),
    };
    let quick = HttpOptions { read_timeout: 300, max_body_size: 10, ..HttpOptions::default() };
    let on_503 = HttpOptions { next_cases: vec![NextCase::Status503], ..HttpOptions::default() };
    let routes = vec![
        route("slow.example", quick.clone(), &[&slow]),
        route("tries.example", on_503, &[&failing, &good]),
        route("stays.example", HttpOptions::default(), &[&failing]),
        route("small.example", quick, &[&good]),
    ];
    plane.push(RouteTable { generation: 1, routes, ..RouteTable::default() }).await;
    assert!(plane.get("/", "slow.example", "").await.starts_with("HTTP/1.1 504"));
    for _ in 0..4 {
        assert!(plane.get("/", "tries.example", "").await.ends_with("good"));
    }
    assert!(plane.get("/", "stays.example", "").await.starts_with("HTTP/1.1 503"));
    let known = request("POST", "/", "small.example", "Content-Length: 11\r\n") + "12345678901";
    assert!(plane.send(&known).await.starts_with("HTTP/1.1 413"));
    let chunked = request("POST", "/", "small.example", "Transfer-Encoding: chunked\r\n");
    let answer = plane.send(&(chunked + "b\r\n12345678901\r\n0\r\n\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
}

#[tokio::test]
async fn an_upgraded_connection_carries_bytes_both_ways() {
    let plane = DataPlane::start().await;
    let namespace = Namespace::new();
    let workload = namespace.serve(1, Reply::Upgrade);
    plane.push(one_route(1, "ws.example", &[&workload])).await;
    let head = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
    let mut connection = plane.open(&request("GET", "/", "ws.example", head)).await;
    let answer = connection.read_head().await;
    assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
    assert!(answer.to_ascii_lowercase().contains("upgrade: websocket"), "{answer}");
    for word in ["hello", "again"] {
        connection.write(word).await;
        assert_eq!(connection.read_exact(5).await, word);
    }
}

#[tokio::test]
async fn a_body_is_passed_on_as_it_comes() {
    let plane = DataPlane::start().await;
    let namespace = Namespace::new();
    let workload = namespace.serve(1, Reply::EchoChunks);
    plane.push(one_route(1, "stream.example", &[&workload])).await;
    let head = request("POST", "/", "stream.example", "Transfer-Encoding: chunked\r\n");
    let mut connection = plane.open(&head).await;
    connection.write("3\r\none\r\n").await;
    let answer = connection.read_head().await;
    assert!(answer.starts_with("HTTP/1.1 200"), "the answer began before the body ended");
    assert_eq!(connection.read_exact(8).await, "3\r\none\r\n");
    connection.write("3\r\ntwo\r\n0\r\n\r\n").await;
    assert_eq!(connection.read_exact(8).await, "3\r\ntwo\r\n");
}

#[tokio::test]
async fn the_table_outlives_a_kill_and_only_grows_newer() {
    let mut plane = DataPlane::start().await;
    let namespace = Namespace::new();
    let workload = namespace.serve(1, Reply::Name("still here"));
    let table = one_route(7, "web.example", &[&workload]);
    plane.push(table.clone()).await;
    plane.kill_and_restart().await;
    assert!(plane.get("/", "web.example", "").await.ends_with("still here"));
    plane.push(table.clone()).await;
    for generation in [6, 7] {
        let other = one_route(generation, "other.example", &[&workload]);
        let error = plane.control.set_routes(&other).await.unwrap_err();
        assert!(matches!(error, ControlError::Stale { current: 7 }), "{error}");
    }
    let bad = one_route(8, "not a host", &[&workload]);
    let error = plane.control.set_routes(&bad).await.unwrap_err().to_string();
    assert!(error.contains("not a host name"), "{error}");
    assert!(plane.get("/", "web.example", "").await.ends_with("still here"));
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(plane.control.socket()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn oversized_heads_are_refused() {
    let plane = DataPlane::start().await;
    let many: String = (0..200).map(|n| format!("X-H-{n}: 1\r\n")).collect();
    assert!(plane.get("/", "a.example", &many).await.starts_with("HTTP/1.1 431"));
    let long = format!("X-Long: {}\r\n", "a".repeat(100_000));
    let answer = plane.get("/", "a.example", &long).await;
    // The rest of the head may still be under way when the connection closes,
    // and take the answer with it.
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
}

#[tokio::test]
async fn a_container_without_a_published_port_is_reached_through_its_link() {
    let plane = DataPlane::start().await;
    let container = Container::start();
    plane.push(one_route(1, "app.example", &[&container.target])).await;
    let mut answer = String::new();
    for _ in 0..50 {
        answer = plane.get("/", "app.example", "").await;
        if answer.starts_with("HTTP/1.1 200") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(answer.ends_with("from the container\n"), "{answer}");
    // The host itself has no way into that network. (Whether a connect alone
    // succeeds says little where the host's route has a proxy on it.)
    let text = request("GET", "/", "app.example", "");
    let direct = async {
        let mut connection = Connection::open(container.target.address, &text).await.ok()?;
        Some(connection.read_head().await)
    };
    let direct = tokio::time::timeout(Duration::from_secs(2), direct).await.ok().flatten();
    assert!(!direct.unwrap_or_default().contains("200 OK"), "reached without the link");
}
