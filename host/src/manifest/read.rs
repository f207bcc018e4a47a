//! Reading `spin.toml`. Every key is either understood or named in a fault.

use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::{
    Component, Dependency, DependencySource, HttpTrigger, Inherit, Manifest, RedisTrigger, Tick,
    Variable,
};
use crate::fault::Faults;
use crate::section::Section;

use super::names::{check_component, check_label, check_variable};

/// The names of grants that a dependency may inherit, as in Spin.
const INHERITABLE: [&str; 7] = [
    "ai_models",
    "allowed_outbound_hosts",
    "environment",
    "files",
    "key_value_stores",
    "sqlite_databases",
    "variables",
];

/// Reads the manifest; `None` when the file itself cannot be read or is not TOML.
pub(crate) fn read(path: &Path, faults: &Faults) -> Option<Manifest> {
    let text = faults.take(
        std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display())),
    )?;
    let table: Table = faults.take(
        text.parse()
            .map_err(|error| format!("{}: {error}", path.display())),
    )?;
    let dir = path.parent().unwrap_or(Path::new("")).to_owned();
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    Some(manifest(
        Section::new(format!("{file}: "), table, faults),
        dir,
    ))
}

fn manifest(mut root: Section<'_>, dir: PathBuf) -> Manifest {
    let mut manifest = Manifest {
        dir,
        ..Manifest::default()
    };
    if root.value("spin_manifest_version") != Some(Value::Integer(2)) {
        root.fault("`spin_manifest_version` must be 2");
    }
    match root.section("application") {
        Some(section) => application(section, &mut manifest),
        None => root.fault("`application` is missing"),
    }
    for (name, section) in root.named("variables") {
        let variable = variable(&name, section);
        manifest.variables.insert(name, variable);
    }
    if let Some(mut triggers) = root.section("trigger") {
        manifest.http = triggers
            .list("http")
            .into_iter()
            .filter_map(http_trigger)
            .collect();
        manifest.redis = triggers
            .list("redis")
            .into_iter()
            .filter_map(redis_trigger)
            .collect();
        for kind in triggers.keys() {
            triggers.value(&kind);
            triggers.fault(format_args!(
                "trigger type `{kind}` is not supported by this host"
            ));
        }
    }
    for (name, section) in root.named("component") {
        if let Err(reason) = check_component(&name) {
            section.fault(reason);
        }
        let component = component(section, &manifest.dir);
        manifest.components.insert(name, component);
    }
    root.finish();
    manifest
}

fn application(mut section: Section<'_>, manifest: &mut Manifest) {
    manifest.name = section.required_string("name").unwrap_or_default();
    for known in ["version", "description", "authors"] {
        section.value(known);
    }
    if let Some(mut trigger) = section.section("trigger") {
        if let Some(mut redis) = trigger.section("redis") {
            manifest.redis_address = redis.required_string("address");
            redis.finish();
        }
        if let Some(mut http) = trigger.section("http") {
            // An old key; only the value that changes nothing is accepted, as in Spin.
            if http.string("base").is_some_and(|base| base != "/") {
                http.fault("`base` is not supported: write it into each route");
            }
            http.finish();
        }
        trigger.finish();
    }
    if let Some(mut tool) = section.section("tool") {
        // Other tools' tables are theirs.
        if let Some(ours) = tool.section("wasmart") {
            our_tool(ours, manifest);
        }
    }
    section.refuse(&["targets"]);
    section.finish();
}

fn our_tool(mut section: Section<'_>, manifest: &mut Manifest) {
    manifest.ticks = section.list("tick").into_iter().filter_map(tick).collect();
    manifest.background = section.strings("background");
    section.finish();
}

fn tick(mut section: Section<'_>) -> Option<Tick> {
    let component = section.required_string("component");
    let path = section.required_string("path");
    if path.as_ref().is_some_and(|path| !path.starts_with('/')) {
        section.fault("`path` must start with `/`");
    }
    let every = section.integer("every_ms");
    let every_ms = every
        .and_then(|every| u64::try_from(every).ok())
        .filter(|every| *every > 0);
    if every_ms.is_none() {
        section.fault("`every_ms` must be a positive number of milliseconds");
    }
    let headers = section.string_map("headers");
    section.finish();
    Some(Tick {
        component: component?,
        path: path?,
        every_ms: every_ms?,
        headers,
    })
}

