//! Programs of the rig: each with its log, and none of them outlives the run,
//! however that ends.

use anyhow::{bail, Context, Result};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use tests::servers::end_with_parent;

pub struct Program {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Program {
    /// # Errors
    /// The program is not there.
    pub fn start(folder: &Path, name: &str, command: &mut Command) -> Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let file = File::create(&log)?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        end_with_parent(command);
        let child = command.spawn().with_context(|| format!("{name}: {command:?}"))?;
        Ok(Self { name: name.to_owned(), child, log })
    }

    /// Waits until something holds.
    ///
    /// # Errors
    /// It ended, or it does not hold in time; with the end of its log.
    pub fn wait_until(&mut self, seconds: u64, mut holds: impl FnMut() -> bool) -> Result<()> {
        let begun = Instant::now();
        loop {
            if holds() {
                return Ok(());
            }
            let ended = self.child.try_wait()?;
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

    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
    }
}
