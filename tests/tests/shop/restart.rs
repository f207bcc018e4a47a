//! A restart in good order: all that was there is there.

use crate::harness::App;
use crate::harness::actor::PLENTY;
use crate::on_both_channels;

on_both_channels!(everything_is_still_there_after_a_restart);

async fn everything_is_still_there_after_a_restart(app: &mut App) {
    let manager = app.manager().await;
    let tea = manager.sell("Tea", 100, 10).await;
    let ann = app.customer_with(PLENTY).await;
    let paid = ann.order(&tea, 3).await;
    ann.wait_for(&paid, "paid").await;
    let draft = ann.draft(&tea, 1).await;
    // Under way when the shop closes.
    let pending = ann.order(&tea, 2).await;
    app.restart().await;

    // The tokens are good for the shop that reopens.
    assert_eq!(ann.read_order(&paid).await["status"], "paid");
    assert_eq!(ann.read_order(&draft).await["status"], "draft");
    ann.wait_for(&pending, "paid").await;
    app.quiet().await;
    assert_eq!(ann.balance().await, PLENTY - 500);
    assert_eq!(manager.item(&tea).await["reserved"], 5);
    assert_eq!(ann.told(5).await.len(), 5);

    ann.execute(&draft, "confirm").await.expect(200);
    ann.wait_for(&draft, "paid").await;
    manager.execute(&paid, "complete").await.expect(200);
    ann.wait_for(&paid, "completed").await;
    let mut again = ann.clone();
    again.log_in_again().await;
    assert_eq!(again.id, ann.id);
}
