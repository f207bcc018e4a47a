//! What runs the components: the embedded host, within this process, or Spin's command line
//! (`WASMART_HOST=spin`, as `cargo xtask test --host spin` sets it).

use crate::harness::spin::Spin;
use crate::harness::workspace::{self, Lock};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use wasmart_contracts::signature::ChannelKeys;
use wasmart_host::{CallHook, Host, Redis};

/// Whether the tests run on Spin.
pub fn on_spin() -> bool {
    std::env::var("WASMART_HOST").is_ok_and(|host| host == "spin")
}

/// What a shop is started with, again and again.
pub(crate) struct Setting {
    /// Everything it writes is below this.
    pub folder: PathBuf,
    /// Where the channels are; within the process if it is none.
    pub redis: Option<String>,
    /// What is run, if not `spin.toml`.
    pub manifest: Option<PathBuf>,
    /// Values for the variables of `spin.toml`.
    pub variables: Vec<(String, String)>,
    /// Interferes with what the components ask of the host.
    pub hook: Option<Arc<dyn CallHook>>,
}

impl Setting {
    /// The description of the application.
    pub fn manifest(&self) -> PathBuf {
        let usual = || workspace::root().join("spin.toml");
        self.manifest.clone().unwrap_or_else(usual)
    }

    /// The keys with which the shop signs its messages.
    pub fn channel_keys(&self) -> Option<ChannelKeys> {
        let mut variables = self.variables.iter();
        let text = variables.find(|(name, _)| name == "channel_keys");
        let text = text.map(|(_, value)| value.as_str()).unwrap_or_default();
        ChannelKeys::parse(text).unwrap_or_else(|error| panic!("{error}"))
    }
}

/// A shop that is served.
pub(crate) enum Running {
    Embedded(Host),
    Spin(Spin),
}

impl Running {
    pub async fn start(setting: &Setting) -> Running {
        if on_spin() {
            return Running::Spin(Spin::start(setting).await);
        }
        // One start at a time: the first one compiles, the others find the code.
        let starting = tokio::task::spawn_blocking(|| Lock::take("start")).await;
        let host = embedded(setting).await;
        drop(starting);
        Running::Embedded(host)
    }

    pub fn address(&self) -> SocketAddr {
        match self {
            Running::Embedded(host) => host.addr(),
            Running::Spin(spin) => spin.address(),
        }
    }

    pub async fn publish(&self, channel: &str, message: Vec<u8>) -> Result<(), String> {
        match self {
            Running::Embedded(host) => host.publish(channel, message).await,
            Running::Spin(spin) => spin.publish(channel, &message),
        }
    }

    pub async fn stop(self) {
        match self {
            Running::Embedded(host) => host.stop().await,
            Running::Spin(spin) => spin.stop(),
        }
    }
}

async fn embedded(setting: &Setting) -> Host {
    let root = workspace::root();
    let mut builder = Host::builder()
        .manifest(setting.manifest())
        .runtime_config(root.join("runtime-config.toml"))
        .state_dir(setting.folder.join("state"))
        .data_dir(&setting.folder)
        .cache_dir(workspace::code_cache())
        .process_environment(false)
        .redis(match &setting.redis {
            Some(url) => Redis::Server(url.clone()),
            None => Redis::InProcess,
        })
        .listen(([127, 0, 0, 1], 0).into());
    for (name, value) in &setting.variables {
        builder = builder.variable(name, value);
    }
    if let Some(hook) = &setting.hook {
        builder = builder.call_hook(hook.clone());
    }
    let built = builder.build().await;
    built.unwrap_or_else(|error| panic!("{error}"))
}
