//! Messages per second through a Redis trigger, one event and a hundred in each, beside what Redis takes.
//!
//! The messages are `order.created` events for `notifications`, which inserts a row for each event, in one
//! durable transaction a message. Their source is not one of the services, so nobody acts on the
//! acknowledgements. Rows are counted in the database, and only so many messages are under way as the
//! host's queue holds easily: what overflows would be dropped, as pub/sub does.

use crate::books::{new_id, one_event};
use crate::figures::{Line, Table, median, per_second};
use crate::host::Start;
use crate::redis::{Link, Redis};
use crate::setting::Setting;
use crate::shop::Shop;
use crate::windows::Pace;
use anyhow::{Context, ensure};
use rusqlite::{Connection, OpenFlags};
use serde_json::{Map, Value};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use wasmart_contracts::signature::ChannelKeys;

const CHANNEL: &str = "notifications";
/// Messages under way at most.
const AHEAD: u64 = 128;
/// Nothing moves for so long: something is lost.
const PATIENCE: Duration = Duration::from_secs(20);

pub async fn measure(setting: &Setting, table: &mut Table) -> anyhow::Result<()> {
    let own = match &setting.redis {
        Some(_) => None,
        None if Redis::is_there() => Some(Redis::start()?),
        None => {
            table.add(Line::new(
                "messages through a Redis trigger",
                "no redis-server on PATH",
            ));
            return Ok(());
        }
    };
    let named = || setting.redis.clone().unwrap_or_default();
    let url = own.as_ref().map_or_else(named, Redis::url);
    let folder = setting.folder("messages")?;
    let start = Start::shop(setting, &folder).redis(&url);
    let shop = Shop::open(setting, start, 1).await?;
    let keys = ChannelKeys::parse(setting.keys.channel_keys()).map_err(anyhow::Error::msg)?;
    for batch in [1, 100] {
        let message = || message(batch, &shop.clients.admin.id, keys.as_ref());
        let received = receive(&url, &shop, batch, &message, setting.pace()).await?;
        let size = message().len();
        let mut line = Line::new(
            format!("messages through a Redis trigger, {batch} to a batch, each stored durably"),
            format!(
                "{} ({} events)",
                per_second(received),
                per_second(received * batch as f64)
            ),
        );
        line = match benchmark(&url, size, setting.or_quick(50_000, 5_000)) {
            Ok(published) => line.limit(
                "redis-benchmark PUBLISH, same size",
                published,
                &per_second(published),
                received,
            ),
            Err(error) => line.beside(format!("no redis-benchmark: {error:#}")),
        };
        table.add(line);
    }
    shop.close().await?;
    Ok(())
}

/// Messages a second, the median over the windows.
async fn receive(
    url: &str,
    shop: &Shop,
    batch: u64,
    message: &impl Fn() -> String,
    pace: Pace,
) -> anyhow::Result<f64> {
    let mut link = Link::open(url)?;
    // The first one makes the database, where there is none yet.
    link.publish(CHANNEL, &message())?;
    let mut counter = Counter::open(&shop.clients.database(CHANNEL))?;
    let before = counter.wait_for_any().await?;

    let (begun, mut sent, mut moved) = (Instant::now(), 0, Instant::now());
    let (mut marks, mut last) = (vec![], 0);
    while begun.elapsed() < pace.whole() {
        let done = (counter.rows()? - before) / batch;
        if done != last {
            (last, moved) = (done, Instant::now());
        }
        ensure!(
            moved.elapsed() < PATIENCE,
            "only {done} of {sent} messages came in"
        );
        let elapsed = begun.elapsed();
        let end = pace.warm + pace.window * u32::try_from(marks.len())?;
        if elapsed >= end {
            marks.push((elapsed.as_secs_f64(), done));
        }
        if sent < done + AHEAD {
            // Never more than one second of the slowest: the end waits for what is under way.
            for _ in 0..(done + AHEAD - sent).min(16) {
                link.publish(CHANNEL, &message())?;
                sent += 1;
            }
        } else {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    marks.push((
        begun.elapsed().as_secs_f64(),
        (counter.rows()? - before) / batch,
    ));
    while (counter.rows()? - before) / batch < sent {
        ensure!(
            moved.elapsed() < PATIENCE + pace.whole(),
            "messages are lost"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let rates = marks.windows(2).map(|pair| {
        let ((from, first), (to, second)) = (pair[0], pair[1]);
        (second - first) as f64 / (to - from)
    });
    Ok(median(rates.collect()))
}

/// A message with this many events about orders that do not exist, signed as the services would
/// sign it.
fn message(batch: u64, user: &str, keys: Option<&ChannelKeys>) -> String {
    let events: Vec<String> = (0..batch)
        .map(|_| one_event(&new_id(), "/bench", "order.created", &new_id(), user, 1))
        .map(|event| sign(event, keys))
        .collect();
    format!("[{}]", events.join(","))
}

fn sign(event: String, keys: Option<&ChannelKeys>) -> String {
    match (keys, serde_json::from_str::<Map<String, Value>>(&event)) {
        (Some(keys), Ok(mut members)) => {
            keys.sign(CHANNEL, &mut members);
            Value::Object(members).to_string()
        }
        _ => event,
    }
}

/// Counts the rows of notifications; none is ever deleted here.
struct Counter(Connection);

impl Counter {
    fn open(database: &Path) -> anyhow::Result<Counter> {
        let connection = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        connection.busy_timeout(Duration::from_secs(5))?;
        Ok(Counter(connection))
    }

    fn rows(&mut self) -> anyhow::Result<u64> {
        let sql = "SELECT coalesce(max(rowid), 0) FROM notifications";
        let mut statement = self.0.prepare_cached(sql)?;
        let rows: i64 = statement.query_row([], |row| row.get(0))?;
        Ok(u64::try_from(rows)?)
    }

    /// Waits until there are rows, and then for those of earlier measurements.
    async fn wait_for_any(&mut self) -> anyhow::Result<u64> {
        let begun = Instant::now();
        loop {
            let rows = self.rows().unwrap_or_default();
            tokio::time::sleep(Duration::from_millis(200)).await;
            if rows > 0 && self.rows()? == rows {
                return Ok(rows);
            }
            ensure!(begun.elapsed() < PATIENCE, "no message came in");
        }
    }
}

/// What Redis itself takes of messages of this size, with nobody listening.
fn benchmark(url: &str, bytes: usize, requests: u32) -> anyhow::Result<f64> {
    let address = url
        .strip_prefix("redis://")
        .unwrap_or(url)
        .trim_end_matches('/');
    let (host, port) = address.split_once(':').unwrap_or((address, "6379"));
    let output = Command::new("redis-benchmark")
        .args(["-h", host, "-p", port, "--csv", "-n", &requests.to_string()])
        .args(["PUBLISH", "bench", &"x".repeat(bytes)])
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    // "what was sent","requests per second","…
    let line = text.lines().last().context("it said nothing")?;
    let figure = line.split("\",\"").nth(1).context("it has no figure")?;
    Ok(figure.trim_matches('"').parse()?)
}
