//! From what the files say to what will run: every name resolved, every file found, every import known.
//! Nothing is served yet; all faults are collected.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use crate::allowed_hosts::AllowedHosts;
use crate::compose::{Interface, Part, compose, interface};
use crate::fault::Faults;
use crate::imports;
use crate::key_value::Store;
use crate::manifest::{Component, DependencySource, Manifest};
use crate::runtime_config::RuntimeConfig;
use crate::sqlite::Database;
use crate::template::resolve;
use crate::tick::{self, TickPlan};
use crate::variables::Variables;

const HTTP_HANDLER: &str = "wasi:http/handler@0.3.0";
const REDIS_HANDLER: &str = "spin:redis/inbound-redis@3.0.0";

/// What will run.
pub(crate) struct Plan {
    pub components: Vec<ComponentPlan>,
    pub subscriptions: Vec<Subscription>,
    pub ticks: Vec<TickPlan>,
    /// The resolved `application.trigger.redis.address`.
    pub redis_address: Option<String>,
}

/// One component with everything it may use.
pub(crate) struct ComponentPlan {
    pub id: Arc<str>,
    pub wasm: Vec<u8>,
    pub variables: HashMap<String, String>,
    pub environment: BTreeMap<String, String>,
    pub databases: HashMap<String, Arc<Database>>,
    pub stores: HashMap<String, Arc<Store>>,
    pub hosts: AllowedHosts,
}

/// A component that listens to a channel.
#[derive(Debug)]
pub(crate) struct Subscription {
    pub address: String,
    pub channel: String,
    pub component: String,
}

/// Works everything out. `None` for parts that have faults; the caller checks the faults.
pub(crate) fn plan(
    manifest: &Manifest,
    config: &RuntimeConfig,
    variables: &Variables,
    faults: &Faults,
) -> Plan {
    let redis_address = manifest
        .redis_address
        .as_ref()
        .and_then(|text| faults.take(resolve(text, variables)));
    let uses = Uses::of(manifest, faults);
    let mut planner = Planner {
        manifest,
        config,
        variables,
        faults,
        stores: HashMap::new(),
    };
    let components = uses
        .components()
        .into_iter()
        .filter_map(|id| planner.component(id, &uses))
        .collect();
    Plan {
        components,
        subscriptions: planner.subscriptions(redis_address.as_deref()),
        ticks: planner.ticks(),
        redis_address,
    }
}

/// Which components some trigger leads to, and how.
struct Uses<'m> {
    http: BTreeSet<&'m str>,
    redis: BTreeSet<&'m str>,
}

impl<'m> Uses<'m> {
    fn of(manifest: &'m Manifest, faults: &Faults) -> Self {
        let known = |id: &str, by: &str| {
            let known = manifest.components.contains_key(id);
            if !known {
                faults.add(format!(
                    "{by} names the component `{id}`, which the manifest does not define"
                ));
            }
            known
        };
        let http = manifest
            .http
            .iter()
            .filter(|trigger| known(&trigger.component, "an HTTP trigger"));
        let redis = manifest
            .redis
            .iter()
            .filter(|trigger| known(&trigger.component, "a Redis trigger"));
        let ticks = manifest
            .ticks
            .iter()
            .filter(|tick| known(&tick.component, "a tick"));
        Self {
            http: http
                .map(|trigger| trigger.component.as_str())
                .chain(ticks.map(|tick| tick.component.as_str()))
                .collect(),
            redis: redis.map(|trigger| trigger.component.as_str()).collect(),
        }
    }

    fn components(&self) -> BTreeSet<&'m str> {
        self.http.union(&self.redis).copied().collect()
    }
}

struct Planner<'a> {
    manifest: &'a Manifest,
    config: &'a RuntimeConfig,
    variables: &'a Variables,
    faults: &'a Faults,
    /// Opened once, whoever uses them.
    stores: HashMap<String, Option<Arc<Store>>>,
}

