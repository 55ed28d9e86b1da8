//! Every way up, tried twice with the real programs: on targets that nobody
//! guards, where it must do what the row says of it, and on targets of the
//! lane while that is frozen, where nothing may rise.

use crate::api::Api;
use crate::rig::redis;
use crate::row::{annotation, At, Edit, Kind, Row};
use crate::rows;
use anyhow::{bail, ensure, Context, Result};
use harness::cluster::merge;
use serde_json::{json, Value};
use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

/// How long what KEDA or the HPA make of an edit may take to show.
const SETTLES: Duration = Duration::from_secs(5);
/// Within this everything reaches where it goes.
const REACHES: Duration = Duration::from_secs(60);

/// What came of one row.
pub struct Tried {
    pub what: String,
    pub claim: String,
    /// Replicas at most where nobody guards.
    pub unguarded: String,
    /// What the API server said while frozen.
    pub answer: String,
    /// Replicas before, at most and in the end, while frozen.
    pub frozen: [i64; 3],
}

/// The rows in one namespace.
pub struct Field<'a> {
    api: &'a Api,
    namespace: &'static str,
    redis_port: u16,
    rows: Vec<Row>,
    /// Replicas at most, by row.
    most: BTreeMap<String, i64>,
}

fn name(i: usize) -> String {
    format!("way-{i:02}")
}

/// Targets of a lane, as the policy's settings name them.
pub fn targets() -> Vec<Value> {
    let target = |(i, row): (usize, Row)| {
        let name = name(i);
        match row.kind {
            Kind::ScaledJob => json!({ "kind": "ScaledJob", "name": name, "slice": "stable" }),
            Kind::Deployment => {
                json!({ "kind": "Deployment", "name": name, "slice": "stable", "scaledObject": name })
            }
            Kind::StatefulSet => {
                json!({ "kind": "StatefulSet", "name": name, "slice": "stable", "scaledObject": name })
            }
        }
    };
    rows::all().into_iter().enumerate().map(target).collect()
}

