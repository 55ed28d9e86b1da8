//! `make cluster`: the gate in a real cluster. A control plane of real programs
//! on loopback, the policy as its webhook, a real Envoy as the gateway; the
//! story of `story.rs` is told, and what was seen is written to
//! `docs/evidence.md`.

mod api;
mod control_plane;
mod paths;
mod processes;
mod rig;
mod story;

use anyhow::{Context, Result};
use control_plane::ControlPlane;
use rig::{logs, Rig};
use std::fmt::Write;
use std::process::{Command, ExitCode};
use story::Story;
use tests::root;

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
    let folder = root("target/cluster");
    let _ = std::fs::remove_dir_all(&folder);
    let plane = ControlPlane::start(&folder)?;
    let version = plane.api.get("/version")?["gitVersion"].to_string();
    println!("Kubernetes {version} with KEDA at {}", plane.api.url());
    let port = plane.api.url().rsplit(':').next().and_then(|p| p.parse().ok()).context("a port")?;
    let rig = Rig::start(&plane, port)?;
    let mut story = Story::new(&plane, &rig);
    story.tell()?;
    std::fs::write(root("docs/evidence.md"), evidence(&versions(&plane)?, &story))?;
    println!("{} steps seen, written to docs/evidence.md", story.lines.len());
    Ok(())
}

/// What runs, as it says itself; KEDA as its module pins it.
fn versions(plane: &ControlPlane) -> Result<Vec<String>> {
    let kubernetes = plane.api.get("/version")?["gitVersion"].as_str().unwrap_or("?").to_owned();
    let said = |program: &str| -> Result<String> {
        let output = Command::new(root(program)).arg("--version").output()?;
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        Ok(text.lines().next().unwrap_or_default().to_owned())
    };
    let keda = rig::read("tests/cluster/programs/keda/go.mod")?;
    let keda = keda.lines().find(|l| l.contains("kedacore/keda/v2 v")).unwrap_or_default();
    let keda = keda.split_whitespace().find(|word| word.starts_with('v')).unwrap_or("?");
    let envoy = said(".tools/envoy")?;
    let envoy = envoy.split('/').nth(1).unwrap_or("?");
    Ok(vec![
        format!("Kubernetes {kubernetes}, {}, KEDA {keda}", said(".tools/programs/etcd")?),
        format!(
            "Envoy {envoy} with `dist/proxy-filter.wasm`, `harness serve` with `dist/policy.wasm`"
        ),
    ])
}

fn evidence(versions: &[String], story: &Story<'_>) -> String {
    let mut text = String::from(
        "# Evidence\n\nWritten by `make cluster`: what a real API server, a real HPA controller and a real\nKEDA did with this policy and this filter between them.\n\n",
    );
    for version in versions {
        let _ = writeln!(text, "- {version}");
    }
    text.push('\n');
    let _ = writeln!(text, "| step | seen |\n|---|---|");
    for line in &story.lines {
        let _ = writeln!(
            text,
            "| {} | {} |",
            line.step,
            line.seen.replace('|', "\\|").replace('\n', " ")
        );
    }
    let _ = writeln!(text, "\nWhile frozen, at 3 replicas and with 80 jobs waiting, each way up, tried as an administrator:\n");
    let _ = writeln!(text, "| edit | answer | replicas after |\n|---|---|---|");
    for tried in &story.tried {
        let _ = writeln!(text, "| {} | {} | {} |", tried.what, tried.answer, tried.replicas);
    }
    text
}
