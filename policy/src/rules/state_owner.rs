//! `state-owner`: a lane's state is written by the gateway it is of, and an
//! override by those who may break the glass.
//!
//! Else the freeze could be lifted by editing the verdict. Deleting it fails
//! closed by itself.

use crate::change::Fault;
use crate::objects::config_map::ConfigMap;
use crate::objects::Object;
use crate::request::Request;
use crate::settings::{Gateway, Lane, Settings};
use gate::break_glass::{self, Override};
use gate::rule::Rule;
use gate::time::Timestamp;
use gate::verdict::{config_map_name, LANE_LABEL};

/// What is wrong with a write of a ConfigMap in the lane's namespace; `None`
/// for one that is not the lane's state. `old` is absent on CREATE.
pub fn find(
    settings: &Settings,
    lane: &Lane,
    request: &Request,
    old: Option<ConfigMap>,
    new: ConfigMap,
    now: Timestamp,
) -> Option<Fault> {
    let of = |lane: &'_ Lane| (override_of(lane, request), gateway_of(lane, request).is_some());
    let (is_override, is_gateway) = of(lane);
    let labelled = |c: ConfigMap| c.lane() == lane.name;
    let is_anothers = || {
        settings.lanes.iter().any(|other| {
            other.namespace == lane.namespace
                && other.name != lane.name
                && of(other) != (false, false)
        })
    };
    let is_named_as_state = is_state_name(request) && !is_anothers();
    let concerns = is_override || is_gateway || is_named_as_state;
    if !concerns && !labelled(new) && !old.is_some_and(labelled) {
        return None;
    }
    if old.is_some_and(|old| new.says_the_same_as(old)) {
        return None;
    }
    let fault = |field: &str, what: String| Some(Fault::always(Rule::StateOwner, field, what));
    let user = if request.user.is_empty() { "nobody" } else { &request.user };
    if is_override {
        if !labelled(new) {
            return fault(&label(), format!("must be {}, else nobody reads it", lane.name));
        }
        return match override_fault(settings, request, old, new, now) {
            Some(what) => fault("data.override", what),
            None => None,
        };
    }
    let Some(gateway) = gateway_of(lane, request) else {
        let (field, what) = if labelled(new) || old.is_some_and(labelled) {
            (label(), "is that of a lane's state, and no gateway of the lane has this name")
        } else {
            let what = "is that of a lane's state, and no gateway and no override of the settings \
                        has it: list the gateway first";
            ("metadata.name".to_owned(), what)
        };
        return fault(&field, what.to_owned());
    };
    if request.user.is_empty() || gateway.writer.as_ref() != Some(&request.user) {
        let writer = gateway.writer.as_deref().unwrap_or("nobody, by the settings");
        return fault(
            "data",
            format!("is written by {user}, and the writer of {} is {writer}", gateway.id),
        );
    }
    match new.gateway() {
        Some(named) if named != gateway.id => fault(
            "data.verdict",
            format!("is of the gateway {named}, in the place of {}", gateway.id),
        ),
        _ => None,
    }
}

fn label() -> String {
    format!("metadata.labels[{LANE_LABEL}]")
}

/// Whether the name is one of those that gateways' states and overrides have, of whatever
/// gateway: it may be listed tomorrow, and what stands there then counts.
fn is_state_name(request: &Request) -> bool {
    let prefix = config_map_name("");
    let generated = Object(&request.object).text(&["metadata", "generateName"]);
    request.name.starts_with(&prefix) || (request.name.is_empty() && generated.starts_with(&prefix))
}

fn override_of(lane: &Lane, request: &Request) -> bool {
    request.may_be_named(&break_glass::config_map_name(&lane.name))
}

fn gateway_of<'a>(lane: &'a Lane, request: &Request) -> Option<&'a Gateway> {
    lane.gateways.iter().find(|g| request.may_be_named(&config_map_name(&g.id)))
}

