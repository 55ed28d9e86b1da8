//! One step of a scenario: what happens, and the line of the report.

use super::{Simulation, FACTS_EVERY_S};
use crate::proxy_host::http;
use crate::scenario::expect;
use crate::scenario::format::{Action, Edit, Notified, Request, Show, Step};
use crate::scenario::report::Line;
use crate::scenario::setup::admission_request;
use anyhow::{anyhow, bail, Context, Result};
use gate::verdict::config_map_name;
use serde_json::{json, Value};
use std::collections::BTreeMap;

impl Simulation {
    pub(super) fn perform(&mut self, step: &Step) -> Result<Line> {
        let mut line = Line {
            at_s: step.at,
            step: step.step.clone(),
            what: step.say.clone().unwrap_or_default(),
            result: String::new(),
            details: vec![],
            failures: vec![],
        };
        match &step.action {
            Action::Show(show) => self.show(show, &mut line)?,
            Action::Traffic(slices) => {
                let mut parts = Vec::new();
                for (slice, traffic) in slices {
                    self.set_traffic(*slice, *traffic);
                    parts.push(format!(
                        "{} {}/min, {} in 1000 fail",
                        slice.name(),
                        traffic.per_minute,
                        traffic.errors_per_mille
                    ));
                }
                line.result = parts.join("; ");
            }
            Action::Facts(facts) => {
                self.set_facts(facts.clone());
                line.result =
                    facts.as_ref().map_or("stopped".into(), |_| format!("every {FACTS_EVERY_S} s"));
            }
            Action::Request(request) => self.request(request, &mut line)?,
            Action::Edit(edit) => self.edit(edit, &mut line)?,
            Action::Published(expected) => {
                let name = config_map_name(&self.gateway);
                let verdict = self
                    .cluster()
                    .get("ConfigMap", &self.namespace, &name)
                    .and_then(|o| {
                        o.pointer("/data/verdict").and_then(Value::as_str).map(str::to_owned)
                    })
                    .with_context(|| format!("ConfigMap {name} is not there"))?;
                let verdict: Value = serde_json::from_str(&verdict)?;
                line.failures = expect::differences(&verdict, expected);
                line.result = summary(&verdict, expected);
            }
            Action::Notified(wanted) => self.notified(wanted, &mut line),
            Action::Restart(_) => {
                self.proxy.restart()?;
                line.result = "shared data is gone".into();
            }
            Action::Jump(seconds) => {
                self.clock.jump(*seconds);
                line.result = format!("{seconds} s");
            }
        }
        Ok(line)
    }

    fn notified(&self, wanted: &Notified, line: &mut Line) {
        let got = self.around.digests.last().cloned().unwrap_or_default();
        line.failures = expect::differences(&got, &wanted.digest);
        line.failures.extend(expect::missing(&got.to_string(), &wanted.contains));
        line.result = format!("digest {}", got["id"].as_str().unwrap_or("none"));
        for event in got["events"].as_array().into_iter().flatten() {
            let part = |key: &str| event[key].as_str().unwrap_or_default();
            let subject = part("subject");
            let about = if subject.is_empty() { String::new() } else { format!(" {subject}") };
            line.details.push(format!("{}{about}: {}", part("kind"), part("text")));
        }
    }

    fn show(&self, show: &Show, line: &mut Line) -> Result<()> {
        let text = std::fs::read_to_string(&show.file).with_context(|| show.file.clone())?;
        let mut found = false;
        for document in serde_yaml_ng::Deserializer::from_str(&text) {
            let value: Value = serde::Deserialize::deserialize(document)?;
            if expect::differences(&value, &show.fields).is_empty() {
                found = true;
                line.details.extend(show.fields.iter().map(|(k, v)| format!("{k}: {v}")));
            }
        }
        if !found {
            line.failures.push(format!("{}: no document has all of {:?}", show.file, show.fields));
        }
        line.result.clone_from(&show.file);
        Ok(())
    }

