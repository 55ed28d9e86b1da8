//! The commands of the documents, typed as they stand there and in their order,
//! at a desk that has what the documents say a reader has.

use crate::kubewarden::{helm_environment, NAMESPACE};
use crate::rig::{read, token_file};
use crate::story::{message, Story, SCALED_OBJECT};
use anyhow::{bail, ensure, Context, Result};
use serde_json::json;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};
use tests::envoy::token;
use tests::root;

const INSTALL: &str = "docs/install.md";
const OPERATE: &str = "docs/operate.md";
/// Commands of the console blocks under a heading of a document, each on one line.
fn commands(document: &str, heading: &str) -> Result<Vec<String>> {
    let text = read(document)?;
    let mut lines = text.lines().skip_while(|line| *line != heading);
    lines.next().with_context(|| format!("{document} has no {heading}"))?;
    let (mut found, mut inside, mut begun) = (vec![], false, String::new());
    for line in lines.take_while(|line| !line.starts_with("## ")) {
        if line.starts_with("```") {
            inside = line == "```console";
        } else if inside {
            begun.push_str(line.trim_start().trim_end_matches('\\'));
            if line.ends_with('\\') {
                continue;
            }
            if line.ends_with('|') {
                begun.push(' ');
                continue;
            }
            found.push(std::mem::take(&mut begun));
        }
    }
    ensure!(!found.is_empty(), "{document}, {heading}: no commands");
    Ok(found)
}

struct Desk {
    folder: PathBuf,
    /// Places and names of the documents, and those of this rig.
    pairs: Vec<(String, String)>,
    kubeconfig: PathBuf,
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let (path, name) = {
            let e = entry?;
            (e.path(), e.file_name())
        };
        if path.is_dir() {
            copy(&path, &to.join(name))?;
        } else {
            fs::copy(&path, to.join(name))?;
        }
    }
    Ok(())
}

impl Desk {
    fn new(story: &Story<'_>) -> Result<Self> {
        let (plane, rig) = (story.plane, story.rig);
        let folder = plane.folder.join("desk");
        let etc = folder.join("etc");
        fs::create_dir_all(&etc)?;
        copy(&root("deploy"), &folder.join("deploy"))?;
        let own = |port: u16| format!("http://127.0.0.1:{port}");
        // What a reader puts in: their registry, queue and gateway.
        let (image, queue, gateway) =
            ("ghcr.io/canary-gate", "redis.builds.svc:6379", "https://canary.gw.example.com:9443");
        let redis = format!("127.0.0.1:{}", rig.redis_port);
        let (registry, gateway_here) = (&rig.kubewarden.registry, own(rig.envoy.management));
        for (file, theirs, here) in [
            ("deploy/kubewarden/guard.yaml", image, registry),
            ("deploy/kubewarden/scale-freeze.yaml", image, registry),
            ("deploy/kubewarden/monitor.yaml", image, registry),
            ("deploy/keda/scaledobject.yaml", queue, &redis),
            ("deploy/keda/scaledobject.yaml", gateway, &gateway_here),
        ] {
            let file = folder.join(file);
            let text = fs::read_to_string(&file)?;
            ensure!(text.contains(theirs), "{} names no {theirs}", file.display());
            fs::write(&file, text.replace(theirs, here))?;
        }
        for name in ["target", "dist", "charts", "settings.sample.yaml"] {
            symlink(root(name).canonicalize()?, folder.join(name))?;
        }
        let tokens = [("ops", "ops"), ("read", "bastion"), ("keda", "keda"), ("facts", "facts")];
        for (name, who) in tokens {
            fs::write(folder.join(format!("{name}.token")), token(who))?;
        }
        fs::copy(plane.folder.join("certs/apiserver.crt"), folder.join("ca.pem"))?;
        fs::copy(rig.envoy.configuration(), etc.join("envoy.yaml"))?;
        fs::write(folder.join("values.yaml"), rig.kubewarden.values.to_string())?;
        let pairs = [
            // The gateway runs already, with digests of these.
            ("openssl rand -hex 32 | tr -d '\\n' >$t.token", "test -s $t.token".to_owned()),
            ("/etc/canary-gate/kube-token.json", token_file("gw-a1").display().to_string()),
            ("/etc/canary-gate", etc.display().to_string()),
            ("https://gw-a1.example.com:9443", own(rig.envoy.management)),
            ("http://127.0.0.1:9901", own(rig.envoy.admin)),
        ];
        let pairs = pairs.map(|(theirs, here)| (theirs.to_owned(), here)).into();
        Ok(Self { folder, pairs, kubeconfig: plane.folder.join("admin.kubeconfig") })
    }

    /// Whether a command succeeded, and what it said.
    fn run(&self, command: &str) -> Result<(bool, String)> {
        let mut here = command.to_owned();
        for (theirs, ours) in &self.pairs {
            here = here.replace(theirs, ours);
        }
        let tools = [".tools", ".tools/programs"].map(|t| root(t).display().to_string());
        let path = std::env::var("PATH").unwrap_or_default();
        let mut shell = Command::new("bash");
        shell
            .args(["-euo", "pipefail", "-c", &here])
            .current_dir(&self.folder)
            .env("PATH", format!("{}:{path}", tools.join(":")))
            .env("KUBECONFIG", &self.kubeconfig);
        helm_environment(&mut shell, &self.folder);
        let output = shell.output()?;
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        Ok((output.status.success(), text))
    }
}