fn variable(name: &str, mut section: Section<'_>) -> Variable {
    if let Err(reason) = check_variable(name) {
        section.fault(reason);
    }
    let default = section.string("default");
    let required = section.boolean("required").unwrap_or(false);
    if !required && default.is_none() {
        section.fault("needs a `default` or `required = true`");
    }
    section.value("secret");
    section.value("description");
    section.finish();
    Variable { default }
}

fn http_trigger(mut section: Section<'_>) -> Option<HttpTrigger> {
    section.value("id");
    let component = trigger_component(&mut section);
    let route = match section.value("route") {
        Some(Value::String(route)) if route.starts_with('/') => Some(Some(route)),
        Some(Value::Table(table)) if table.get("private") == Some(&Value::Boolean(true)) => {
            Some(None)
        }
        _ => {
            section.fault("`route` must be a path such as \"/items/...\" or { private = true }");
            None
        }
    };
    if let Some(mut executor) = section.section("executor") {
        let kind = executor.string("type");
        if !matches!(kind.as_deref(), Some("http" | "spin")) {
            executor.fault("only the `http` executor is supported by this host");
        }
        executor.refuse(&["argv", "entrypoint"]);
        executor.finish();
    }
    section.refuse(&[
        "components",
        "dependencies",
        "static_response",
        "middleware",
    ]);
    section.finish();
    Some(HttpTrigger {
        route: route?,
        component: component?,
    })
}

fn redis_trigger(mut section: Section<'_>) -> Option<RedisTrigger> {
    section.value("id");
    let component = trigger_component(&mut section);
    let channel = section.required_string("channel");
    let address = section.string("address");
    section.refuse(&["components", "dependencies"]);
    section.finish();
    Some(RedisTrigger {
        channel: channel?,
        component: component?,
        address,
    })
}

fn trigger_component(section: &mut Section<'_>) -> Option<String> {
    match section.value("component") {
        Some(Value::String(name)) => Some(name),
        Some(Value::Table(_)) => {
            section.fault("an inline component is not supported by this host: name one");
            None
        }
        _ => {
            section.fault("`component` is missing");
            None
        }
    }
}

fn labels(section: &mut Section<'_>, key: &str) -> Vec<String> {
    let labels = section.strings(key);
    for label in &labels {
        section.faults().take(check_label(label));
    }
    labels
}

fn component(mut section: Section<'_>, dir: &Path) -> Component {
    let source = match section.value("source") {
        Some(Value::String(path)) => dir.join(path),
        Some(_) => {
            section.fault("only a `source` that is a file's path is supported by this host");
            PathBuf::new()
        }
        None => {
            section.fault("`source` is missing");
            PathBuf::new()
        }
    };
    let variables = section.string_map("variables");
    for name in variables.keys() {
        section.faults().take(check_variable(name));
    }
    let inherit_by_default = section
        .boolean("dependencies_inherit_configuration")
        .unwrap_or(false);
    let dependencies = section
        .named("dependencies")
        .into_iter()
        .filter_map(|(import, section)| dependency(import, section, dir, inherit_by_default))
        .collect();
    let component = Component {
        source,
        build: build_command(&mut section),
        variables,
        environment: section.string_map("environment"),
        allowed_outbound_hosts: section.strings("allowed_outbound_hosts"),
        key_value_stores: labels(&mut section, "key_value_stores"),
        sqlite_databases: labels(&mut section, "sqlite_databases"),
        dependencies,
    };
    for known in ["description", "tool"] {
        section.value(known);
    }
    section.refuse(&[
        "files",
        "exclude_files",
        "ai_models",
        "allowed_http_hosts",
        "targets",
        "profile",
    ]);
    section.finish();
    component
}

/// Only read to say how to make a missing file; other keys of `build` concern `spin build`.
fn build_command(section: &mut Section<'_>) -> Option<String> {
    match section.section("build")?.value("command")? {
        Value::String(command) => Some(command),
        list => list
            .try_into::<Vec<String>>()
            .ok()
            .map(|commands| commands.join(" && ")),
    }
}

