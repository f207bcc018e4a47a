//! `wasmart mail`: mails that wait to be delivered, for an operator who delivers them by hand.

use clap::{Args, Subcommand};

use crate::operator::Shop;
use wasmart_printable::{escape, lines};

#[derive(Args)]
pub struct Mail {
    #[command(flatten)]
    shop: Shop,

    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// The mails that are still good, without what they say
    List,
    /// One mail, whole
    Show {
        /// The mail's id
        id: String,
    },
}

impl Mail {
    pub fn run(self) -> anyhow::Result<()> {
        let base = "/internal/notifications/mails";
        match self.command {
            Command::List => {
                let mails = self.shop.list(base)?;
                for mail in &mails {
                    let text = |name: &str| escape(mail[name].as_str().unwrap_or("-"));
                    println!(
                        "{}  {}  to {}  good until {}",
                        text("id"),
                        text("kind"),
                        text("to"),
                        text("expires_at")
                    );
                }
                println!("{} mails", mails.len());
            }
            Command::Show { id } => {
                let mail = self.shop.get(&format!("{base}/{id}"))?;
                let text = |name: &str| mail[name].as_str().unwrap_or("-");
                println!("To: {}", escape(text("to")));
                println!("Subject: {}\n", escape(text("title")));
                println!("{}", lines(text("text")));
            }
        }
        Ok(())
    }
}
