//! Requests per second of what shops are asked most, beside the same host with a component that does
//! nothing, and a native server with the same queries on the same files.

use crate::buyers::settle;
use crate::figures::{Line, Table, ms, per_second};
use crate::host::{Host, Start};
use crate::load::{Connection, Request, drive, get, post};
use crate::native::Native;
use crate::setting::Setting;
use crate::shop::{Clients, Shop, text};
use crate::windows::Measured;
use anyhow::ensure;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// Clients at once.
const CLIENTS: usize = 16;
/// Of these, as many read while the others order.
const READERS: usize = 4;

pub async fn measure(setting: &Setting, table: &mut Table) -> anyhow::Result<()> {
    let pace = setting.pace();
    let folder = setting.folder("reads")?;
    let shop = Shop::open(setting, Start::shop(setting, &folder), CLIENTS).await?;
    let reads = Read::prepare(&shop.clients).await?;
    let native = Native::start(&folder.join(".wasmart"))?;

    let empty = empty_host(setting)?;
    let nothing = drive(empty.at, CLIENTS, pace, 200, |_, _| get("/", None)).await?;
    let most = drive(native.at, CLIENTS, pace, 200, |_, _| get("/empty", None)).await?;
    let mut line = Line::new(
        format!("empty component, {CLIENTS} clients"),
        nothing.shown(),
    )
    .limit(
        "native axum, empty, which is also what the generator can do",
        most.rate,
        &per_second(most.rate),
        nothing.rate,
    );
    line = match Start::by_wasmtime()? {
        Some(wasmtime) => {
            let theirs = drive(wasmtime.at, CLIENTS, pace, 200, |_, _| get("/", None)).await?;
            let rate = per_second(theirs.rate);
            line.limit("`wasmtime serve`", theirs.rate, &rate, nothing.rate)
                .aim("≥ `wasmtime serve`")
        }
        None => line.beside("`wasmtime serve`: `wasmtime` is not on PATH"),
    };
    table.add(line);
    let mut idle = vec![];
    for read in &reads {
        // Again for each: the machine may be another one than a minute ago.
        let nothing = drive(empty.at, CLIENTS, pace, 200, |_, _| get("/", None)).await?;
        let before = shop.host.cpu();
        let ours = drive(shop.host.at, CLIENTS, pace, 200, read.ours.clone().make()).await?;
        let cpu = shop.host.cpu().saturating_sub(before).as_secs_f64();
        let each = Duration::from_secs_f64(cpu / (ours.rate * pace.whole().as_secs_f64()));
        let theirs = drive(native.at, CLIENTS, pace, 200, read.native.clone().make()).await?;
        table.add(
            Line::new(
                format!("{}, {CLIENTS} clients", read.name),
                format!("{}, {} of processor each", ours.shown(), ms(each)),
            )
            .limit(
                "empty component",
                nothing.rate,
                &per_second(nothing.rate),
                ours.rate,
            )
            .limit(
                "native axum",
                theirs.rate,
                &per_second(theirs.rate),
                ours.rate,
            )
            .aim(read.aim),
        );
        idle.push(drive(shop.host.at, READERS, pace, 200, read.ours.clone().make()).await?);
    }
    drop((native, empty));
    beside_orders(setting, table, &shop, &reads, &idle).await?;
    shop.close().await?;
    Ok(())
}

/// The same host with the application that does nothing.
pub fn empty_host(setting: &Setting) -> anyhow::Result<Host> {
    let folder = setting.folder("empty")?;
    Start::shop(setting, &folder).empty()?.run()
}

/// What readers wait while others order.
async fn beside_orders(
    setting: &Setting,
    table: &mut Table,
    shop: &Shop,
    reads: &[Read],
    idle: &[Measured],
) -> anyhow::Result<()> {
    let hosts = [&shop.host];
    for (read, idle) in reads.iter().zip(idle) {
        let (settled, busy) = tokio::join!(
            settle(&hosts, &shop.clients, CLIENTS, setting.pace()),
            drive(
                shop.host.at,
                READERS,
                setting.pace(),
                200,
                read.ours.clone().make()
            ),
        );
        let (busy, orders): (Measured, _) = (busy?, settled?.measured.rate);
        table.add(
            Line::new(
                format!(
                    "{}, {READERS} clients, while {CLIENTS} others order",
                    read.name
                ),
                busy.shown(),
            )
            .limit(
                "p99 without the others",
                idle.p99.as_secs_f64(),
                &ms(idle.p99),
                busy.p99.as_secs_f64(),
            )
            .beside(format!("{} orders meanwhile", per_second(orders)))
            .aim("p99 ≤ 3 ×"),
        );
    }
    Ok(())
}

/// Paths, and the tokens to ask for them with; clients take turns.
#[derive(Clone)]
struct Asked(Arc<Vec<(String, Option<String>)>>);

impl Asked {
    fn one(path: &str) -> Asked {
        Asked(vec![(path.to_owned(), None)].into())
    }

    fn make(self) -> impl Fn(usize, usize) -> Request + Send + Sync + 'static {
        move |client, _| {
            let (path, token) = &self.0[client % self.0.len()];
            get(path, token.as_deref())
        }
    }
}

struct Read {
    name: &'static str,
    aim: &'static str,
    ours: Asked,
    native: Asked,
}

impl Read {
    /// Each client reads its own.
    async fn prepare(clients: &Clients) -> anyhow::Result<Vec<Read>> {
        let mut connection = Connection::new(clients.at);
        let (mut orders, mut native_orders) = (vec![], vec![]);
        let (mut balances, mut native_balances) = (vec![], vec![]);
        for (number, customer) in clients.customers.iter().enumerate() {
            let token = Some(customer.token.clone());
            let request = post("/api/v1/orders", token.as_deref(), &clients.lines(number));
            let order = text(&connection.send(request).await?.expect(201)?, "id")?;
            orders.push((format!("/api/v1/orders/{order}"), token.clone()));
            native_orders.push((format!("/orders/{order}"), None));
            balances.push(("/api/v1/billing/account".to_owned(), token));
            native_balances.push((format!("/balance/{}", customer.id), None));
        }
        clients.wait_until_settled().await?;
        let asked = |of: Vec<(String, Option<String>)>| Asked(of.into());
        let items = connection
            .send(get("/api/v1/items", None))
            .await?
            .expect(200)?;
        ensure!(items["data"] != json!([]), "no items");
        Ok(vec![
            Read {
                name: "item list (20 items)",
                aim: "≥ 0.5 × the empty component",
                ours: Asked::one("/api/v1/items"),
                native: Asked::one("/items"),
            },
            Read {
                name: "order read",
                aim: "≥ 0.5 × the empty component",
                ours: asked(orders),
                native: asked(native_orders),
            },
            Read {
                name: "balance",
                aim: "",
                ours: asked(balances),
                native: asked(native_balances),
            },
            Read {
                name: "health",
                aim: "",
                ours: Asked::one("/api/v1/orders/health"),
                native: Asked::one("/health"),
            },
        ])
    }
}
