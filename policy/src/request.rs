//! The admission request as the API server sends it.
//!
//! A type of our own: the SDK's (0.17.3) drops `resource.resource`, by which a
//! Scale of a Deployment is told from one of a Rollout.

use crate::objects::Object;
use crate::settings::Settings;
use gate::parse::{get, tree, Json};
use gate::target::TargetKind;

/// The parts that the policy looks at; absent and null text is empty.
#[derive(Clone, Debug, Default)]
pub struct Request<'a> {
    /// Group and kind of the object.
    pub group: String,
    pub kind: String,
    /// `deployments` …; the kind where the audit scanner asks. Only a Scale,
    /// whose kind is the same for all, is told apart by it.
    pub resource: String,
    pub sub_resource: String,
    pub name: String,
    pub namespace: String,
    pub operation: String,
    /// Empty is nobody.
    pub user: String,
    pub groups: Vec<String>,
    pub object: Json<'a>,
    pub old_object: Json<'a>,
}

impl<'a> Request<'a> {
    /// Reads by hand: a few text fields of a large object, without a
    /// deserialiser of their own in the module.
    fn read(mut value: Json<'a>) -> Result<Self, String> {
        if !value.is_object() {
            return Err("request: is not an object".to_owned());
        }
        let mut wrong = None;
        let mut text = |path: &[&str]| {
            let found = Object(&value).at(path);
            if found.as_str().is_none() && !found.is_null() {
                wrong.get_or_insert(format!("request.{}: is not a string", path.join(".")));
            }
            found.as_str().unwrap_or_default().to_owned()
        };
        let mut request = Self {
            group: text(&["kind", "group"]),
            kind: text(&["kind", "kind"]),
            resource: text(&["resource", "resource"]),
            sub_resource: text(&["subResource"]),
            name: text(&["name"]),
            namespace: text(&["namespace"]),
            operation: text(&["operation"]),
            user: text(&["userInfo", "username"]),
            ..Self::default()
        };
        if let Some(wrong) = wrong {
            return Err(wrong);
        }
        // Without these nothing can be said to be out of scope.
        for (key, value) in [("kind.kind", &request.kind), ("operation", &request.operation)] {
            if value.is_empty() {
                return Err(format!("request.{key}: is missing"));
            }
        }
        let groups = get(get(&value, "userInfo"), "groups").as_array();
        for group in groups.into_iter().flatten().filter_map(Json::as_str) {
            request.groups.push(group.to_owned());
        }
        request.object = take(&mut value, "object");
        request.old_object = take(&mut value, "oldObject");
        if request.name.is_empty() {
            // A name that is generated is in the object first.
            request.name = Object(&request.object).text(&["metadata", "name"]).to_owned();
        }
        Ok(request)
    }

    /// `ScaledObject`, or `deployments/scale` where the kind says too little.
    pub fn kind_in_words(&self) -> String {
        if self.sub_resource.is_empty() || self.resource.is_empty() {
            self.kind.clone()
        } else {
            format!("{}/{}", self.resource, self.sub_resource)
        }
    }

    /// `NAMESPACE/NAME`, as far as they are known.
    pub fn full_name(&self) -> String {
        let name = if self.name.is_empty() { "(generated name)" } else { &self.name };
        if self.namespace.is_empty() {
            name.to_owned()
        } else {
            format!("{}/{name}", self.namespace)
        }
    }

    /// Whether the object has this name, or may be given it: a mutating
    /// webhook sees `generateName` before five characters are added to it.
    pub fn may_be_named(&self, name: &str) -> bool {
        let prefix = Object(&self.object).text(&["metadata", "generateName"]);
        self.name == name
            || (self.name.is_empty()
                && !prefix.is_empty()
                && name.len() == prefix.len() + GENERATED
                && name.starts_with(prefix))
    }
}

fn take<'a>(value: &mut Json<'a>, key: &str) -> Json<'a> {
    match value {
        Json::Object(map) => map.get_mut(key).map(std::mem::take).unwrap_or_default(),
        _ => Json::Null,
    }
}

/// Characters that the API server adds to `generateName`.
const GENERATED: usize = 5;

/// Operations that the policy tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Create,
    Update,
    /// DELETE and CONNECT: never rejected by any rule.
    Other,
}

