//! Each address may send so much to each route, whichever instance or host it meets.

use crate::harness::app::ADMIN;
use crate::harness::process::Process;
use crate::harness::{Actor, Answer, App};
use futures::future::join_all;
use std::time::Instant;

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
    let asked = (0..times).map(|_| somebody.send(somebody.request("GET", path)));
    let mut answers = join_all(asked).await;
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
    tokio::time::sleep(std::time::Duration::from_secs(ONE_MORE)).await;
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
