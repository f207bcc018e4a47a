//! Each address may send so much to each route, whichever instance or host it meets.

use crate::harness::app::ADMIN;
use crate::harness::process::Process;
use crate::harness::{Actor, Answer, App};
use futures::future::join_all;
use reqwest::RequestBuilder;
use rusqlite::Connection;
use std::time::{Duration, Instant};

const QUOTA: usize = 30;

/// The seconds until there is room for one more.
const ONE_MORE: u64 = 2;

async fn start() -> App {
    App::start_with(&[
        ("rate_limit_per_minute", &QUOTA.to_string()),
        ("trusted_proxies", "127.0.0.0/8"),
    ])
    .await
}

/// As many requests at once; how many were let through, and one that was not.
async fn ask(somebody: &Actor, path: &str, times: usize) -> (usize, Option<Answer>) {
    let requests = (0..times).map(|_| somebody.request("GET", path));
    let (granted, refused) = send(somebody, requests).await;
    (granted, refused.map(Answer::checked))
}

/// As [`ask`], of any requests; a refused `HEAD` has no body to check.
async fn send(
    somebody: &Actor,
    requests: impl Iterator<Item = RequestBuilder>,
) -> (usize, Option<Answer>) {
    let asked = requests.map(|request| somebody.send_unchecked(request));
    let mut answers = join_all(asked).await;
    assert!(answers.iter().all(|answer| answer.status < 500));
    let refused = answers.iter().position(|answer| answer.status == 429);
    let refused = refused.map(|index| answers.swap_remove(index));
    let granted = answers.iter().filter(|answer| answer.status != 429);
    (granted.count(), refused)
}

