//! A small shop that is ready to sell, made once and copied for each run.

use super::client::Credentials;
use super::shop::{Shop, folder};
use super::watch::{Peace, Rules};
use super::{Client, block_on};
use crate::harness::app::databases;
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

/// What the buyer has.
pub const WALLET: i64 = 1_000;
/// What one piece costs.
pub const PRICE: i64 = 300;
/// Pieces on the shelf.
pub const PIECES: i64 = 5;

/// The folder of a shop with one item and one buyer.
pub struct Template {
    folder: TempDir,
    item: String,
    buyer: Credentials,
    admin: Credentials,
}

impl Template {
    /// Makes the shop.
    pub fn make() -> Template {
        block_on(async {
            let shop = Shop::start(0, Arc::new(Peace)).await;
            let admin = shop.admin().await;
            let item = admin.sell("tea", PRICE, PIECES).await;
            let buyer = shop.customer("ann", WALLET).await;
            shop.quiet().await;
            let (admin, buyer) = (admin.credentials(), buyer.credentials());
            Template {
                folder: shop.stop().await,
                item,
                buyer,
                admin,
            }
        })
    }

    /// The item's id.
    pub fn item(&self) -> &str {
        &self.item
    }

    /// The buyer, in a copy.
    pub fn buyer<'a>(&self, shop: &'a Shop) -> Client<'a> {
        Client::back(shop, &self.buyer)
    }

    /// The administrator, in a copy.
    pub fn admin<'a>(&self, shop: &'a Shop) -> Client<'a> {
        Client::back(shop, &self.admin)
    }

    /// Starts a shop on a copy.
    pub async fn open(&self, rules: Arc<dyn Rules>, manifest: Option<PathBuf>) -> Shop {
        let copy = folder();
        copy_files(&databases(self.folder.path()), &databases(copy.path()));
        copy_tokens(
            &self.folder.path().join("state"),
            &copy.path().join("state"),
        );
        Shop::start_in(copy, 1, rules, manifest).await
    }
}

/// Copies the key-value store too: without it, auth would first write every revocation again. Leaves out the tokens that
/// the guards have seen, so that the runs include the verification of a new token.
fn copy_tokens(from: &Path, to: &Path) {
    copy_files(from, to);
    let store = Connection::open(to.join("sqlite_key_value.db")).expect("a store");
    let seen = "DELETE FROM spin_key_value WHERE key LIKE 't:%'";
    assert_ne!(store.execute(seen, []).expect("forgotten"), 0);
}

fn copy_files(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for file in std::fs::read_dir(from).expect("a folder") {
        let file = file.expect("a file");
        if file.path().is_file() {
            std::fs::copy(file.path(), to.join(file.file_name())).expect("a copy");
        }
    }
}