impl Story<'_> {
    /// From an empty lane to a raise that is refused, by docs/install.md alone.
    pub fn by_the_documents(&mut self) -> Result<()> {
        let desk = Desk::new(self)?;
        let headings = read(INSTALL)?;
        let headings: Vec<&str> =
            headings.lines().filter(|l| l.starts_with("## ") && l.contains(". ")).collect();
        ensure!(headings.len() == 7, "{INSTALL}: {headings:?}");
        let (mut run, mut refused) = (0, None);
        for heading in headings {
            // A launchd job does it.
            if heading.starts_with("## 4. ") {
                continue;
            }
            for command in commands(INSTALL, heading)? {
                self.put_facts();
                let (done, said) = desk.run(&command)?;
                let raises = command.contains("maxReplicaCount");
                ensure!(done != raises, "{INSTALL}: {command}\n{said}");
                if raises {
                    let error = said.lines().find(|line| line.starts_with("Error from server"));
                    let error = error.filter(|line| line.contains(": canary-cap: "));
                    let error = error.with_context(|| format!("{command}\n{said}"))?;
                    refused = Some(crate::story::gist(error));
                }
                run += 1;
            }
        }
        let refused = refused.with_context(|| format!("{INSTALL} shows no raise"))?;
        self.saw("docs/install.md, typed", format!("{run} commands, and then: {refused}"));
        self.until(20, "a worker that measures", false, |d| d["observer"]["workers"] == 1)?;
        for command in commands(OPERATE, "## The doctor")? {
            self.put_facts();
            let (done, said) = desk.run(&command)?;
            ensure!(done && said.trim() == "nothing is wrong", "{command}\n{said}");
        }
        self.saw("docs/operate.md, the doctor", "nothing is wrong");
        // Helm takes over nothing that is not its own.
        for file in ["kubewarden/guard", "kubewarden/scale-freeze", "rbac/policy-server"] {
            let (done, said) = desk.run(&format!("kubectl delete -f deploy/{file}.yaml"))?;
            ensure!(done, "{said}");
        }
        self.by_helm(&desk)
    }

    /// What docs/operate.md shows of a broken rig was said in this one, numbers aside.
    pub fn doctor_as_documented(&mut self) -> Result<()> {
        let mask = |text: &str| text.replace(|c: char| c.is_ascii_digit(), "");
        let said = mask(&self.doctor_said);
        let text = read(OPERATE)?;
        let shown: Vec<&str> = text.lines().filter(|l| l.starts_with("FAULT  ")).collect();
        ensure!(shown.len() >= 4, "{OPERATE}: {shown:?}");
        for line in &shown {
            ensure!(said.contains(&mask(line)), "{OPERATE}: {line}\n{}", self.doctor_said);
        }
        self.saw("docs/operate.md, what a broken rig says", format!("{} lines of it", shown.len()));
        Ok(())
    }

    /// The second channel: what watches, what enforces, back, and once more, for good.
    fn by_helm(&mut self, desk: &Desk) -> Result<()> {
        // gw-b1 has not said that its lane is idle: where the policy is in force a raise is refused.
        let words = [
            ("helm install", Some(8), "the chart, monitoring"),
            ("--set monitor=false", None, "the chart, enforcing"),
            ("helm rollback", Some(8), "rolled back to the release that monitors"),
        ];
        let all = commands(INSTALL, "## With Helm")?;
        let mut seen = 0;
        for command in &all {
            self.put_facts();
            let (done, said) = desk.run(command)?;
            ensure!(done, "{command}\n{said}");
            if let Some((_, becomes, what)) = words.iter().find(|w| command.contains(w.0)) {
                self.raise_is(what, *becomes)?;
                seen += 1;
            }
        }
        ensure!(seen == words.len(), "{INSTALL}, With Helm: {all:?}");
        let helm = |command: &str| -> Result<()> {
            let (done, said) = desk.run(&format!("{command} --namespace {NAMESPACE}"))?;
            ensure!(done, "{command}\n{said}");
            Ok(())
        };
        helm("helm rollback canary-gate 2")?;
        self.raise_is("and again to the one that enforces", None)?;
        let clamp = "--reuse-values --set settings.mode=clamp";
        helm(&format!("helm upgrade canary-gate charts/canary-gate {clamp}"))?;
        self.raise_is("the chart with `mode: clamp`: a raise to 8", Some(6))?;
        helm("helm rollback canary-gate 2")?;
        self.raise_is("back to the one that refuses", None)
    }

    /// Waits until a raise of the frozen lane to 8 becomes that, or is refused, by a dry run.
    fn raise_is(&mut self, step: &str, becomes: Option<i64>) -> Result<()> {
        let raise = json!({ "spec": { "maxReplicaCount": 8 } });
        let begun = Instant::now();
        loop {
            self.put_facts();
            let (status, answer) =
                self.api().patch(&format!("{SCALED_OBJECT}?dryRun=All"), &raise)?;
            let max = answer["spec"]["maxReplicaCount"].as_i64();
            let (holds, says) = match becomes {
                Some(_) => (
                    status == 200 && max == becomes,
                    format!("maxReplicaCount is {}", max.unwrap_or(0)),
                ),
                None => (status == 403, message(&answer)),
            };
            if holds && (becomes.is_some() || says.contains("cap-frozen: ")) {
                self.saw(step, format!("{status} {says}"));
                return Ok(());
            }
            if begun.elapsed() > Duration::from_secs(60) {
                bail!("{step}: {status} {answer}");
            }
            thread::sleep(Duration::from_millis(300));
        }
    }
}
