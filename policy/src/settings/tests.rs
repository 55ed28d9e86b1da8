use super::*;
use rstest::rstest;
use serde_json::json;

pub(crate) const SAMPLE: &str = r#"{
    "lanes": [{
        "name": "openclaw-build-lane", "namespace": "builds",
        "targets": [
            {"kind": "Deployment", "name": "openclaw-worker", "slice": "stable", "scaledObject": "openclaw-worker"},
            {"kind": "Deployment", "name": "openclaw-worker-canary", "slice": "canary", "scaledObject": "openclaw-worker-canary"}
        ],
        "stableReplicas": 6, "headroom": 1, "minReplicas": {"stable": 1, "canary": 0},
        "gateways": [{"id": "gw-a1", "az": "a", "writer": "system:serviceaccount:builds:canary-gate-gw-a1"}],
        "maxStateAge": "180s", "whenStale": "freeze",
        "measurementURLs": ["https://canary.gw.example.com/keda/metrics"]
    }],
    "skillHashAnnotation": "canary-gate.dev/skill-hash",
    "mode": "reject",
    "rules": {"canary-cap": "warn"},
    "limits": {"queueThreshold": 8, "cooldownPeriod": 120, "maintenancePollingInterval": 60},
    "breakGlass": {"groups": ["sre"], "maxDuration": "4h"}
}"#;

pub(crate) fn sample() -> Settings {
    Settings::parse(SAMPLE.as_bytes()).unwrap()
}

#[test]
fn reads_the_documented_form() {
    let s = sample();
    assert_eq!(s.lanes[0].max_state_age, Seconds(180));
    assert_eq!(s.break_glass.as_ref().unwrap().max_duration, Seconds(14_400));
    assert_eq!(s.enforcement(Rule::CanaryCap), Enforcement::Warn);
    assert_eq!(s.enforcement(Rule::CapFrozen), Enforcement::Enforce);
    assert!(s.lanes[0].declared().has_canary_target);
}

#[rstest]
#[case("", "EOF")]
#[case("[1]", "settings: .: is a list, not a map")]
#[case("{}", "lanes: at least one is needed")]
#[case(r#"{"lanes":[]}"#, "lanes: at least one is needed")]
#[case(r#"{"lanes":{"0":{}}}"#, "lanes: is a map, not a list; a generated form")]
#[case(
    r#"{"lanes":[{"name":"a","namespace":"b","targets":[],"gateways":[],"maxStateAge":"soon"}]}"#,
    "lanes[0].maxStateAge: `soon` is not a duration"
)]
#[case(
    r#"{"lanes":[{"name":"","namespace":"b","targets":[],"gateways":[]}]}"#,
    "lanes[0].name: is missing or empty; lanes[0].targets: at least one is needed; lanes[0].gateways: at least one"
)]
#[case(
    r#"{"lanes":[{"name":"a","namespace":"b","targets":[],"gateways":[],"stable":6}]}"#,
    "unknown field `stable`, expected one of"
)]
#[case(r#"{"lanes":[{"name":"a","namespace":"b","targets":[{"kind":"DaemonSet","name":"x","slice":"stable"}],"gateways":[]}]}"#, "lanes[0].targets[0].kind: unknown variant `DaemonSet`")]
#[case(
    r#"{"lanes":[{"name":"a","namespace":"b","targets":[],"gateways":[],"stableReplicas":-1}]}"#,
    "lanes[0].stableReplicas"
)]
#[case(r#"{"lanes":[],"rules":{"cap-frozn":"off"}}"#, "unknown variant `cap-frozn`")]
#[case(r#"{"lanes":[],"rules":{"cap-frozen":"on"}}"#, "unknown variant `on`")]
#[case(r#"{"lanes":[],"rules":{"cap-frozen":true}}"#, "unknown variant")]
#[case(
    r#"{"lanes":[{"name":"a","namespace":"b","targets":[],"gateways":[{"id":"g","az":"a"}]}]}"#,
    "lanes[0].gateways[0].writer: is missing"
)]
#[case(r#"{"lanes":[{"name":"a","namespace":"b","targets":[],"gateways":[{"id":"break-glass.x","az":"a"}]}]}"#, "gateways[0].id: names of this form")]
#[case(r#"{"lanes":[{"name":"a","namespace":"b","targets":[],"gateways":[],"measurementURLs":["/keda/metrics"]}]}"#, "`/keda/metrics` is not a URL")]
#[case(
    r#"{"lanes":[],"breakGlass":{}}"#,
    "breakGlass.groups: at least one group is needed; breakGlass.maxDuration: must be there"
)]
#[case(
    r#"{"lanes":[],"limits":{"queueThreshold":"8"}}"#,
    "limits.queueThreshold: `\"8\"` is not a whole number"
)]
fn names_every_fault(#[case] text: &str, #[case] expected: &str) {
    let e = Settings::parse(text.as_bytes()).unwrap_err().to_string();
    assert!(e.contains(expected), "{e}");
}

