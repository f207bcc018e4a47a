//! The code of a component: found, composed with its dependencies, and checked against its triggers.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Planner, Uses};
use crate::compose::{Interface, Part, compose, interface};
use crate::imports;
use crate::manifest::{Component, DependencySource};

const HTTP_HANDLER: &str = "wasi:http/handler@0.3.0";
const REDIS_HANDLER: &str = "spin:redis/inbound-redis@3.0.0";

impl Planner<'_> {
    /// The composed code, checked against what the host offers and the triggers need.
    pub(super) fn code(
        &self,
        id: &str,
        component: &Component,
        uses: &Uses<'_>,
    ) -> Option<Arc<[u8]>> {
        let sources = self.sources(id, component)?;
        if let Some(code) = self.world.composed(&sources) {
            return Some(code);
        }
        let code: Arc<[u8]> = self.compose(id, component, &sources, uses)?.into();
        self.world.keep_composed(sources, &code);
        Some(code)
    }

    /// The files of a component and of its dependencies.
    fn sources(&self, id: &str, component: &Component) -> Option<Vec<PathBuf>> {
        if component.source.as_os_str().is_empty() {
            return None;
        }
        let mut sources = vec![component.source.clone()];
        for dependency in &component.dependencies {
            sources.push(match &dependency.source {
                DependencySource::Path(path) => path.clone(),
                DependencySource::Component(name) => match self.manifest.components.get(name) {
                    Some(other) if other.dependencies.is_empty() => other.source.clone(),
                    Some(_) => {
                        self.fault(id, format_args!("dependency `{name}` has dependencies itself, which is not supported by this host"));
                        return None;
                    }
                    None => {
                        self.fault(
                            id,
                            format_args!("dependency `{name}` is no component of the manifest"),
                        );
                        return None;
                    }
                },
            });
        }
        Some(sources)
    }

    fn compose(
        &self,
        id: &str,
        component: &Component,
        sources: &[PathBuf],
        uses: &Uses<'_>,
    ) -> Option<Vec<u8>> {
        let build = component.build.as_deref();
        let mut files = sources.iter().map(|path| self.read(id, path, build));
        let wasm = files.next()??;
        let mut parts = Vec::new();
        for (dependency, wasm) in component.dependencies.iter().zip(files) {
            parts.push(Part {
                import: &dependency.import,
                export: dependency.export.as_deref(),
                inherit: &dependency.inherit,
                wasm: wasm?,
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

    fn read(&self, id: &str, path: &Path, build: Option<&str>) -> Option<Vec<u8>> {
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
}
