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
use std::process::ExitCode;
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
    std::fs::write(root("docs/evidence.md"), evidence(&story))?;
    println!("{} steps seen, written to docs/evidence.md", story.lines.len());
    Ok(())
}

/// Versions as the modules pin them.
fn pinned(module: &str) -> String {
    let text = rig::read(&format!("tests/cluster/programs/{module}/go.mod")).unwrap_or_default();
    let wanted =
        ["k8s.io/kubernetes ", "github.com/kedacore/keda/v2 ", "go.etcd.io/etcd/server/v3 "];
    let mut lines = text.lines().map(|l| l.trim().trim_start_matches("require "));
    lines
        .find(|l| wanted.iter().any(|w| l.starts_with(w)))
        .unwrap_or_default()
        .replace(" // indirect", "")
}

fn evidence(story: &Story<'_>) -> String {
    let mut text = String::from(
        "# Evidence\n\nWritten by `make cluster`: what a real API server, a real HPA controller and a real\nKEDA did with this policy and this filter between them.\n\n",
    );
    for module in ["kubernetes", "etcd", "keda"] {
        let _ = writeln!(text, "- {}", pinned(module));
    }
    let _ = writeln!(
        text,
        "- Envoy 1.40.0 with `dist/proxy-filter.wasm`; `harness serve` with `dist/policy.wasm`\n"
    );
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
