//! Every look-up of the policy.
//!
//! The lane's state ConfigMaps are listed, and nothing else: a first list of a kind
//! that is absent hangs until the webhook's time-out. One list for all lanes of a
//! namespace (the host keeps a watch for each distinct query, for good), with
//! a field mask; a get past the host's cache where the list cannot be trusted, and of
//! the one object that an edit rests on (`crate::look_up`).
//! Errors of the host become the reason why a gateway is not known.
//!
//! Needs: `list`, `watch` and `get` on ConfigMaps of the lane's namespace, and `get` on its
//! ScaledObjects and Rollouts, for the policy server's account, and these kinds in the
//! policy's `contextAwareResources`.

use crate::change::LookedUp;
use crate::decision::State;
use crate::evaluation::Lookups;
use crate::objects::config_map::ConfigMap;
use crate::objects::Object;
use crate::settings::Lane;
use gate::break_glass::{self, Override, OVERRIDE_KEY};
use gate::lane::{GatewayState, Unknown};
use gate::parse::{get as at, tree, Json};
use gate::time::Timestamp;
use gate::verdict::{config_map_name, LANE_LABEL, VERDICT_KEY};
use kubewarden_policy_sdk::wapc_guest;
use serde::Serialize;
use serde_json::{Map, Value};

/// The policy's host.
pub struct Host;

impl Lookups for Host {
    fn list(&self, lane: &Lane, now: Timestamp) -> State {
        list(lane, now)
    }

    fn state(&self, lane: &Lane, gateway: &GatewayState, now: Timestamp) -> GatewayState {
        let verdict = match get(lane, &config_map_name(&gateway.id)) {
            Err(e) if is_absence(&e) => Err(not_found(lane, &gateway.id)),
            Err(e) => Err(Unknown::Missing(e)),
            Ok(answer) => match json_of(&answer) {
                Err(e) => Err(Unknown::Missing(e)),
                Ok(object) => ConfigMap(Object(&object)).verdict(&lane.name),
            },
        };
        GatewayState::of(&gateway.id, &gateway.az, verdict, lane.max_state_age.0, now)
    }

    fn override_of(&self, lane: &Lane) -> Option<Override> {
        let answer = get(lane, &break_glass::config_map_name(&lane.name)).ok()?;
        ConfigMap(Object(&json_of(&answer).ok()?)).break_glass(&lane.name)
    }

    fn object(&self, kind: LookedUp, namespace: &str, name: &str) -> Result<Vec<u8>, String> {
        let of_metadata = ["name", "uid", "deletionTimestamp", "annotations"];
        let mut field_masks: Vec<String> =
            of_metadata.iter().map(|field| format!("metadata.{field}")).collect();
        field_masks.push("spec".to_owned());
        let request = Request {
            api_version: kind.api_version(),
            kind: kind.kind(),
            namespace,
            name: Some(name),
            label_selector: None,
            disable_cache: Some(true),
            field_masks,
        };
        let read = call("get_resource", &request);
        read.map_err(|e| if is_absence(&e) { "it is not there".to_owned() } else { e })
    }
}

fn list(lane: &Lane, now: Timestamp) -> State {
    let request = Request { label_selector: Some(LANE_LABEL), ..Request::of(lane) };
    let answer = call("list_resources_by_namespace", &request);
    let list = answer.as_ref().map_err(Clone::clone).and_then(|bytes| json_of(bytes));
    let items = list.as_ref().map_err(Clone::clone).and_then(items);
    let by_name = items.as_ref().map(|items| index_by_name(items));
    let find = |name: &str| {
        let (items, by_name) = (items.as_ref().ok()?, by_name.as_ref().ok()?);
        items.get(usize::try_from(by_name.get(name)?.as_u64()?).ok()?)
    };
    let mut gateways = Vec::new();
    for g in &lane.gateways {
        let verdict = match &items {
            Err(e) => Err(Unknown::Missing(e.clone())),
            Ok(_) => find(&config_map_name(&g.id))
                .ok_or_else(|| not_found(lane, &g.id))
                .and_then(|object| ConfigMap(Object(object)).verdict(&lane.name)),
        };
        gateways.push(GatewayState::of(&g.id, &g.az, verdict, lane.max_state_age.0, now));
    }
    let override_ = find(&break_glass::config_map_name(&lane.name));
    let override_ = override_.and_then(|o| ConfigMap(Object(o)).break_glass(&lane.name));
    State { gateways, override_ }
}

