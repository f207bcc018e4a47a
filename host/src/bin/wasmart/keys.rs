//! `wasmart keys`: the keys that sign access tokens, and their rotation. A host that was started with
//! `--variable-file` takes the change in by itself; any other when it is started again with the new values.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Args, Subcommand};
use wasmart_keys::rotation::{self, PUBLISHED_FIRST, State};

#[derive(Args)]
pub struct Keys {
    /// The folder of the key files
    #[arg(long, global = true, default_value = ".wasmart/keys")]
    folder: PathBuf,

    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Show the keys by name, and what each is good for
    List,
    /// Make a new key: published at once, signing after a while
    Rotate {
        /// Seconds until it signs. Others keep copies of the public keys for five minutes
        #[arg(long, default_value_t = PUBLISHED_FIRST)]
        after: u64,
    },
    /// Take out the old keys whose last token has ended, or the one that is named
    Retire {
        /// Only this one
        kid: Option<String>,

        /// Also while tokens of it are valid: they end within a minute
        #[arg(long, requires = "kid")]
        force: bool,
    },
}

impl Keys {
    pub fn run(self) -> anyhow::Result<()> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        match self.action {
            Action::List => {
                for key in rotation::list(&self.folder, now)? {
                    println!("{}  {}", key.kid, words(key.state));
                }
            }
            Action::Rotate { after } => {
                let kid = rotation::rotate(&self.folder, now, after)?;
                println!("{kid} is published, and signs in {after} s");
            }
            Action::Retire {
                kid: Some(kid),
                force,
            } => {
                rotation::retire_one(&self.folder, &kid, now, force)?;
                println!("{kid} is retired");
            }
            Action::Retire { kid: None, .. } => {
                let retired = rotation::retire(&self.folder, now)?;
                if retired.is_empty() {
                    println!("no key can be retired yet");
                }
                for kid in retired {
                    println!("{kid} is retired");
                }
            }
        }
        Ok(())
    }
}

fn words(state: State) -> String {
    match state {
        State::Next(seconds) => format!("published; signs in {seconds} s"),
        State::Signs => "signs".to_owned(),
        State::Old(0) => "old; can be retired".to_owned(),
        State::Old(seconds) => format!("old; can be retired in {seconds} s"),
    }
}
