use super::*;
use crate::objects::Object;
use crate::request::Request;
use crate::scope;
use crate::settings::tests::SAMPLE;
use gate::lane::Unknown;
use gate::verdict::Verdict;
use serde_json::{json, Value};

const NOW: Timestamp = Timestamp::from_secs(1_795_510_800);

fn gateway(change: &Value) -> GatewayState {
    let mut verdict = json!({
        "schema": "verdict.v1", "gateway": "gw-a1", "az": "a", "observed_at": NOW.to_string(),
        "status": "healthy", "canary_active": false, "degraded": false, "frozen": false,
        "frozen_by": [], "aborted": false, "asleep": false, "disk": "ok",
        "disk_tier": "1TB", "epoch": 1, "promotion_frozen": false, "maintenance": false,
        "headroom": 1, "reason": ""
    });
    verdict.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    let verdict = Verdict::parse(&verdict.to_string()).map_err(Unknown::Malformed);
    GatewayState::of("gw-a1", "a", verdict, 180, NOW)
}

fn settings() -> Settings {
    Settings::parse(SAMPLE.replace("warn", "enforce").as_bytes()).unwrap()
}

fn raise(old: i64, new: i64) -> Request<'static> {
    let object = |max| json!({"spec": {"scaleTargetRef": {"name": "openclaw-worker"}, "maxReplicaCount": max}});
    Request {
        operation: "UPDATE".into(),
        namespace: "builds".into(),
        name: "openclaw-worker".into(),
        kind: "ScaledObject".into(),
        group: "keda.sh".into(),
        old_object: Object::of(&object(old)).0.clone(),
        object: Object::of(&object(new)).0.clone(),
        ..Request::default()
    }
}

fn scale(old: i64, new: i64) -> Request<'static> {
    let object = |n| json!({"spec": {"replicas": n}});
    Request {
        kind: "Scale".into(),
        group: "autoscaling".into(),
        resource: "deployments".into(),
        old_object: Object::of(&object(old)).0.clone(),
        object: Object::of(&object(new)).0.clone(),
        ..raise(old, new)
    }
}

fn override_to(ceiling: u32, seconds: u64) -> Option<Override> {
    Some(Override {
        until: NOW.plus_secs(seconds),
        reason: "incident 7".into(),
        by: "alice".into(),
        ceiling,
        created: NOW,
    })
}

/// Numbers of rejections, warnings and excuses.
fn counts(settings: &Settings, request: &Request, state: &State) -> (usize, usize, usize) {
    let changes = scope::changes(settings, request, NOW, &crate::fields::table).unwrap();
    let d = decide(settings, changes.iter().find(|c| c.target.is_some()).unwrap(), state, NOW);
    (d.rejections.len(), d.warnings.len(), d.excused.len())
}

#[test]
fn an_override_excuses_up_to_its_ceiling_while_it_lasts() {
    let degraded = || gateway(&json!({"degraded": true}));
    let state = |override_| State { gateways: vec![degraded()], override_ };
    let s = settings();
    for request in [raise, scale] {
        assert_eq!(counts(&s, &request(6, 8), &state(None)), (1, 0, 0));
        assert_eq!(counts(&s, &request(6, 8), &state(override_to(8, 60))), (0, 0, 1));
        assert_eq!(counts(&s, &request(6, 9), &state(override_to(8, 60))), (1, 0, 0));
        assert_eq!(counts(&s, &request(6, 8), &state(override_to(8, 0))), (1, 0, 0));
        // Older than anybody's may be, whatever it says.
        let old = |o: Override| Override {
            created: Timestamp::from_millis(NOW.millis() - 14_400_000),
            ..o
        };
        let planted = override_to(8, 60).map(old);
        assert_eq!(counts(&s, &request(6, 8), &state(planted)), (1, 0, 0));
    }
    let without = Settings { break_glass: None, ..settings() };
    assert_eq!(counts(&without, &raise(6, 8), &state(override_to(8, 60))), (1, 0, 0));
}

#[test]
fn what_is_read_again() {
    let s = settings();
    let of = |request: &Request, state: &State, read: &[String]| {
        let changes = scope::changes(&s, request, NOW, &crate::fields::table).unwrap();
        let change = changes.iter().find(|c| c.target.is_some()).unwrap();
        let d = decide(&s, change, state, NOW);
        (read_again(&d, change, &state.gateways, read), read_override_again(&s, &d))
    };
    let with = |gateway: GatewayState| State { gateways: vec![gateway], override_: None };
    let unknown =
        || GatewayState::of("gw-a1", "a", Err(Unknown::Missing("not found".into())), 180, NOW);
    let one = vec!["gw-a1".to_owned()];
    // A ceiling rises only after another look.
    assert_eq!(of(&raise(6, 7), &with(gateway(&json!({}))), &[]), (one.clone(), false));
    assert_eq!(of(&raise(6, 7), &with(gateway(&json!({}))), &one), (vec![], false));
    // Known to be frozen: only the override is in question.
    assert_eq!(of(&raise(6, 7), &with(gateway(&json!({"frozen": true}))), &[]), (vec![], true));
    assert_eq!(of(&raise(6, 7), &with(unknown()), &[]), (one.clone(), true));
    // What runs rises by the list, and is refused for a missing state only after another look.
    assert_eq!(of(&scale(6, 7), &with(gateway(&json!({}))), &[]), (vec![], false));
    assert_eq!(of(&scale(6, 7), &with(unknown()), &[]), (one, true));
}

#[test]
fn no_more_than_sixteen_are_read_again_and_the_oldest_first() {
    let s = settings();
    let request = raise(6, 7);
    let changes = scope::changes(&s, &request, NOW, &crate::fields::table).unwrap();
    let change = &changes[0];
    let mut state = State::default();
    for i in 0..20_i64 {
        let observed = Timestamp::from_millis(NOW.millis() - i * 1000).to_string();
        let mut g = gateway(&json!({ "observed_at": observed }));
        g.id = format!("gw-{i}");
        state.gateways.push(g);
    }
    let d = decide(&s, change, &state, NOW);
    let again = read_again(&d, change, &state.gateways, &[]);
    assert_eq!((again.len(), again[0].as_str(), again[15].as_str()), (16, "gw-19", "gw-4"));
    let read: Vec<String> = again.iter().take(15).cloned().collect();
    assert_eq!(read_again(&d, change, &state.gateways, &read), ["gw-4"]);
}

#[test]
fn a_rule_that_is_off_says_nothing() {
    let state = State { gateways: vec![gateway(&json!({"degraded": true}))], override_: None };
    for (word, expected) in [("enforce", (1, 0, 0)), ("warn", (0, 1, 0)), ("off", (0, 0, 0))] {
        let text = SAMPLE.replace(r#""canary-cap": "warn""#, &format!(r#""cap-frozen": "{word}""#));
        let s = Settings::parse(text.as_bytes()).unwrap();
        assert_eq!(counts(&s, &raise(6, 7), &state), expected, "{word}");
    }
}
