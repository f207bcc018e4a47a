//! From what the files say to what will run: every name resolved, every file found, every import known.
//! Nothing is served yet; all faults are collected.

mod code;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::allowed_hosts::AllowedHosts;
use crate::fault::Faults;
use crate::grants::Value;
use crate::key_value::Store;
use crate::manifest::{Component, Manifest};
use crate::runtime_config::{Place, RuntimeConfig};
use crate::sqlite::{Database, Writers};
use crate::template::resolve;
use crate::tick::{self, TickPlan};
use crate::variables::Variables;
use crate::world::World;

/// What will run.
pub(crate) struct Plan {
    pub components: Vec<ComponentPlan>,
    pub subscriptions: Vec<Subscription>,
    pub ticks: Vec<TickPlan>,
    /// The resolved `application.trigger.redis.address`.
    pub redis_address: Option<String>,
    /// The files of databases and stores.
    pub files: Vec<PathBuf>,
}

/// One component with everything it may use.
pub(crate) struct ComponentPlan {
    pub id: Arc<str>,
    /// Its work can wait for that of others.
    pub is_background: bool,
    pub wasm: Arc<[u8]>,
    pub variables: HashMap<String, Value>,
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
    world: &World,
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
        world,
        faults,
        stores: HashMap::new(),
        writers: HashMap::new(),
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
        files: config.files().map(Path::to_owned).collect(),
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
        for id in &manifest.background {
            known(id, "`background`");
        }
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
    world: &'a World,
    faults: &'a Faults,
    /// Opened once, whoever uses them.
    stores: HashMap<String, Option<Arc<Store>>>,
    /// Of each file, whoever uses it.
    writers: HashMap<PathBuf, Writers>,
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
            is_background: self.manifest.background.iter().any(|other| other == id),
            wasm,
            variables,
            environment: component.environment.clone(),
            databases,
            stores,
            hosts: hosts?,
        })
    }

    fn component_variables(&self, id: &str, component: &Component) -> HashMap<String, Value> {
        let mut values = HashMap::new();
        for (name, text) in &component.variables {
            if let Some(file) = self.variables.file(text) {
                values.insert(name.clone(), Value::File(file));
                continue;
            }
            match resolve(text, self.variables) {
                Ok(value) => drop(values.insert(name.clone(), Value::Fixed(value))),
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

    fn databases(&mut self, id: &str, component: &Component) -> HashMap<String, Arc<Database>> {
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
            let writers = match place {
                Place::File(file) => self.writers.entry(file.clone()).or_default().clone(),
                Place::Memory => Writers::default(),
            };
            let database = Database::new(place.clone(), writers);
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
