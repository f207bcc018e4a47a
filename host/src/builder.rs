//! Configuring and starting a host.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
#[cfg(feature = "faults")]
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::runtime::Handle;

use crate::calls::Gate;
use crate::fault::{Faults, StartError};
#[cfg(feature = "faults")]
use crate::faults::{CallHook, Clock, Simulation};
use crate::host::Host;
use crate::http::routes::Routes;
use crate::limits::{self, ClientLimits};
use crate::manifest::{self, Manifest};
use crate::plan::{Plan, plan};
use crate::private_files;
use crate::runtime_config::{self, Folders};
use crate::start;
use crate::variables::{Sources, Variables, parse_env_file};
use crate::world::World;

/// The variable that says where Redis is.
const REDIS_VARIABLE: &str = "redis_url";

/// Where Redis channels and connections lead.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Redis {
    /// To real servers if the application's variable `redis_url` was given a value from outside the
    /// manifest, else as [`Redis::InProcess`].
    #[default]
    Auto,
    /// To real servers; the variable `redis_url` gets this value.
    Server(String),
    /// Channels are delivered inside the process; nothing else of Redis works.
    InProcess,
}

/// An application's own look at its variables. It gets a function from a variable's name to its value,
/// and gives each fault as a sentence, without the value.
pub type VariableCheck = fn(&dyn Fn(&str) -> Option<String>) -> Vec<String>;

/// Options of a [`Host`]. Nothing happens before [`HostBuilder::build`].
#[must_use]
pub struct HostBuilder {
    manifest: PathBuf,
    runtime_config: Option<PathBuf>,
    state_dir: PathBuf,
    cache_dir: Option<PathBuf>,
    data_dir: Option<PathBuf>,
    env_file: Option<PathBuf>,
    process_environment: bool,
    sources: Sources,
    redis: Redis,
    listen: SocketAddr,
    pub(crate) ticks: bool,
    pub(crate) request_timeout: Duration,
    pub(crate) instance_memory: usize,
    pub(crate) client_limits: ClientLimits,
    pub(crate) world: World,
    #[cfg(feature = "faults")]
    hook: Option<Arc<dyn CallHook>>,
    variable_check: Option<VariableCheck>,
}

impl Default for HostBuilder {
    fn default() -> Self {
        Self {
            manifest: "spin.toml".into(),
            runtime_config: None,
            state_dir: ".wasmart".into(),
            cache_dir: None,
            data_dir: None,
            env_file: None,
            process_environment: true,
            sources: Sources::default(),
            redis: Redis::Auto,
            listen: (Ipv4Addr::LOCALHOST, 3000).into(),
            ticks: true,
            request_timeout: limits::REQUEST_TIMEOUT,
            instance_memory: limits::INSTANCE_MEMORY_BYTES,
            client_limits: ClientLimits::default(),
            world: World::default(),
            #[cfg(feature = "faults")]
            hook: None,
            variable_check: None,
        }
    }
}

impl HostBuilder {
    /// The application's manifest; `spin.toml` by default.
    pub fn manifest(mut self, path: impl Into<PathBuf>) -> Self {
        self.manifest = path.into();
        self
    }

    /// Where databases and stores are; without, only the label `default` exists.
    pub fn runtime_config(mut self, path: impl Into<PathBuf>) -> Self {
        self.runtime_config = Some(path.into());
        self
    }

