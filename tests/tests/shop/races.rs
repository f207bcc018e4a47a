//! Many at once.

use crate::harness::actor::{PLENTY, id_of, order_of};
use crate::harness::{Actor, App};
use crate::on_both_channels;
use futures::future::join_all;
use serde_json::json;

on_both_channels!(
    twenty_buyers_of_five_pieces_are_served_five_times,
    a_hundred_orders_at_once_for_one_piece_and_for_ten,
    baskets_of_scarce_items_in_every_order_get_all_or_nothing,
);

async fn twenty_buyers_of_five_pieces_are_served_five_times(app: &mut App) {
    let rare = app.manager().await.sell("Rare tea", 1_000, 5).await;
    let buyers = join_all((0..20).map(|_| app.customer_with(PLENTY))).await;
    let ends = join_all(buyers.iter().map(async |buyer: &Actor| {
        let order = buyer.order(&rare, 1).await;
        buyer.wait_for_end(&order).await
    }))
    .await;
    let ended = |status: &str| ends.iter().filter(|end| *end == status).count();
    assert_eq!((ended("paid"), ended("canceled")), (5, 15), "{ends:?}");
    app.quiet().await;
    let item = app.admin().await.item(&rare).await;
    assert_eq!(
        (&item["available"], &item["reserved"]),
        (&json!(0), &json!(5))
    );
    let mut left = 0;
    for buyer in &buyers {
        left += buyer.balance().await;
    }
    assert_eq!(left, 20 * PLENTY - 5 * 1_000);
}

/// The orders are distinct and all at once; ten accounts make them, as registering is not the question.
async fn a_hundred_orders_at_once_for_one_piece_and_for_ten(app: &mut App) {
    let manager = app.manager().await;
    let accounts = join_all((0..10).map(|_| app.customer_with(PLENTY))).await;
    let mut paid = 0;
    for pieces in [1, 10] {
        let rare = manager.sell("Rare tea", 100, pieces).await;
        let order = async |buyer: &Actor| buyer.order(&rare, 1).await;
        join_all((0..100).map(|number| order(&accounts[number % 10]))).await;
        app.quiet().await;
        paid += pieces;
        let count = |which: &str| {
            let sql = format!("SELECT count(*) FROM orders.orders WHERE {which}");
            app.books().number(&sql)
        };
        assert_eq!(count("state = 'paid'"), paid);
        let others = count("state = 'canceled' AND reason = 'out_of_stock'");
        assert_eq!(others + paid, count("true"));
        let item = manager.item(&rare).await;
        let levels = (&item["available"], &item["reserved"]);
        assert_eq!(levels, (&json!(0), &json!(pieces)));
    }
    let mut left = 0;
    for account in &accounts {
        left += account.balance().await;
    }
    assert_eq!(left, 10 * PLENTY - 100 * paid);
}

/// Every basket wants one of each of three items, of which there are few: whoever gets one gets all.
async fn baskets_of_scarce_items_in_every_order_get_all_or_nothing(app: &mut App) {
    const ORDERS: [[usize; 3]; 6] = [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ];
    let manager = app.manager().await;
    let mut items = Vec::new();
    // The pot is the scarcest; there are cups and spoons left over in the end.
    for (name, pieces) in [("Cup", 9), ("Pot", 7), ("Spoon", 8)] {
        items.push(manager.sell(name, 10, pieces).await);
    }
    let buyers = join_all((0..4).map(|_| app.customer_with(PLENTY))).await;
    let order = async |number: usize| {
        let places = ORDERS[number % ORDERS.len()];
        let basket = places.map(|place| (items[place].as_str(), 1));
        buyers[number % 4].order_basket(&basket).await
    };
    join_all((0..36).map(order)).await;
    app.quiet().await;
    let sql = "SELECT count(*) FROM orders.orders WHERE state = 'paid'";
    assert_eq!(app.books().number(sql), 7);
    for (item, left) in items.iter().zip([2, 0, 1]) {
        let item = manager.item(item).await;
        let levels = (&item["available"], &item["reserved"]);
        assert_eq!(levels, (&json!(left), &json!(7)), "{item}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_wallet_pays_for_no_more_than_it_holds() {
    let app = App::start().await;
    let tea = app.manager().await.sell("Tea", 100, 50).await;
    let customer = app.customer_with(350).await;
    let orders = join_all((0..8).map(|_| customer.order(&tea, 1))).await;
    let ends = join_all(orders.iter().map(|order| customer.wait_for_end(order))).await;
    assert_eq!(
        ends.iter().filter(|end| *end == "paid").count(),
        3,
        "{ends:?}"
    );
    app.quiet().await;
    assert_eq!(customer.balance().await, 50);
    assert_eq!(app.admin().await.item(&tea).await["reserved"], 3);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn baskets_in_different_order_do_not_block_each_other() {
    let app = App::start().await;
    let manager = app.manager().await;
    let (cup, pot) = (
        manager.sell("Cup", 10, 100).await,
        manager.sell("Pot", 10, 100).await,
    );
    let customer = app.customer_with(PLENTY).await;
    let basket = |first: &str, second: &str| order_of(&[(first, 2), (second, 1)]);
    let orders = join_all((0..10).map(async |n| {
        let basket = if n % 2 == 0 {
            basket(&cup, &pot)
        } else {
            basket(&pot, &cup)
        };
        id_of(&customer.post("/orders", &basket).await.expect(201))
    }))
    .await;
    for order in orders {
        customer.wait_for(&order, "paid").await;
    }
    assert_eq!(manager.item(&cup).await["reserved"], 15);
    app.finish().await;
}
