//! The application as `spin.toml` describes it (Spin manifest version 2).

mod names;
mod read;

use std::collections::BTreeMap;
use std::path::PathBuf;

pub(crate) use read::read;

/// What `spin.toml` says; nothing is resolved or opened yet.
#[derive(Debug, Default)]
pub(crate) struct Manifest {
    /// The folder of the file: component sources are relative to it.
    pub dir: PathBuf,
    pub name: String,
    pub variables: BTreeMap<String, Variable>,
    pub http: Vec<HttpTrigger>,
    /// `application.trigger.redis.address`, a template.
    pub redis_address: Option<String>,
    pub redis: Vec<RedisTrigger>,
    pub components: BTreeMap<String, Component>,
    pub ticks: Vec<Tick>,
    /// Components whose work can wait, from `[application.tool.wasmart]`.
    pub background: Vec<String>,
}

#[derive(Debug, Default)]
pub(crate) struct Variable {
    pub default: Option<String>,
}

#[derive(Debug)]
pub(crate) struct HttpTrigger {
    /// `None` for a private endpoint, which only other components can call.
    pub route: Option<String>,
    pub component: String,
}

#[derive(Debug)]
pub(crate) struct RedisTrigger {
    /// A template.
    pub channel: String,
    pub component: String,
    /// A template; the application's address when absent.
    pub address: Option<String>,
}

#[derive(Debug, Default)]
pub(crate) struct Component {
    pub source: PathBuf,
    /// `build.command`, to say how to make a missing file.
    pub build: Option<String>,
    pub variables: BTreeMap<String, String>,
    pub environment: BTreeMap<String, String>,
    pub allowed_outbound_hosts: Vec<String>,
    pub key_value_stores: Vec<String>,
    pub sqlite_databases: Vec<String>,
    pub dependencies: Vec<Dependency>,
}

#[derive(Debug)]
pub(crate) struct Dependency {
    /// The import it satisfies: `package/interface[@version]`, `package[@version]` or a plain name.
    pub import: String,
    pub source: DependencySource,
    /// The dependency's export to use, when it is not named like the import.
    pub export: Option<String>,
    pub inherit: Inherit,
}

#[derive(Debug)]
pub(crate) enum DependencySource {
    Component(String),
    Path(PathBuf),
}

/// Which grants of its component a dependency may use.
#[derive(Debug, Clone)]
pub(crate) enum Inherit {
    All,
    Only(Vec<String>),
}

/// A periodic call into a component, from `[application.tool.wasmart]`.
#[derive(Debug)]
pub(crate) struct Tick {
    pub component: String,
    pub path: String,
    pub every_ms: u64,
    /// Values are templates.
    pub headers: BTreeMap<String, String>,
}
