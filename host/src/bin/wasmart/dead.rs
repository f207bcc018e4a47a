//! `wasmart dead`: what a service could not take in, and what becomes of it.

use clap::{Args, Subcommand};
use serde_json::json;

use crate::operator::{Shop, action, with_reason};
use wasmart_printable::escape;

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
        /// Show letters that were handled (what was done, by whom and why) instead of those that
        /// wait
        #[arg(long)]
        handled: bool,
    },
    /// Take a letter in after all
    Redrive {
        /// The service that set it aside
        service: String,
        /// The letter's id
        id: String,
        /// Why, for the record
        #[arg(long)]
        reason: Option<String>,
    },
    /// Throw a letter away
    Discard {
        /// The service that set it aside
        service: String,
        /// The letter's id
        id: String,
        /// Why, for the record
        #[arg(long)]
        reason: Option<String>,
    },
}

impl Dead {
    pub fn run(self) -> anyhow::Result<()> {
        let base = |service: &str| format!("/internal/{service}/dead-letters");
        match self.command {
            Command::List {
                service,
                handled: true,
            } => {
                let actions = self
                    .shop
                    .list(&format!("{}?handled=true", base(&service)))?;
                actions.iter().for_each(|done| println!("{}", action(done)));
                println!("{} actions", actions.len());
            }
            Command::List { service, .. } => {
                let letters = self.shop.list(&base(&service))?;
                for letter in &letters {
                    let text = |name: &str| escape(letter[name].as_str().unwrap_or("-"));
                    println!(
                        "{}  {}  {}\n  {}",
                        text("id"),
                        text("at"),
                        text("reason"),
                        escape(&letter["event"].to_string())
                    );
                }
                println!("{} dead letters", letters.len());
            }
            Command::Redrive {
                service,
                id,
                reason,
            } => {
                let path = format!("{}/{id}/redrive", base(&service));
                self.shop
                    .post(&with_reason(path, reason.as_deref()), &json!({}))?;
                println!("taken in");
            }
            Command::Discard {
                service,
                id,
                reason,
            } => {
                let path = format!("{}/{id}", base(&service));
                self.shop.delete(&with_reason(path, reason.as_deref()))?;
                println!("thrown away");
            }
        }
        Ok(())
    }
}
