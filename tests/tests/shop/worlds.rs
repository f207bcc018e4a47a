//! Least privilege, proved: each built component imports and exports what its world in
//! `wit/worlds.wit` says, and nothing else.

use crate::harness::books::SERVICES;
use crate::harness::workspace;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use wit_parser::{Resolve, UnresolvedPackageGroup, WorldId, WorldItem, WorldKey};

/// The world that lists what a program may import without needing it.
const STD: &str = "std";

/// What a component may and must have; interfaces by their names, versions cut to what is compatible.
#[derive(Debug)]
struct World {
    imports: BTreeSet<String>,
    /// Imports that may be missing: those of [`STD`], and those without a function, which are but types.
    optional: BTreeSet<String>,
    exports: BTreeSet<String>,
}

#[test]
fn every_component_has_exactly_the_imports_and_exports_of_its_world() {
    let worlds = worlds();
    let mut faults = Vec::new();
    for name in SERVICES.into_iter().chain(["guard"]) {
        let world = worlds
            .get(name)
            .unwrap_or_else(|| panic!("{name} has no world"));
        faults.extend(differences(name, world));
    }
    assert!(
        faults.is_empty(),
        "components differ from wit/worlds.wit:\n  {}",
        faults.join("\n  ")
    );
}

#[test]
fn a_component_in_another_world_is_noticed() {
    let worlds = worlds();
    let noticed = |component: &str, world: &str| differences(component, &worlds[world]).join("\n");
    // One capability too many, one that is not used, another export.
    assert!(noticed("orders", "stock").contains("imports wasi:http/client@0.3"));
    assert!(noticed("stock", "users").contains("does not import wasi:http/client@0.3"));
    assert!(noticed("guard", "auth").contains("exports wasmart:auth/guard@1"));
    assert!(noticed("stock", "guard").contains("imports spin:sqlite/sqlite@3"));
}

#[test]
fn every_component_of_the_manifest_has_a_world() {
    let manifest = std::fs::read_to_string(workspace::root().join("spin.toml")).expect("spin.toml");
    let sources = manifest
        .lines()
        .filter_map(|line| line.strip_prefix("source = "));
    let named: BTreeSet<&str> = sources
        .map(|source| {
            let file = source
                .trim_matches('"')
                .rsplit('/')
                .next()
                .unwrap_or_default();
            file.trim_end_matches(".wasm")
        })
        .collect();
    let expected: BTreeSet<&str> = SERVICES.into_iter().chain(["guard"]).collect();
    assert_eq!(named, expected);
}

fn differences(component: &str, world: &World) -> Vec<String> {
    let (imports, exports) = names(&workspace::component(component));
    let lines = |set: Vec<&String>, what: &str| -> Vec<String> {
        set.into_iter()
            .map(|name| format!("{component} {what} {name}"))
            .collect()
    };
    let needed: BTreeSet<String> = world.imports.difference(&world.optional).cloned().collect();
    [
        lines(imports.difference(&world.imports).collect(), "imports"),
        lines(needed.difference(&imports).collect(), "does not import"),
        lines(exports.difference(&world.exports).collect(), "exports"),
        lines(
            world.exports.difference(&exports).collect(),
            "does not export",
        ),
    ]
    .concat()
}

/// The worlds of `wit/worlds.wit`, by name.
fn worlds() -> BTreeMap<String, World> {
    let wit = workspace::root().join("wit");
    let mut resolve = Resolve::default();
    for folder in [spin_sdk().join("wit"), wit.join("auth")] {
        resolve
            .push_dir(&folder)
            .unwrap_or_else(|error| panic!("{}: {error:?}", folder.display()));
    }
    let path = wit.join("worlds.wit");
    let text = std::fs::read_to_string(&path).expect("wit/worlds.wit");
    let group =
        UnresolvedPackageGroup::parse(&path, &text).unwrap_or_else(|(_, e)| panic!("{e:?}"));
    stand_in(&mut resolve, &group);
    let package = resolve
        .push_group(group)
        .unwrap_or_else(|error| panic!("{error:?}"));
    let ids: BTreeMap<String, WorldId> = resolve.packages[package]
        .worlds
        .iter()
        .map(|(name, id)| (name.clone(), *id))
        .collect();
    let std: BTreeSet<String> = read(&resolve, ids[STD]).imports;
    let read_all = ids.iter().map(|(name, id)| {
        let mut world = read(&resolve, *id);
        world.optional.extend(std.iter().cloned());
        (name.clone(), world)
    });
    read_all.collect()
}