fn override_fault(
    settings: &Settings,
    request: &Request,
    old: Option<ConfigMap>,
    new: ConfigMap,
    now: Timestamp,
) -> Option<String> {
    let Some(break_glass) = &settings.break_glass else {
        return Some("has no effect: the settings have no breakGlass".to_owned());
    };
    if request.user.is_empty() || !request.groups.iter().any(|g| break_glass.groups.contains(g)) {
        return Some(format!("may be written by members of {}", break_glass.groups.join(", ")));
    }
    // The API server sets the time when it is made, and keeps it.
    let Some(created) = old.map_or(Some(now), ConfigMap::created) else {
        return Some("is in an object without a creationTimestamp".to_owned());
    };
    let written = match Override::parse(new.override_text(), created) {
        Ok(written) => written,
        Err(e) => return Some(format!("cannot be read: {e}")),
    };
    if written.by != request.user {
        return Some(format!("names {} as its writer, and that is {}", written.by, request.user));
    }
    if written.until <= now {
        return Some(format!("ended at {}, which is in the past", written.until));
    }
    let most = break_glass.max_duration.0;
    if written.until > written.ends(most) {
        let (until, end) = (written.until, written.ends(most));
        return Some(match old {
            None => format!("ends at {until}, and it may last {most} s from now at most"),
            Some(_) => format!(
                "ends at {until}, and this one, made at {created}, lasts until {end} at most: \
                 delete it and write another"
            ),
        });
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects::Object;
    use crate::settings::tests::sample;
    use rstest::rstest;
    use serde_json::{json, Value};

    const NOW: Timestamp = Timestamp::from_secs(1_795_510_800);
    const WRITER: &str = "system:serviceaccount:builds:canary-gate-gw-a1";

    fn state(gateway: &str) -> Value {
        json!({"metadata": {"labels": {LANE_LABEL: "openclaw-build-lane"}},
               "data": {"verdict": format!("{{\"gateway\":\"{gateway}\"}}")}})
    }
    fn override_of(by: &str, hours: u64, ceiling: Value) -> Value {
        let text = json!({"until": NOW.plus_secs(hours * 3600).to_string(), "reason": "incident 7", "by": by, "ceiling": ceiling});
        json!({"metadata": {"labels": {LANE_LABEL: "openclaw-build-lane"}}, "data": {"override": text.to_string()}})
    }

    fn made(seconds: i64, mut object: Value) -> Value {
        let at = Timestamp::from_millis(NOW.millis() + seconds * 1000);
        object["metadata"]["creationTimestamp"] = at.to_string().into();
        object
    }

    #[rstest]
    #[case::writer(WRITER, "canary-gate.gw-a1", None, state("gw-a1"), None)]
    #[case::admin(
        "kubernetes-admin",
        "canary-gate.gw-a1",
        None,
        state("gw-a1"),
        Some("is written by kubernetes-admin")
    )]
    #[case::nobody("", "canary-gate.gw-a1", None, state("gw-a1"), Some("is written by nobody"))]
    #[case::other_verdict(
        WRITER,
        "canary-gate.gw-a1",
        None,
        state("gw-b1"),
        Some("is of the gateway gw-b1")
    )]
    #[case::unreadable_freezes_by_itself(WRITER, "canary-gate.gw-a1", None, json!({"data": {"verdict": "{"}}), None)]
    #[case::same_by_another("gc", "canary-gate.gw-a1", Some(state("gw-a1")), state("gw-a1"), None)]
    #[case::label_removed("alice", "canary-gate.gw-a1", Some(state("gw-a1")), json!({"data": state("gw-a1")["data"]}), Some("is written by alice"))]
    #[case::made_immutable("alice", "canary-gate.gw-a1", Some(state("gw-a1")), json!({"metadata": state("gw-a1")["metadata"], "data": state("gw-a1")["data"], "immutable": true}), Some("is written by alice"))]
    #[case::unknown_gateway(
        WRITER,
        "canary-gate.gw-x",
        None,
        state("gw-x"),
        Some("no gateway of the lane has this name")
    )]
    #[case::unknown_without_label(WRITER, "canary-gate.gw-x", None, json!({"data": {}}), Some("no gateway and no override"))]
    #[case::a_name_to_come("alice", "", None, json!({"metadata": {"generateName": "canary-gate.gw-"}}), Some("no gateway and no override"))]
    #[case::of_another_lane_here("system:serviceaccount:gateways:gw-r1", "canary-gate.gw-r1", None, json!({"data": {}}), None)]
    #[case::override_of_another_lane_here("alice", "canary-gate.break-glass.review-lane", None, json!({"data": {}}), None)]
    #[case::override_without_label("alice", "canary-gate.break-glass.openclaw-build-lane", None, json!({"data": override_of("alice", 1, json!(8))["data"]}), Some("must be openclaw-build-lane"))]
    #[case::override_prolonged("alice", "canary-gate.break-glass.openclaw-build-lane", Some(made(-7200, override_of("alice", 1, json!(8)))), override_of("alice", 3, json!(8)), Some("delete it and write another"))]
    #[case::override_prolonged_within_its_time("alice", "canary-gate.break-glass.openclaw-build-lane", Some(made(-7200, override_of("alice", 1, json!(8)))), override_of("alice", 2, json!(8)), None)]
    #[case::override_of_no_age("alice", "canary-gate.break-glass.openclaw-build-lane", Some(override_of("alice", 1, json!(8))), override_of("alice", 2, json!(8)), Some("without a creationTimestamp"))]
    #[case::something_else("alice", "settings", None, json!({"data": {"a": "b"}}), None)]
    #[case::override_by_sre("alice", "canary-gate.break-glass.openclaw-build-lane", None, override_of("alice", 4, json!(8)), None)]
    #[case::override_for_too_long("alice", "canary-gate.break-glass.openclaw-build-lane", None, override_of("alice", 5, json!(8)), Some("may last 14400 s"))]
    #[case::override_that_ended("alice", "canary-gate.break-glass.openclaw-build-lane", None, override_of("alice", 0, json!(8)), Some("which is in the past"))]
    #[case::override_of_another("alice", "canary-gate.break-glass.openclaw-build-lane", None, override_of("bob", 1, json!(8)), Some("names bob as its writer"))]
    #[case::override_by_a_stranger("mallory", "canary-gate.break-glass.openclaw-build-lane", None, override_of("mallory", 1, json!(8)), Some("by members of sre"))]
    #[case::override_by_nobody("", "canary-gate.break-glass.openclaw-build-lane", None, override_of("", 1, json!(8)), Some("by members of sre"))]
    #[case::override_malformed("alice", "canary-gate.break-glass.openclaw-build-lane", None, override_of("alice", 1, json!("8")), Some("cannot be read: ceiling"))]
    #[case::override_touched_by_gc("gc", "canary-gate.break-glass.openclaw-build-lane", Some(override_of("alice", 1, json!(8))), override_of("alice", 1, json!(8)), None)]
    fn writes(
        #[case] user: &str,
        #[case] name: &str,
        #[case] old: Option<Value>,
        #[case] new: Value,
        #[case] expected: Option<&str>,
    ) {
        let mut settings = sample();
        let mut other = settings.lanes[0].clone();
        other.name = "review-lane".into();
        other.gateways[0].id = "gw-r1".into();
        settings.lanes.push(other);
        let request = Request {
            object: Object::of(&new).0.clone(),
            name: name.into(),
            user: user.into(),
            // Absent userInfo is nobody, whatever else is there.
            groups: if user == "mallory" { vec![] } else { vec!["sre".into()] },
            ..Request::default()
        };
        let old = old.as_ref().map(|o| ConfigMap(Object::of(o)));
        let found =
            find(&settings, &settings.lanes[0], &request, old, ConfigMap(Object::of(&new)), NOW);
        match expected {
            None => assert_eq!(found, None),
            Some(text) => {
                assert!(found.as_ref().is_some_and(|f| f.what.contains(text)), "{found:?}")
            }
        }
    }

    #[test]
    fn without_break_glass_there_is_no_override() {
        let settings = Settings { break_glass: None, ..sample() };
        let request = Request {
            name: "canary-gate.break-glass.openclaw-build-lane".into(),
            user: "alice".into(),
            groups: vec!["sre".into()],
            ..Request::default()
        };
        let new = override_of("alice", 1, json!(8));
        let found =
            find(&settings, &settings.lanes[0], &request, None, ConfigMap(Object::of(&new)), NOW);
        assert!(found.unwrap().what.contains("no breakGlass"));
    }
}
