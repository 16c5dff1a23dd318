//! The manifest's `http_options`, each by itself, and requests that two
//! servers might read differently. Needs root and `ip` (iproute2).

// Clippy's own exception for tests does not see helpers.
#![allow(clippy::unwrap_used)]

mod support;

use stoa_tunnel::routes::{HttpOptions, NextCase, Route, RouteTable, Target};
use support::{one_route, request, DataPlane, Namespace, Reply};

/// A plane with one route a case; each begins with its first target.
async fn plane(cases: Vec<(&str, HttpOptions, Vec<&Target>)>) -> DataPlane {
    let plane = DataPlane::start().await;
    let routes = cases
        .into_iter()
        .map(|(host, http, targets)| Route {
            hosts: vec![host.into()],
            http,
            targets: targets.into_iter().cloned().collect(),
        })
        .collect();
    plane.push(RouteTable { generation: 1, routes, ..RouteTable::default() }).await;
    plane
}

fn on(cases: &[NextCase]) -> HttpOptions {
    HttpOptions { next_cases: cases.to_vec(), ..HttpOptions::default() }
}

/// In milliseconds: how long one waits for an instance that says nothing.
const SHORT: u32 = 2000;

/// For instances that say nothing.
fn soon(cases: &[NextCase]) -> HttpOptions {
    HttpOptions { read_timeout: SHORT, ..on(cases) }
}

/// Asks all at once, for some wait for a silent instance, and holds the answers' codes against
/// what is expected.
async fn expect(plane: &DataPlane, cases: &[(&str, &str)]) {
    let asked = cases.iter().map(|(host, _)| plane.get("/", host, ""));
    let answers = futures::future::join_all(asked).await;
    for ((host, expected), answer) in cases.iter().zip(answers) {
        assert_eq!(status(&answer), *expected, "{host}");
    }
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or(answer)
}

#[tokio::test]
async fn each_next_case_makes_another_instance_be_tried_and_off_none() {
    let namespace = Namespace::new();
    let good = namespace.serve(1, Reply::Name("good"));
    for (case, code) in [
        (NextCase::Status403, 403),
        (NextCase::Status404, 404),
        (NextCase::Status429, 429),
        (NextCase::Status500, 500),
        (NextCase::Status502, 502),
        (NextCase::Status503, 503),
        (NextCase::Status504, 504),
    ] {
        let bad = namespace.serve_at(code, Reply::Status(code));
        let targets = || vec![&bad, &good];
        let plane = plane(vec![
            ("with.example", on(&[case]), targets()),
            ("without.example", on(&[NextCase::Error, NextCase::Timeout]), targets()),
            ("off.example", on(&[NextCase::Off, case]), targets()),
        ])
        .await;
        let with = plane.get("/", "with.example", "").await;
        assert!(with.ends_with("good"), "{code}: {with}");
        for host in ["without.example", "off.example"] {
            assert_eq!(status(&plane.get("/", host, "").await), code.to_string(), "{host}");
        }
    }
}

#[tokio::test]
async fn an_error_and_a_timeout_are_cases_of_their_own() {
    let namespace = Namespace::new();
    let good = namespace.serve(1, Reply::Name("good"));
    let broken = namespace.serve(2, Reply::HangUp);
    let silent = namespace.serve(3, Reply::Silence);
    let plane = plane(vec![
        ("error.example", on(&[NextCase::Error]), vec![&broken, &good]),
        ("not-error.example", on(&[NextCase::Timeout]), vec![&broken, &good]),
        ("timeout.example", soon(&[NextCase::Timeout]), vec![&silent, &good]),
        ("not-timeout.example", soon(&[NextCase::Error]), vec![&silent, &good]),
    ])
    .await;
    let cases = [
        ("error.example", "200"),
        ("not-error.example", "502"),
        ("timeout.example", "200"),
        ("not-timeout.example", "504"),
    ];
    expect(&plane, &cases).await;
}

