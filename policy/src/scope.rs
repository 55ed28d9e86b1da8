//! Which lanes an edit touches, and what it does there.
//!
//! A lane is its scale targets, by namespace, kind and name and nothing else:
//! no label is looked at, so relabelling is no way out, and a Scale object has
//! none. An edit touches a lane when the old or the new object does, so
//! neither is retargeting.

use crate::lifts::{self, Lift};
use crate::objects::config_map::ConfigMap;
use crate::objects::hpa::{is_kedas, Hpa};
use crate::objects::job::Job;
use crate::objects::scaled_job::{ScaledJob, JOB_LABEL};
use crate::objects::scaled_object::ScaledObject;
use crate::objects::{workload, Kind, Object, TargetRef};
use crate::request::{Operation, Request};
use crate::rules::{
    cooldown, promotion_freeze, queue_trigger, replica_floor, scale_target, skill_lock,
    state_owner, Fault, When,
};
use crate::settings::{Enforcement, Lane, Settings};
use gate::lane::Column;
use gate::parse::Json;
use gate::rule::Rule;
use gate::target::{Target, TargetKind};
use gate::time::Timestamp;

/// An edit, seen by one target of one lane, or by the lane as a whole.
#[derive(Debug)]
pub struct Change<'a> {
    pub lane: &'a Lane,
    pub target: Option<&'a Target>,
    pub column: Column,
    pub is_create: bool,
    /// Everything that the edit lifts.
    pub lifts: Vec<Lift>,
    /// What rules of their own object to.
    pub faults: Vec<Fault>,
}

impl Change<'_> {
    /// Whether the answer depends on the lane's state: if not, none is read.
    pub fn asks_for_state(&self, settings: &Settings) -> bool {
        let on = |rule: &Rule| settings.enforcement(*rule) != Enforcement::Off;
        let table = [Rule::RedGate, Rule::CapFrozen, Rule::CanaryCap, Rule::CeilingBypass];
        (!self.lifts.is_empty() && table.iter().any(on))
            || self.faults.iter().any(|f| f.when != When::Always && on(&f.rule))
    }
}

/// What the rules look at.
struct Edit<'a> {
    settings: &'a Settings,
    request: &'a Request<'a>,
    old: Option<Object<'a>>,
    new: Object<'a>,
}

/// The changes of a request; empty when it is in no lane's scope.
///
/// # Errors
/// The part of the request that cannot be read.
pub fn changes<'a>(
    settings: &'a Settings,
    request: &'a Request<'a>,
    now: Timestamp,
) -> Result<Vec<Change<'a>>, String> {
    let Some(kind) = Kind::of(request) else { return Ok(vec![]) };
    let old = match request.operation()? {
        Operation::Other => return Ok(vec![]),
        Operation::Create => None,
        Operation::Update => Some(object(&request.old_object, "request.oldObject")?),
    };
    let new = object(&request.object, "request.object")?;
    // Of these kinds one is cluster-wide.
    if request.namespace.is_empty() && kind != Kind::Measurement {
        return Err("request.namespace: is missing".to_owned());
    }
    let edit = Edit { settings, request, old, new };
    let mut changes = Vec::new();
    for lane in &settings.lanes {
        edit.foreign_caller(kind, lane, &mut changes);
        if lane.namespace == request.namespace {
            match kind {
                Kind::ScaledObject => edit.scaled_object(lane, &mut changes),
                Kind::ScaledObjectStatus => edit.status(lane, &mut changes),
                Kind::ScaledJob => edit.scaled_job(lane, &mut changes),
                Kind::HorizontalPodAutoscaler => edit.hpa(lane, &mut changes),
                Kind::Workload(kind) => edit.workload(lane, kind, &mut changes),
                Kind::Scale => edit.scale(lane, &mut changes),
                Kind::Job => {
                    changes
                        .extend(edit.of_lane(lane, promotion_freeze::find(old.map(Job), Job(new))));
                    edit.job_of_scaled_job(lane, &mut changes);
                }
                Kind::ConfigMap => changes.extend(edit.of_lane(
                    lane,
                    state_owner::find(
                        settings,
                        lane,
                        request,
                        old.map(ConfigMap),
                        ConfigMap(new),
                        now,
                    ),
                )),
                Kind::Measurement => {}
            }
        }
    }
    Ok(changes)
}

fn object<'a>(value: &'a Json<'a>, path: &str) -> Result<Object<'a>, String> {
    if value.is_object() {
        Ok(Object(value))
    } else {
        Err(format!("{path}: is {}, not an object", gate::fields::kind_of(value)))
    }
}

fn is_target(target: &Target, reference: TargetRef) -> bool {
    reference.kind == target.kind.name() && reference.name == target.name
}

