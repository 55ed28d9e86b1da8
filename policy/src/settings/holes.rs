//! Settings that can be read, and guard less than they seem to.
//!
//! They are looked for when a policy is installed. What is refused here would be believed
//! to guard: a name that no object can have, a bound that bounds nothing, a group that is
//! everybody.

use super::{names, Lane, Settings};
use gate::fields::Faults;
use gate::slice::Slice;
use gate::target::Target;

/// Longest age of a verdict that counts, seconds. Gateways publish each minute, and a
/// canary fails within minutes: what is older says nothing of it.
const MOST_STATE_AGE_S: u64 = 3_600;
/// Longest that an override may last, seconds: a long weekend.
const MOST_OVERRIDE_S: u64 = 72 * 3_600;
/// Groups that are everybody, every program, or every node.
const EVERYBODY: [&str; 4] =
    ["system:authenticated", "system:unauthenticated", "system:serviceaccounts", "system:nodes"];
/// Who sends no credentials (Kubernetes `apiserver/pkg/authentication/user`, `Anonymous`).
const ANONYMOUS: &str = "system:anonymous";

pub fn find(settings: &Settings, faults: &mut Faults) {
    for (i, lane) in settings.lanes.iter().enumerate() {
        let mut fault =
            |field: &str, what: String| faults.push(format!("lanes[{i}].{field}: {what}"));
        names_of(lane, &mut fault);
        bounds_of(lane, &mut fault);
        writers_of(lane, &mut fault);
        let others =
            settings.lanes.iter().take(i).filter(|other| other.namespace == lane.namespace);
        for other in others {
            let twin = lane.gateways.iter().find(|g| other.gateways.iter().any(|o| o.id == g.id));
            if let Some(twin) = twin {
                let what = format!(
                    "{} is of lane {} too, and its state is of one lane",
                    twin.id, other.name
                );
                fault("gateways", what);
            }
        }
    }
    let annotation = &settings.skill_hash_annotation;
    if !names::is_annotation(annotation) {
        faults.push(format!("skillHashAnnotation: `{annotation}` is no key of an annotation"));
    }
    for user in &settings.replica_set_writers {
        if let Some(what) = not_somebody(user) {
            faults.push(format!("replicaSetWriters: {what}"));
        }
    }
    let limits = &settings.limits;
    for (key, limit) in [
        ("queueThreshold", limits.queue_threshold),
        ("cooldownPeriod", limits.cooldown_period),
        ("maintenancePollingInterval", limits.maintenance_polling_interval),
    ] {
        if limit == 0 {
            faults.push(format!("limits.{key}: 0 limits nothing; set the rule to `off` instead"));
        }
    }
    if let Some(glass) = &settings.break_glass {
        if glass.max_duration.0 > MOST_OVERRIDE_S {
            faults.push(format!("breakGlass.maxDuration: is longer than {MOST_OVERRIDE_S}s"));
        }
        let of_workers = |group: &str| {
            let namespace = group.strip_prefix("system:serviceaccounts:");
            namespace.is_some_and(|n| settings.lanes.iter().any(|lane| lane.namespace == n))
        };
        for group in &glass.groups {
            if EVERYBODY.contains(&group.as_str()) || of_workers(group) || group.trim() != group {
                faults.push(format!(
                    "breakGlass.groups: `{group}` is not a group of people who may break the glass"
                ));
            }
        }
    }
}

/// Why a user is nobody in particular.
fn not_somebody(user: &str) -> Option<String> {
    if user == ANONYMOUS {
        Some(format!("`{user}` is whoever does not say who they are"))
    } else {
        (!names::is_user(user)).then(|| format!("nobody is called `{user}`"))
    }
}

type Fault<'a> = &'a mut dyn FnMut(&str, String);