/// Gives WASI 0.2, which no crate of ours ships, empty interfaces of the names that are used.
fn stand_in(resolve: &mut Resolve, group: &UnresolvedPackageGroup) {
    for (package, interfaces) in &group.main.foreign_deps {
        let known = resolve.package_names.contains_key(package);
        let is_wasi_0_2 = package
            .version
            .as_ref()
            .is_some_and(|v| (v.major, v.minor) == (0, 2));
        if !known && package.namespace == "wasi" && is_wasi_0_2 {
            let interfaces: String = interfaces
                .keys()
                .map(|name| format!("interface {name} {{}}\n"))
                .collect();
            let source = format!("package {package};\n{interfaces}");
            let pushed = resolve.push_source("stand-in.wit", &source);
            pushed.unwrap_or_else(|error| panic!("{source}: {error:?}"));
        }
    }
}

fn read(resolve: &Resolve, world: WorldId) -> World {
    let world = &resolve.worlds[world];
    let name = |key: &WorldKey| compatible(&resolve.name_world_key(key));
    let is_types_only = |(key, item): (&WorldKey, &WorldItem)| match item {
        WorldItem::Interface { id, .. } => resolve.interfaces[*id]
            .functions
            .is_empty()
            .then(|| name(key)),
        _ => None,
    };
    World {
        imports: world.imports.keys().map(name).collect(),
        optional: world.imports.iter().filter_map(is_types_only).collect(),
        exports: world.exports.keys().map(name).collect(),
    }
}

/// The imports and exports of a built component.
fn names(path: &Path) -> (BTreeSet<String>, BTreeSet<String>) {
    use wasmparser::{Parser, Payload};
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let (mut imports, mut exports) = (BTreeSet::new(), BTreeSet::new());
    // Components and modules within have imports of their own, which lead to these.
    let mut depth = 0;
    for payload in Parser::new(0).parse_all(&bytes) {
        match payload.expect("a valid component") {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            Payload::ComponentImportSection(section) if depth == 0 => {
                imports.extend(
                    section
                        .into_iter()
                        .map(|i| compatible(i.expect("valid").name.name)),
                );
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                exports.extend(
                    section
                        .into_iter()
                        .map(|e| compatible(e.expect("valid").name.name)),
                );
            }
            _ => {}
        }
    }
    assert!(!exports.is_empty(), "{} exports nothing", path.display());
    (imports, exports)
}

/// `wasi:io/poll@0.2.6` → `wasi:io/poll@0.2`: within these a host may offer any.
fn compatible(name: &str) -> String {
    let Some((interface, version)) = name.split_once('@') else {
        return name.to_owned();
    };
    let significant = if version.starts_with("0.") { 2 } else { 1 };
    let track: Vec<&str> = version.split('.').take(significant).collect();
    format!("{interface}@{}", track.join("."))
}

/// The folder of the `spin-sdk` crate that `Cargo.lock` names.
fn spin_sdk() -> PathBuf {
    let output = Command::new(env!("CARGO"))
        .current_dir(workspace::root())
        .args([
            "metadata",
            "--format-version",
            "1",
            "--filter-platform",
            "wasm32-wasip2",
            "--offline",
        ])
        .output()
        .expect("cargo runs");
    let metadata: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    let packages = metadata["packages"].as_array().expect("packages");
    let sdk = packages
        .iter()
        .find(|package| package["name"] == "spin-sdk")
        .expect("spin-sdk is used");
    let manifest = Path::new(sdk["manifest_path"].as_str().expect("a path"));
    manifest.parent().expect("a folder").to_owned()
}