impl<'a> Edit<'a> {
    /// A change of the lane as a whole, by one rule.
    fn of_lane(&self, lane: &'a Lane, fault: Option<Fault>) -> Option<Change<'a>> {
        fault.map(|fault| Change {
            lane,
            target: None,
            column: Column::Ceiling,
            is_create: self.old.is_none(),
            lifts: vec![],
            faults: vec![fault],
        })
    }

    fn of_target(
        &self,
        lane: &'a Lane,
        target: &'a Target,
        column: Column,
        lifts: Vec<Lift>,
        mut faults: Vec<Fault>,
    ) -> Change<'a> {
        faults.extend(replica_floor::activation(target, &lifts));
        Change { lane, target: Some(target), column, is_create: self.old.is_none(), lifts, faults }
    }

    /// A measurement URL of the lane in what is not its ScaledObject or ScaledJob.
    fn foreign_caller(&self, kind: Kind, lane: &'a Lane, changes: &mut Vec<Change<'a>>) {
        let here = lane.namespace == self.request.namespace;
        let own = |target: &Target| match (kind, &target.scaled_object) {
            (Kind::ScaledObject, Some(name)) => self.request.may_be_named(name),
            (Kind::ScaledObject, None) => is_target(target, ScaledObject(self.new).target()),
            (Kind::ScaledJob, _) => {
                target.kind == TargetKind::ScaledJob && self.request.may_be_named(&target.name)
            }
            _ => false,
        };
        let may_poll = matches!(kind, Kind::ScaledObject | Kind::ScaledJob | Kind::Measurement);
        if may_poll && !(here && lane.targets.iter().any(own)) {
            changes.extend(
                self.of_lane(lane, queue_trigger::foreign_caller(lane, self.old, self.new)),
            );
        }
    }

    fn scaled_object(&self, lane: &'a Lane, changes: &mut Vec<Change<'a>>) {
        let (old, new) = (self.old.map(ScaledObject), ScaledObject(self.new));
        let name = &self.request.name;
        changes.extend(self.of_lane(lane, scale_target::find(lane, name, old, new)));
        for target in &lane.targets {
            let old_here = old.filter(|so| is_target(target, so.target()));
            let lifts = match (old_here, is_target(target, new.target())) {
                (Some(old), true) => lifts::scaled_object::update(old, new),
                (Some(_), false) => vec![lifts::scaled_object::retarget_away(target, new.target())],
                (None, true) => lifts::scaled_object::create(name, target, new, old.is_some()),
                (None, false) => continue,
            };
            let mut faults = Vec::new();
            if is_target(target, new.target()) {
                faults.extend(queue_trigger::find(&self.settings.limits, old_here, new));
                faults.extend(cooldown::find(&self.settings.limits, old_here, new));
                faults.extend(replica_floor::find(
                    target,
                    lane.min_replicas.of(target.slice),
                    "spec.minReplicaCount",
                    old_here.map(|so| so.replicas()).as_ref(),
                    &new.replicas(),
                ));
            }
            changes.push(self.of_target(lane, target, Column::Ceiling, lifts, faults));
        }
    }

    fn status(&self, lane: &'a Lane, changes: &mut Vec<Change<'a>>) {
        let Some(old) = self.old.map(ScaledObject) else { return };
        let new = ScaledObject(self.new);
        for target in lane.targets.iter().filter(|t| is_target(t, new.target())) {
            let lifts = lifts::scaled_object::status(&self.request.name, old, new);
            changes.push(self.of_target(lane, target, Column::Ceiling, lifts, vec![]));
        }
    }

    fn scaled_job(&self, lane: &'a Lane, changes: &mut Vec<Change<'a>>) {
        for target in self.named(lane, TargetKind::ScaledJob) {
            let lifts = lifts::scaled_job::lifts(self.old.map(ScaledJob), ScaledJob(self.new));
            let faults = self.skill_lock(TargetKind::ScaledJob).into_iter().collect();
            changes.push(self.of_target(lane, target, Column::Ceiling, lifts, faults));
        }
    }

