//! One way up: how a workload and its autoscaler stand before, the edit, what
//! comes of it where nobody guards the target, and the rule that refuses it
//! while the lane is frozen. The table of them is `rows.rs`.

use crate::leaves::Leaves;
use serde_json::{json, Value};

/// What an edit is made to; `NAME` stands for the row's own.
#[derive(Clone, Copy)]
pub enum At {
    ScaledObject,
    ScaledObjectStatus,
    ScaledJob,
    Hpa,
    Workload,
    Scale,
    /// Of the workload's first ReplicaSet.
    ReplicaSet,
    ReplicaSetScale,
}

pub enum Edit {
    /// A merge patch, as `kubectl patch` and `kubectl edit` send it.
    Patch(At, Value),
    /// Server-side apply of the ScaledObject that there is, changed so.
    Apply(Value),
    /// A new ScaledObject or HPA beside what there is.
    Create(At, Value),
    Delete(At),
    /// A job comes into this list.
    Push(&'static str),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Deployment,
    StatefulSet,
    ScaledJob,
}

pub struct Row {
    pub what: &'static str,
    /// What KEDA or Kubernetes do with it.
    pub claim: &'static str,
    pub kind: Kind,
    /// Of the workload, before it has an autoscaler.
    pub replicas: u32,
    /// Over the usual ScaledObject, or the workload where it says so.
    pub before: Value,
    pub workload: Value,
    /// Where that comes to rest.
    pub rests: i64,
    pub edits: Vec<Edit>,
    /// What refuses one of the edits while frozen; none where all pass.
    pub rule: Option<&'static str>,
    /// Replicas at most after the edits, where nobody guards.
    pub reaches: i64,
    /// Whether KEDA may be quicker than the HPA, so that it is less.
    pub races: bool,
    /// Whether it goes on, so that there are more the longer one looks.
    pub goes_on: bool,
    /// Where the replicas end, where nobody guards; none is where they reach.
    pub ends: Option<i64>,
    /// What is true of its HPA then.
    pub leaves: Option<Leaves>,
}

impl Row {
    pub fn new(what: &'static str, claim: &'static str) -> Self {
        Self {
            what,
            claim,
            kind: Kind::Deployment,
            replicas: 1,
            before: json!({}),
            workload: json!({}),
            rests: 3,
            edits: vec![],
            rule: Some("ceiling-bypass"),
            reaches: 6,
            races: false,
            goes_on: false,
            ends: None,
            leaves: None,
        }
    }

    /// Whether a number is this one. A ScaledJob that is reconciled while it
    /// creates Jobs creates one too many (`pkg/scaling/executor/scale_jobs.go`).
    pub fn is_about(&self, number: i64, wanted: i64) -> bool {
        number == wanted || (self.kind == Kind::ScaledJob && number == wanted + 1)
    }

    pub fn before(mut self, rests: i64, spec: Value) -> Self {
        self.before = json!({ "spec": spec });
        self.rests = rests;
        self
    }

    pub fn annotated(mut self, rests: i64, name: &str, value: &str) -> Self {
        self.before = annotation(name, Some(value));
        self.rests = rests;
        self
    }

    pub fn replicas(mut self, replicas: u32) -> Self {
        self.replicas = replicas;
        self
    }

    pub fn then(mut self, edit: Edit) -> Self {
        self.edits.push(edit);
        self
    }

    pub fn spec(self, spec: Value) -> Self {
        self.then(Edit::Patch(At::ScaledObject, json!({ "spec": spec })))
    }

    pub fn annotate(self, name: &str, value: Option<&str>) -> Self {
        self.then(Edit::Patch(At::ScaledObject, annotation(name, value)))
    }

    pub fn by(mut self, rule: &'static str) -> Self {
        self.rule = Some(rule);
        self
    }

    pub fn passes(mut self) -> Self {
        self.rule = None;
        self
    }

    pub fn reaches(mut self, replicas: i64) -> Self {
        self.reaches = replicas;
        self
    }

    pub fn ends(mut self, replicas: i64) -> Self {
        self.ends = Some(replicas);
        self
    }

    pub fn leaves(mut self, leaves: Leaves) -> Self {
        self.leaves = Some(leaves);
        self
    }

    pub fn races(mut self) -> Self {
        self.races = true;
        self
    }

    /// More than this many, and no end.
    pub fn goes_on(mut self, replicas: i64) -> Self {
        self.goes_on = true;
        self.reaches(replicas)
    }

    /// With that annotation from the start.
    pub fn under(mut self, name: &str) -> Self {
        harness::cluster::merge(&mut self.before, &annotation(name, Some("true")));
        self
    }

    pub fn stays(self) -> Self {
        let rests = self.rests;
        self.reaches(rests)
    }
}

pub fn annotation(name: &str, value: Option<&str>) -> Value {
    let key =
        if name.contains('/') { name.to_owned() } else { format!("autoscaling.keda.sh/{name}") };
    json!({ "metadata": { "annotations": { key: value } } })
}
