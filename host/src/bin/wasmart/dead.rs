//! `wasmart dead`: what a service could not take in, and what becomes of it.

use clap::{Args, Subcommand};
use serde_json::json;

use crate::operator::Shop;

#[derive(Args)]
pub struct Dead {
    #[command(flatten)]
    shop: Shop,

    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// The dead letters of a service
    List {
        /// orders, stock, billing, notifications, users or auth
        service: String,
    },
    /// Take a letter in after all
    Redrive {
        /// The service that set it aside
        service: String,
        /// The letter's id
        id: String,
    },
    /// Throw a letter away
    Discard {
        /// The service that set it aside
        service: String,
        /// The letter's id
        id: String,
    },
}

impl Dead {
    pub fn run(self) -> anyhow::Result<()> {
        let base = |service: &str| format!("/internal/{service}/dead-letters");
        match self.command {
            Command::List { service } => {
                let letters = self.shop.list(&base(&service))?;
                for letter in &letters {
                    let text = |name: &str| letter[name].as_str().unwrap_or("-").to_owned();
                    println!(
                        "{}  {}  {}\n  {}",
                        text("id"),
                        text("at"),
                        text("reason"),
                        letter["event"]
                    );
                }
                println!("{} dead letters", letters.len());
            }
            Command::Redrive { service, id } => {
                self.shop
                    .post(&format!("{}/{id}/redrive", base(&service)), &json!({}))?;
                println!("taken in");
            }
            Command::Discard { service, id } => {
                self.shop.delete(&format!("{}/{id}", base(&service)))?;
                println!("thrown away");
            }
        }
        Ok(())
    }
}
