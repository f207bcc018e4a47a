//! Buyers: each orders, waits until the order is paid, and orders again.

use crate::host::Host;
use crate::load::{Connection, post};
use crate::shop::{Clients, text};
use crate::watch::Watch;
use crate::windows::{Measured, Pace, Windows};
use anyhow::ensure;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// A buyer that is told to come again does so after this time.
const PAUSE: Duration = Duration::from_millis(20);

/// What came out.
pub struct Settled {
    pub measured: Measured,
    /// Answers that told a buyer to come again (5xx).
    pub refused: u64,
    /// Processor time of the hosts for each order.
    pub cpu: Duration,
    /// The most memory that the hosts had.
    pub resident_mb: u64,
}

/// So many buyers, spread over the hosts, each a customer of its own.
pub async fn settle(
    hosts: &[&Host],
    clients: &Clients,
    buyers: usize,
    pace: Pace,
) -> anyhow::Result<Settled> {
    let watch = Arc::new(Watch::start(&clients.database("orders"))?);
    let begun = Instant::now();
    let mut tasks = Vec::with_capacity(buyers);
    for number in 0..buyers {
        let (clients, watch) = (clients.clone(), watch.clone());
        let at = hosts[number % hosts.len()].at;
        let windows = Windows::new(pace, begun)?;
        tasks.push(tokio::spawn(buy(at, clients, number, watch, windows)));
    }
    let (cpu, resident_mb) = observe(hosts, pace).await;
    let mut all = Windows::new(pace, begun)?;
    let mut refused = 0;
    for task in tasks {
        let (windows, own) = task.await??;
        all.merge(&windows)?;
        refused += own;
    }
    let measured = all.measured();
    let orders = measured.rate * (pace.whole() - pace.warm).as_secs_f64();
    Ok(Settled {
        measured,
        refused,
        cpu: Duration::from_secs_f64(cpu.as_secs_f64() / orders.max(1.0)),
        resident_mb,
    })
}

async fn buy(
    at: SocketAddr,
    clients: Clients,
    number: usize,
    watch: Arc<Watch>,
    mut windows: Windows,
) -> anyhow::Result<(Windows, u64)> {
    let mut connection = Connection::new(at);
    let (token, lines) = (&clients.customers[number].token, clients.lines(number));
    let mut refused = 0;
    while windows.is_open() {
        let key = Uuid::now_v7().to_string();
        let sent = Instant::now();
        let answer = loop {
            let mut request = post("/api/v1/orders", Some(token), &lines);
            request
                .headers_mut()
                .insert("idempotency-key", key.parse()?);
            let answer = connection.send(request).await?;
            if answer.status < 500 {
                break answer;
            }
            refused += 1;
            tokio::time::sleep(PAUSE).await;
        };
        let order = text(&answer.expect(201)?, "id")?;
        let end = watch.end(&order).await?;
        ensure!(end.paid, "order {order} was canceled");
        windows.record(end.at, end.at.saturating_duration_since(sent));
    }
    Ok((windows, refused))
}

/// Processor time between the warm-up and the end, and the most memory in between.
async fn observe(hosts: &[&Host], pace: Pace) -> (Duration, u64) {
    let cpu = || hosts.iter().map(|host| host.cpu()).sum::<Duration>();
    tokio::time::sleep(pace.warm).await;
    let (before, begun) = (cpu(), Instant::now());
    let mut most = 0;
    while begun.elapsed() < pace.whole() - pace.warm {
        most = most.max(hosts.iter().map(|host| host.resident_mb()).sum());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    (cpu().saturating_sub(before), most)
}
