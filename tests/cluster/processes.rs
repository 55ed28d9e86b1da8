//! Programs of the rig: each with its log, and none of them outlives the run,
//! however that ends.

use anyhow::{bail, ensure, Context, Result};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use tests::servers::end_with_parent;

struct Running {
    command: Command,
    child: Child,
}

pub struct Program {
    name: String,
    running: Mutex<Running>,
    log: PathBuf,
}

impl Program {
    /// # Errors
    /// The program is not there.
    pub fn start(folder: &Path, name: &str, mut command: Command) -> Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let file = File::create(&log)?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        end_with_parent(&mut command);
        let child = command.spawn().with_context(|| format!("{name}: {command:?}"))?;
        Ok(Self { name: name.to_owned(), running: Mutex::new(Running { command, child }), log })
    }

    fn with<T>(&self, f: impl FnOnce(&mut Running) -> T) -> T {
        f(&mut self.running.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until something holds.
    ///
    /// # Errors
    /// It ended, or it does not hold in time; with the end of its log.
    pub fn wait_until(&self, seconds: u64, mut holds: impl FnMut() -> bool) -> Result<()> {
        let begun = Instant::now();
        loop {
            if holds() {
                return Ok(());
            }
            let ended = self.with(|r| r.child.try_wait())?;
            if ended.is_some() || begun.elapsed() > Duration::from_secs(seconds) {
                bail!("{} is not ready ({ended:?}): {}", self.name, self.tail());
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    pub fn tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }

    /// Ends it at once, without a word.
    pub fn kill(&self) {
        self.with(|r| {
            let _ = r.child.kill();
            let _ = r.child.wait();
        });
    }

    /// The same program once more.
    ///
    /// # Errors
    /// It does not start.
    pub fn start_again(&self) -> Result<()> {
        self.kill();
        self.with(|r| -> Result<()> {
            r.child = r.command.spawn()?;
            Ok(())
        })
    }

    /// Asks it to end.
    pub fn terminate(&self) {
        let _ = self.signal("-TERM");
    }

    /// Stops it, as if it hung, until [`Program::resume`].
    ///
    /// # Errors
    /// It is not there.
    pub fn pause(&self) -> Result<()> {
        self.signal("-STOP")
    }

    /// # Errors
    /// It is not there.
    pub fn resume(&self) -> Result<()> {
        self.signal("-CONT")
    }

    fn signal(&self, signal: &str) -> Result<()> {
        let id = self.with(|r| r.child.id()).to_string();
        let done = Command::new("kill").args([signal, &id]).status()?;
        ensure!(done.success(), "kill {signal} {}: {done}", self.name);
        Ok(())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
    }
}
