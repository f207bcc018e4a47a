//! Logins per second, beside argon2id alone; and what they do to those who order meanwhile.

use crate::buyers::settle;
use crate::figures::{Line, Table, ms, per_second};
use crate::host::Start;
use crate::load::{Connection, Request, drive, post};
use crate::setting::Setting;
use crate::shop::Shop;
use argon2::password_hash::PasswordHasher;
use argon2::{Algorithm, Argon2, Params, Version};
use serde_json::json;
use std::time::{Duration, Instant};

/// Two for each core of the machine that these figures are for: hashing is all processor.
const CLIENTS: usize = 4;
/// Those who order beside.
const BUYERS: usize = 16;
/// Those who log in beside them.
const BESIDE: usize = 2;

pub async fn measure(setting: &Setting, table: &mut Table) -> anyhow::Result<()> {
    let folder = setting.folder("logins")?;
    let start = Start::shop(setting, &folder).variable("trusted_proxies", "127.0.0.0/8");
    let shop = Shop::open(setting, start, BUYERS).await?;
    let (at, pace, hosts) = (shop.host.at, setting.pace(), [&shop.host]);
    for client in 0..CLIENTS {
        let body = json!({"email": email(client), "password": PASSWORD});
        let request = post("/api/v1/auth/register", None, &body);
        Connection::new(at).send(request).await?.expect(201)?;
    }
    let logins = drive(at, CLIENTS, pace, 200, |client, _| login(client)).await?;
    let native_time = setting.or_quick(Duration::from_secs(3), Duration::from_millis(500));
    let native = hashes(native_time, cores()?)?;
    let one = hashes(native_time, 1)?;
    let refused = drive(at, 1, pace, 401, |_, number| wrong(number)).await?;
    let unread = drive(at, 1, pace, 422, |_, _| nothing()).await?;
    let hash = refused.p50.saturating_sub(unread.p50);
    let native_hash = Duration::from_secs_f64(1.0 / one);
    table.add(
        Line::new(
            "argon2id in the component: p50 of a login that is refused, beyond one that is not read",
            ms(hash),
        )
        .limit(
            "native, one core",
            native_hash.as_secs_f64(),
            &ms(native_hash),
            hash.as_secs_f64(),
        ),
    );
    table.add(
        Line::new(format!("logins, {CLIENTS} clients"), logins.shown()).limit(
            "native argon2id on all cores",
            native,
            &per_second(native),
            logins.rate,
        ),
    );

    let alone = settle(&hosts, &shop.clients, BUYERS, pace).await?.measured;
    let (beside, logins) = tokio::join!(
        settle(&hosts, &shop.clients, BUYERS, pace),
        drive(at, BESIDE, pace, 200, |client, _| login(client)),
    );
    let (beside, logins) = (beside?.measured, logins?);
    table.add(
        Line::new(
            format!("orders settled, {BUYERS} clients, while {BESIDE} others log in"),
            beside.shown(),
        )
        .limit(
            "p99 without the others",
            alone.p99.as_secs_f64(),
            &ms(alone.p99),
            beside.p99.as_secs_f64(),
        )
        .beside(format!("{} logins meanwhile", per_second(logins.rate)))
        .aim("p99 ≤ 2 ×"),
    );
    shop.close().await?;
    Ok(())
}

const PASSWORD: &str = "correct horse battery staple";

fn email(client: usize) -> String {
    format!("client{client}@example.com")
}

/// Each client has an account of its own: attempts are counted by account.
fn login(client: usize) -> Request {
    let body = json!({"login": email(client), "password": PASSWORD});
    post("/api/v1/auth/login", None, &body)
}

/// Nobody's, and another each time: whoever fails again and again has to wait.
fn wrong(number: usize) -> Request {
    let body = json!({"login": format!("nobody{number}@example.com"), "password": PASSWORD});
    from(number, post("/api/v1/auth/login", None, &body))
}

fn nothing() -> Request {
    post("/api/v1/auth/login", None, &json!({}))
}

/// From an address of its own, as the proxy says that the bench is.
fn from(number: usize, mut request: Request) -> Request {
    let address = format!("10.{}.{}.1", number / 250, number % 250);
    if let Ok(address) = address.parse() {
        request.headers_mut().insert("x-forwarded-for", address);
    }
    request
}

fn cores() -> anyhow::Result<usize> {
    Ok(std::thread::available_parallelism()?.get())
}

/// Hashes a second with auth's parameters, on so many threads.
fn hashes(time: Duration, cores: usize) -> anyhow::Result<f64> {
    let params = Params::new(19_456, 2, 1, None).map_err(|error| anyhow::anyhow!("{error}"))?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let begun = Instant::now();
    let done = std::thread::scope(|scope| {
        let hash = || {
            let mut done = 0_u64;
            while begun.elapsed() < time {
                if argon2.hash_password(PASSWORD.as_bytes()).is_ok() {
                    done += 1;
                }
            }
            done
        };
        let threads: Vec<_> = (0..cores).map(|_| scope.spawn(hash)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_default())
            .sum::<u64>()
    });
    Ok(done as f64 / begun.elapsed().as_secs_f64())
}
