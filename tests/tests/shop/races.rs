//! Many at once.

use crate::harness::actor::PLENTY;
use crate::harness::{Actor, App};
use crate::on_both_channels;
use futures::future::join_all;
use serde_json::json;

on_both_channels!(twenty_buyers_of_five_pieces_are_served_five_times);

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
    let item = buyers[0].item(&rare).await;
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
    assert_eq!(customer.item(&tea).await["reserved"], 3);
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
    let basket = |first: &str, second: &str| json!({"lines": [{"item_id": first, "quantity": 2}, {"item_id": second, "quantity": 1}]});
    let orders = join_all((0..10).map(async |n| {
        let basket = if n % 2 == 0 {
            basket(&cup, &pot)
        } else {
            basket(&pot, &cup)
        };
        crate::harness::actor::id_of(&customer.post("/orders", &basket).await.expect(201))
    }))
    .await;
    for order in orders {
        customer.wait_for(&order, "paid").await;
    }
    assert_eq!(customer.item(&cup).await["reserved"], 15);
    app.finish().await;
}