/// The items of a list.
fn items<'a>(list: &'a Json<'a>) -> Result<&'a [Json<'a>], String> {
    at(list, "items").as_array().ok_or_else(|| "the host's answer has no items".to_owned())
}

/// Places of the items. A map of this type is in the module already; one of
/// references would be another, and a sort.
fn index_by_name(items: &[Json]) -> Map<String, Value> {
    let mut places = Map::new();
    for (i, item) in items.iter().enumerate() {
        if let Some(name) = text_at(item, "metadata", "name") {
            places.insert(name.to_owned(), i.into());
        }
    }
    places
}

fn json_of(bytes: &[u8]) -> Result<Json<'_>, String> {
    tree(bytes).map_err(|e| format!("the host's answer is no JSON: {e}"))
}

fn text_at<'a>(object: &'a Json<'a>, outer: &str, inner: &str) -> Option<&'a str> {
    at(at(object, outer), inner).as_str()
}

fn get(lane: &Lane, name: &str) -> Result<Vec<u8>, String> {
    let request = Request { name: Some(name), disable_cache: Some(true), ..Request::of(lane) };
    call("get_resource", &request)
}

/// What the host is asked for: one ConfigMap, or those with a label.
#[derive(Serialize)]
struct Request<'a> {
    api_version: &'static str,
    kind: &'static str,
    namespace: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    label_selector: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    disable_cache: Option<bool>,
    field_masks: Vec<String>,
}

impl<'a> Request<'a> {
    fn of(lane: &'a Lane) -> Self {
        Self {
            api_version: "v1",
            kind: "ConfigMap",
            namespace: &lane.namespace,
            name: None,
            label_selector: None,
            disable_cache: None,
            field_masks: vec![
                "metadata.name".to_owned(),
                "metadata.labels".to_owned(),
                "metadata.creationTimestamp".to_owned(),
                "metadata.deletionTimestamp".to_owned(),
                format!("data.{VERDICT_KEY}"),
                format!("data.{OVERRIDE_KEY}"),
            ],
        }
    }
}

fn not_found(lane: &Lane, id: &str) -> Unknown {
    Unknown::Missing(format!(
        "ConfigMap {}/{} is not there (is the filter on that gateway loaded and allowed to write it?)",
        lane.namespace,
        config_map_name(id)
    ))
}

/// One call of the host; its error becomes a sentence with what to do.
fn call(operation: &str, request: &Request) -> Result<Vec<u8>, String> {
    let payload = serde_json::to_vec(request).map_err(|e| e.to_string())?;
    wapc_guest::host_call("kubewarden", "kubernetes", operation, &payload)
        .map_err(|e| explain(request, &e.to_string()))
}

/// Whether the host says that an object is not there.
fn is_absence(error: &str) -> bool {
    error.contains("annot find") || error.contains("not found")
}

fn explain(request: &Request, error: &str) -> String {
    let Request { api_version, kind, .. } = request;
    let lower = error.to_ascii_lowercase();
    if lower.contains("not been granted access") {
        format!("{error} Add `contextAwareResources: [{{apiVersion: {api_version}, kind: {kind}}}]` to the ClusterAdmissionPolicy")
    } else if lower.contains("forbidden") {
        let verbs = if request.name.is_some() { "get" } else { "get, list and watch" };
        format!("{error} Allow the policy server's service account to {verbs} {kind}s in the lane's namespace")
    } else {
        error.to_owned()
    }
}
