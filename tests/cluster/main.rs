//! `make cluster`: the gate in a real cluster. A control plane of real programs
//! on loopback, a real Kubewarden with the policy, a real Envoy as the gateway; the
//! story of `story.rs` is told, and what was seen is written to
//! `docs/evidence.md`.

mod api;
mod chapters;
mod control_plane;
mod documented;
mod egress;
mod evidence;
mod faults;
mod kedas_webhook;
mod kubectl;
mod kubelet;
mod kubewarden;
mod latency;
mod leaves;
mod listeners;
mod native_hold;
mod paths;
mod pods;
mod processes;
mod rig;
mod row;
mod rows;
mod shipped;
mod story;
mod unasked;

use anyhow::{Context, Result};
use control_plane::ControlPlane;
use rig::{logs, Rig};
use std::fs::File;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;
use story::Story;
use tests::root;

/// Everything that was started ends with this process.
const LONGEST: Duration = Duration::from_secs(1200);

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("cluster: {e:#}\n{}", logs(&root("target/cluster")));
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    // Elsewhere nothing ends its programs when it is killed.
    anyhow::ensure!(cfg!(target_os = "linux"), "make cluster runs on Linux alone");
    let lock = File::create(root("target/cluster.lock"))?;
    lock.try_lock().context("another run of it is under way")?;
    thread::spawn(|| {
        thread::sleep(LONGEST);
        eprintln!("cluster: not done after {} s", LONGEST.as_secs());
        std::process::exit(1);
    });
    let folder = root("target/cluster");
    let _ = std::fs::remove_dir_all(&folder);
    let plane = ControlPlane::start(&folder)?;
    let version = plane.api.get("/version")?["gitVersion"].to_string();
    println!("Kubernetes {version} with KEDA at {}", plane.api.url());
    let port = plane.api.url().rsplit(':').next().and_then(|p| p.parse().ok()).context("a port")?;
    kubelet::start(&plane.api, &["controls", "builds"]);
    let rig = Rig::start(&plane, port)?;
    let mut story = Story::new(&plane, &rig);
    story.tell()?;
    std::fs::write(root("docs/evidence.md"), evidence::text(&evidence::versions(&plane)?, &story))?;
    println!("{} steps seen, written to docs/evidence.md", story.lines.len());
    Ok(())
}
