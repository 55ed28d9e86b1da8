//! The cases of `tests/admission`, decided natively: what `tests/` proves of the
//! built module end to end is here within reach of mutation testing.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test stops by panicking"
)]

use gate::break_glass::{self, Override, OVERRIDE_KEY};
use gate::lane::{GatewayState, Unknown};
use gate::time::Timestamp;
use gate::verdict::{config_map_name, Verdict, VERDICT_KEY};
use policy::decision::State;
use policy::evaluation::{self, Lookups};
use policy::settings::Lane;
use policy::{request, response};
use serde_json::{json, Value};
use std::cell::RefCell;
use std::path::Path;

/// The cluster of a case: what it holds, and what a list still shows.
struct CaseCluster<'a> {
    case: &'a Value,
    now: Timestamp,
    lookups: RefCell<Vec<String>>,
}

impl CaseCluster<'_> {
    fn text(&self, name: &str, key: &str, listed: bool) -> Option<&str> {
        let shown = if listed && !self.case["listed"].is_null() { "listed" } else { "state" };
        let objects = self.case[shown].as_array()?;
        let object = objects.iter().find(|o| o["metadata"]["name"] == name)?;
        let deleted = !object["metadata"]["deletionTimestamp"].is_null();
        let readable = self.case["fault"].is_null() && !(deleted && key == OVERRIDE_KEY);
        object["data"][key].as_str().filter(|_| readable)
    }

    fn gateway(&self, lane: &Lane, id: &str, az: &str, listed: bool) -> GatewayState {
        let verdict = match self.text(&config_map_name(id), VERDICT_KEY, listed) {
            Some(text) => Verdict::parse(text).map_err(Unknown::Malformed),
            None => Err(Unknown::Missing("not read".into())),
        };
        GatewayState::of(id, az, verdict, lane.max_state_age.0, self.now)
    }

    fn glass(&self, lane: &Lane, listed: bool) -> Option<Override> {
        let text = self.text(&break_glass::config_map_name(&lane.name), OVERRIDE_KEY, listed)?;
        Override::parse(text).ok()
    }

    fn looked_up(&self, what: String) {
        self.lookups.borrow_mut().push(what);
    }
}

impl Lookups for CaseCluster<'_> {
    fn now(&self) -> Timestamp {
        self.now
    }

    fn list(&self, lane: &Lane) -> State {
        self.looked_up(format!("list_resources_by_namespace ConfigMap {}", lane.namespace));
        let gateways = lane.gateways.iter();
        State {
            gateways: gateways.map(|g| self.gateway(lane, &g.id, &g.az, true)).collect(),
            override_: self.glass(lane, true),
        }
    }

    fn state(&self, lane: &Lane, g: &GatewayState) -> GatewayState {
        let name = config_map_name(&g.id);
        self.looked_up(format!("get_resource ConfigMap {} {name}", lane.namespace));
        self.gateway(lane, &g.id, &g.az, false)
    }

    fn override_of(&self, lane: &Lane) -> Option<Override> {
        let name = break_glass::config_map_name(&lane.name);
        self.looked_up(format!("get_resource ConfigMap {} {name}", lane.namespace));
        self.glass(lane, false)
    }
}

/// The answer, and the look-ups that it took.
fn answer(case: &Value) -> (Value, Vec<String>) {
    let now = Timestamp::parse(case["now"].as_str().unwrap()).unwrap();
    let payload = json!({ "settings": case["settings"], "request": case["request"] }).to_string();
    let cluster = CaseCluster { case, now, lookups: RefCell::default() };
    let bytes = match request::parse(payload.as_bytes()) {
        Err(e) => response::malformed(&e),
        Ok(input) => match evaluation::decisions(&input, &cluster) {
            Err(e) => response::malformed(&e),
            Ok(decisions) => response::answer(&input.settings, &input.request, &decisions),
        },
    };
    (serde_json::from_slice(&bytes.unwrap()).unwrap(), cluster.lookups.into_inner())
}

#[test]
fn every_case_is_decided_as_written() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/admission");
    let mut cases = 0;
    for rule in std::fs::read_dir(folder).unwrap() {
        for file in std::fs::read_dir(rule.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            let case: Value =
                serde_yaml_ng::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
            let (mut got, lookups) = answer(&case);
            // Why a gateway could not be read is the host's word.
            let unread = got["message"].as_str().unwrap_or_default().contains("no state:");
            if unread {
                got["message"] = case["answer"]["message"].clone();
            }
            assert_eq!(got, case["answer"], "{}", path.display());
            assert_eq!(json!(lookups), case["lookups"], "{}", path.display());
            cases += 1;
        }
    }
    assert!(cases > 300, "{cases}");
}