    fn hpa(&self, lane: &'a Lane, changes: &mut Vec<Change<'a>>) {
        let (old, new) = (self.old.map(Hpa), Hpa(self.new));
        let name = &self.request.name;
        let scaled_by = |hpa: Hpa<'a>| hpa.0.reference(&["spec", "scaleTargetRef"]);
        for target in &lane.targets {
            let old_here = old.filter(|hpa| is_target(target, scaled_by(*hpa)));
            let lifts = match (old_here, is_target(target, scaled_by(new))) {
                (Some(old), true) => lifts::hpa::update(name, target, old, new),
                // Another than KEDA's held nothing.
                (Some(_), false) if !is_kedas(name, target) => continue,
                (Some(_), false) => {
                    vec![lifts::scaled_object::retarget_away(target, scaled_by(new))]
                }
                (None, true) => lifts::hpa::create(name, target, new, old.is_some()),
                (None, false) => continue,
            };
            let mut faults = Vec::new();
            // KEDA's own is made after a ScaledObject that was judged.
            if is_target(target, scaled_by(new)) && (old_here.is_some() || !is_kedas(name, target))
            {
                faults.extend(cooldown::of_behavior(
                    "spec.behavior",
                    &self.settings.limits,
                    old_here.map(|hpa| hpa.behavior()),
                    new.behavior(),
                ));
                if target.slice == gate::slice::Slice::Stable {
                    faults.extend(replica_floor::find(
                        target,
                        lane.min_replicas.of(target.slice),
                        "spec.minReplicas",
                        old_here.map(|hpa| hpa.replicas()).as_ref(),
                        &new.replicas(),
                    ));
                }
            }
            changes.push(self.of_target(lane, target, Column::Ceiling, lifts, faults));
        }
    }

    fn workload(&self, lane: &'a Lane, kind: TargetKind, changes: &mut Vec<Change<'a>>) {
        for target in self.named(lane, kind) {
            let lifts = lifts::workload::workload(
                self.old,
                self.new,
                lane.declared().share(target.slice).into(),
            );
            let mut faults: Vec<Fault> = self.skill_lock(kind).into_iter().collect();
            let runs = |object: Object| workload::workload_ref(object).map(|r| r.name.to_owned());
            if self.old.is_some_and(|old| runs(old) != runs(self.new)) {
                faults.push(Fault {
                    when: When::OtherHash(None),
                    ..Fault::always(Rule::SkillLock, "spec.workloadRef", "runs another template")
                });
            }
            changes.push(self.of_target(lane, target, Column::Scale, lifts, faults));
        }
        // A Rollout that runs the template of a target is more of its pods.
        let runs = |object: Object<'a>, target: &Target| {
            workload::workload_ref(object).is_some_and(|r| is_target(target, r))
        };
        let is_listed = self.named(lane, kind).next().is_some();
        for target in lane.targets.iter().filter(|t| runs(self.new, t)) {
            let old = self.old.filter(|old| runs(*old, target));
            let mut lifts = lifts::workload::workload(
                old,
                self.new,
                lane.declared().share(target.slice).into(),
            );
            if old.is_none() && !is_listed {
                lifts.push(lifts::workload::unlisted_rollout(target));
            }
            changes.push(self.of_target(lane, target, Column::Scale, lifts, vec![]));
        }
    }

    /// A Job that KEDA made for a ScaledJob of the lane.
    fn job_of_scaled_job(&self, lane: &'a Lane, changes: &mut Vec<Change<'a>>) {
        let Some(old) = self.old else { return };
        let label = old.text(&["metadata", "labels", JOB_LABEL]);
        let is_its = |t: &&Target| t.kind == TargetKind::ScaledJob && t.name == label;
        for target in lane.targets.iter().filter(is_its) {
            let lifts = lifts::scaled_job::job(old, self.new);
            changes.push(self.of_target(lane, target, Column::Scale, lifts, vec![]));
        }
    }

    /// A Scale is told apart by the resource that it is of; where that is not
    /// known, every target of the name is meant.
    fn scale(&self, lane: &'a Lane, changes: &mut Vec<Change<'a>>) {
        let of = self.request.resource.as_str();
        let is_other =
            |kind: TargetKind| !of.is_empty() && of != kind.resource() && of != kind.name();
        let known = TargetKind::ALL.iter().any(|k| !is_other(*k));
        for target in &lane.targets {
            if known && !is_other(target.kind) && self.request.may_be_named(&target.name) {
                let lifts = lifts::workload::scale(self.old, self.new);
                changes.push(self.of_target(lane, target, Column::Scale, lifts, vec![]));
            }
        }
    }

    fn named(&self, lane: &'a Lane, kind: TargetKind) -> impl Iterator<Item = &'a Target> + '_ {
        lane.targets.iter().filter(move |t| t.kind == kind && self.request.may_be_named(&t.name))
    }

    fn skill_lock(&self, kind: TargetKind) -> Option<Fault> {
        let annotation = &self.settings.skill_hash_annotation;
        let hash = |object: Object<'a>| workload::skill_hash(object, kind, annotation);
        skill_lock::find(annotation, self.old.map(hash), hash(self.new))
    }
}

#[cfg(test)]
mod tests;