impl Planner<'_> {
    fn fault(&self, id: &str, what: impl std::fmt::Display) {
        self.faults.add(format!("component `{id}`: {what}"));
    }

    fn component(&mut self, id: &str, uses: &Uses<'_>) -> Option<ComponentPlan> {
        let component = &self.manifest.components[id];
        let hosts = self.hosts(id, component, uses);
        let databases = self.databases(id, component);
        let stores = self.stores(id, component);
        let variables = self.component_variables(id, component);
        let wasm = self.code(id, component, uses)?;
        Some(ComponentPlan {
            id: id.into(),
            wasm,
            variables,
            environment: component.environment.clone(),
            databases,
            stores,
            hosts: hosts?,
        })
    }

    fn component_variables(&self, id: &str, component: &Component) -> HashMap<String, String> {
        let mut values = HashMap::new();
        for (name, text) in &component.variables {
            match resolve(text, self.variables) {
                Ok(value) => drop(values.insert(name.clone(), value)),
                Err(error) => self.fault(id, format_args!("variable `{name}`: {error}")),
            }
        }
        values
    }

    fn hosts(&self, id: &str, component: &Component, uses: &Uses<'_>) -> Option<AllowedHosts> {
        let mut entries = Vec::new();
        for entry in &component.allowed_outbound_hosts {
            match resolve(entry, self.variables) {
                Ok(entry) => entries.push(entry),
                Err(error) => self.fault(id, format_args!("allowed_outbound_hosts: {error}")),
            }
        }
        let hosts = match AllowedHosts::parse(&entries) {
            Ok(hosts) => hosts,
            Err(error) => {
                self.fault(id, format_args!("allowed_outbound_hosts: {error}"));
                return None;
            }
        };
        for target in hosts.chained().filter(|target| !uses.http.contains(target)) {
            self.fault(
                id,
                format_args!(
                    "allowed_outbound_hosts names `{target}.spin.internal`, but no HTTP trigger leads to \
                     such a component"
                ),
            );
        }
        if hosts.chains() && uses.redis.contains(id) {
            // No limit of this host, but the application could not move to Spin.
            self.fault(
                id,
                "may call `*.spin.internal` and has Redis triggers; Spin refuses that: give the messages \
                 to a component of their own, with the same source",
            );
        }
        Some(hosts)
    }

    fn databases(&self, id: &str, component: &Component) -> HashMap<String, Arc<Database>> {
        let mut databases = HashMap::new();
        for label in &component.sqlite_databases {
            let Some(place) = self.config.databases.get(label) else {
                self.fault(
                    id,
                    format_args!(
                        "database `{label}` has no place: add [sqlite_database.{label}] to the runtime \
                         configuration"
                    ),
                );
                continue;
            };
            let database = Database::new(place.clone());
            self.faults.take(database.check());
            databases.insert(label.clone(), Arc::new(database));
        }
        databases
    }

    fn stores(&mut self, id: &str, component: &Component) -> HashMap<String, Arc<Store>> {
        let mut stores = HashMap::new();
        for label in &component.key_value_stores {
            let Some(place) = self.config.stores.get(label) else {
                self.fault(
                    id,
                    format_args!(
                        "key-value store `{label}` has no place: add [key_value_store.{label}] to the \
                         runtime configuration"
                    ),
                );
                continue;
            };
            let open = || self.faults.take(Store::open(label, place)).map(Arc::new);
            if let Some(store) = self.stores.entry(label.clone()).or_insert_with(open) {
                stores.insert(label.clone(), store.clone());
            }
        }
        stores
    }

    /// The composed code, checked against what the host offers and the triggers need.
    fn code(&self, id: &str, component: &Component, uses: &Uses<'_>) -> Option<Vec<u8>> {
        let wasm = self.read(id, component)?;
        let mut parts = Vec::new();
        for dependency in &component.dependencies {
            let path = match &dependency.source {
                DependencySource::Path(path) => path,
                DependencySource::Component(name) => match self.manifest.components.get(name) {
                    Some(other) if other.dependencies.is_empty() => &other.source,
                    Some(_) => {
                        self.fault(id, format_args!("dependency `{name}` has dependencies itself, which is not supported by this host"));
                        continue;
                    }
                    None => {
                        self.fault(
                            id,
                            format_args!("dependency `{name}` is no component of the manifest"),
                        );
                        continue;
                    }
                },
            };
            let build = component.build.as_deref();
            let wasm = self.read_file(id, path, build)?;
            let (import, export) = (dependency.import.as_str(), dependency.export.as_deref());
            parts.push(Part {
                import,
                export,
                inherit: &dependency.inherit,
                wasm,
            });
        }
        let wasm = match compose(id, component, wasm, parts) {
            Ok(wasm) => wasm,
            Err(faults) => {
                faults.into_iter().for_each(|fault| self.faults.add(fault));
                return None;
            }
        };
        match interface(id, &wasm) {
            Ok(interface) => self.check_interface(id, &interface, uses),
            Err(error) => self.fault(id, error),
        }
        Some(wasm)
    }

    fn read(&self, id: &str, component: &Component) -> Option<Vec<u8>> {
        if component.source.as_os_str().is_empty() {
            return None;
        }
        self.read_file(id, &component.source, component.build.as_deref())
    }

    fn read_file(&self, id: &str, path: &std::path::Path, build: Option<&str>) -> Option<Vec<u8>> {
        match std::fs::read(path) {
            Ok(wasm) => Some(wasm),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let build = build.unwrap_or("cargo xtask build");
                self.fault(
                    id,
                    format_args!("{} does not exist: run `{build}`", path.display()),
                );
                None
            }
            Err(error) => {
                self.fault(id, format_args!("{}: {error}", path.display()));
                None
            }
        }
    }

    fn check_interface(&self, id: &str, interface: &Interface, uses: &Uses<'_>) {
        for import in interface
            .imports
            .iter()
            .filter(|import| !imports::offered(import))
        {
            self.fault(
                id,
                format_args!("imports `{import}`, which this host does not offer"),
            );
        }
        let needs = [
            (HTTP_HANDLER, &uses.http, "HTTP"),
            (REDIS_HANDLER, &uses.redis, "Redis"),
        ];
        for (export, users, trigger) in needs {
            if users.contains(id) && !interface.exports.iter().any(|name| name == export) {
                self.fault(
                    id,
                    format_args!("has {trigger} triggers but does not export `{export}`"),
                );
            }
        }
    }

    fn subscriptions(&self, default_address: Option<&str>) -> Vec<Subscription> {
        let mut subscriptions = Vec::new();
        for trigger in &self.manifest.redis {
            let channel = self.faults.take(resolve(&trigger.channel, self.variables));
            let address = match &trigger.address {
                Some(text) => self.faults.take(resolve(text, self.variables)),
                None => default_address.map(str::to_owned),
            };
            match (channel, address) {
                (Some(channel), Some(address)) => {
                    let component = trigger.component.clone();
                    subscriptions.push(Subscription {
                        address,
                        channel,
                        component,
                    });
                }
                (Some(channel), None) if self.manifest.redis_address.is_none() => {
                    self.faults.add(format!(
                        "the Redis trigger for channel `{channel}` has no address: add \
                         [application.trigger.redis] address = \"…\""
                    ));
                }
                _ => {}
            }
        }
        subscriptions
    }

    fn ticks(&self) -> Vec<TickPlan> {
        let mut ticks = Vec::new();
        for entry in &self.manifest.ticks {
            let fields = entry.headers.iter().filter_map(|(name, text)| {
                Some((
                    name.as_str(),
                    self.faults.take(resolve(text, self.variables))?,
                ))
            });
            match tick::headers(fields) {
                Ok(headers) => ticks.push(TickPlan {
                    component: entry.component.clone(),
                    path: entry.path.clone(),
                    every: Duration::from_millis(entry.every_ms),
                    headers,
                }),
                Err(error) => self
                    .faults
                    .add(format!("tick of `{}`: {error}", entry.component)),
            }
        }
        ticks
    }
}
