//! Which lanes an edit touches, and what it does there.
//!
//! A lane is its scale targets, by namespace, kind and name and nothing else:
//! no label is looked at, so relabelling is no way out, and a Scale object has
//! none. An edit touches a lane when the old or the new object does, so
//! neither is retargeting.

use crate::change::{Change, Fault, Lift, LookUp, PodsInAll, When};
use crate::fields::{Changes, Table};
use crate::lifts;
use crate::objects::config_map::ConfigMap;
use crate::objects::hpa::{is_kedas, Hpa};
use crate::objects::job::Job;
use crate::objects::scaled_job::JOB_LABEL;
use crate::objects::scaled_object::ScaledObject;
use crate::objects::{workload, Object, TargetRef};
use crate::pods::{self, Pods};
use crate::request::{Kind, Operation, Request};
use crate::rules::{
    cooldown, promotion_freeze, queue_trigger, replica_floor, scale_target, skill_lock, state_owner,
};
use crate::settings::{Lane, Settings, UnknownFields};
use gate::lane::Column;
use gate::parse::Json;
use gate::rule::Rule;
use gate::slice::Slice;
use gate::target::{Target, TargetKind};
use gate::time::Timestamp;

/// What the rules look at.
struct Edit<'a> {
    settings: &'a Settings,
    request: &'a Request<'a>,
    old: Option<Object<'a>>,
    new: Object<'a>,
    table: Option<Table>,
}

/// The changes of a request; empty when it is in no lane's scope. `tables` has the rows of
/// the fields (`crate::fields::table`).
///
/// # Errors
/// The part of the request that cannot be read.
pub fn changes<'a>(
    settings: &'a Settings,
    request: &'a Request<'a>,
    now: Timestamp,
    tables: &dyn Fn(Kind) -> Option<Table>,
) -> Result<Vec<Change<'a>>, String> {
    let Some(kind) = Kind::of(request) else { return Ok(vec![]) };
    let old = match request.operation()? {
        Operation::Other => return Ok(vec![]),
        Operation::Create => None,
        Operation::Update => Some(object(&request.old_object, "request.oldObject")?),
    };
    let new = object(&request.object, "request.object")?;
    // Only ClusterAnalysisTemplate has no namespace.
    if request.namespace.is_empty() && kind != Kind::Measurement {
        return Err("request.namespace: is missing".to_owned());
    }
    let edit = Edit { settings, request, old, new, table: tables(kind) };
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
                Kind::RolloutStatus => edit.rollout_status(lane, &mut changes),
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
                Kind::ReplicaSet => edit.replica_set(lane, &mut changes),
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

/// Whether a ReplicaSet is, or was, one of the target: by its controller, or by the name
/// that Deployments and Rollouts give theirs, which it keeps when it is let go.
fn is_replica_set_of(target: &Target, name: &str, object: Object) -> bool {
    if !matches!(target.kind, TargetKind::Deployment | TargetKind::Rollout) {
        return false;
    }
    match lifts::replica_set::owner(object) {
        Some(owner) => owner.kind == target.kind.name() && owner.name == target.name,
        None => workload::is_replica_set_name(&target.name, name),
    }
}

impl<'a> Edit<'a> {
    /// The fields that differ, by what they do.
    fn fields(&self) -> Changes {
        let mut changes = match &self.table {
            Some(table) => Changes::between(table, self.old.map(|old| old.0), self.new.0),
            None => Changes::default(),
        };
        if self.settings.unknown_fields == UnknownFields::Pass {
            changes.fields.retain(|changed| changed.effect.is_some());
        }
        changes
    }