/// What was granted since then is what was left, and at most what came free meanwhile, one that was nearly there included.
#[track_caller]
fn expect_granted(granted: usize, left: usize, begun: Instant) {
    let freed = usize::try_from(begun.elapsed().as_secs() / ONE_MORE + 1).expect("few");
    assert!((left..=left + freed).contains(&granted), "{granted}");
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_the_limit_an_address_is_told_when_to_come_again() {
    let app = start().await;
    let somebody = app.anonymous().from("198.51.100.7");
    let first = somebody.send(somebody.request("GET", "/items")).await;
    let said = |answer: &Answer, name: &str| answer.header(name).map(str::to_owned);
    assert_eq!(
        said(&first, "ratelimit-policy").as_deref(),
        Some("\"default\";q=30;w=60")
    );
    assert_eq!(
        said(&first, "ratelimit").as_deref(),
        Some("\"default\";r=29;t=2")
    );
    // At once, so many instances answer. While they run, more may come free.
    let begun = Instant::now();
    let (granted, refused) = ask(&somebody, "/items", 2 * QUOTA).await;
    expect_granted(granted, QUOTA - 1, begun);
    let refused = refused.expect("some were refused");
    let wait = said(&refused, "retry-after").and_then(|wait| wait.parse().ok());
    assert!((1..=ONE_MORE).contains(&wait.expect("Retry-After")));
    let refused = refused.refused(429, "too-many-requests");
    let left = said(&refused, "ratelimit").expect("RateLimit");
    assert!(left.starts_with("\"default\";r=0;"), "{left}");
    // It is the address's own matter, and the route's.
    assert!(
        ask(&app.anonymous().from("203.0.113.1"), "/items", 1)
            .await
            .1
            .is_none()
    );
    let other_route = format!("/items/{}", "0".repeat(8));
    assert!(ask(&somebody, &other_route, 1).await.1.is_none());
    tokio::time::sleep(Duration::from_secs(ONE_MORE)).await;
    assert!(
        ask(&somebody, "/items", 1).await.1.is_none(),
        "after the wait"
    );
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_around_it() {
    let app = start().await;
    let network = |host: usize| app.anonymous().from(&format!("2001:db8:1:2::{host:x}"));
    let begun = Instant::now();
    let others = (1..=2 * QUOTA).map(|host| {
        let somebody = network(host);
        async move { ask(&somebody, "/items", 1).await.0 }
    });
    // A subscriber's many addresses are one.
    let granted: usize = join_all(others).await.into_iter().sum();
    expect_granted(granted, QUOTA, begun);
    // Paths that lead nowhere are counted together, whatever they are called.
    let somebody = app.anonymous().from("198.51.100.8");
    let begun = Instant::now();
    let nowhere = (0..2 * QUOTA).map(|number| {
        let (somebody, path) = (somebody.clone(), format!("/items/a/b/{number}"));
        async move { ask(&somebody, &path, 1).await.0 }
    });
    let granted: usize = join_all(nowhere).await.into_iter().sum();
    expect_granted(granted, QUOTA, begun);
    // An id that is called like a probe is none.
    let refused = ask(&somebody, "/items/health", 2 * QUOTA).await.1;
    assert!(refused.is_some(), "not counted");
    // Probes must not fail because somebody asks too much.
    assert!(ask(&somebody, "/stock/health", 2 * QUOTA).await.1.is_none());
    app.finish().await;
}

/// The keys of the buckets that the shop keeps.
fn buckets(app: &App) -> Vec<String> {
    let limits = Connection::open(app.databases().join("limits.db")).expect("limits.db");
    let mut rows = limits.prepare("SELECT key FROM buckets").expect("a table");
    let keys = rows.query_map([], |row| row.get(0)).expect("keys");
    keys.map(|key| key.expect("a key")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_route_does_not_answer_shares_one_bucket_whatever_it_is_called() {
    let app = start().await;
    let somebody = app.anonymous().from("198.51.100.9");
    let long = "M".repeat(4_000);
    let begun = Instant::now();
    let requests = (0..4 * QUOTA).map(|number| {
        let (method, path) = match number % 8 {
            0 => (format!("M{number}"), "/items".to_owned()),
            1 => (format!("{long}{number}"), "/items".to_owned()),
            2 => ("DELETE".to_owned(), "/items".to_owned()),
            3 => ("OPTIONS".to_owned(), format!("/items/{number}")),
            4 => ("GET".to_owned(), format!("/orders/a/b/{number}")),
            5 => ("POST".to_owned(), "/stock/health".to_owned()),
            6 => ("POST".to_owned(), "/internal/orders/tick".to_owned()),
            _ => (format!("GET{number}"), format!("/nowhere/{number}")),
        };
        somebody.request(&method, &path)
    });
    let (granted, refused) = send(&somebody, requests).await;
    expect_granted(granted, QUOTA, begun);
    refused.expect("some were refused");
    let keys = buckets(&app);
    let own: Vec<_> = keys.iter().filter(|key| key.ends_with(".100.9")).collect();
    assert_eq!(own, ["* 198.51.100.9"]);
    // Requests that match a route are counted separately.
    assert!(ask(&somebody, "/items", 1).await.1.is_none());
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_counts_as_the_get() {
    let app = start().await;
    let somebody = app.anonymous().from("198.51.100.10");
    let begun = Instant::now();
    let requests = (0..2 * QUOTA).map(|number| {
        let method = if number % 2 == 0 { "HEAD" } else { "GET" };
        somebody.request(method, "/items")
    });
    let (granted, _) = send(&somebody, requests).await;
    expect_granted(granted, QUOTA, begun);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_pages_of_other_sites_are_let_in_their_preflights_count_too() {
    let app = App::start_with(&[
        ("rate_limit_per_minute", &QUOTA.to_string()),
        ("trusted_proxies", "127.0.0.0/8"),
        ("cors_origins", "https://app.example"),
    ])
    .await;
    let somebody = app.anonymous().from("198.51.100.11");
    for path in ["/items", "/nothing"] {
        let begun = Instant::now();
        let requests = (0..2 * QUOTA).map(|_| {
            let request = somebody.request("OPTIONS", path);
            let request = request.header("origin", "https://app.example");
            request.header("access-control-request-method", "POST")
        });
        let (granted, _) = send(&somebody, requests).await;
        expect_granted(granted, QUOTA, begun);
    }
    // A page that has used up its preflights can still ask what needs none.
    assert!(ask(&somebody, "/items", 1).await.1.is_none());
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn empty_buckets_go_as_fast_as_new_ones_come() {
    let app = App::start_with(&[
        // A bucket is empty again after ten milliseconds.
        ("rate_limit_per_minute", "6000"),
        ("trusted_proxies", "127.0.0.0/8"),
    ])
    .await;
    // Which requests sweep is a matter of the clock, so it takes many for their share to show.
    const ROUNDS: usize = 32;
    let mut most = 0;
    for round in 0..ROUNDS {
        let asked = (0..128).map(|number| {
            let somebody = app.anonymous().from(&format!("203.0.{round}.{number}"));
            async move { somebody.get("/items").await.expect(200) }
        });
        join_all(asked).await;
        most = most.max(buckets(&app).len());
    }
    assert!(most < ROUNDS * 128 / 2, "{most} buckets");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hosts_count_together() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let quota = format!("rate_limit_per_minute={QUOTA}");
    let options = ["--variable", &quota];
    let one = Process::start_with(folder.path(), &options);
    let two = Process::start_with(folder.path(), &options);
    let somebody = [&one, &two].map(|host| Actor::anonymous(host.address()));
    let begun = Instant::now();
    let (first, second) = tokio::join!(
        ask(&somebody[0], "/items", QUOTA),
        ask(&somebody[1], "/items", QUOTA)
    );
    let granted = first.0 + second.0;
    expect_granted(granted, QUOTA, begun);
    // What is not counted goes on.
    Actor::log_in(two.address(), ADMIN.0, ADMIN.1).await;
}
