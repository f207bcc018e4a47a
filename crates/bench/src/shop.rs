//! A shop with goods and customers, ready to be measured.

use crate::host::{Host, Start};
use crate::load::{Connection, get, post};
use crate::setting::Setting;
use anyhow::{Context, bail, ensure};
use futures::future::try_join_all;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use uuid::Uuid;
use wasmart_demo::ADMIN;

/// Items on sale: a full page of the list.
const ITEMS: usize = 20;
/// Pieces of each, cents in each wallet: more than any run needs.
const PIECES: i64 = 10_000_000;
const MONEY: i64 = 1_000_000_000;
/// Deposits made at once while customers come in.
const AT_ONCE: usize = 16;
/// The longest wait for an order, or for all of them.
const PATIENCE: Duration = Duration::from_secs(120);

/// Somebody with a token and money.
pub struct Customer {
    pub id: String,
    pub token: String,
}

/// What clients of a shop need to know. Cheap to clone.
#[derive(Clone)]
pub struct Clients {
    pub at: SocketAddr,
    pub admin: Arc<Customer>,
    pub customers: Arc<Vec<Customer>>,
    pub items: Arc<Vec<String>>,
    databases: Arc<PathBuf>,
}

/// A running shop.
pub struct Shop {
    pub host: Host,
    pub folder: PathBuf,
    pub clients: Clients,
}

impl Shop {
    /// Starts a shop and lets so many customers in.
    pub async fn open(
        setting: &Setting,
        start: Start<'_>,
        customers: usize,
    ) -> anyhow::Result<Shop> {
        let folder = start.folder.to_owned();
        let host = start.run()?;
        let clients = Clients::new(setting, host.at, &folder, customers).await?;
        Ok(Shop {
            host,
            folder,
            clients,
        })
    }

    /// Waits until no order is under way, ends the host, and checks the books.
    pub async fn close(self) -> anyhow::Result<String> {
        self.clients.wait_until_settled().await?;
        drop(self.host);
        crate::setting::verify(&self.folder)
    }
}

impl Clients {
    /// Puts items in as an administrator, and money into every wallet. Nobody registers or logs in:
    /// a token is all that the services ask for.
    pub async fn new(
        setting: &Setting,
        at: SocketAddr,
        folder: &Path,
        customers: usize,
    ) -> anyhow::Result<Clients> {
        let customer = |role| {
            let id = Uuid::now_v7().to_string();
            let token = setting.mint.token(&id, role)?;
            anyhow::Ok(Customer { id, token })
        };
        let admin = customer("admin")?;
        let mut connection = Connection::new(at);
        let mut items = Vec::with_capacity(ITEMS);
        for number in 0..ITEMS {
            let item = json!({"name": format!("Thing {number}"), "price": 100, "quantity": PIECES,
                "description": "Neither large nor small, and always in stock"});
            let request = post("/api/v1/items", Some(&admin.token), &item);
            items.push(text(&connection.send(request).await?.expect(201)?, "id")?);
        }
        let all: Result<Vec<_>, _> = (0..customers).map(|_| customer("customer")).collect();
        let clients = Clients {
            at,
            admin: admin.into(),
            customers: all?.into(),
            items: items.into(),
            databases: folder.join(".wasmart").into(),
        };
        try_join_all((0..AT_ONCE).map(|share| clients.fill_wallets(share))).await?;
        Ok(clients)
    }

    async fn fill_wallets(&self, share: usize) -> anyhow::Result<()> {
        let mut connection = Connection::new(self.at);
        let amount = json!({"amount": MONEY});
        for customer in self.customers.iter().skip(share).step_by(AT_ONCE) {
            let request = post(
                "/api/v1/billing/account/deposit",
                Some(&customer.token),
                &amount,
            );
            connection.send(request).await?.expect(200)?;
        }
        Ok(())
    }

    /// One of the shop's databases.
    pub fn database(&self, service: &str) -> PathBuf {
        self.databases.join(format!("{service}.db"))
    }

    /// The body of an order of one piece; clients spread over the items.
    pub fn lines(&self, number: usize) -> Value {
        json!({"lines": [{"item_id": self.items[number % self.items.len()], "quantity": 1}]})
    }

    /// Orders one piece and asks until it is paid, every millisecond; the time from the POST.
    pub async fn settle_one(&self, connection: &mut Connection) -> anyhow::Result<Duration> {
        let begun = Instant::now();
        let token = Some(&*self.customers[0].token);
        let request = post("/api/v1/orders", token, &self.lines(0));
        let order = text(&connection.send(request).await?.expect(201)?, "id")?;
        loop {
            let request = get(&format!("/api/v1/orders/{order}"), token);
            match &*text(&connection.send(request).await?.expect(200)?, "status")? {
                "paid" => return Ok(begun.elapsed()),
                "pending" if begun.elapsed() < PATIENCE => {}
                status => bail!("the order is {status} after {:?}", begun.elapsed()),
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Whether no order waits for anything.
    pub async fn is_settled(&self, connection: &mut Connection) -> anyhow::Result<bool> {
        let request = get("/api/v1/sagas?limit=1", Some(&self.admin.token));
        let sagas = connection.send(request).await?.expect(200)?;
        Ok(sagas["data"].as_array().is_some_and(Vec::is_empty))
    }

    pub async fn wait_until_settled(&self) -> anyhow::Result<()> {
        let (begun, mut connection) = (Instant::now(), Connection::new(self.at));
        while !self.is_settled(&mut connection).await? {
            ensure!(begun.elapsed() < PATIENCE, "orders wait still");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }
}

/// The first login there is: it makes the administrator, and is one argon2id and one signature.
pub async fn log_in_as_admin(at: SocketAddr) -> anyhow::Result<()> {
    let login = json!({"login": ADMIN.email, "password": ADMIN.password});
    let request = post("/api/v1/auth/login", None, &login);
    Connection::new(at).send(request).await?.expect(200)?;
    Ok(())
}

/// A field of an answer.
pub fn text(value: &Value, field: &str) -> anyhow::Result<String> {
    value[field]
        .as_str()
        .map(str::to_owned)
        .with_context(|| format!("no {field} in {value}"))
}
