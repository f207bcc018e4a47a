//! `wasmart up`: serve until interrupted.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use wasmart_contracts::signature::ChannelKeys;
use wasmart_host::{Host, Redis};
use wasmart_tokens::config;

use crate::logging::{self, LogFormat};

/// Used when it exists and no other file is named.
const RUNTIME_CONFIG: &str = "runtime-config.toml";

#[derive(Args)]
pub struct Up {
    /// The application's manifest
    #[arg(long, short, default_value = "spin.toml")]
    from: PathBuf,

    /// Where databases and stores are; `runtime-config.toml` beside the manifest if it is there
    #[arg(long)]
    runtime_config_file: Option<PathBuf>,

    /// The folder for databases, stores and compiled code
    #[arg(long, default_value = ".wasmart")]
    state_dir: PathBuf,

    /// The address to serve on
    #[arg(long, default_value = "127.0.0.1:3000")]
    listen: SocketAddr,

    /// A Redis server for the channels (redis[s]://[user:password@]host:port).
    /// Without it, messages stay in this process.
    /// Other users of this machine see a command's arguments:
    /// give a password in SPIN_VARIABLE_REDIS_URL instead
    #[arg(long, value_name = "URL")]
    redis: Option<String>,

    /// A file of `SPIN_VARIABLE_*` lines
    #[arg(long, default_value = ".env")]
    env_file: PathBuf,

    /// A value for an application variable; may be repeated
    #[arg(long = "variable", value_name = "NAME=VALUE", value_parser = name_and_value)]
    variables: Vec<(String, String)>,

    /// A file whose content is the value of an application variable, also when it changes; may be repeated
    #[arg(long = "variable-file", value_name = "NAME=PATH", value_parser = name_and_value)]
    variable_files: Vec<(String, String)>,

    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
}

/// The shop's keys and whom it trusts, looked at before they fail a customer. What is missing is said
/// elsewhere.
fn check_variables(value: &dyn Fn(&str) -> Option<String>) -> Vec<String> {
    let keys = match (value("jwt_private_key"), value("jwks")) {
        (Some(private), Some(public)) => wasmart_keys::KeySet::check(&private, &public).err(),
        _ => None,
    };
    let trusted = value("trusted_issuers").and_then(|text| config::trusted_issuers(&text).err());
    let providers = value("providers").and_then(|text| config::providers(&text).err());
    let channels = value("channel_keys").and_then(|text| ChannelKeys::parse(&text).err());
    [keys, trusted, providers, channels]
        .into_iter()
        .flatten()
        .collect()
}

fn name_and_value(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=…")?;
    Ok((name.to_owned(), value.to_owned()))
}

impl Up {
    pub fn run(self) -> anyhow::Result<()> {
        logging::start(self.log_format);
        let runtime = tokio::runtime::Runtime::new().context("cannot start the async runtime")?;
        runtime.block_on(self.serve())
    }

    async fn serve(self) -> anyhow::Result<()> {
        let mut builder = Host::builder()
            .manifest(&self.from)
            .state_dir(self.state_dir)
            // Stores with a path start where databases do, not beside the manifest: who serves one manifest
            // in two places has two shops.
            .data_dir("")
            .env_file(self.env_file)
            .listen(self.listen)
            .check_variables(check_variables)
            .redis(self.redis.map_or(Redis::Auto, Redis::Server));
        let beside = self.from.with_file_name(RUNTIME_CONFIG);
        if let Some(file) = self
            .runtime_config_file
            .or_else(|| beside.exists().then_some(beside))
        {
            builder = builder.runtime_config(file);
        }
        for (name, value) in self.variables {
            builder = builder.variable(name, value);
        }
        for (name, path) in self.variable_files {
            builder = builder.variable_file(name, path);
        }
        let mut signals = Signals::listen()?;
        let host = builder.build().await?;
        println!("Serving http://{}", host.addr());
        for (route, component) in host.routes() {
            println!("  {route}  {component}");
        }
        signals.wait().await;
        tracing::info!("stopping; running work has ten seconds to finish");
        host.stop().await;
        Ok(())
    }
}

/// SIGINT and SIGTERM; caught from before the start, so that none is lost.
struct Signals {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
}

impl Signals {
    fn listen() -> anyhow::Result<Self> {
        Ok(Self {
            #[cfg(unix)]
            terminate: tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
                .context("cannot listen for signals")?,
        })
    }

    async fn wait(&mut self) {
        let interrupted = tokio::signal::ctrl_c();
        #[cfg(unix)]
        tokio::select! {
            _ = interrupted => {}
            _ = self.terminate.recv() => {}
        }
        #[cfg(not(unix))]
        let _ = interrupted.await;
    }
}