    /// The folder for the default database, the default store and compiled code; `.wasmart` by default.
    pub fn state_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.state_dir = path.into();
        self
    }

    /// The folder for compiled code; `compiled` in the state folder by default. Hosts may share it.
    pub fn cache_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.cache_dir = Some(path.into());
        self
    }

    /// Resolves the relative paths of the runtime configuration in this folder. Without, as in Spin:
    /// databases in the working folder, stores beside the configuration.
    pub fn data_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.data_dir = Some(path.into());
        self
    }

    /// Gives an application variable its value, over every other source.
    pub fn variable(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.sources.given.insert(name.into(), value.into());
        self
    }

    /// Gives an application variable the content of a file as its value, over every other source. Components
    /// that are granted the variable as it is (`{{ name }}`) see changes of the file within a second; in all
    /// other places of the manifest it is what it was at the start.
    pub fn variable_file(mut self, name: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        self.sources.files.insert(name.into(), path.into());
        self
    }

    /// A file of `SPIN_VARIABLE_*` lines, weaker than the environment. It need not exist.
    pub fn env_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.env_file = Some(path.into());
        self
    }

    /// Whether `SPIN_VARIABLE_*` of this process count; they do by default. A test wants them not to.
    pub fn process_environment(mut self, counts: bool) -> Self {
        self.process_environment = counts;
        self
    }

    /// Where Redis channels and connections lead.
    pub fn redis(mut self, redis: Redis) -> Self {
        self.redis = redis;
        self
    }

    /// The address to serve on; 127.0.0.1:3000 by default. Port 0 takes a free one.
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.listen = address;
        self
    }

    /// Whether the ticks of `[application.tool.wasmart]` run by themselves; they do by default.
    /// [`Host::tick`] runs them in any case.
    pub fn ticks(mut self, run: bool) -> Self {
        self.ticks = run;
        self
    }

    /// The longest a request or message may take; 30 s by default.
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = timeout;
        self
    }

    /// The memory of one instance of a component; 128 MiB by default.
    pub fn instance_memory(mut self, bytes: usize) -> Self {
        self.instance_memory = bytes;
        self
    }

    /// How many connections clients may have, how slow they may be and how much they may leave
    /// unread. These limits do not apply to calls between components.
    pub fn client_limits(mut self, limits: ClientLimits) -> Self {
        self.client_limits = limits;
        self
    }

    /// Looks at the variables before anything is served; what it finds joins the other faults.
    pub fn check_variables(mut self, check: VariableCheck) -> Self {
        self.variable_check = Some(check);
        self
    }

    /// Watches every call that components make into the host and every message to them.
    #[cfg(feature = "faults")]
    pub fn call_hook(mut self, hook: Arc<dyn CallHook>) -> Self {
        self.hook = Some(hook);
        self
    }

    /// Gives components this clock instead of the machine's.
    #[cfg(feature = "faults")]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.world.clock = Some(clock);
        self
    }

    /// Makes this host a part of a simulation, with its clock.
    #[cfg(feature = "faults")]
    pub fn simulation(mut self, simulation: &Simulation) -> Self {
        self.world.clock = Some(simulation.clock().clone());
        self.world.simulation = Some(simulation.clone());
        self
    }

    /// The gate that all calls of the host's components pass.
    pub(crate) fn gate(&self) -> Gate {
        Gate::new(
            self.world.clone(),
            #[cfg(feature = "faults")]
            self.hook.clone(),
        )
    }

    /// Checks everything, then serves. Returns once requests are answered and, with a Redis server that is
    /// there, messages are received.
    ///
    /// # Errors
    ///
    /// With everything that is wrong, at once: nothing has been served then.
    pub async fn build(mut self) -> Result<Host, StartError> {
        self.world.main = Some(Handle::current());
        let faults = Faults::default();
        let manifest = manifest::read(&self.manifest, &faults);
        let Some(manifest) = manifest else {
            return Err(faults
                .check()
                .expect_err("a manifest that cannot be read is a fault"));
        };
        self.collect_sources(&manifest, &faults);
        let variables = Variables::resolve(&manifest, &self.sources, &faults);
        if let Some(check) = self.variable_check {
            let value = |name: &str| variables.value(name).ok().flatten().map(str::to_owned);
            check(&value)
                .into_iter()
                .for_each(|fault| faults.add(fault));
        }
        let folders = Folders {
            state: &self.state_dir,
            data: self.data_dir.as_deref(),
        };
        let config = runtime_config::read(self.runtime_config.as_deref(), &folders, &faults);
        let beside = self.runtime_config.as_deref().and_then(Path::parent);
        private_files::mend(&config, &folders, beside);
        let plan: Plan = plan(&manifest, &config, &variables, &self.world, &faults);
        let routes = Routes::build(&manifest.http);
        if let Err(found) = &routes {
            found.iter().for_each(|fault| faults.add(fault));
        }
        let listener = match self.world.is_simulated() {
            true => None,
            false => faults.take(bind(self.listen).await),
        };
        let servers = match &self.redis {
            Redis::Server(_) => true,
            Redis::InProcess => false,
            Redis::Auto => variables
                .given_outside(REDIS_VARIABLE)
                .is_some_and(|url| !url.is_empty()),
        };
        faults.check()?;
        let Ok(routes) = routes else {
            unreachable!("routes that are not there are faults")
        };
        let cache = self
            .cache_dir
            .take()
            .unwrap_or_else(|| self.state_dir.join("compiled"));
        start::start(self, plan, routes, listener, servers, &cache).await
    }

    fn collect_sources(&mut self, manifest: &Manifest, faults: &Faults) {
        if self.process_environment {
            // Not `vars()`: it panics on a value that is not UTF-8, whoever set it.
            self.sources.environment = std::env::vars_os()
                .filter_map(|(name, value)| {
                    Some((name.into_string().ok()?, value.into_string().ok()?))
                })
                .collect();
        }
        if let Some(path) = &self.env_file {
            self.sources.env_file = faults.take(read_env_file(path)).unwrap_or_default();
        }
        if let Redis::Server(url) = &self.redis
            && manifest.variables.contains_key(REDIS_VARIABLE)
        {
            self.sources
                .given
                .insert(REDIS_VARIABLE.into(), url.clone());
        }
    }
}

fn read_env_file(path: &Path) -> Result<HashMap<String, String>, String> {
    match std::fs::read_to_string(path) {
        Ok(text) => {
            // The file may contain secrets, but it belongs to the operator: only warn.
            private_files::warn_if_open(path);
            parse_env_file(&text).map_err(|error| format!("{}: {error}", path.display()))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(HashMap::new()),
        Err(error) => Err(format!("{}: {error}", path.display())),
    }
}

async fn bind(address: SocketAddr) -> Result<TcpListener, String> {
    TcpListener::bind(address)
        .await
        .map_err(|error| match error.kind() {
            std::io::ErrorKind::AddrInUse => {
                format!(
                    "{address} is in use: stop what listens there or choose another with --listen"
                )
            }
            _ => format!("cannot listen on {address}: {error}"),
        })
}