#[tokio::test]
async fn tries_are_counted_and_their_time_is_bounded() {
    let namespace = Namespace::new();
    let good = namespace.serve(1, Reply::Name("good"));
    let bad = namespace.serve(2, Reply::Status(503));
    let silent = namespace.serve(3, Reply::Silence);
    let tries = |next_tries| HttpOptions { next_tries, ..on(&[NextCase::Status503]) };
    let time = |next_timeout| HttpOptions { next_timeout, ..soon(&[NextCase::Timeout]) };
    let plane = plane(vec![
        ("two.example", tries(2), vec![&bad, &bad, &good]),
        ("three.example", tries(3), vec![&bad, &bad, &good]),
        ("all.example", tries(0), vec![&bad, &bad, &bad, &bad, &good]),
        // The first instance alone takes SHORT.
        ("short.example", time(100), vec![&silent, &good]),
        ("long.example", time(60_000), vec![&silent, &good]),
        ("endless.example", time(0), vec![&silent, &good]),
    ])
    .await;
    let cases = [
        ("two.example", "503"),
        ("three.example", "200"),
        ("all.example", "200"),
        ("short.example", "504"),
        ("long.example", "200"),
        ("endless.example", "200"),
    ];
    expect(&plane, &cases).await;
}

#[tokio::test]
async fn a_body_that_was_sent_is_not_sent_to_another_instance() {
    let namespace = Namespace::new();
    let (bad, good) =
        (namespace.serve(1, Reply::Status(503)), namespace.serve(2, Reply::Name("good")));
    let all = [NextCase::Status503, NextCase::Error];
    let plane = plane(vec![
        ("body.example", on(&all), vec![&bad, &good]),
        ("dead.example", on(&all), vec![&namespace.nobody(3), &good]),
    ])
    .await;
    let post = |host: &str| request("POST", "/", host, "Content-Length: 3\r\n") + "abc";
    assert_eq!(status(&plane.send(&post("body.example")).await), "503");
    // To one that could not be reached nothing was sent.
    assert_eq!(status(&plane.send(&post("dead.example")).await), "200");
}

#[tokio::test]
async fn a_workload_that_does_not_take_a_body_is_given_up_after_the_send_timeout() {
    let namespace = Namespace::new();
    let deaf = namespace.serve(1, Reply::Deaf);
    let options = HttpOptions { send_timeout: 300, max_body_size: 0, ..HttpOptions::default() };
    let plane = plane(vec![("deaf.example", options, vec![&deaf])]).await;
    let length = 32 << 20;
    let head = request("POST", "/", "deaf.example", &format!("Content-Length: {length}\r\n"));
    let answer = plane.send_with_body(&head, length).await;
    assert_eq!(status(&answer), "504", "{answer}");
}

#[tokio::test]
async fn an_answers_head_is_bounded_by_the_proxy_buffer() {
    let namespace = Namespace::new();
    let big = namespace.serve(1, Reply::BigHead(20_000));
    let good = namespace.serve(2, Reply::Name("good"));
    let size = |proxy_buffer_size| HttpOptions { proxy_buffer_size, ..HttpOptions::default() };
    let plane = plane(vec![
        ("usual.example", size(0), vec![&big]),
        ("small.example", size(16_384), vec![&big]),
        ("large.example", size(65_536), vec![&big]),
        ("next.example", size(16_384), vec![&big, &good]),
    ])
    .await;
    assert_eq!(status(&plane.get("/", "usual.example", "").await), "200");
    assert_eq!(status(&plane.get("/", "small.example", "").await), "502");
    assert_eq!(status(&plane.get("/", "large.example", "").await), "200");
    assert!(plane.get("/", "next.example", "").await.ends_with("good"));
}