/// Objects that some rule looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    ScaledObject,
    /// `scaledobjects/status`.
    ScaledObjectStatus,
    ScaledJob,
    HorizontalPodAutoscaler,
    Workload(TargetKind),
    /// `rollouts/status`.
    RolloutStatus,
    /// What a Deployment and a Rollout make their pods by.
    ReplicaSet,
    /// `autoscaling/v1 Scale` of whatever has replicas.
    Scale,
    /// Jobs and CronJobs.
    Job,
    ConfigMap,
    /// What may poll a measurement URL beside KEDA.
    Measurement,
}

impl Kind {
    /// By group, kind and subresource; the audit scanner has the kind where
    /// the resource belongs, so that is not looked at.
    pub fn of(request: &Request) -> Option<Self> {
        let kind = match (request.group.as_str(), request.kind.as_str()) {
            ("autoscaling", "Scale") => return Some(Kind::Scale),
            ("keda.sh", "ScaledObject") if request.sub_resource == "status" => {
                return Some(Kind::ScaledObjectStatus)
            }
            ("keda.sh", "ScaledObject") => Kind::ScaledObject,
            ("keda.sh", "ScaledJob") => Kind::ScaledJob,
            ("autoscaling", "HorizontalPodAutoscaler") => Kind::HorizontalPodAutoscaler,
            ("apps", "Deployment") => Kind::Workload(TargetKind::Deployment),
            ("apps", "ReplicaSet") => Kind::ReplicaSet,
            ("apps", "StatefulSet") => Kind::Workload(TargetKind::StatefulSet),
            ("argoproj.io", "Rollout") if request.sub_resource == "status" => {
                return Some(Kind::RolloutStatus)
            }
            ("argoproj.io", "Rollout") => Kind::Workload(TargetKind::Rollout),
            ("batch", "Job" | "CronJob") => Kind::Job,
            ("", "ConfigMap") => Kind::ConfigMap,
            ("argoproj.io", "AnalysisTemplate" | "ClusterAnalysisTemplate" | "AnalysisRun")
            | ("flagger.app", "MetricTemplate" | "Canary") => Kind::Measurement,
            _ => return None,
        };
        match request.sub_resource.as_str() {
            "" => Some(kind),
            // A write of the status of a built-in kind takes labels, annotations and owners
            // along, by which controllers count and own (Kubernetes
            // `pkg/registry/batch/job/strategy.go` and its like reset the spec alone).
            "status" => {
                matches!(kind, Kind::HorizontalPodAutoscaler | Kind::Job | Kind::ReplicaSet)
                    .then_some(kind)
            }
            _ => None,
        }
    }
}

/// What the host hands to `validate`.
pub struct Input<'a> {
    pub settings: Settings,
    pub request: Request<'a>,
}

/// Reads the payload of `validate`.
///
/// # Errors
/// The part and path that is wrong.
pub fn parse(payload: &[u8]) -> Result<Input<'_>, String> {
    let mut payload = tree(payload).map_err(|e| format!("admission request: {e}"))?;
    let request = take(&mut payload, "request");
    Ok(Input {
        settings: Settings::of(get(&payload, "settings")).map_err(|e| e.to_string())?,
        request: Request::read(request)?,
    })
}

