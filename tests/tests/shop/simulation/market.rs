//! A busy shop: some customers who buy, change their minds and pay in, and an administrator who hands over and
//! restocks, all at once.

use super::{Client, Shop};
use futures::future::{join, join_all};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::json;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::sleep;

/// What each customer does, one thing after the other.
const ACTIONS: usize = 12;
const HOUR: i64 = 3_600_000;

/// Everybody in the shop.
pub struct Market<'a> {
    shop: &'a Shop,
    admin: Client<'a>,
    items: Vec<String>,
    customers: Vec<Customer<'a>>,
    /// How far the clock may jump, in milliseconds.
    jump: i64,
}

struct Customer<'a> {
    client: Client<'a>,
    dice: RefCell<StdRng>,
    paid_in: Cell<i64>,
    /// Ids by Idempotency-Key.
    orders: RefCell<BTreeMap<String, String>>,
}

impl<'a> Market<'a> {
    /// Fills the shop, while nothing goes wrong yet.
    pub async fn open(shop: &'a Shop, seed: u64) -> Market<'a> {
        let mut dice = StdRng::seed_from_u64(seed);
        let admin = shop.admin().await;
        let mut items = Vec::new();
        for number in 0..dice.random_range(1..=4) {
            let (price, pieces) = (dice.random_range(1..=500), dice.random_range(0..=12));
            items.push(admin.sell(&format!("item {number}"), price, pieces).await);
        }
        let mut customers = Vec::new();
        for number in 0..dice.random_range(2..=4) {
            let amount = dice.random_range(0..=4_000);
            let client = shop.customer(&format!("customer{number}"), amount).await;
            customers.push(Customer {
                client,
                dice: RefCell::new(StdRng::seed_from_u64(dice.random())),
                paid_in: Cell::new(amount),
                orders: RefCell::default(),
            });
        }
        let jump = match dice.random_range(0..6) {
            0 => HOUR,
            1 => 24 * HOUR,
            _ => 0,
        };
        Market {
            shop,
            admin,
            items,
            customers,
            jump,
        }
    }

    /// Everybody at once, until all have done what they came for.
    pub async fn trade(&self, seed: u64) {
        let mut dice = StdRng::seed_from_u64(seed);
        let customers = join_all(
            self.customers
                .iter()
                .map(|customer| customer.shop_around(self)),
        );
        join(customers, self.keep_shop(&mut dice)).await;
    }

    /// Restocks, hands over, and sets the clock.
    async fn keep_shop(&self, dice: &mut StdRng) {
        let mut ahead = 0;
        for number in 0..ACTIONS {
            sleep(Duration::from_millis(dice.random_range(0..2_000))).await;
            let customer = &self.customers[dice.random_range(0..self.customers.len())];
            match dice.random_range(0..3) {
                0 => {
                    let item = &self.items[dice.random_range(0..self.items.len())];
                    let adjustment =
                        json!({"delta": dice.random_range(-3..=5), "reason": "counted"});
                    let path = format!("/items/{item}/adjustments");
                    let key = format!("count {number}");
                    // Taking off more than there is, or nothing, is refused.
                    self.admin
                        .insist("POST", &path, Some(&key), Some(&adjustment))
                        .await;
                }
                1 if self.jump > 0 => {
                    // Never further off than one jump, either way.
                    let forward = ahead < 0 || (ahead == 0 && dice.random_bool(0.5));
                    let jump = if forward { self.jump } else { -self.jump };
                    self.shop.jump(jump);
                    ahead += jump;
                }
                _ => {
                    if let Some(order) = customer.some_order(dice) {
                        // Refused, unless it is paid for.
                        self.admin.execute(&order, "complete").await;
                    }
                }
            }
        }
    }

    /// What must hold once all is quiet, besides the books. Gives the number of orders.
    pub async fn check(&self) -> usize {
        let mut made = 0;
        for customer in &self.customers {
            made += customer.check().await;
        }
        let stored = self
            .shop
            .books()
            .number("SELECT count(*) FROM orders.orders");
        assert_eq!(usize::try_from(stored), Ok(made), "one order for each key");
        made
    }
}

impl Customer<'_> {
    async fn shop_around(&self, market: &Market<'_>) {
        for number in 0..ACTIONS {
            let (pause, action) = {
                let mut dice = self.dice.borrow_mut();
                let pause = if dice.random_bool(0.3) {
                    0
                } else {
                    dice.random_range(0..1_500)
                };
                (pause, dice.random_range(0..10))
            };
            sleep(Duration::from_millis(pause)).await;
            match action {
                0..=5 => {
                    self.buy(market, &format!("order {number}"), action == 0)
                        .await
                }
                6 | 7 => {
                    let order = self.some_order(&mut self.dice.borrow_mut());
                    if let Some(order) = order {
                        // Refused when it has been handed over.
                        self.client.execute(&order, "cancel").await;
                    }
                }
                _ => {
                    let amount = self.dice.borrow_mut().random_range(1..=500);
                    self.client
                        .deposit(&format!("deposit {number}"), amount)
                        .await;
                    self.paid_in.set(self.paid_in.get() + amount);
                }
            }
        }
    }

    /// Orders a basket, with an impatient finger twice at once.
    async fn buy(&self, market: &Market<'_>, key: &str, twice: bool) {
        let basket = self.basket(market);
        let order = self.client.order(key, &basket);
        let id = if twice {
            let (one, other) = join(order, self.client.order(key, &basket)).await;
            assert_eq!(one, other, "one key, one order");
            one
        } else {
            order.await
        };
        self.orders.borrow_mut().insert(key.to_owned(), id);
    }

    fn basket<'m>(&self, market: &'m Market<'_>) -> Vec<(&'m str, i64)> {
        let mut dice = self.dice.borrow_mut();
        let first = dice.random_range(0..market.items.len());
        let lines = dice.random_range(1..=market.items.len());
        // Baskets begin anywhere, so that two hold the same items in different order.
        (0..lines)
            .map(|line| {
                let item = &market.items[(first + line) % market.items.len()];
                (item.as_str(), dice.random_range(1..=3))
            })
            .collect()
    }

    fn some_order(&self, dice: &mut StdRng) -> Option<String> {
        let orders = self.orders.borrow();
        let at = dice.random_range(0..orders.len().max(1));
        orders.values().nth(at).cloned()
    }

    async fn check(&self) -> usize {
        let mut spent = 0;
        let orders = self.orders.borrow().clone();
        for (key, id) in &orders {
            let order = self.client.read_order(id).await;
            match order["status"].as_str() {
                Some("paid" | "completed") => spent += order["total"].as_i64().expect("a total"),
                Some("canceled") => {}
                _ => panic!("{key} is half done: {order}"),
            }
        }
        let balance = self.client.balance().await;
        assert_eq!(
            balance,
            self.paid_in.get() - spent,
            "{}'s wallet",
            self.client.id
        );
        orders.len()
    }
}
