//! How soon orders that waited for Redis are settled when it is back.

use crate::figures::{Line, Table};
use crate::host::Start;
use crate::load::{Connection, get, post};
use crate::redis::Redis;
use crate::setting::Setting;
use crate::shop::{Clients, Shop, text};
use anyhow::ensure;
use futures::future::try_join_all;
use std::time::{Duration, Instant};

/// Clients that order at once.
const CLIENTS: usize = 8;
/// Longer than the longest wait before something is sent again.
const PATIENCE: Duration = Duration::from_secs(180);

/// Takes `orders` orders while Redis is away, brings it back, and waits for the last of them.
pub async fn measure(setting: &Setting, orders: usize, table: &mut Table) -> anyhow::Result<()> {
    let redis = Redis::start()?;
    let port = redis.port;
    let folder = setting.folder("outage")?;
    // The outage is not to be longer than the orders may wait, or they would be canceled.
    let start = Start::shop(setting, &folder)
        .redis(&redis.url())
        .variable("step_deadline_ms", "600000")
        .variable("saga_deadline_ms", "600000");
    let shop = Shop::open(setting, start, CLIENTS).await?;
    let mut connection = Connection::new(shop.host.at);
    shop.clients.settle_one(&mut connection).await?;

    drop(redis);
    let gone = Instant::now();
    let share = |client: usize| orders / CLIENTS + usize::from(client < orders % CLIENTS);
    let waiting = (0..CLIENTS).map(|client| order(&shop.clients, client, share(client)));
    let waiting = try_join_all(waiting).await?;
    let taken = gone.elapsed();
    let _redis = Redis::start_on(port)?;
    let (away, back) = (gone.elapsed(), Instant::now());
    while !shop.clients.is_settled(&mut connection).await? {
        ensure!(back.elapsed() < PATIENCE, "orders wait still");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let settled = back.elapsed();

    let mut paid = 0;
    for order in waiting.iter().flatten() {
        let path = format!("/api/v1/orders/{order}");
        let request = get(&path, Some(&shop.clients.admin.token));
        let status = text(&connection.send(request).await?.expect(200)?, "status")?;
        paid += usize::from(status == "paid");
    }
    let said = shop.close().await?;
    for (what, figure) in [
        (
            format!("{orders} orders taken without Redis, {CLIENTS} clients"),
            format!("{:.1} s", taken.as_secs_f64()),
        ),
        (
            format!(
                "return of Redis after {:.1} s to the last of them settled",
                away.as_secs_f64()
            ),
            format!("{:.1} s", settled.as_secs_f64()),
        ),
        ("of them paid".to_owned(), paid.to_string()),
        ("`wasmart verify`".to_owned(), said),
    ] {
        table.add(Line::new(what, figure));
    }
    Ok(())
}

/// Orders of one client, one after the other; the ids.
async fn order(clients: &Clients, client: usize, count: usize) -> anyhow::Result<Vec<String>> {
    let mut connection = Connection::new(clients.at);
    let mut ids = Vec::with_capacity(count);
    for _ in 0..count {
        let token = Some(&*clients.customers[client].token);
        let request = post("/api/v1/orders", token, &clients.lines(client));
        ids.push(text(&connection.send(request).await?.expect(201)?, "id")?);
    }
    Ok(ids)
}