/// Each a change of the sample that can be read, and what is said of it.
#[rstest]
#[case::minimum_above_the_cap("/lanes/0/minReplicas/stable", json!(50), "lanes[0].minReplicas.stable: 50 is above stableReplicas 6")]
#[case::minimum_without_a_cap("/lanes/0", json!({"minReplicas": {"stable": 2}, "stableReplicas": null}), "needs a stableReplicas")]
#[case::canary_minimum("/lanes/0/minReplicas/canary", json!(2), "minReplicas.canary: 2 is above headroom 1")]
#[case::two_of_a_slice("/lanes/0/targets/1/slice", json!("stable"), "targets[0].replicas: is missing: openclaw-worker-canary shares stableReplicas with it")]
#[case::one_part_of_two("/lanes/0/targets/1", json!({"slice": "stable", "replicas": 2}), "targets[0].replicas: is missing")]
#[case::more_than_all("/lanes/0/targets/0/replicas", json!(7), "targets: their parts come to 7, and stableReplicas is 6")]
#[case::more_than_the_headroom("/lanes/0/targets/1/replicas", json!(2), "their parts come to 2, and headroom is 1")]
#[case::more_headroom_than_there_is("/lanes/0/targets/0", json!({"replicas": 6, "headroom": 2}), "their parts of the headroom come to 2, and it is 1")]
#[case::a_part_below_the_minimum("/lanes/0/targets/0/replicas", json!(0), "targets[0].replicas: 0 is below minReplicas.stable 1")]
#[case::any_age("/lanes/0/maxStateAge", json!("18446744073709551615s"), "maxStateAge: is longer than 3600s")]
#[case::any_override("/breakGlass/maxDuration", json!("73h"), "breakGlass.maxDuration: is longer than 259200s")]
#[case::a_blank("/lanes/0/targets/0/name", json!("openclaw-worker "), "targets[0].name: no object can be called `openclaw-worker `")]
#[case::a_blank_in_a_scaled_object("/lanes/0/targets/0/scaledObject", json!(" w"), "targets[0].scaledObject: no object")]
#[case::a_namespace("/lanes/0/namespace", json!("Builds "), "namespace: no object can be called `Builds `")]
#[case::a_lane("/lanes/0/name", json!("Build Lane"), "name: no object can be called `Build Lane`")]
#[case::a_gateway("/lanes/0/gateways/0/id", json!("gw_a1"), "gateways[0].id: no object")]
#[case::a_writer("/lanes/0/gateways/0/writer", json!("system:serviceaccount:builds"), "gateways[0].writer: nobody is called")]
#[case::nobody_in_particular("/lanes/0/gateways/0/writer", json!("system:anonymous"), "gateways[0].writer: `system:anonymous` is whoever does not say")]
#[case::an_annotation("/skillHashAnnotation", json!("skill hash"), "skillHashAnnotation: `skill hash` is no key")]
#[case::everybody("/breakGlass/groups", json!(["system:authenticated"]), "breakGlass.groups: `system:authenticated` is not a group of people")]
#[case::every_program("/breakGlass/groups", json!(["sre", "system:serviceaccounts"]), "`system:serviceaccounts` is not")]
#[case::the_workers("/breakGlass/groups", json!(["system:serviceaccounts:builds"]), "`system:serviceaccounts:builds` is not")]
#[case::no_threshold("/limits/queueThreshold", json!(0), "limits.queueThreshold: 0 limits nothing")]
#[case::no_cooldown("/limits/cooldownPeriod", json!(0), "limits.cooldownPeriod: 0 limits nothing")]
#[case::writers_of_replica_sets("/replicaSetWriters", json!(["system:serviceaccount:x"]), "replicaSetWriters: nobody is called")]
fn holes_are_named(#[case] at: &str, #[case] value: Value, #[case] expected: &str) {
    let mut settings: Value = serde_json::from_str(SAMPLE).unwrap();
    let (parent, key) = at.rsplit_once('/').unwrap();
    match value.as_object() {
        Some(change) => {
            settings.pointer_mut(at).unwrap().as_object_mut().unwrap().extend(change.clone())
        }
        None => settings.pointer_mut(parent).unwrap()[key] = value,
    }
    let text = settings.to_string();
    let e = Settings::parse(text.as_bytes()).unwrap_err().to_string();
    assert!(e.contains(expected), "{e}");
    // A policy that stands is not asked again at each request.
    assert!(Settings::of(&tree(text.as_bytes()).unwrap()).is_ok());
}

