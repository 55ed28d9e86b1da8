//! `docs/evidence.md`: what was seen, and with which versions.

use crate::control_plane::ControlPlane;
use crate::story::Story;
use anyhow::Result;
use std::fmt::Write;
use std::process::Command;
use tests::root;

const WAYS: &str = "
## Ways up

Each way up that KEDA and Kubernetes have, tried as an administrator with the real
programs, twice. First on a target that nobody guards, with a maximum of 3 and work for
6: the replicas that it reached are what the way is worth. Then on a target of the lane
while that is frozen: what the API server said, and the replicas before, at most and in
the end. (A ScaledJob that is reconciled while it creates Jobs creates one too many.)
KEDA's own admission webhook runs for its one row above, and not here.

| way | what KEDA or Kubernetes do | unguarded | while frozen | replicas |
|---|---|---|---|---|
";

const LATENCY: &str = "
## Admission latency

The guard, asked by the API server 50 times a second for ten seconds, in Kubewarden's
policy server and with everything else on the same machine: the bucket of the API server's own
`apiserver_admission_webhook_admission_duration_seconds` in which the quantile lies, and
the whole PATCH at the client, from when it was due, milliseconds.

| edits | number | p50 | p99 | client p50 | client p99 |
|---|---|---|---|---|---|
";

/// What runs, as it says itself; KEDA as its module pins it.
pub fn versions(plane: &ControlPlane) -> Result<Vec<String>> {
    let kubernetes = plane.api.get("/version")?["gitVersion"].as_str().unwrap_or("?").to_owned();
    let said = |program: &str| -> Result<String> {
        let output = Command::new(root(program)).arg("--version").output()?;
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        Ok(text.lines().next().unwrap_or_default().to_owned())
    };
    let keda = crate::rig::read("tests/cluster/programs/keda/go.mod")?;
    let keda = keda.lines().find(|l| l.contains("kedacore/keda/v2 v")).unwrap_or_default();
    let keda = keda.split_whitespace().find(|word| word.starts_with('v')).unwrap_or("?");
    let envoy = said(".tools/envoy")?;
    let envoy = envoy.split("version: ").nth(1).and_then(|v| v.split('/').nth(1)).unwrap_or("?");
    Ok(vec![
        format!("Kubernetes {kubernetes}, {}, KEDA {keda}", said(".tools/programs/etcd")?),
        format!(
            "Kubewarden by its charts: its controller, {} with `dist/policy.wasm` from a registry",
            said(".tools/programs/policy-server")?
        ),
        format!("Envoy {envoy} with `dist/proxy-filter.wasm`"),
    ])
}

pub fn text(versions: &[String], story: &Story<'_>) -> String {
    let mut text = String::from(
        "# Evidence\n\nWritten by `make cluster`: what a real API server, a real HPA controller, a real\nKEDA and a real Kubewarden did with this policy and this filter between them.\n\n",
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
    text.push_str(WAYS);
    for t in &story.tried {
        let row = [&t.what, &t.claim, &t.unguarded, &t.answer].map(String::as_str).join(" | ");
        let [before, most, end] = t.frozen;
        let _ = writeln!(text, "| {row} | {before} → {most} → {end} |");
    }
    text.push_str(LATENCY);
    for l in &story.latencies {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {:.0} | {:.0} |",
            l.what, l.edits, l.p50, l.p99, l.client_p50_ms, l.client_p99_ms
        );
    }
    text
}
