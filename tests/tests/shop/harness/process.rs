//! The `wasmart` program as an operator runs it: a process of its own, that can be killed.

use crate::harness::app::{ADMIN, Address, databases};
use crate::harness::logs;
use crate::harness::workspace;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Where the log of a process goes.
const LOG: &str = "log";
/// So many characters of it are shown when a test fails.
const LOG_END: usize = 6_000;
/// A start that must fail does so within this time.
const REFUSAL: Duration = Duration::from_secs(20);

/// A running `wasmart up`.
pub struct Process {
    child: Child,
    address: Address,
    folder: PathBuf,
    /// A program that is given the command to run; none if empty.
    wrapper: Vec<String>,
    options: Vec<String>,
}

impl Process {
    /// Starts on a free port, with its data in `folder`.
    pub fn start(folder: &Path) -> Process {
        Process::start_with(folder, &[])
    }

    /// As [`Process::start`], with more options.
    pub fn start_with(folder: &Path, options: &[&str]) -> Process {
        Process::start_through(&[], folder, options)
    }

    /// As [`Process::start_with`], run by another program: `["/usr/bin/nice", "-n", "5"]`.
    pub fn start_through(wrapper: &[&str], folder: &Path, options: &[&str]) -> Process {
        let owned = |words: &[&str]| -> Vec<String> {
            words.iter().map(|word| (*word).to_owned()).collect()
        };
        let (wrapper, options) = (owned(wrapper), owned(options));
        let mut process = Process {
            child: spawn(&wrapper, folder, &options),
            address: Address::new(([127, 0, 0, 1], 0).into()),
            folder: folder.to_owned(),
            wrapper,
            options,
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
        self.child = spawn(&self.wrapper, &self.folder, &self.options);
        self.find_address();
    }

    /// Its number (pid).
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// It stays as it is and does nothing (SIGSTOP). Has happened when this returns.
    pub fn pause(&self) {
        signal(self.id(), "STOP");
        let stat = format!("/proc/{}/stat", self.id());
        let stopped = || {
            let stat = std::fs::read_to_string(&stat).unwrap_or_default();
            // The state follows the name, which is in brackets (proc(5)).
            stat.rsplit(") ").next().is_some_and(|s| s.starts_with('T'))
        };
        while !stopped() {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// It goes on after [`Process::pause`] (SIGCONT).
    pub fn resume(&self) {
        signal(self.id(), "CONT");
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
        if std::thread::panicking() {
            let log = self.log();
            let from = log
                .char_indices()
                .rev()
                .nth(LOG_END)
                .map_or(0, |(at, _)| at);
            eprintln!("the end of its log:\n{}", &log[from..]);
        } else {
            logs::secret(workspace::keys().internal_secret());
            logs::check_log(&self.log());
        }
    }
}

/// Sends a signal to a process, by its number.
pub fn signal(process: u32, name: &str) {
    let sent = Command::new("kill")
        .args([&format!("-{name}"), &process.to_string()])
        .status();
    assert!(sent.is_ok_and(|status| status.success()), "kill -{name}");
}

fn spawn(wrapper: &[String], folder: &Path, options: &[String]) -> Child {
    let log = File::options()
        .create(true)
        .append(true)
        .open(folder.join(LOG));
    let mut command = through(wrapper, up(folder, &[]));
    command
        .args(options)
        .stdout(Stdio::piped())
        .stderr(log.expect("a log file"));
    command
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// The same command, run by another program.
fn through(wrapper: &[String], command: Command) -> Command {
    let [program, arguments @ ..] = wrapper else {
        return command;
    };
    let mut outer = Command::new(program);
    outer
        .args(arguments)
        .arg(command.get_program())
        .args(command.get_args())
        .current_dir(command.get_current_dir().expect("it has one"))
        .env_clear();
    for (name, value) in command.get_envs() {
        outer.env(name, value.expect("variables are only given"));
    }
    outer
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
    set(&mut command, "rate_limit_per_minute", "0");
    command
}

/// Gives a command a variable of the application.
pub fn set(command: &mut Command, variable: &str, value: &str) {
    command.env(format!("SPIN_VARIABLE_{}", variable.to_uppercase()), value);
}

/// An operator's command, such as `saga list`, for the shop at this address.
pub fn operator(address: &Address, words: &[&str]) -> Command {
    let mut command = Command::new(workspace::wasmart());
    command.env_clear().args(words);
    command.args(["--url", &address.url()]);
    set(
        &mut command,
        "internal_secret",
        workspace::keys().internal_secret(),
    );
    command
}

/// Runs a command that should end by itself, and gives its status and all it said.
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