    fn pods(&self, most: impl Fn(Object<'a>) -> Pods) -> Option<PodsInAll> {
        Some(PodsInAll { before: self.old.map(&most), after: most(self.new) })
    }

    /// A change of the lane as a whole, by one rule.
    fn of_lane(&self, lane: &'a Lane, fault: Option<Fault>) -> Option<Change<'a>> {
        fault.map(|fault| Change {
            lane,
            target: None,
            column: Column::Ceiling,
            is_create: self.old.is_none(),
            lifts: vec![],
            faults: vec![fault],
            pods: None,
            edited: vec![],
            look_up: None,
        })
    }

    /// A change of one target, of which `fields` differ.
    fn of_target(
        &self,
        lane: &'a Lane,
        target: &'a Target,
        column: Column,
        fields: &Changes,
        lifts: Vec<Lift>,
    ) -> Change<'a> {
        let edited = match self.old {
            Some(_) => fields.fields.iter().map(|changed| changed.path.clone()).collect(),
            None => vec![],
        };
        Change {
            lane,
            target: Some(target),
            column,
            is_create: self.old.is_none(),
            faults: Vec::from_iter(replica_floor::activation(target, &lifts)),
            lifts,
            pods: None,
            edited,
            look_up: None,
        }
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
                self.of_lane(lane, queue_trigger::foreign_caller(kind, lane, self.old, self.new)),
            );
        }
    }

    fn scaled_object(&self, lane: &'a Lane, changes: &mut Vec<Change<'a>>) {
        let (old, new) = (self.old.map(ScaledObject), ScaledObject(self.new));
        let name = &self.request.name;
        changes.extend(self.of_lane(lane, scale_target::find(lane, name, old, new)));
        let touches = |target: &&Target| {
            is_target(target, new.target()) || old.is_some_and(|o| is_target(target, o.target()))
        };
        if !lane.targets.iter().any(|t| touches(&t)) {
            return;
        }
        let fields = self.fields();
        let most =
            |o: Object<'a>| Pods::up_to(lifts::autoscaler::most(&ScaledObject(o).replicas()));
        for target in &lane.targets {
            let old_here = old.filter(|so| is_target(target, so.target()));
            let lifts = match (old_here, is_target(target, new.target())) {
                (Some(old), true) => lifts::scaled_object::update(old, new, &fields),
                _ if fields.is_empty() => vec![],
                (Some(_), false) => vec![lifts::scaled_object::retarget_away(target, new.target())],
                (None, true) => {
                    lifts::scaled_object::create(name, target, new, old.is_some(), &fields)
                }
                (None, false) => continue,
            };
            let mut faults = Vec::new();
            if is_target(target, new.target()) {
                if old_here.is_none() || fields.below(&queue_trigger::LOOKED_AT) {
                    faults.extend(queue_trigger::find(&self.settings.limits, old_here, new));
                }
                faults.extend(cooldown::find(&self.settings.limits, old_here, new));
                faults.extend(replica_floor::find(
                    target,
                    lane.min_replicas.of(target.slice),
                    "spec.minReplicaCount",
                    old_here.map(|so| so.replicas()).as_ref(),
                    &new.replicas(),
                ));
            }
            let pods = self.pods(most);
            let change = self.of_target(lane, target, Column::Ceiling, &fields, lifts);
            changes.push(change.with(faults, pods));
        }
    }

    fn status(&self, lane: &'a Lane, changes: &mut Vec<Change<'a>>) {
        let Some(old) = self.old.map(ScaledObject) else { return };
        let new = ScaledObject(self.new);
        for target in lane.targets.iter().filter(|t| is_target(t, new.target())) {
            let fields = self.fields();
            let lifts = lifts::scaled_object::status(&self.request.name, old, new, &fields);
            changes.push(self.of_target(lane, target, Column::Ceiling, &fields, lifts));
        }
    }

    fn scaled_job(&self, lane: &'a Lane, changes: &mut Vec<Change<'a>>) {
        for target in self.named(lane, TargetKind::ScaledJob) {
            let fields = self.fields();
            let lifts = lifts::scaled_job::lifts(self.old, self.new, &fields);
            let faults = Vec::from_iter(self.skill_lock(TargetKind::ScaledJob));
            let pods = self.pods(lifts::scaled_job::most);
            let change = self.of_target(lane, target, Column::Ceiling, &fields, lifts);
            changes.push(change.with(faults, pods));
        }
    }

    fn hpa(&self, lane: &'a Lane, changes: &mut Vec<Change<'a>>) {
        let (old, new) = (self.old.map(Hpa), Hpa(self.new));
        let name = &self.request.name;
        let scaled_by = |hpa: Hpa<'a>| hpa.0.reference(&["spec", "scaleTargetRef"]);
        for target in &lane.targets {
            let on_its_replica_set = |hpa: Hpa<'a>| {
                let reference = scaled_by(hpa);
                let kinds = [TargetKind::Deployment, TargetKind::Rollout];
                kinds.contains(&target.kind)
                    && reference.kind == "ReplicaSet"
                    && workload::is_replica_set_name(&target.name, reference.name)
            };
            if on_its_replica_set(new) && !old.is_some_and(on_its_replica_set) {
                let lifts = vec![lifts::hpa::on_a_replica_set()];
                let fields = self.fields();
                changes.push(self.of_target(lane, target, Column::Ceiling, &fields, lifts));
            }
        }
        let touches = |target: &&Target| {
            is_target(target, scaled_by(new))
                || old.is_some_and(|o| is_target(target, scaled_by(o)))
        };
        if !lane.targets.iter().any(|t| touches(&t)) {
            return;
        }
        let fields = self.fields();
        let most = |o: Object<'a>| Pods::up_to(lifts::autoscaler::most(&Hpa(o).replicas()));
        for target in &lane.targets {
            let old_here = old.filter(|hpa| is_target(target, scaled_by(*hpa)));
            let lifts = match (old_here, is_target(target, scaled_by(new))) {
                (Some(old), true) => lifts::hpa::update(name, target, old, new, &fields),
                _ if fields.is_empty() => continue,
                // An HPA that is not KEDA's limited nothing, so removing it lifts nothing.
                (Some(_), false) if !is_kedas(name, target) => continue,
                (Some(_), false) => {
                    vec![lifts::scaled_object::retarget_away(target, scaled_by(new))]
                }
                (None, true) => lifts::hpa::create(name, target, new, old.is_some(), &fields),
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
                if target.slice == Slice::Stable {
                    faults.extend(replica_floor::find(
                        target,
                        lane.min_replicas.of(target.slice),
                        "spec.minReplicas",
                        old_here.map(|hpa| hpa.replicas()).as_ref(),
                        &new.replicas(),
                    ));
                }
            }
            let pods = self.pods(most);
            let change = self.of_target(lane, target, Column::Ceiling, &fields, lifts);
            let owner = lifts::replica_set::owner(self.new).filter(|o| o.kind == "ScaledObject");
            let look_up = owner.filter(|_| old.is_none()).map(|owner| LookUp::ScaledObject {
                name: owner.name.to_owned(),
                uid: owner.uid.to_owned(),
            });
            changes.push(Change { look_up, ..change.with(faults, pods) });
        }
    }

    fn workload(&self, lane: &'a Lane, kind: TargetKind, changes: &mut Vec<Change<'a>>) {
        let most = |o: Object<'a>| lifts::workload::most(kind, o, workload::replicas(o));
        for target in self.named(lane, kind) {
            let declared = lane.declared().of(Some(target)).share(target.slice).into();
            let fields = self.fields();
            let lifts = lifts::workload::workload(kind, self.old, self.new, declared, &fields);
            let mut faults: Vec<Fault> = self.skill_lock(kind).into_iter().collect();
            let runs = |object: Object| workload::workload_ref(object).map(|r| r.name.to_owned());
            if self.old.is_some_and(|old| runs(old) != runs(self.new)) {
                faults.push(Fault {
                    when: When::OtherHash(None),
                    ..Fault::always(Rule::SkillLock, "spec.workloadRef", "runs another template")
                });
            }
            let pods = self.pods(most);
            let change = self.of_target(lane, target, Column::Scale, &fields, lifts);
            changes.push(change.with(faults, pods));
        }
        // A Rollout that runs the template of a target is more of its pods.
        let runs = |object: Object<'a>, target: &Target| {
            workload::workload_ref(object).is_some_and(|r| is_target(target, r))
        };
        let is_listed = self.named(lane, kind).next().is_some();
        for target in lane.targets.iter().filter(|t| runs(self.new, t)) {
            let old = self.old.filter(|old| runs(*old, target));
            let declared = lane.declared().of(Some(target)).share(target.slice).into();
            let fields = self.fields();
            if fields.is_empty() {
                continue;
            }
            let mut lifts = lifts::workload::workload(kind, old, self.new, declared, &fields);
            if old.is_none() && !is_listed {
                lifts.push(lifts::workload::unlisted_rollout(target));
            }
            let pods = self.pods(most);
            let change = self.of_target(lane, target, Column::Scale, &fields, lifts);
            changes.push(change.with(vec![], pods));
        }
    }

    fn rollout_status(&self, lane: &'a Lane, changes: &mut Vec<Change<'a>>) {
        let Some(old) = self.old else { return };
        for target in self.named(lane, TargetKind::Rollout) {
            let fields = self.fields();
            let lifts = Vec::from_iter(lifts::workload::rollout_status(old, self.new, &fields));
            changes.push(self.of_target(lane, target, Column::Scale, &fields, lifts));
        }
    }

    /// A Job that KEDA made for a ScaledJob of the lane.
    fn job_of_scaled_job(&self, lane: &'a Lane, changes: &mut Vec<Change<'a>>) {
        // KEDA makes Jobs, and no CronJobs.
        let Some(old) = self.old.filter(|_| self.request.kind == "Job") else { return };
        let label = old.text(&["metadata", "labels", JOB_LABEL]);
        let owner = lifts::replica_set::owner(old).filter(|o| o.kind == "ScaledJob");
        let is_its = |t: &&Target| {
            let is_owner = owner.is_some_and(|owner| owner.name == t.name);
            t.kind == TargetKind::ScaledJob && (t.name == label || is_owner)
        };
        for target in lane.targets.iter().filter(is_its) {
            let fields = self.fields();
            let lifts = lifts::scaled_job::job(old, self.new, &fields);
            let pods = self.pods(|o| pods::job::FORMULA.of(o, 0));
            let change = self.of_target(lane, target, Column::Scale, &fields, lifts);
            changes.push(change.with(vec![], pods));
        }
    }

    /// A Scale is told apart by the resource that it is of; where that is not
    /// known, every target of the name is meant.
    fn scale(&self, lane: &'a Lane, changes: &mut Vec<Change<'a>>) {
        let of = self.request.resource.as_str();
        if of == "replicasets" {
            return self.scale_of_replica_set(lane, changes);
        }
        let is_other =
            |kind: TargetKind| !of.is_empty() && of != kind.resource() && of != kind.name();
        let known = TargetKind::ALL.iter().any(|k| !is_other(*k));
        let is_its =
            |target: &Target| !is_other(target.kind) && self.request.may_be_named(&target.name);
        // A Rollout may run the template of a Deployment, and its Scale does not say.
        let is_unlisted = of == TargetKind::Rollout.resource() && !lane.targets.iter().any(is_its);
        for target in &lane.targets {
            let may_be_run = is_unlisted && target.kind == TargetKind::Deployment;
            if known && (is_its(target) || may_be_run) {
                let fields = self.fields();
                let lifts = lifts::workload::scale(self.old, self.new, &fields);
                let pods = self.pods(|o| Pods::up_to(workload::scale_replicas(o)));
                let change = self.of_target(lane, target, Column::Scale, &fields, lifts);
                let look_up =
                    may_be_run.then(|| LookUp::Rollout { name: self.request.name.clone() });
                changes.push(Change { look_up, ..change.with(vec![], pods) });
            }
        }
    }

    /// A ReplicaSet that a target owns or owned, written by another than its controller.
    fn replica_set(&self, lane: &'a Lane, changes: &mut Vec<Change<'a>>) {
        if self.settings.replica_set_writers.contains(&self.request.user) {
            return;
        }
        for target in &lane.targets {
            let of = |o: Object<'a>| is_replica_set_of(target, &self.request.name, o);
            if of(self.new) || self.old.is_some_and(of) {
                let fields = self.fields();
                let lifts = lifts::replica_set::lifts(self.old, self.new, &fields);
                let pods = self.pods(|o| Pods::up_to(workload::replicas(o)));
                let change = self.of_target(lane, target, Column::Scale, &fields, lifts);
                changes.push(change.with(vec![], pods));
            }
        }
    }

    /// A Scale has no owner, so a ReplicaSet is a target's by its name, or may be one by a
    /// selector such as the controllers write; a name alone says nothing, since a controller
    /// takes up what matches its selector. Nobody is exempt: the controllers write the
    /// ReplicaSet itself.
    fn scale_of_replica_set(&self, lane: &'a Lane, changes: &mut Vec<Change<'a>>) {
        let kinds = [TargetKind::Deployment, TargetKind::Rollout];
        let mut targets = lane.targets.iter().filter(|target| kinds.contains(&target.kind));
        let is_its = |t: &&Target| workload::is_replica_set_name(&t.name, &self.request.name);
        let by_name = targets.clone().find(is_its);
        let has_owner = workload::is_of_a_controller(self.new);
        if let Some(target) = by_name.or_else(|| targets.next().filter(|_| has_owner)) {
            let fields = self.fields();
            let lifts = lifts::replica_set::scale(self.old, self.new, &fields);
            let pods = self.pods(|o| Pods::up_to(workload::scale_replicas(o)));
            let change = self.of_target(lane, target, Column::Scale, &fields, lifts);
            changes.push(change.with(vec![], pods));
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
