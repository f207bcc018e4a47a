//! The `wasmart` program as an operator runs it: a process of its own, that can be killed.

use crate::harness::app::{ADMIN, Address, databases};
use crate::harness::workspace;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Where the log of a process goes.
const LOG: &str = "log";
/// A start that must fail does so within this time.
const REFUSAL: Duration = Duration::from_secs(20);

/// A running `wasmart up`.
pub struct Process {
    child: Child,
    address: Address,
    folder: PathBuf,
    options: Vec<String>,
}

impl Process {
    /// Starts on a free port, with its data in `folder`.
    pub fn start(folder: &Path) -> Process {
        Process::start_with(folder, &[])
    }

    /// As [`Process::start`], with more options.
    pub fn start_with(folder: &Path, options: &[&str]) -> Process {
        let mut process = Process {
            child: spawn(folder, options),
            address: Address::new(([127, 0, 0, 1], 0).into()),
            folder: folder.to_owned(),
            options: options.iter().map(|option| (*option).to_owned()).collect(),
        };
        process.find_address();
        process
    }

    /// What it has logged since the first start.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join(LOG)).unwrap_or_default()
    }

    /// Starts again on the same folder, after [`Process::kill`].
    pub fn start_again(&mut self) {
        let options: Vec<&str> = self.options.iter().map(String::as_str).collect();
        self.child = spawn(&self.folder, &options);
        self.find_address();
    }

    /// `kill -9`: no good-bye.
    pub fn kill(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }

    /// Where the shop is.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The folder that holds all databases.
    pub fn databases(&self) -> PathBuf {
        databases(&self.folder)
    }

    fn find_address(&mut self) {
        let mut out = BufReader::new(self.child.stdout.take().expect("it is piped"));
        let mut said = String::new();
        loop {
            let read = out.read_line(&mut said).expect("readable");
            if let Some(at) = said
                .split("http://")
                .nth(1)
                .and_then(|rest| rest.split_whitespace().next())
            {
                self.address.move_to(
                    at.trim_end_matches('/')
                        .parse()
                        .unwrap_or_else(|e| panic!("{at}: {e}")),
                );
                break;
            }
            assert!(read > 0, "it ended before it served: {said}{}", self.log());
        }
        // The rest must be read, or it could not be written.
        std::thread::spawn(move || out.read_to_string(&mut said));
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(folder: &Path, options: &[&str]) -> Child {
    let log = File::options()
        .create(true)
        .append(true)
        .open(folder.join(LOG));
    let mut command = up(folder, &[]);
    command
        .args(options)
        .stdout(Stdio::piped())
        .stderr(log.expect("a log file"));
    command
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// `wasmart up` in `folder`, complete; `options` take the place of the usual ones.
pub fn up(folder: &Path, options: &[(&str, &str)]) -> Command {
    let manifest = workspace::root().join("spin.toml");
    let usual = [
        ("--from", manifest.to_str().expect("a readable path")),
        ("--state-dir", ".wasmart"),
        ("--listen", "127.0.0.1:0"),
    ];
    share_code(folder);
    let mut command = Command::new(workspace::wasmart());
    command.current_dir(folder).env_clear().arg("up");
    for (option, value) in usual {
        let other = options.iter().find(|(name, _)| *name == option);
        command.args([option, other.map_or(value, |(_, value)| *value)]);
    }
    for (name, value) in workspace::keys().variables() {
        set(&mut command, name, value);
    }
    set(&mut command, "admin_email", ADMIN.0);
    set(&mut command, "admin_password", ADMIN.1);
    command
}

/// Gives a command a variable of the application.
pub fn set(command: &mut Command, variable: &str, value: &str) {
    command.env(format!("SPIN_VARIABLE_{}", variable.to_uppercase()), value);
}

/// Runs a command that should fail by itself, and gives its status and all it said.
pub fn said(command: &mut Command) -> (Option<i32>, String) {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    let begun = Instant::now();
    while matches!(child.try_wait(), Ok(None)) && begun.elapsed() < REFUSAL {
        std::thread::sleep(Duration::from_millis(20));
    }
    // None, if it runs still.
    let code = child
        .try_wait()
        .ok()
        .flatten()
        .and_then(|status| status.code());
    let _ = child.kill();
    let output = child.wait_with_output().expect("it ends");
    let said =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    (code, said.concat())
}

/// Lets the program find the code that the tests have compiled already.
fn share_code(folder: &Path) {
    let state = folder.join(".wasmart");
    std::fs::create_dir_all(&state).expect("a temporary folder can be written");
    let own = state.join("compiled");
    if !own.exists() {
        std::os::unix::fs::symlink(workspace::code_cache(), own).expect("a link");
    }
}