#[test]
fn a_gateway_of_two_lanes_is_named() {
    let mut settings: Value = serde_json::from_str(SAMPLE).unwrap();
    let mut second = settings["lanes"][0].clone();
    second["name"] = "review-lane".into();
    second["targets"] = json!([{"kind": "Deployment", "name": "reviewer", "slice": "stable"}]);
    settings["lanes"].as_array_mut().unwrap().push(second);
    let e = Settings::parse(settings.to_string().as_bytes()).unwrap_err().to_string();
    assert!(e.contains("lanes[1].gateways: gw-a1 is of lane openclaw-build-lane too"), "{e}");
    settings["lanes"][1]["namespace"] = "reviews".into();
    assert!(Settings::parse(settings.to_string().as_bytes()).is_ok());
}

#[test]
fn a_writer_of_two_gateways_is_named() {
    let mut settings: Value = serde_json::from_str(SAMPLE).unwrap();
    let mut second = settings["lanes"][0]["gateways"][0].clone();
    second["id"] = "gw-a2".into();
    settings["lanes"][0]["gateways"].as_array_mut().unwrap().push(second);
    let e = Settings::parse(settings.to_string().as_bytes()).unwrap_err().to_string();
    assert!(e.contains("gateways[1].writer: is that of gw-a1 too"), "{e}");
}

#[test]
fn nobody_has_to_be_named_where_the_rule_is_off() {
    let lane = r#"{"name":"a","namespace":"b","gateways":[{"id":"g","az":"a"}],
        "targets":[{"kind":"Deployment","name":"w","slice":"stable"}]}"#;
    // false is what YAML 1.1 makes of off without quotes.
    for (rules, valid) in
        [(r#""warn""#, true), (r#""off""#, true), ("false", true), (r#""enforce""#, false)]
    {
        let text = format!(r#"{{"lanes":[{lane}],"rules":{{"state-owner":{rules}}}}}"#);
        assert_eq!(Settings::parse(text.as_bytes()).is_ok(), valid, "{rules}");
    }
}

#[rstest]
#[case("180s", Some(180))]
#[case("3m", Some(180))]
#[case("4h", Some(14_400))]
#[case("4d", None)]
#[case("m", None)]
#[case("", None)]
fn durations(#[case] text: &str, #[case] expected: Option<u64>) {
    assert_eq!(Seconds::parse(text).ok().map(|s| s.0), expected);
}

/// A lane as text, of one target and one gateway.
fn lane(name: &str, namespace: &str, target: &str, gateways: &str) -> String {
    format!(
        r#"{{"name":"{name}","namespace":"{namespace}","targets":[{target}],"gateways":[{gateways}]}}"#
    )
}

const GW: &str = r#"{"id":"g","az":"a","writer":"w"}"#;
const OTHER: &str = r#"{"id":"h","az":"a","writer":"w"}"#;
const DEPLOYMENT: &str = r#"{"kind":"Deployment","name":"w","slice":"stable"}"#;

#[rstest]
#[case::target(
    lane("a", "n", DEPLOYMENT, GW),
    lane("b", "n", DEPLOYMENT, GW),
    "target Deployment n/w is there twice"
)]
#[case::lane(
    lane("a", "n", DEPLOYMENT, GW),
    lane("a", "n", r#"{"kind":"Rollout","name":"w","slice":"stable"}"#, GW),
    "lanes[1].name: `a` is there twice"
)]
#[case::gateway(lane("a", "n", DEPLOYMENT, GW), lane("b", "m", DEPLOYMENT, &format!("{GW},{GW}")), "lanes[1].gateways: `g` is there twice")]
#[case::az_of_nobody(
    lane("a", "n", DEPLOYMENT, GW),
    lane("b", "m", r#"{"kind":"Deployment","name":"w","slice":"stable","az":"z"}"#, GW),
    "no gateway is in the az `z`"
)]
#[case::another_namespace(lane("a", "n", DEPLOYMENT, GW), lane("a", "m", DEPLOYMENT, GW), "")]
#[case::another_kind(
    lane("a", "n", DEPLOYMENT, GW),
    lane("b", "n", r#"{"kind":"Rollout","name":"w","slice":"stable"}"#, OTHER),
    ""
)]
#[case::another_name(
    lane("a", "n", DEPLOYMENT, GW),
    lane("b", "n", r#"{"kind":"Deployment","name":"x","slice":"stable"}"#, OTHER),
    ""
)]
#[case::az_of_its_gateway(
    lane("a", "n", DEPLOYMENT, GW),
    lane("b", "m", r#"{"kind":"Deployment","name":"w","slice":"stable","az":"a"}"#, GW),
    ""
)]
fn twins(#[case] a: String, #[case] b: String, #[case] expected: &str) {
    match Settings::parse(format!(r#"{{"lanes":[{a},{b}]}}"#).as_bytes()) {
        Ok(_) => assert_eq!(expected, ""),
        Err(e) => {
            let e = e.to_string();
            assert!(!expected.is_empty() && e.contains(expected), "{e}");
        }
    }
}
