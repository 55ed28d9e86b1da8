//! `state-owner`: a lane's state is written by the gateway it is of, and an
//! override by those who may break the glass.
//!
//! Else the freeze could be lifted by editing the verdict. Deleting it fails
//! closed by itself.

use crate::change::Fault;
use crate::objects::config_map::ConfigMap;
use crate::request::Request;
use crate::settings::{Lane, Settings};
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
    let is_override = request.may_be_named(&break_glass::config_map_name(&lane.name));
    let gateway = lane.gateways.iter().find(|g| request.may_be_named(&config_map_name(&g.id)));
    let labelled = |c: ConfigMap| c.lane() == lane.name;
    if !is_override && gateway.is_none() && !labelled(new) && !old.is_some_and(labelled) {
        return None;
    }
    if old.is_some_and(|old| new.says_the_same_as(old)) {
        return None;
    }
    let fault = |field: &str, what: String| Some(Fault::always(Rule::StateOwner, field, what));
    let user = if request.user.is_empty() { "nobody" } else { &request.user };
    if is_override {
        return match override_fault(settings, request, new, now) {
            Some(what) => fault("data.override", what),
            None => None,
        };
    }
    let Some(gateway) = gateway else {
        return fault(
            &format!("metadata.labels[{LANE_LABEL}]"),
            "is that of a lane's state, and no gateway of the lane has this name".to_owned(),
        );
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

fn override_fault(
    settings: &Settings,
    request: &Request,
    new: ConfigMap,
    now: Timestamp,
) -> Option<String> {
    let Some(break_glass) = &settings.break_glass else {
        return Some("has no effect: the settings have no breakGlass".to_owned());
    };
    if request.user.is_empty() || !request.groups.iter().any(|g| break_glass.groups.contains(g)) {
        return Some(format!("may be written by members of {}", break_glass.groups.join(", ")));
    }
    let written = match Override::parse(new.override_text()) {
        Ok(written) => written,
        Err(e) => return Some(format!("cannot be read: {e}")),
    };
    if written.by != request.user {
        return Some(format!("names {} as its writer, and that is {}", written.by, request.user));
    }
    if written.until <= now {
        return Some(format!("ended at {}, which is in the past", written.until));
    }
    if !written.is_valid(now, break_glass.max_duration.0) {
        return Some(format!(
            "ends at {}, and it may last {} s from now at most",
            written.until, break_glass.max_duration.0
        ));
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
    #[case::unknown_without_label(WRITER, "canary-gate.gw-x", None, json!({"data": {}}), None)]
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
        let settings = sample();
        let request = Request {
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
