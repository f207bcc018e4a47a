//! `wasmart saga`: what is under way, what is stuck and why, and what a person can do about it.

use std::borrow::Cow;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use wasmart_printable::escape;

use crate::operator::{Shop, action, actor, with_reason};

const BASE: &str = "/internal/orders/sagas";

#[derive(Args)]
pub struct Saga {
    #[command(flatten)]
    shop: Shop,

    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Sagas under way, the longest unchanged first
    List {
        /// Only those that need a person
        #[arg(long)]
        stuck: bool,
    },
    /// One saga: its history, what it waits for, what an undo would do
    Show {
        /// The order's id
        id: String,
    },
    /// Send what is unanswered again, now
    Redrive {
        /// The order's id
        id: String,
        /// Why, for the record
        #[arg(long)]
        reason: Option<String>,
    },
    /// Turn a saga round: refund, release, cancel
    Compensate {
        /// The order's id
        id: String,
        /// Why, for the record
        #[arg(long)]
        reason: String,
        /// Only say what it would do
        #[arg(long)]
        dry_run: bool,
    },
}

impl Saga {
    pub fn run(self) -> anyhow::Result<()> {
        match self.command {
            Command::List { stuck } => {
                let sagas = self.shop.list(&format!("{BASE}?stuck={stuck}"))?;
                sagas.iter().for_each(line);
                println!("{} sagas", sagas.len());
            }
            Command::Show { id } => show(&self.shop.get(&format!("{BASE}/{id}"))?),
            Command::Redrive { id, reason } => {
                let path = with_reason(format!("{BASE}/{id}/redrive"), reason.as_deref());
                show(&self.shop.post(&path, &json!({}))?);
            }
            Command::Compensate {
                id,
                reason,
                dry_run,
            } => {
                let body = json!({"reason": reason, "dry_run": dry_run});
                show(&self.shop.post(&format!("{BASE}/{id}/compensate"), &body)?);
            }
        }
        Ok(())
    }
}

fn line(saga: &Value) {
    let waits: Vec<String> = list(&saga["waits_for"])
        .map(|w| {
            format!(
                "{} (sent {} times, next {})",
                text(&w["command"]),
                w["sent"],
                text(&w["next"])
            )
        })
        .collect();
    println!(
        "{}  no. {}  {}{} since {}  waits for {}{}",
        text(&saga["order_id"]),
        saga["number"],
        text(&saga["state"]),
        saga["reason"]
            .as_str()
            .map(|reason| format!(" ({})", escape(reason)))
            .unwrap_or_default(),
        text(&saga["since"]),
        if waits.is_empty() {
            "nothing".to_owned()
        } else {
            waits.join(", ")
        },
        if saga["needs_person"] == true {
            "  NEEDS A PERSON"
        } else {
            ""
        },
    );
}

fn show(detail: &Value) {
    line(&detail["saga"]);
    println!("history:");
    for event in list(&detail["history"]) {
        let (from, to) = (text(&event["from"]), text(&event["to"]));
        println!(
            "  {}  {from} → {to}  {}  by {}",
            text(&event["at"]),
            text(&event["event"]),
            actor(&event["actor"])
        );
    }
    for done in list(&detail["actions"]) {
        println!("  {}", action(done));
    }
    if detail["undo"]["possible"] == false {
        println!("an undo is not possible any more");
        return;
    }
    let steps: Vec<String> = list(&detail["undo"]["steps"])
        .map(|step| match step["command"].as_str() {
            Some(command) => format!("{} (sends {})", text(&step["state"]), escape(command)),
            None => text(&step["state"]).into_owned(),
        })
        .collect();
    let steps = if steps.is_empty() {
        "nothing".to_owned()
    } else {
        steps.join(", then ")
    };
    println!("an undo would do: {steps}");
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> Cow<'_, str> {
    escape(value.as_str().unwrap_or("-"))
}