    fn request(&mut self, request: &Request, line: &mut Line) -> Result<()> {
        let mut http = http::Request::new(&request.method, &request.path);
        if let Some(name) = &request.token {
            let token =
                self.tokens.get(name).with_context(|| format!("no token is named `{name}`"))?;
            http = http.bearer(token);
        }
        if let Some(body) = &request.body {
            http = http.body(body.to_string());
        }
        let response = self.manage(&http)?;
        let text = response.text();
        let shown = if text.len() <= 160 { text.trim().to_owned() } else { String::new() };
        line.result = format!("{} {shown}", response.status).trim().to_owned();
        if response.status != request.expect.status {
            line.failures.push(format!(
                "status {}, expected {}: {text}",
                response.status, request.expect.status
            ));
        }
        line.failures.extend(expect::missing(&text, &request.expect.contains));
        if !request.expect.document.is_empty() {
            let document: Value =
                serde_json::from_str(&text).map_err(|e| anyhow!("{e} in: {text}"))?;
            line.failures.extend(expect::differences(&document, &request.expect.document));
            line.result =
                format!("{} {}", response.status, summary(&document, &request.expect.document));
        }
        if line.what.is_empty() {
            let body = request.body.as_ref().map(|b| format!(" {b}")).unwrap_or_default();
            line.what = format!("{} {}{body}", request.method, request.path);
        }
        Ok(())
    }

    fn edit(&mut self, edit: &Edit, line: &mut Line) -> Result<()> {
        let parts: Vec<&str> = edit.object.split('/').collect();
        let [kind, namespace, name] = parts.as_slice() else {
            bail!("edit.object: `{}` is not KIND/NAMESPACE/NAME", edit.object);
        };
        let old = self.cluster().get(kind, namespace, name).cloned();
        let operation = match (&old, edit.delete, &edit.create) {
            (Some(_), true, _) => "DELETE",
            (None, false, Some(_)) => "CREATE",
            (Some(_), false, _) => "UPDATE",
            _ => bail!("edit.object: `{}` is not there", edit.object),
        };
        let mut new = edit.create.clone().or_else(|| old.clone()).unwrap_or_default();
        for (path, value) in &edit.set {
            let nested =
                expect::split(path).iter().rev().fold(value.clone(), |v, part| json!({ *part: v }));
            crate::cluster::merge(&mut new, &nested);
        }
        let request = admission_request(operation, (kind, namespace, name), old.as_ref(), &new);
        let verdict = self.policy.validate(&self.settings, &request)?;
        let said = [
            verdict.message.clone().unwrap_or_default(),
            verdict.warnings.clone().unwrap_or_default().join("\n"),
        ]
        .join("\n");
        line.result = match (verdict.accepted, verdict.mutated_object.is_some()) {
            (true, false) => "accepted".into(),
            (true, true) => "accepted, clamped".into(),
            (false, _) => format!("REFUSED by {}", verdict.rule()),
        };
        line.details.extend(verdict.message.clone());
        if verdict.accepted != edit.expect.accepted {
            line.failures.push(format!(
                "accepted is {}, expected {}",
                verdict.accepted, edit.expect.accepted
            ));
        }
        if let Some(rule) = &edit.expect.rule {
            if verdict.rule() != rule {
                line.failures.push(format!("rule `{}`, expected `{rule}`", verdict.rule()));
            }
        }
        line.failures.extend(expect::missing(&said, &edit.expect.contains));
        if verdict.accepted {
            if operation == "DELETE" {
                self.cluster().delete(kind, namespace, name);
            } else {
                self.cluster().put(verdict.mutated_object.unwrap_or(new));
            }
        }
        Ok(())
    }
}

/// The expected paths with what they are.
fn summary(value: &Value, expected: &BTreeMap<String, Value>) -> String {
    let parts: Vec<String> = expected
        .keys()
        .map(|path| format!("{path} {}", expect::at(value, path).unwrap_or(&Value::Null)))
        .collect();
    parts.join(", ")
}
