use std::env;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use super::root;

/// Runs a program until the shell's standard input closes, which also happens when the test process ends in whatever
/// way: nothing that a test starts outlives it, statics included. Each line of that input before is the name of a signal
/// for the program and its children: a start script may wait beside the real thing.
const SUPERVISOR: &str = r#"
trap '' INT HUP
exec 3<&0
"$@" </dev/null 3<&- &
program=$!
{
  while read -r signal <&3; do kill -s "$signal" $(cat "/proc/$program/task/$program/children") "$program"; done
  kill "$program"; sleep 10; kill -9 "$program"
} 2>/dev/null &
wait "$program"
code=$?
kill $! 2>/dev/null
exit "$code"
"#;

const PROBE_EVERY: Duration = Duration::from_millis(50);

/// A program that runs beside a test, and ends with it at the latest.
#[derive(Debug)]
pub struct Process {
    name: String,
    supervisor: Child,
    /// What the supervisor waits on; gone once the program is to stop.
    stdin: Option<ChildStdin>,
    log: PathBuf,
}

impl Process {
    /// Starts `program`, whose output goes to a log file named after `name`.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start(name: &str, program: &Command) -> Self {
        let (log, output) = log_file(name);
        let mut command = Command::new("sh");
        command.args(["-c", SUPERVISOR, name]).arg(program.get_program()).args(program.get_args());
        for (variable, value) in program.get_envs() {
            match value {
                Some(value) => command.env(variable, value),
                None => command.env_remove(variable),
            };
        }
        if let Some(directory) = program.get_current_dir() {
            command.current_dir(directory);
        }
        let same = output.try_clone().expect("a file can be written by two");
        command.stdin(Stdio::piped()).stdout(output).stderr(same);
        let mut supervisor = command.spawn().unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        let stdin = supervisor.stdin.take();
        Self { name: name.to_owned(), supervisor, stdin, log }
    }

    /// Waits until a `GET` of `path` on a port of loopback is answered with a status below 500.
    ///
    /// Gives up with what the program has written once it has ended, or after `patience`.
    pub fn wait_for_http(&mut self, port: u16, path: &str, patience: Duration) -> Result<(), String> {
        self.wait(patience, || answers(port, path))
    }

    /// Waits until the program has written a line that `wanted` accepts, and returns it; gives up as
    /// [`Process::wait_for_http`] does.
    pub fn wait_for_line(
        &mut self,
        patience: Duration,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<String, String> {
        let log = self.log.clone();
        // A line without its end may still grow.
        let find = || {
            let text = fs::read_to_string(&log).unwrap_or_default();
            text.split_inclusive('\n').find(|line| line.ends_with('\n') && wanted(line)).map(str::to_owned)
        };
        self.wait(patience, || find().is_some())?;
        find().ok_or_else(|| format!("the log of {} has lost a line", self.name))
    }

    /// Waits until `ready` is true; gives up as [`Process::wait_for_http`] does.
    pub fn wait(&mut self, patience: Duration, ready: impl Fn() -> bool) -> Result<(), String> {
        let probes = patience.as_millis() / PROBE_EVERY.as_millis();
        for _ in 0..probes {
            if ready() {
                return Ok(());
            }
            if let Some(status) = self.ended() {
                return Err(format!("{} ended with {status}:\n{}", self.name, self.output()));
            }
            thread::sleep(PROBE_EVERY);
        }
        Err(format!("{} is not ready after {patience:?}:\n{}", self.name, self.output()))
    }

    /// What the program has written so far.
    pub fn output(&self) -> String {
        fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// Sends a signal, such as `KILL`, to the program and its children. Whoever sends `STOP` sends `CONT` before the end.
    pub fn signal(&mut self, name: &str) {
        let stdin = self.stdin.as_mut().expect("it is there until the program is to stop");
        // Where the program has ended nobody reads it any more, and nobody needs it.
        let _ = writeln!(stdin, "{name}");
    }

    /// How the program has ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.supervisor.try_wait().expect("the supervisor was started by this very process")
    }

    /// Asks the program to end (TERM), and waits until it has.
    pub fn stop(mut self) -> ExitStatus {
        self.end()
    }

    fn end(&mut self) -> ExitStatus {
        drop(self.stdin.take());
        self.supervisor.wait().expect("the supervisor was started by this very process")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

/// A log file in the directory of the parts; a later run of the same test writes it anew.
fn log_file(name: &str) -> (PathBuf, File) {
    static STARTED: AtomicUsize = AtomicUsize::new(0);
    let directory = root().join("log");
    fs::create_dir_all(&directory).expect("the directory of the parts can be written");
    let test = env::current_exe().expect("a test knows its own path");
    let test = test.file_name().unwrap_or(OsStr::new("test")).to_string_lossy().into_owned();
    let number = STARTED.fetch_add(1, Ordering::Relaxed);
    let path = directory.join(format!("{test}-{number}-{name}.log"));
    let file = File::create(&path).expect("the directory of the parts can be written");
    (path, file)
}

fn answers(port: u16, path: &str) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
    let request = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n");
    let mut status = [0; 10];
    let patience = stream.set_read_timeout(Some(Duration::from_secs(10)));
    patience.and_then(|()| stream.write_all(request.as_bytes())).is_ok()
        && stream.read_exact(&mut status).is_ok()
        && matches!(status.strip_prefix(b"HTTP/1."), Some([_, b' ', b'2'..=b'4']))
}