fn names_of(lane: &Lane, fault: Fault) {
    let mut name = |field: String, text: &str, is_one: fn(&str) -> bool| {
        if !is_one(text) {
            fault(&field, format!("no object can be called `{text}`"));
        }
    };
    name("name".into(), &lane.name, names::is_lane);
    name("namespace".into(), &lane.namespace, names::is_namespace);
    for (i, target) in lane.targets.iter().enumerate() {
        name(format!("targets[{i}].name"), &target.name, names::is_object);
        for (key, other) in [("scaledObject", &target.scaled_object), ("hpa", &target.hpa)] {
            if let Some(other) = other {
                name(format!("targets[{i}].{key}"), other, names::is_object);
            }
        }
    }
    for (i, gateway) in lane.gateways.iter().enumerate() {
        name(format!("gateways[{i}].id"), &gateway.id, names::is_object);
    }
}

fn bounds_of(lane: &Lane, fault: Fault) {
    let least = lane.min_replicas;
    if lane.max_state_age.0 > MOST_STATE_AGE_S {
        fault("maxStateAge", format!("is longer than {MOST_STATE_AGE_S}s"));
    }
    // What is below its minimum may rise to it in every state.
    match lane.stable_replicas {
        Some(stable) if least.stable > stable => fault(
            "minReplicas.stable",
            format!("{} is above stableReplicas {stable}, and holds in every state", least.stable),
        ),
        None if least.stable > super::MIN_STABLE => fault(
            "minReplicas.stable",
            format!("{} needs a stableReplicas that bounds it", least.stable),
        ),
        _ => {}
    }
    if least.canary > lane.headroom {
        let what = format!("{} is above headroom {}", least.canary, lane.headroom);
        fault("minReplicas.canary", what);
    }
    parts_of(lane, fault);
}

/// Targets of one slice: each may have all that the slice may have, unless it has a part.
fn parts_of(lane: &Lane, fault: Fault) {
    for (i, target) in lane.targets.iter().enumerate() {
        let (key, all, least) = match target.slice {
            Slice::Stable => ("stableReplicas", lane.stable_replicas, lane.min_replicas.stable),
            Slice::Canary => ("headroom", Some(lane.headroom), 0),
        };
        // Of the canaries one AZ's is under test; one without an AZ is in all.
        let meets = |other: &Target| match target.slice {
            Slice::Stable => true,
            Slice::Canary => other.az.is_none() || target.az.is_none() || other.az == target.az,
        };
        let same = |other: &&Target| other.slice == target.slice && meets(other);
        let mut alike = lane.targets.iter().filter(same);
        let other = alike.clone().find(|other| other.name != target.name);
        match (target.replicas, other) {
            (None, Some(other)) => fault(
                &format!("targets[{i}].replicas"),
                format!("is missing: {} shares {key} with it, and each needs its part", other.name),
            ),
            (Some(part), _) if part < least => fault(
                &format!("targets[{i}].replicas"),
                format!("{part} is below minReplicas.stable {least}, which holds in every state"),
            ),
            _ => {}
        }
        let is_first = alike.next().is_some_and(|first| std::ptr::eq(first, target));
        let parts = lane.targets.iter().filter(same).map(|t| u64::from(t.replicas.unwrap_or(0)));
        let sum: u64 = parts.sum();
        if let Some(all) = all.filter(|all| is_first && sum > u64::from(*all)) {
            fault("targets", format!("their parts come to {sum}, and {key} is {all}"));
        }
    }
    let beside: u64 = lane.targets.iter().map(|t| u64::from(t.headroom.unwrap_or(0))).sum();
    if beside > u64::from(lane.headroom) {
        let what =
            format!("their parts of the headroom come to {beside}, and it is {}", lane.headroom);
        fault("targets", what);
    }
}

fn writers_of(lane: &Lane, fault: Fault) {
    for (i, gateway) in lane.gateways.iter().enumerate() {
        let Some(writer) = &gateway.writer else { continue };
        if let Some(what) = not_somebody(writer) {
            fault(&format!("gateways[{i}].writer"), what);
        }
        let twin = lane.gateways.iter().take(i).find(|g| g.writer.as_ref() == Some(writer));
        if let Some(twin) = twin {
            fault(
                &format!("gateways[{i}].writer"),
                format!("is that of {} too, which then can write this verdict", twin.id),
            );
        }
    }
}