impl Request<'_> {
    /// # Errors
    /// An operation that Kubernetes does not have.
    pub fn operation(&self) -> Result<Operation, String> {
        match self.operation.as_str() {
            "CREATE" => Ok(Operation::Create),
            "UPDATE" => Ok(Operation::Update),
            "DELETE" | "CONNECT" => Ok(Operation::Other),
            other => Err(format!(
                "request.operation: `{other}` is not CREATE, UPDATE, DELETE or CONNECT"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::tests::SAMPLE;
    use rstest::rstest;
    use serde_json::{json, Value};

    fn read(value: Value) -> Result<Request<'static>, String> {
        Request::read(Object::of(&value).0.clone())
    }

    #[rstest]
    #[case(r#"7"#, "request: is not an object")]
    #[case(r#"{}"#, "request.kind.kind: is missing")]
    #[case(r#"{"kind":{"kind":"ScaledObject"}}"#, "request.operation: is missing")]
    #[case(r#"{"operation":7}"#, "request.operation: is not a string")]
    #[case(r#"{"kind":{"kind":[]}}"#, "request.kind.kind: is not a string")]
    fn names_the_field_that_is_wrong(#[case] request: &str, #[case] expected: &str) {
        let payload = format!(r#"{{"settings":{SAMPLE},"request":{request}}}"#);
        assert_eq!(parse(payload.as_bytes()).err().unwrap(), expected);
    }

    #[test]
    fn reads_an_admission_review_request() {
        let payload = format!(
            r#"{{"settings":{SAMPLE},"request":{{"uid":"1","operation":"UPDATE","subResource":null,
            "kind":{{"group":"keda.sh","version":"v1alpha1","kind":"ScaledObject"}},
            "resource":{{"group":"keda.sh","version":"v1alpha1","resource":"scaledobjects"}},
            "name":"w","namespace":"builds","object":{{}},"oldObject":{{}},"options":null,"requestKind":null}}}}"#
        );
        let input = parse(payload.as_bytes()).unwrap();
        assert_eq!(input.request.kind, "ScaledObject");
        assert_eq!(input.request.operation(), Ok(Operation::Update));
    }

    #[rstest]
    #[case("keda.sh", "ScaledObject", "", Some(Kind::ScaledObject))]
    #[case("keda.sh", "ScaledObject", "status", Some(Kind::ScaledObjectStatus))]
    #[case("keda.sh", "ScaledJob", "status", None)]
    #[case("argoproj.io", "Rollout", "status", Some(Kind::RolloutStatus))]
    #[case("apps", "Deployment", "", Some(Kind::Workload(TargetKind::Deployment)))]
    #[case("apps", "Deployment", "status", None)]
    #[case("batch", "Job", "status", Some(Kind::Job))]
    #[case("apps", "ReplicaSet", "status", Some(Kind::ReplicaSet))]
    #[case("autoscaling", "HorizontalPodAutoscaler", "status", Some(Kind::HorizontalPodAutoscaler))]
    #[case("apps", "ReplicaSet", "", Some(Kind::ReplicaSet))]
    #[case("autoscaling", "Scale", "scale", Some(Kind::Scale))]
    #[case("apps", "DaemonSet", "", None)]
    #[case("", "ConfigMap", "", Some(Kind::ConfigMap))]
    #[case("batch", "CronJob", "", Some(Kind::Job))]
    #[case("flagger.app", "Canary", "", Some(Kind::Measurement))]
    #[case("x.io", "Deployment", "", None)]
    fn kinds(
        #[case] group: &str,
        #[case] kind: &str,
        #[case] sub: &str,
        #[case] expected: Option<Kind>,
    ) {
        let request = Request {
            group: group.into(),
            kind: kind.into(),
            sub_resource: sub.into(),
            ..Request::default()
        };
        assert_eq!(Kind::of(&request), expected);
    }

    #[rstest]
    #[case::its_name(json!({"name": "w"}), "w", true)]
    #[case::another(json!({"name": "w"}), "x", false)]
    #[case::in_the_object(json!({"object": {"metadata": {"name": "w"}}}), "w", true)]
    #[case::generated_later(json!({"object": {"metadata": {"generateName": "w-"}}}), "w-x7k2p", true)]
    #[case::too_short(json!({"object": {"metadata": {"generateName": "w-"}}}), "w-x7k2", false)]
    #[case::generated_and_known(json!({"name": "w-aaaaa", "object": {"metadata": {"generateName": "w-"}}}), "w-x7k2p", false)]
    #[case::nothing(json!({}), "", true)]
    #[case::nothing_else(json!({}), "abcde", false)]
    fn names(#[case] mut request: Value, #[case] name: &str, #[case] expected: bool) {
        request["kind"] = json!({"kind": "x"});
        request["operation"] = json!("CREATE");
        assert_eq!(read(request).unwrap().may_be_named(name), expected);
    }

    #[test]
    fn a_user_is_who_the_api_server_says() {
        let r = read(json!({"kind": {"kind": "x"}, "operation": "CREATE",
            "userInfo": {"username": "alice", "groups": ["sre", 7]}}))
        .unwrap();
        assert_eq!((r.user.as_str(), r.groups), ("alice", vec!["sre".to_owned()]));
        let nobody = read(json!({"kind": {"kind": "x"}, "operation": "CREATE"})).unwrap();
        assert_eq!((nobody.user.as_str(), nobody.groups.len()), ("", 0));
    }

    #[rstest]
    #[case("", "admission request: EOF")]
    #[case("{}", "settings: .: is null, not a map")]
    #[case(r#"[]"#, "settings: .: is null, not a map")]
    #[case(r#"{"settings":{},"request":{}}"#, "settings: lanes: at least one is needed")]
    #[case(
        r#"{"request":{"operation":7},"settings":{}}"#,
        "settings: lanes: at least one is needed"
    )]
    fn names_what_is_wrong(#[case] payload: &str, #[case] expected: &str) {
        let e = parse(payload.as_bytes()).err().unwrap();
        assert!(e.contains(expected), "{e}");
    }
}
