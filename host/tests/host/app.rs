//! What the tests share: the built components, an application in a temporary folder, a client for it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::Value as Json;
use wasmart_host::{Host, HostBuilder, Redis};

/// The wasm files of `host/tests/guests`, built on first use.
pub fn guest(name: &str) -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER
        .get_or_init(build_guests)
        .join(format!("host_test_{name}.wasm"))
}

fn build_guests() -> PathBuf {
    let output = Command::new(env!("CARGO"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args([
            "build",
            "--release",
            "--target",
            "wasm32-wasip2",
            "--message-format",
            "json",
        ])
        .args([
            "-p",
            "host-test-probe",
            "-p",
            "host-test-caller",
            "-p",
            "host-test-provider",
        ])
        .stderr(std::process::Stdio::inherit())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "the test components do not build");
    let lines = String::from_utf8(output.stdout).expect("cargo writes JSON");
    let file = lines
        .lines()
        .filter_map(|line| serde_json::from_str::<Json>(line).ok())
        .find_map(|message| {
            let file = message["filenames"][0].as_str()?;
            file.ends_with("host_test_probe.wasm")
                .then(|| PathBuf::from(file))
        })
        .expect("cargo names the file");
    file.parent().expect("a file has a folder").to_owned()
}

/// An application with the component `probe` at `/...`, and whatever the test adds.
pub struct App {
    pub folder: tempfile::TempDir,
    manifest: String,
    runtime_config: String,
}

impl App {
    /// `grants` are lines of the component's table.
    pub fn new(grants: &str) -> Self {
        let mut app = Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
            manifest: String::new(),
            runtime_config: String::new(),
        };
        app.add(
            r#"
            spin_manifest_version = 2
            [application]
            name = "test"
            [application.trigger.redis]
            address = "{{ redis_url }}"
            [variables]
            redis_url = { default = "redis://127.0.0.1:6379" }
            "#,
        );
        app.component("probe", "probe", "/...", grants)
    }

    /// Adds to the manifest.
    pub fn add(&mut self, text: &str) -> &mut Self {
        self.manifest.push_str(text);
        self.manifest.push('\n');
        self
    }

    /// Adds a component of that guest. An empty route is none, `private` a private endpoint.
    pub fn component(mut self, id: &str, code: &str, route: &str, grants: &str) -> Self {
        let route = match route {
            "" => String::new(),
            "private" => {
                format!("[[trigger.http]]\nroute = {{ private = true }}\ncomponent = {id:?}\n")
            }
            route => format!("[[trigger.http]]\nroute = {route:?}\ncomponent = {id:?}\n"),
        };
        let source = guest(code);
        self.add(&format!(
            "{route}[component.{id}]\nsource = {source:?}\n{grants}\n"
        ));
        self
    }

    pub fn with(mut self, text: &str) -> Self {
        self.add(text);
        self
    }

    /// Adds to the runtime configuration.
    pub fn with_runtime_config(mut self, text: &str) -> Self {
        let _ = writeln!(self.runtime_config, "{text}");
        self
    }

    /// A builder for this application that leaves nothing outside its folder.
    pub fn builder(&self) -> HostBuilder {
        let file = |name: &str, text: &str| {
            let path = self.folder.path().join(name);
            std::fs::write(&path, text).expect("the folder can be written");
            path
        };
        Host::builder()
            .manifest(file("spin.toml", &self.manifest))
            .runtime_config(file("runtime-config.toml", &self.runtime_config))
            .state_dir(self.folder.path().join("state"))
            .data_dir(self.folder.path())
            // Shared by all tests, so that each component is compiled once.
            .cache_dir(Path::new(env!("CARGO_TARGET_TMPDIR")).join("compiled"))
            .process_environment(false)
            .redis(Redis::InProcess)
            .ticks(false)
            .listen(([127, 0, 0, 1], 0).into())
    }

    pub async fn start(self) -> Running {
        let builder = self.builder();
        self.start_with(builder).await
    }

    pub async fn start_with(self, builder: HostBuilder) -> Running {
        let host = builder
            .build()
            .await
            .unwrap_or_else(|error| panic!("{error}"));
        Running {
            host,
            client: reqwest::Client::builder().no_proxy().build().unwrap(),
            app: self,
        }
    }

    /// The faults of a start that must fail.
    pub async fn faults(self) -> Vec<String> {
        match self.builder().build().await {
            Ok(_) => panic!("started in spite of its faults"),
            Err(error) => error.faults().to_vec(),
        }
    }
}

/// A served application.
pub struct Running {
    pub host: Host,
    pub client: reqwest::Client,
    pub app: App,
}

impl Running {
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.host.addr())
    }

    pub async fn get(&self, path: &str) -> (u16, String) {
        let response = self
            .client
            .get(self.url(path))
            .send()
            .await
            .expect("an answer");
        (
            response.status().as_u16(),
            response.text().await.expect("a body"),
        )
    }

    /// The answer of the probe to an operation: JSON, or the error's text.
    pub async fn probe(&self, operation: &str) -> Result<Json, String> {
        match self.get(&format!("/do/{operation}")).await {
            (200, body) => Ok(serde_json::from_str(&body).expect("JSON")),
            (422, error) => Err(error),
            (status, body) => panic!("{status}: {body}"),
        }
    }

    /// Runs statements on one handle, one a line.
    pub async fn sql(&self, database: &str, statements: &str) -> Result<Json, String> {
        let url = self.url(&format!("/do/sql?db={database}"));
        let response = self
            .client
            .post(url)
            .body(statements.to_owned())
            .send()
            .await
            .expect("an answer");
        let status = response.status().as_u16();
        let body = response.text().await.expect("a body");
        if status == 200 {
            Ok(serde_json::from_str(&body).expect("JSON"))
        } else {
            Err(body)
        }
    }

    /// The texts of the messages that the probe has kept, once there are at least `count`.
    pub async fn messages(&self, count: usize) -> Vec<String> {
        for _ in 0..200 {
            let rows = self
                .sql("default", "SELECT text FROM messages ORDER BY id")
                .await;
            if let Ok(answer) = rows {
                let texts: Vec<String> = answer["rows"]
                    .as_array()
                    .expect("rows")
                    .iter()
                    .map(|row| row[0].as_str().expect("text").to_owned())
                    .collect();
                if texts.len() >= count {
                    return texts;
                }
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{count} messages did not come");
    }
}
