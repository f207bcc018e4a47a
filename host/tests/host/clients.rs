//! Bad clients: silent, slow, greedy or many. The host cuts them off, and serves others meanwhile.

use std::time::{Duration, Instant};

use wasmart_host::limits::ClientLimits;

use crate::app::{App, Running};
use crate::raw::{Raw, exchange, frame, head, hello, ping};

const SHORT: Duration = Duration::from_millis(400);
/// Anybody else is served within this time.
const SOON: Duration = Duration::from_secs(1);

async fn start(limits: ClientLimits) -> Running {
    let app = App::new("");
    let builder = app.builder().client_limits(limits);
    app.start_with(builder).await
}

/// Fails unless a new client is served at once.
async fn assert_serves(app: &Running) {
    let begun = Instant::now();
    let get = "GET /do/served HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n";
    let answer = exchange(app.host.addr(), get).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
}

const POST: &str = "POST /do/echo HTTP/1.1\r\nhost: h\r\ncontent-length: 10\r\n\r\n";

#[tokio::test]
async fn a_connection_that_asks_nothing_is_closed() {
    let app = start(ClientLimits {
        header_timeout: SHORT,
        ..ClientLimits::default()
    })
    .await;
    let address = app.host.addr();
    let get = b"GET /do/served HTTP/1.1\r\nhost: h\r\n";
    let settings_only = hello(100);
    let asked = [hello(100), head(1, "GET", "/do/served", false)].concat();
    let half_a_head = frame(1, 1, 1, &[0x86]);
    let half_asked = [hello(100), half_a_head].concat();
    let whole = [&get[..], b"\r\n"].concat();
    let cases: [(&str, &[u8]); 9] = [
        ("nothing", b""),
        ("one letter", b"P"),
        ("half the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nS"),
        ("the settings of HTTP/2", &settings_only),
        ("half a head of HTTP/2", &half_asked),
        ("a request of HTTP/2", &asked),
        ("half a head", get),
        ("a request that was answered", &whole),
        ("empty lines", b"\r\n\r\n"),
    ];
    let closed = cases.map(|(what, bytes)| async move {
        let mut raw = Raw::with(address, bytes).await;
        let (_, took) = raw.read_to_end().await;
        assert!(took > SHORT / 2, "{what}: closed after {took:?}");
    });
    futures::future::join_all(closed).await;
}

#[tokio::test]
async fn what_is_no_request_does_not_prolong_the_life_of_a_connection() {
    let app = start(ClientLimits {
        header_timeout: SHORT,
        ..ClientLimits::default()
    })
    .await;
    let address = app.host.addr();
    let cases = [
        (hello(100), ping()),
        (hello(100), frame(4, 0, 0, &[])),
        (b"GET / HTTP/1.1\r\nx-long: ".to_vec(), b"x".to_vec()),
    ];
    let closed = cases.map(|(first, again)| async move {
        let mut raw = Raw::with(address, first).await;
        let begun = Instant::now();
        while raw.try_send(&again).await {
            assert!(begun.elapsed() < 6 * SHORT, "still open");
            tokio::time::sleep(SHORT / 8).await;
        }
    });
    futures::future::join_all(closed).await;
}

#[tokio::test]
async fn a_long_request_is_not_idle() {
    let app = start(ClientLimits {
        header_timeout: SHORT,
        ..ClientLimits::default()
    })
    .await;
    assert_eq!(app.get("/do/sleep?ms=1500").await.0, 200);
    let client = reqwest::Client::builder().http2_prior_knowledge();
    let client = client.build().unwrap();
    let slow = client.get(app.url("/do/sleep?ms=1500")).send();
    assert_eq!(slow.await.unwrap().status(), 200);
}

