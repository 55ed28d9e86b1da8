use super::*;
use rstest::rstest;

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
    lane("b", "n", r#"{"kind":"Rollout","name":"w","slice":"stable"}"#, GW),
    ""
)]
#[case::another_name(
    lane("a", "n", DEPLOYMENT, GW),
    lane("b", "n", r#"{"kind":"Deployment","name":"x","slice":"stable"}"#, GW),
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