fn dependency(
    import: String,
    mut section: Section<'_>,
    dir: &Path,
    inherit_by_default: bool,
) -> Option<Dependency> {
    let source = match (section.string("component"), section.string("path")) {
        (Some(component), None) => Some(DependencySource::Component(component)),
        (None, Some(path)) => Some(DependencySource::Path(dir.join(path))),
        _ => {
            section.fault("needs either `component` or `path`; other sources are not supported");
            None
        }
    };
    let inherit = match section.value("inherit_configuration") {
        None if inherit_by_default => Inherit::All,
        None | Some(Value::Boolean(false)) => Inherit::Only(Vec::new()),
        Some(Value::Boolean(true)) => Inherit::All,
        Some(list) => match list.try_into::<Vec<String>>() {
            Ok(names) => Inherit::Only(names),
            Err(_) => {
                section.fault("`inherit_configuration` must be true, false or a list of names");
                Inherit::Only(Vec::new())
            }
        },
    };
    if let Inherit::Only(names) = &inherit {
        for name in names
            .iter()
            .filter(|name| !INHERITABLE.contains(&name.as_str()))
        {
            section.fault(format_args!(
                "`inherit_configuration` does not know `{name}`"
            ));
        }
    }
    let export = section.string("export");
    section.refuse(&["url", "digest", "registry", "package", "version"]);
    section.finish();
    Some(Dependency {
        import,
        source: source?,
        export,
        inherit,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> (Manifest, Vec<String>) {
        let faults = Faults::default();
        let section = Section::new("spin.toml: ", text.parse().unwrap(), &faults);
        let manifest = manifest(section, PathBuf::from("dir"));
        let found = faults
            .check()
            .map_or_else(|error| error.faults().to_vec(), |()| Vec::new());
        (manifest, found)
    }

    const WHOLE: &str = r#"
        spin_manifest_version = 2
        [application]
        name = "shop"
        version = "0.1.0"
        authors = ["x"]
        [application.trigger.redis]
        address = "{{ redis_url }}"
        [application.tool.wasmart]
        background = ["a"]
        tick = [{ component = "a", path = "/t", every_ms = 500, headers = { x-s = "{{ s }}" } }]
        [application.tool.other]
        anything = 1
        [variables]
        redis_url = { default = "redis://127.0.0.1:6379" }
        s = { required = true, secret = true }
        [[trigger.http]]
        route = "/a/..."
        component = "a"
        executor = { type = "http" }
        [[trigger.http]]
        id = "p"
        route = { private = true }
        component = "a"
        [[trigger.redis]]
        channel = "c"
        component = "a"
        [component.a]
        source = "a.wasm"
        key_value_stores = ["default"]
        [component.a.build]
        command = "make"
        [component.a.dependencies]
        "wasmart:auth/guard" = { component = "g", inherit_configuration = ["variables"] }
        [component.g]
        source = "g.wasm"
    "#;

    #[test]
    fn a_whole_manifest_is_understood() {
        let (manifest, faults) = parse(WHOLE);
        assert_eq!(faults, [""; 0]);
        assert_eq!(manifest.name, "shop");
        assert_eq!(manifest.http.len(), 2);
        assert!(manifest.http[1].route.is_none());
        assert_eq!(manifest.redis[0].channel, "c");
        assert_eq!(manifest.background, ["a"]);
        assert_eq!(manifest.ticks[0].every_ms, 500);
        assert_eq!(manifest.components["a"].source, Path::new("dir/a.wasm"));
        let dependency = &manifest.components["a"].dependencies[0];
        assert!(matches!(&dependency.inherit, Inherit::Only(names) if names == &["variables"]));
    }

    #[test]
    fn all_that_is_not_supported_is_named_at_once() {
        let (_, faults) = parse(
            r#"
            spin_manifest_version = 1
            extra = 1
            [application]
            name = "x"
            [[trigger.cron]]
            component = "a"
            [[trigger.http]]
            route = "no-slash"
            component = "a"
            executor = { type = "wagi" }
            [component.a]
            source = { url = "https://example.com/a.wasm", digest = "x" }
            files = ["a"]
            ai_models = ["m"]
            [component.a.dependencies]
            "a:b/c" = { version = "1", package = "p" }
            "a:b/d" = { path = "x.wasm", inherit_configuration = ["nothing"] }
            "#,
        );
        let text = faults.join("\n");
        for part in [
            "`spin_manifest_version` must be 2",
            "unknown key `extra`",
            "trigger type `cron`",
            "trigger.http[0]: `route` must be",
            "only the `http` executor",
            "component.a: only a `source`",
            "component.a: `files` is not supported",
            "component.a: `ai_models` is not supported",
            "a:b/c: needs either",
            "does not know `nothing`",
        ] {
            assert!(text.contains(part), "{part} not in:\n{text}");
        }
    }
}