#[tokio::test]
async fn without_a_free_place_the_idlest_connection_goes_at_once() {
    let app = start(ClientLimits {
        connections: 4,
        ..ClientLimits::default()
    })
    .await;
    let mut idle = Vec::new();
    for bytes in [hello(100), b"P".to_vec(), b"GET / HT".to_vec(), vec![]] {
        idle.push(Raw::with(app.host.addr(), bytes).await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let _ = idle[0].0.readable().await;
    assert_serves(&app).await;
    let (_, took) = idle[0].read_to_end().await;
    assert!(took < SOON, "the first to come should have gone");
    for raw in &mut idle[1..] {
        assert!(raw.is_open().await, "one was enough");
    }
}

#[tokio::test]
async fn many_more_connections_than_places_shut_nobody_out() {
    let app = start(ClientLimits {
        connections: 16,
        ..ClientLimits::default()
    })
    .await;
    let mut held = Vec::new();
    for round in 0..48 {
        held.push(Raw::with(app.host.addr(), if round % 2 == 0 { "" } else { "P" }).await);
    }
    for _ in 0..4 {
        assert_serves(&app).await;
    }
}

#[tokio::test]
async fn connections_with_slow_bodies_give_way_too() {
    let app = start(ClientLimits {
        connections: 4,
        ..ClientLimits::default()
    })
    .await;
    let mut slow = Vec::new();
    for _ in 0..4 {
        slow.push(Raw::with(app.host.addr(), POST).await);
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_serves(&app).await;
}

#[tokio::test]
async fn a_client_that_is_served_keeps_its_place_and_the_next_one_learns_when_to_come_back() {
    let app = start(ClientLimits {
        connections: 1,
        ..ClientLimits::default()
    })
    .await;
    let address = app.host.addr();
    let mut served = Raw::with(
        address,
        "GET /do/sleep?ms=800 HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n",
    )
    .await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let second = exchange(address, "GET /do/served HTTP/1.1\r\nhost: h\r\n\r\n").await;
    assert!(second.starts_with("HTTP/1.1 503"), "{second}");
    assert!(second.contains("\r\nretry-after: "), "{second}");
    assert!(second.contains("/problems/overloaded"), "{second}");
    let (first, _) = served.read_to_end().await;
    assert!(first.starts_with("HTTP/1.1 200"), "{first}");
    assert_serves(&app).await;
}

/// Reproduces an attack: unfinished bodies on a few HTTP/2 connections took every place of a
/// component.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unfinished_bodies_take_no_place_of_a_component() {
    let app = start(ClientLimits::default()).await;
    let mut connections = Vec::new();
    for _ in 0..11 {
        let mut raw = Raw::with(app.host.addr(), hello(65_535)).await;
        for number in 0..100 {
            raw.send(head(2 * number + 1, "POST", "/do/echo", true))
                .await;
        }
        connections.push(raw);
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    for _ in 0..3 {
        assert_serves(&app).await;
        let begun = Instant::now();
        let echo = app.client.post(app.url("/do/echo")).body("abc").send();
        assert_eq!(echo.await.unwrap().text().await.unwrap(), "3");
        assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn a_body_that_does_not_come_in_time_is_a_408_and_the_connection_closes() {
    let app = start(ClientLimits {
        body_timeout: SHORT,
        ..ClientLimits::default()
    })
    .await;
    let address = app.host.addr();
    let late = |answer: &str| {
        assert!(answer.contains("HTTP/1.1 408"), "{answer}");
        assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
        assert!(answer.contains("/problems/request-timeout"), "{answer}");
    };
    late(&exchange(address, POST).await);
    late(&exchange(address, [POST, "half "].concat()).await);
    let chunked = "POST /do/echo HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhal";
    late(&exchange(address, chunked).await);
    let expects = POST.replace("host: h", "host: h\r\nexpect: 100-continue");
    late(&exchange(address, expects).await);
    // A byte now and then is no better.
    let mut dripping = Raw::with(address, POST.replace("10", "1000")).await;
    let begun = Instant::now();
    while begun.elapsed() < 2 * SHORT && dripping.try_send("x").await {
        tokio::time::sleep(SHORT / 8).await;
    }
    late(&dripping.read_to_end().await.0);
    // Nor is a large body that stops after its beginning.
    let large = [POST.replace("10", "200000"), "x".repeat(100_000)].concat();
    late(&exchange(address, large).await);
}

#[tokio::test]
async fn a_slow_body_that_is_in_time_is_taken() {
    let app = start(ClientLimits::default()).await;
    let mut raw = Raw::with(app.host.addr(), POST).await;
    for byte in b"0123456789" {
        raw.send([*byte]).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let answer = raw.read_until("\r\n\r\n10").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    // And the connection goes on.
    raw.send(POST).await;
    raw.send("0123456789").await;
    raw.read_until("\r\n\r\n10").await;
}

#[tokio::test]
async fn expecting_to_continue_works_and_is_no_way_around_a_limit() {
    let app = start(ClientLimits::default()).await;
    let expects = POST.replace("host: h", "host: h\r\nexpect: 100-continue");
    let mut raw = Raw::with(app.host.addr(), &expects).await;
    raw.read_until("100 Continue\r\n\r\n").await;
    raw.send("0123456789").await;
    raw.read_until("\r\n\r\n10").await;
    let too_much = expects.replace("10\r\n", "999999999\r\n");
    let answer = exchange(app.host.addr(), too_much).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_where_the_client_sees_it() {
    let app = start(ClientLimits::default()).await;
    let mut raw = Raw::with(app.host.addr(), POST.replace("10", "20000000")).await;
    // Like a client that reads nothing until it has sent everything.
    for _ in 0..20 {
        if !raw.try_send(vec![b'x'; 1_000_000]).await {
            break;
        }
    }
    let (answer, _) = raw.read_to_end().await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer:?}");
    assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
    // The same without a length that announces it.
    let head = "POST /do/echo HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n";
    let mut raw = Raw::with(app.host.addr(), head).await;
    let chunk = [
        b"f4240\r\n".to_vec(),
        vec![b'x'; 1_000_000],
        b"\r\n".to_vec(),
    ]
    .concat();
    for _ in 0..20 {
        if !raw.try_send(&chunk).await {
            break;
        }
    }
    let (answer, _) = raw.read_to_end().await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer:?}");
    assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let app = start(ClientLimits::default()).await;
    let get = |path: &str| format!("GET /do/{path} HTTP/1.1\r\nhost: h\r\n\r\n");
    let close = "GET /do/path?last HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n";
    let all = [&get("path?1"), &get("path?2"), POST, "0123456789", close].concat();
    let answers = exchange(app.host.addr(), all).await;
    assert_eq!(answers.matches("HTTP/1.1 200").count(), 4, "{answers}");
    let bodies = ["?1\"", "?2\"", "\r\n\r\n10", "?last\""];
    let places = bodies.map(|body| answers.find(body).expect(body));
    assert!(places.is_sorted(), "{answers}");
}

#[tokio::test]
async fn a_client_that_does_not_read_is_closed_and_a_slow_one_is_not() {
    let app = start(ClientLimits {
        write_timeout: SHORT,
        ..ClientLimits::default()
    })
    .await;
    // More than the system buffers for a connection.
    let get = "GET /do/big?bytes=40000000 HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n";
    let mut deaf = Raw::with(app.host.addr(), get).await;
    tokio::time::sleep(6 * SHORT).await;
    let (answer, _) = deaf.read_to_end().await;
    assert!(answer.len() < 40_000_000, "it was all kept");
    let mut slow = Raw::with(app.host.addr(), get.replace("40000000", "8000000")).await;
    let mut count = 0;
    let begun = Instant::now();
    loop {
        let mut bytes = vec![0; 400_000];
        let read = tokio::io::AsyncReadExt::read(&mut slow.0, &mut bytes);
        match read.await.expect("it is open") {
            0 => break,
            bytes => count += bytes,
        }
        tokio::time::sleep(Duration::from_millis(40)).await;
    }
    assert!(count > 8_000_000 && begun.elapsed() > 2 * SHORT);
}

/// Reproduces an attack: every answer stayed in memory, some four megabytes for each stream.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_nobody_reads_do_not_pile_up() {
    let app = start(ClientLimits::default()).await;
    let big = "/do/big?bytes=1600000";
    assert_eq!(app.get(big).await.0, 200);
    let before = resident();
    let mut raw = Raw::with(app.host.addr(), hello(0)).await;
    for number in 0..100 {
        raw.send(head(2 * number + 1, "GET", big, false)).await;
    }
    let begun = Instant::now();
    let mut most = 0;
    let watch = async {
        loop {
            most = most.max(resident().saturating_sub(before));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::select! {
        () = watch => {}
        _ = raw.read_to_end() => {}
    }
    println!("{} MB more, closed after {:?}", most >> 20, begun.elapsed());
    assert!(most < 150 << 20, "{} MB more", most >> 20);
    assert!(begun.elapsed() < 4 * SOON, "{:?}", begun.elapsed());
    assert_serves(&app).await;
}

/// The memory that this process has, in bytes.
#[cfg(target_os = "linux")]
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux tells");
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok());
    4096 * pages.unwrap_or(0_usize)
}

#[tokio::test]
async fn a_client_that_reads_gets_every_answer_however_many_it_asked_for() {
    let app = start(ClientLimits::default()).await;
    let client = reqwest::Client::builder().http2_prior_knowledge();
    let client = client.build().unwrap();
    let gets = (0..100).map(|_| async {
        let response = client.get(app.url("/do/big?bytes=300000")).send().await;
        response.unwrap().bytes().await.unwrap().len()
    });
    let lengths = futures::future::join_all(gets).await;
    assert_eq!(lengths, [300_000; 100]);
}
