//! How soon orders that waited for Redis are settled when it is back.

use super::{Host, Shop, row};
use anyhow::{Context, ensure};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use wasmart_keys::KeySet;

/// Clients that order at once.
const CLIENTS: usize = 8;
/// Longer than the longest wait before something is sent again.
const PATIENCE: Duration = Duration::from_secs(180);

/// Takes `orders` orders while Redis is away, brings it back, and waits for the last of them.
pub fn measure(binary: &Path, folder: &Path, keys: &KeySet, orders: usize) -> anyhow::Result<()> {
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let redis = Redis::start(port)?;
    let variables = [
        ("redis_url", &*redis.url()),
        // The outage is not to be longer than the orders may wait, or they would be canceled.
        ("step_deadline_ms", "600000"),
        ("saga_deadline_ms", "600000"),
    ];
    let (_, host) = Host::start(binary, folder, keys, &variables)?;
    let shop = Shop::open(host.base.clone())?;
    shop.settle_one()?;

    drop(redis);
    let gone = Instant::now();
    let waiting = order_at_once(&shop, orders)?;
    let taken = gone.elapsed();
    let _redis = Redis::start(port)?;
    let (away, back) = (gone.elapsed(), Instant::now());
    while !shop.is_settled()? {
        ensure!(back.elapsed() < PATIENCE, "orders wait still");
        std::thread::sleep(Duration::from_millis(5));
    }
    let settled = back.elapsed();

    let mut paid = 0;
    for order in &waiting {
        paid += usize::from(shop.status(order)? == "paid");
    }
    let verify = Command::new(binary)
        .current_dir(folder)
        .arg("verify")
        .output()?;
    let verify = String::from_utf8_lossy(&verify.stdout).trim().to_owned();
    row(
        &format!("{orders} orders taken without Redis, {CLIENTS} clients"),
        &format!("{:.1} s", taken.as_secs_f64()),
    );
    row(
        &format!(
            "return of Redis after {:.1} s to the last of them settled",
            away.as_secs_f64()
        ),
        &format!("{:.1} s", settled.as_secs_f64()),
    );
    row("of them paid", &paid.to_string());
    row("`wasmart verify`", &verify);
    Ok(())
}

/// Orders from several clients at once; the ids.
fn order_at_once(shop: &Shop, orders: usize) -> anyhow::Result<Vec<String>> {
    let clients = (0..CLIENTS).map(|client| {
        let shop = shop.clone();
        let share = orders / CLIENTS + usize::from(client < orders % CLIENTS);
        std::thread::spawn(move || (0..share).map(|_| shop.order()).collect())
    });
    // All of them run before the first is waited for.
    let clients: Vec<_> = clients.collect();
    let mut ids = Vec::with_capacity(orders);
    for client in clients {
        let own: anyhow::Result<Vec<String>> = client.join().ok().context("a client panicked")?;
        ids.extend(own?);
    }
    Ok(ids)
}

/// A server of its own, that keeps nothing.
struct Redis {
    child: Child,
    port: u16,
}

impl Redis {
    /// Starts it and waits until it answers.
    fn start(port: u16) -> anyhow::Result<Redis> {
        let child = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--port", &port.to_string()])
            .args(["--save", "", "--appendonly", "no"])
            .stdout(Stdio::null())
            .spawn()
            .context("can't start redis-server")?;
        let redis = Redis { child, port };
        let begun = Instant::now();
        while !redis.answers() {
            ensure!(
                begun.elapsed() < Duration::from_secs(10),
                "Redis does not answer"
            );
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(redis)
    }

    fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    fn answers(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) else {
            return false;
        };
        let mut answer = [0; 5];
        stream.write_all(b"PING\r\n").is_ok()
            && stream.read_exact(&mut answer).is_ok()
            && &answer == b"+PONG"
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