#[tokio::test]
async fn requests_that_could_be_read_in_two_ways_are_refused() {
    let plane = DataPlane::start().await;
    let namespace = Namespace::new();
    let workload = namespace.serve(1, Reply::Echo);
    plane.push(one_route(1, "web.example", &[&workload])).await;
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: web.example\r\nConnection: close\r\n\r\n";
    for headers in [
        "Content-Length: 4\r\nContent-Length: 5\r\n",
        "Content-Length: 4, 5\r\n",
        "Content-Length: +4\r\n",
        "Content-Length: 0x4\r\n",
        "Content-Length: 4 4\r\n",
        "Content-Length: 99999999999999999999999\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding : chunked\r\n",
        "X-Folded: a\r\n Transfer-Encoding: chunked\r\n",
        "X-No-Colon\r\n",
        "X-Nul: a\0b\r\n",
        "Host: other.example\r\n",
    ] {
        let head = request("POST", "/", "web.example", headers);
        let answer = plane.send_all(&format!("{head}0\r\n\r\n{smuggled}")).await;
        assert!(!answer.contains("/smuggled"), "{headers:?}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{headers:?}: {answer}");
        assert_eq!(status(&answer), "400", "{headers:?}: {answer}");
    }
    // RFC 9112, 6.3: of the two, Transfer-Encoding counts, and goes on alone.
    for headers in [
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
    ] {
        let head = request("POST", "/", "web.example", headers);
        let answer = plane.send_all(&format!("{head}0\r\n\r\n{smuggled}")).await;
        let seen = answer.to_ascii_lowercase();
        assert!(seen.contains("\r\ntransfer-encoding: chunked\r\n"), "{answer}");
        assert!(!seen.contains("\r\ncontent-length: 4\r\n"), "{answer}");
    }
    // One that is plain is passed on, and what follows it is a request.
    let plain = request("POST", "/one", "web.example", "Content-Length: 4\r\n") + "abcd";
    let answer = plane.send_all(&(plain + smuggled)).await;
    assert!(answer.contains("POST /one") && answer.contains("GET /smuggled"), "{answer}");
}

#[tokio::test]
async fn a_connection_to_an_instance_is_kept_for_what_may_be_sent_again() {
    let plane = DataPlane::start().await;
    let namespace = Namespace::new();
    let workload = namespace.serve(1, Reply::Connection);
    plane.push(one_route(1, "web.example", &[&workload])).await;
    // A client may be back before the connection is.
    let mut last = 0;
    let mut in_a_row = 0;
    for _ in 0..100 {
        let now = connection(&plane.get("/", "web.example", "").await);
        in_a_row = if now == last { in_a_row + 1 } else { 0 };
        last = last.max(now);
        if in_a_row == 5 {
            break;
        }
    }
    assert_eq!(in_a_row, 5, "{last} connections");
    // A kept connection may end under a request; this one cannot be repeated.
    let post = request("POST", "/", "web.example", "Content-Length: 0\r\n");
    assert_eq!(connection(&plane.send(&post).await), last + 1);
    // Another table, in which the route is another.
    plane.push(one_route(2, "web.example", &[&workload, &workload])).await;
    assert_eq!(connection(&plane.get("/", "web.example", "").await), last + 2);
}

/// Its number, as the workload tells it.
fn connection(answer: &str) -> u32 {
    let number = answer.rsplit_once("connection ").map(|(_, number)| number.parse());
    number.unwrap_or_else(|| panic!("{answer}")).unwrap()
}

#[tokio::test]
async fn a_kept_connection_that_ends_under_a_request_is_the_ingresses_affair_alone() {
    let plane = DataPlane::start().await;
    let namespace = Namespace::new();
    let workload = namespace.serve(1, Reply::Fickle);
    plane.push(one_route(1, "web.example", &[&workload])).await;
    for number in 1..=5 {
        assert_eq!(connection(&plane.get("/", "web.example", "").await), number);
    }
    let status = plane.control.status().await.unwrap();
    assert_eq!((status.counters.failed_tries, status.failing.len()), (0, 0));
}

#[tokio::test]
async fn a_client_keeps_its_connection_for_many_requests() {
    let plane = DataPlane::start().await;
    let namespace = Namespace::new();
    let workload = namespace.serve(1, Reply::Name("again"));
    plane.push(one_route(1, "web.example", &[&workload])).await;
    let mut connection = plane.open("").await;
    for _ in 0..5 {
        connection.write(&request("GET", "/", "web.example", "")).await;
        assert!(connection.read_answer().await.ends_with("again"));
    }
    let counters = plane.control.status().await.unwrap().counters;
    assert_eq!((counters.connections, counters.requests), (1, 5));
}