fn substitute(value: &mut Value, pairs: &[(&str, &str)]) {
    match value {
        Value::String(text) => {
            for (from, to) in pairs {
                *text = text.replace(from, to);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|v| substitute(v, pairs)),
        Value::Object(map) => map.values_mut().for_each(|v| substitute(v, pairs)),
        _ => {}
    }
}

impl<'a> Field<'a> {
    /// Makes every row's workload and autoscaler, and waits until all rest.
    ///
    /// # Errors
    /// One is refused, or comes to rest elsewhere.
    pub fn prepare(
        api: &'a Api,
        namespace: &'static str,
        redis_port: u16,
        each: impl Fn(),
    ) -> Result<Self> {
        redis(redis_port, &["DEL", "late"])?;
        let mut field =
            Self { api, namespace, redis_port, rows: rows::all(), most: BTreeMap::new() };
        for (i, row) in field.rows.iter().enumerate() {
            each();
            field.make(&name(i), row).with_context(|| row.what)?;
        }
        let begun = Instant::now();
        // Everything has been looked at by then.
        thread::sleep(SETTLES);
        loop {
            each();
            let now = field.replicas()?;
            let astray: Vec<String> = field
                .rows
                .iter()
                .enumerate()
                .filter(|(i, row)| !now.get(&name(*i)).is_some_and(|n| row.is_about(*n, row.rests)))
                .map(|(i, row)| {
                    format!("{} {}: {:?}, not {}", name(i), row.what, now.get(&name(i)), row.rests)
                })
                .collect();
            if astray.is_empty() {
                field.most = now;
                return Ok(field);
            }
            ensure!(begun.elapsed() < REACHES, "in {namespace}:\n{}", astray.join("\n"));
            thread::sleep(Duration::from_millis(300));
        }
    }

    fn own(&self, mut object: Value, name: &str) -> Value {
        let redis = format!("127.0.0.1:{}", self.redis_port);
        substitute(&mut object, &[("NAME", name), ("REDIS", &redis)]);
        object
    }

    fn make(&self, name: &str, row: &Row) -> Result<()> {
        let pods = json!({
            "metadata": { "labels": { "app": name } },
            "spec": { "containers": [{ "name": "worker", "image": "openclaw/worker" }] },
        });
        let workload = |kind: &str, name: &str| {
            let mut object = json!({
                "apiVersion": "apps/v1", "kind": kind,
                "metadata": { "name": name, "namespace": self.namespace, "labels": { "way": name } },
                "spec": { "replicas": row.replicas, "selector": { "matchLabels": { "app": name } }, "template": pods },
            });
            merge(&mut object, &row.workload);
            object
        };
        match row.kind {
            Kind::ScaledJob => return self.create(&self.scaled_job(name, row)),
            Kind::Deployment => self.create(&workload("Deployment", name))?,
            Kind::StatefulSet => {
                let mut set = workload("StatefulSet", name);
                merge(
                    &mut set,
                    &json!({ "spec": { "serviceName": name, "podManagementPolicy": "Parallel" } }),
                );
                self.create(&set)?;
            }
        }
        let moves = |edit: &Edit| matches!(edit, Edit::Patch(_, patch) if patch.to_string().contains("NAME-other"));
        if row.edits.iter().any(moves) {
            let mut other = workload("Deployment", &format!("{name}-other"));
            other["metadata"]["labels"]["way"] = name.into();
            let labels = json!({ "app": format!("{name}-other") });
            other["spec"]["selector"]["matchLabels"] = labels.clone();
            other["spec"]["template"]["metadata"]["labels"] = labels;
            self.create(&other)?;
        }
        self.api.apply(&self.scaled_object(name, row))
    }

    fn create(&self, object: &Value) -> Result<()> {
        self.api.apply(object)
    }

    fn scaled_object(&self, name: &str, row: &Row) -> Value {
        let kind = if row.kind == Kind::StatefulSet { "StatefulSet" } else { "Deployment" };
        let mut object = json!({
            "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject",
            "metadata": { "name": name, "namespace": self.namespace },
            "spec": {
                "scaleTargetRef": { "apiVersion": "apps/v1", "kind": kind, "name": name },
                "minReplicaCount": 1, "maxReplicaCount": 3, "pollingInterval": 1, "cooldownPeriod": 120,
                "triggers": [{ "type": "redis", "metadata": { "address": "REDIS", "listName": "busy", "listLength": "8" } }],
            },
        });
        merge(&mut object, &row.before);
        self.own(object, name)
    }

    fn scaled_job(&self, name: &str, row: &Row) -> Value {
        let mut object = json!({
            "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledJob",
            "metadata": { "name": name, "namespace": self.namespace },
            "spec": {
                "jobTargetRef": { "template": { "spec": {
                    "restartPolicy": "Never", "containers": [{ "name": "worker", "image": "openclaw/worker" }],
                } } },
                "maxReplicaCount": 3, "pollingInterval": 1,
                "triggers": [{ "type": "redis", "metadata": { "address": "REDIS", "listName": "busy", "listLength": "8" } }],
            },
        });
        merge(&mut object, &row.before);
        self.own(object, name)
    }

    fn path(&self, at: At, row: &Row, name: &str) -> Result<String> {
        let ns = self.namespace;
        let keda = format!("/apis/keda.sh/v1alpha1/namespaces/{ns}");
        let kind = if row.kind == Kind::StatefulSet { "statefulsets" } else { "deployments" };
        Ok(match at {
            At::ScaledObject => format!("{keda}/scaledobjects/{name}"),
            At::ScaledObjectStatus => format!("{keda}/scaledobjects/{name}/status"),
            At::ScaledJob => format!("{keda}/scaledjobs/{name}"),
            At::Hpa => {
                format!(
                    "/apis/autoscaling/v2/namespaces/{ns}/horizontalpodautoscalers/keda-hpa-{name}"
                )
            }
            At::Workload => format!("/apis/apps/v1/namespaces/{ns}/{kind}/{name}"),
            At::Scale => format!("/apis/apps/v1/namespaces/{ns}/{kind}/{name}/scale"),
            At::ReplicaSet | At::ReplicaSetScale => {
                let of_it =
                    format!("/apis/apps/v1/namespaces/{ns}/replicasets?labelSelector=app={name}");
                let list = self.api.get(&of_it)?;
                let found = list["items"][0]["metadata"]["name"].as_str();
                let found = found.with_context(|| format!("{name} has no ReplicaSet"))?;
                let scale = if matches!(at, At::ReplicaSetScale) { "/scale" } else { "" };
                format!("/apis/apps/v1/namespaces/{ns}/replicasets/{found}{scale}")
            }
        })
    }

    /// The answer to one edit.
    fn edit(&self, edit: &Edit, row: &Row, name: &str) -> Result<(u16, Value)> {
        match edit {
            Edit::Patch(at, patch) => {
                self.api.patch(&self.path(*at, row, name)?, &self.own(patch.clone(), name))
            }
            Edit::Apply(change) => {
                let mut object = self.scaled_object(name, row);
                merge(&mut object, change);
                let path = self.path(At::ScaledObject, row, name)?;
                let query = format!("{path}?fieldManager=cluster");
                self.api.call("PATCH", &query, "application/apply-patch+yaml", Some(&object))
            }
            Edit::Create(at, object) => {
                let mut made = match at {
                    At::ScaledObject => self.scaled_object(name, row),
                    _ => json!({ "metadata": { "namespace": self.namespace } }),
                };
                merge(&mut made, &self.own(object.clone(), name));
                let new = made["metadata"]["name"].as_str().unwrap_or(name).to_owned();
                let path = self.path(*at, row, &new)?;
                let (collection, _) = path.rsplit_once('/').context("a path")?;
                self.wait_until_gone(&path)?;
                self.api.call("POST", collection, "application/json", Some(&made))
            }
            Edit::Push(list) => {
                redis(self.redis_port, &["RPUSH", list, "job"])?;
                Ok((200, Value::Null))
            }
            Edit::Delete(at) => {
                // KEDA looks at what its cache has seen of the edit before, and takes its
                // HPA away at leisure where that was a pause.
                thread::sleep(Duration::from_secs(1));
                let paused = annotation("paused", Some("true"));
                if row.edits.iter().any(|e| matches!(e, Edit::Patch(_, patch) if *patch == paused))
                {
                    self.wait_until_gone(&self.path(At::Hpa, row, name)?)?;
                }
                let path = self.path(*at, row, name)?;
                let answer = self.api.call("DELETE", &path, "application/json", None)?;
                // KEDA makes its HPA again at once.
                if !matches!(at, At::Hpa) {
                    self.wait_until_gone(&path)?;
                }
                Ok(answer)
            }
        }
    }

    fn wait_until_gone(&self, path: &str) -> Result<()> {
        let begun = Instant::now();
        while self.api.call("GET", path, "application/json", None)?.0 != 404 {
            ensure!(begun.elapsed() < Duration::from_secs(20), "{path} does not go away");
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Replicas of each row: declared or running, the larger; of Jobs, how many.
    fn replicas(&self) -> Result<BTreeMap<String, i64>> {
        let mut found: BTreeMap<String, i64> = BTreeMap::new();
        let ns = self.namespace;
        for kind in ["deployments", "statefulsets"] {
            let list = self.api.get(&format!("/apis/apps/v1/namespaces/{ns}/{kind}"))?;
            for object in list["items"].as_array().into_iter().flatten() {
                let Some(way) = object.pointer("/metadata/labels/way").and_then(Value::as_str)
                else {
                    continue;
                };
                let of = |pointer| object.pointer(pointer).and_then(Value::as_i64).unwrap_or(0);
                let replicas = of("/spec/replicas").max(of("/status/replicas"));
                let most = found.entry(way.to_owned()).or_default();
                *most = (*most).max(replicas);
            }
        }
        for (i, _) in self.rows.iter().enumerate().filter(|(_, r)| r.kind == Kind::ScaledJob) {
            found.insert(name(i), 0);
        }
        let jobs = self.api.get(&format!("/apis/batch/v1/namespaces/{ns}/jobs"))?;
        for job in jobs["items"].as_array().into_iter().flatten() {
            // Also those that KEDA does not find any more.
            let owner = job.pointer("/metadata/ownerReferences/0/name");
            if let Some(count) = owner.and_then(Value::as_str).and_then(|o| found.get_mut(o)) {
                *count += 1;
            }
        }
        Ok(found)
    }

    /// Looks once, and keeps the most.
    fn look(&mut self) -> Result<()> {
        for (way, replicas) in self.replicas()? {
            let most = self.most.entry(way).or_default();
            *most = (*most).max(replicas);
        }
        Ok(())
    }

    /// What a write of replicas itself answered, before anything could clamp it.
    fn note_answer(&mut self, name: &str, edit: &Edit, answer: &Value) {
        if matches!(edit, Edit::Patch(At::Workload | At::Scale | At::ReplicaSetScale, _)) {
            let declared = answer.pointer("/spec/replicas").and_then(Value::as_i64).unwrap_or(0);
            let most = self.most.entry(name.to_owned()).or_default();
            *most = (*most).max(declared);
        }
    }

    /// Tries every row where nobody guards: each must do what is said of it.
    ///
    /// # Errors
    /// One is refused, or reaches something else.
    pub fn unguarded(&mut self) -> Result<Vec<String>> {
        let rows = std::mem::take(&mut self.rows);
        for (i, row) in rows.iter().enumerate() {
            for edit in &row.edits {
                let (status, answer) = self.edit(edit, row, &name(i))?;
                ensure!(status < 300, "{}: {status} {answer}", row.what);
                self.note_answer(&name(i), edit, &answer);
            }
        }
        self.rows = rows;
        let begun = Instant::now();
        let reached = |field: &Self, i: usize| field.most.get(&name(i)).copied().unwrap_or(0);
        loop {
            self.look()?;
            let all =
                self.rows.iter().enumerate().all(|(i, r)| reached(self, i) >= r.reaches || r.races);
            if (all && begun.elapsed() > SETTLES) || begun.elapsed() > REACHES {
                break;
            }
            thread::sleep(Duration::from_millis(200));
        }
        let mut wrong = vec![];
        let mut seen = vec![];
        let end = self.replicas()?;
        for (i, row) in self.rows.iter().enumerate() {
            let (most, end) = (reached(self, i), end.get(&name(i)).copied().unwrap_or(-1));
            let is_right = row.is_about(most, row.reaches)
                || row.races && most < row.reaches
                || row.goes_on && most > row.reaches;
            if !is_right {
                wrong.push(format!("{} {}: {most}, not {}", name(i), row.what, row.reaches));
            }
            if row.ends.is_some_and(|ends| ends != end) {
                wrong.push(format!("{} {}: ends at {end}, not {:?}", name(i), row.what, row.ends));
            }
            if let Some(leaves) = row.leaves {
                if !leaves.holds(self.api, self.namespace, &name(i))? {
                    wrong.push(format!("{} {}: its HPA is not {leaves:?}", name(i), row.what));
                }
            }
            seen.push(match row.ends.filter(|ends| *ends != row.reaches) {
                Some(ends) => format!("{}, then {ends}", row.reaches),
                None if row.goes_on => format!("{most}, and no end"),
                None if row.races => format!("{} or less", row.reaches),
                None => row.reaches.to_string(),
            });
        }
        if !wrong.is_empty() {
            bail!("where nobody guards:\n{}", wrong.join("\n"));
        }
        Ok(seen)
    }

    /// Tries every row while frozen: what is refused, and that nothing rises.
    ///
    /// # Errors
    /// A raise that was let through, something else that was refused, or replicas that rose.
    pub fn frozen(&mut self, unguarded: &[String], each: impl Fn()) -> Result<Vec<Tried>> {
        let before = self.replicas()?;
        self.most = before.clone();
        let rows = std::mem::take(&mut self.rows);
        let mut wrong = vec![];
        let mut tried = vec![];
        for (i, row) in rows.iter().enumerate() {
            let now = before.get(&name(i)).copied().unwrap_or(-1);
            ensure!(row.is_about(now, row.rests), "{} {}: {now} before", name(i), row.what);
        }
        for (i, row) in rows.iter().enumerate() {
            let mut refused = vec![];
            for edit in &row.edits {
                each();
                let (status, answer) = self.edit(edit, row, &name(i))?;
                self.note_answer(&name(i), edit, &answer);
                if status >= 300 {
                    refused
                        .push((status, answer["message"].as_str().unwrap_or_default().to_owned()));
                }
            }
            let is_right = match (row.rule, refused.as_slice()) {
                (Some(rule), [(403, text)]) => text.contains(&format!("{rule}: ")),
                (None, []) => true,
                _ => false,
            };
            if !is_right {
                wrong.push(format!("{} {}: {refused:?}, not {:?}", name(i), row.what, row.rule));
            }
            tried.push(Tried {
                what: row.what.to_owned(),
                claim: row.claim.to_owned(),
                unguarded: unguarded.get(i).cloned().unwrap_or_default(),
                answer: row.rule.map_or_else(|| "passes".to_owned(), |rule| format!("403 {rule}")),
                frozen: [before.get(&name(i)).copied().unwrap_or(-1), -1, -1],
            });
        }
        self.rows = rows;
        let begun = Instant::now();
        while begun.elapsed() < SETTLES {
            each();
            self.look()?;
            thread::sleep(Duration::from_millis(200));
        }
        let end = self.replicas()?;
        for (i, row) in tried.iter_mut().enumerate() {
            row.frozen[1] = self.most.get(&name(i)).copied().unwrap_or(-1);
            row.frozen[2] = end.get(&name(i)).copied().unwrap_or(-1);
            if row.frozen[1] > row.frozen[0] {
                wrong.push(format!("{} {}: {:?} replicas", name(i), row.what, row.frozen));
            }
            if let Some(leaves) =
                self.rows.get(i).filter(|r| r.rule.is_none()).and_then(|r| r.leaves)
            {
                if !leaves.holds(self.api, self.namespace, &name(i))? {
                    wrong.push(format!("{} {}: its HPA is not {leaves:?}", name(i), row.what));
                }
            }
            if self.rows.get(i).is_some_and(|r| r.kind == Kind::ScaledJob) {
                // As many as it may have, whether or not it made one too many.
                row.frozen = self.rows.get(i).map_or([0; 3], |r| [r.rests; 3]);
            }
        }
        if !wrong.is_empty() {
            bail!("while frozen:\n{}", wrong.join("\n"));
        }
        Ok(tried)
    }

    /// Takes everything away again.
    ///
    /// # Errors
    /// Something stays.
    pub fn clear(&self) -> Result<()> {
        let ns = self.namespace;
        let keda = format!("/apis/keda.sh/v1alpha1/namespaces/{ns}");
        for path in [
            format!("{keda}/scaledobjects"),
            format!("{keda}/scaledjobs"),
            format!("/apis/autoscaling/v2/namespaces/{ns}/horizontalpodautoscalers"),
            format!("/apis/apps/v1/namespaces/{ns}/deployments"),
            format!("/apis/apps/v1/namespaces/{ns}/statefulsets"),
            format!("/apis/apps/v1/namespaces/{ns}/replicasets"),
            format!("/apis/batch/v1/namespaces/{ns}/jobs"),
        ] {
            let list = self.api.get(&path)?;
            for object in list["items"].as_array().into_iter().flatten() {
                let name = object["metadata"]["name"].as_str().unwrap_or_default();
                if name.contains("way-") {
                    let one = format!("{path}/{name}?propagationPolicy=Background");
                    self.api.call("DELETE", &one, "application/json", None)?;
                }
            }
        }
        let begun = Instant::now();
        loop {
            let left = self.api.get(&format!("{keda}/scaledobjects"))?;
            let items = left["items"].as_array().into_iter().flatten();
            let left = items
                .filter(|o| o["metadata"]["name"].as_str().is_some_and(|n| n.contains("way-")));
            if left.count() == 0 {
                return Ok(());
            }
            ensure!(begun.elapsed() < REACHES, "ScaledObjects stay in {ns}");
            thread::sleep(Duration::from_millis(200));
        }
    }
}
