//! Joins a component with the dependencies that its manifest entry names.
//!
//! Spin puts an adapter that refuses everything before a dependency that inherits nothing. Here such a
//! dependency may simply not import what it does not inherit, which is known before anything runs.

use std::collections::BTreeMap;

use wac_graph::types::{Package, SubtypeChecker, WorldId};
use wac_graph::{CompositionGraph, EncodeOptions, NodeId};

use crate::imports;
use crate::manifest::{Component, Inherit};

/// A dependency with its code.
pub(crate) struct Part<'a> {
    /// The import as the manifest writes it.
    pub import: &'a str,
    pub export: Option<&'a str>,
    pub inherit: &'a Inherit,
    pub wasm: Vec<u8>,
}

/// What a component imports and exports.
pub(crate) struct Interface {
    pub imports: Vec<String>,
    pub exports: Vec<String>,
}

/// Reads the interface of a component from its binary.
pub(crate) fn interface(name: &str, wasm: &[u8]) -> Result<Interface, String> {
    let mut graph = CompositionGraph::new();
    let package = package(&mut graph, name, wasm)?;
    let world = &graph.types()[package.ty()];
    Ok(Interface {
        imports: world.imports.keys().cloned().collect(),
        exports: world.exports.keys().cloned().collect(),
    })
}

/// Composes `wasm`, the component `id`, with its `parts`. All faults at once.
pub(crate) fn compose(
    id: &str,
    component: &Component,
    wasm: Vec<u8>,
    parts: Vec<Part<'_>>,
) -> Result<Vec<u8>, Vec<String>> {
    if parts.is_empty() {
        return Ok(wasm);
    }
    let mut composition = Composition::new(id, wasm).map_err(|error| vec![error])?;
    let mut faults = Vec::new();
    for part in parts {
        faults.extend(composition.plug(id, component, part));
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    composition
        .encode()
        .map_err(|error| vec![format!("component `{id}`: {error}")])
}

struct Composition {
    graph: CompositionGraph,
    world: WorldId,
    socket: NodeId,
    /// Import of the component to the dependency that satisfies it.
    satisfied: BTreeMap<String, String>,
}

impl Composition {
    fn new(id: &str, wasm: Vec<u8>) -> Result<Self, String> {
        let mut graph = CompositionGraph::new();
        // Not the component's own name: two components of the same parts are then the same code.
        let package = package(&mut graph, "component", &wasm)
            .map_err(|error| format!("component `{id}`: {error}"))?;
        let world = package.ty();
        let package = graph
            .register_package(package)
            .map_err(|error| error.to_string())?;
        let socket = graph.instantiate(package);
        Ok(Self {
            graph,
            world,
            socket,
            satisfied: BTreeMap::new(),
        })
    }

    /// Adds one dependency; the answer lists what is wrong with it.
    fn plug(&mut self, id: &str, component: &Component, part: Part<'_>) -> Vec<String> {
        let at = format!("component `{id}`: dependency `{}`", part.import);
        let wanted: Vec<String> = self.graph.types()[self.world]
            .imports
            .keys()
            .filter(|import| imports::matches(part.import, import))
            .cloned()
            .collect();
        if wanted.is_empty() {
            return vec![format!("{at} matches no import of the component")];
        }
        // Two components may use the same dependency; its name must differ from the component's.
        let package = match package(
            &mut self.graph,
            &format!("dependency:{}", part.import),
            &part.wasm,
        ) {
            Ok(package) => package,
            Err(error) => return vec![format!("{at}: {error}")],
        };
        let world = package.ty();
        let mut faults: Vec<String> = self.graph.types()[world]
            .imports
            .keys()
            .filter_map(|import| imports::not_inherited(import, part.inherit, component))
            .map(|grant| format!("{at} needs `{grant}`: add it to its `inherit_configuration`"))
            .collect();
        faults.sort();
        faults.dedup();
        if !faults.is_empty() {
            return faults;
        }
        let plug = match self.graph.register_package(package) {
            Ok(package) => self.graph.instantiate(package),
            Err(error) => return vec![format!("{at}: {error}")],
        };
        for import in wanted {
            let export = part.export.unwrap_or(&import).to_owned();
            if let Err(error) = self.join(plug, world, &import, &export) {
                faults.push(format!("{at} {error}"));
            } else if let Some(other) = self
                .satisfied
                .insert(import.clone(), part.import.to_owned())
            {
                faults.push(format!("{at} satisfies `{import}`, and so does `{other}`"));
            }
        }
        faults
    }

    fn join(
        &mut self,
        plug: NodeId,
        world: WorldId,
        import: &str,
        export: &str,
    ) -> Result<(), String> {
        let types = self.graph.types();
        let wanted = types[self.world].imports[import];
        let offered = *types[world]
            .exports
            .get(export)
            .ok_or_else(|| format!("does not export `{export}`"))?;
        let mut cache = Default::default();
        SubtypeChecker::new(&mut cache)
            .is_subtype(offered, types, wanted, types)
            .map_err(|error| format!("exports an unlike `{export}`: {error:#}"))?;
        let alias = self
            .graph
            .alias_instance_export(plug, export)
            .map_err(|error| error.to_string())?;
        self.graph
            .set_instantiation_argument(self.socket, import, alias)
            .map_err(|error| error.to_string())
    }

    fn encode(mut self) -> Result<Vec<u8>, String> {
        let exports: Vec<String> = self.graph.types()[self.world]
            .exports
            .keys()
            .cloned()
            .collect();
        for name in exports {
            let export = self
                .graph
                .alias_instance_export(self.socket, &name)
                .map_err(|error| error.to_string())?;
            self.graph
                .export(export, &name)
                .map_err(|error| error.to_string())?;
        }
        self.graph
            .encode(EncodeOptions::default())
            .map_err(|error| error.to_string())
    }
}

fn package(graph: &mut CompositionGraph, name: &str, wasm: &[u8]) -> Result<Package, String> {
    Package::from_bytes(name, None, wasm.to_vec(), graph.types_mut())
        .map_err(|error| format!("not a WebAssembly component: {error:#}"))
}
