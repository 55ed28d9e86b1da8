//! The cases of `tests/admission`, decided natively: what `tests/` proves of the
//! built module end to end is here within reach of mutation testing.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test stops by panicking"
)]

use gate::break_glass::{self, Override};
use gate::lane::{GatewayState, Unknown};
use gate::parse::Json;
use gate::time::Timestamp;
use gate::verdict::{config_map_name, LANE_LABEL};
use policy::change::LookedUp;
use policy::decision::State;
use policy::evaluation::{self, Lookups};
use policy::fields::{self, Effect, Table};
use policy::objects::config_map::ConfigMap;
use policy::objects::Object;
use policy::request::{self, Kind};
use policy::response;
use policy::settings::Lane;

#[path = "../../tests/support/admission.rs"]
mod admission;
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
    fn object(&self, name: &str, listed: bool) -> Option<Json<'_>> {
        let shown = if listed && !self.case["listed"].is_null() { "listed" } else { "state" };
        let objects = self.case[shown].as_array()?;
        let object = objects.iter().find(|o| o["metadata"]["name"] == name)?;
        // A list shows what has the label.
        let is_listed = !object["metadata"]["labels"][LANE_LABEL].is_null();
        let is_read = self.case["fault"].is_null() && (is_listed || !listed);
        is_read.then(|| Json::from(object))
    }

    fn gateway(&self, lane: &Lane, id: &str, az: &str, listed: bool) -> GatewayState {
        let verdict = match self.object(&config_map_name(id), listed) {
            Some(object) => ConfigMap(Object(&object)).verdict(&lane.name),
            None => Err(Unknown::Missing("not read".into())),
        };
        GatewayState::of(id, az, verdict, lane.max_state_age.0, self.now)
    }

    fn glass(&self, lane: &Lane, listed: bool) -> Option<Override> {
        let object = self.object(&break_glass::config_map_name(&lane.name), listed)?;
        ConfigMap(Object(&object)).break_glass(&lane.name)
    }

    fn looked_up(&self, what: String) {
        self.lookups.borrow_mut().push(what);
    }
}

impl Lookups for CaseCluster<'_> {
    fn list(&self, lane: &Lane, _: Timestamp) -> State {
        self.looked_up(format!("list_resources_by_namespace ConfigMap {}", lane.namespace));
        let gateways = lane.gateways.iter();
        State {
            gateways: gateways.map(|g| self.gateway(lane, &g.id, &g.az, true)).collect(),
            override_: self.glass(lane, true),
        }
    }

    fn state(&self, lane: &Lane, g: &GatewayState, _: Timestamp) -> GatewayState {
        let name = config_map_name(&g.id);
        self.looked_up(format!("get_resource ConfigMap {} {name}", lane.namespace));
        self.gateway(lane, &g.id, &g.az, false)
    }

    fn object(&self, kind: LookedUp, namespace: &str, name: &str) -> Result<Vec<u8>, String> {
        self.looked_up(format!("get_resource {} {namespace} {name}", kind.kind()));
        let mut objects = self.case["objects"].as_array().into_iter().flatten();
        let found = objects.find(|o| o["kind"] == kind.kind() && o["metadata"]["name"] == name);
        let found = found.filter(|_| self.case["fault"].is_null());
        found.map(|o| o.to_string().into_bytes()).ok_or_else(|| "not read".to_owned())
    }

    fn override_of(&self, lane: &Lane) -> Option<Override> {
        let name = break_glass::config_map_name(&lane.name);
        self.looked_up(format!("get_resource ConfigMap {} {name}", lane.namespace));
        self.glass(lane, false)
    }
}

/// The answer, and the look-ups that it took.
fn answer(case: &Value, tables: &dyn Fn(Kind) -> Option<Table>) -> (Value, Vec<String>) {
    let now = Timestamp::parse(case["now"].as_str().unwrap()).unwrap();
    let payload = json!({ "settings": case["settings"], "request": case["request"] }).to_string();
    let cluster = CaseCluster { case, now, lookups: RefCell::default() };
    let bytes = match request::parse(payload.as_bytes()) {
        Err(e) => response::malformed(&e),
        Ok(input) => match evaluation::answer_by(&input, now, &cluster, tables) {
            Err(e) => response::malformed(&e),
            Ok(answer) => response::answer(answer),
        },
    };
    (serde_json::from_slice(&bytes.unwrap()).unwrap(), cluster.lookups.into_inner())
}

/// Every case, with its path.
fn cases() -> Vec<(String, Value)> {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests");
    let mut cases = Vec::new();
    for rule in std::fs::read_dir(tests.join("admission")).unwrap() {
        for file in std::fs::read_dir(rule.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            let case = serde_yaml_ng::from_str(&text).unwrap();
            let case = admission::expand(case, &tests.join("fixtures"));
            cases.push((path.display().to_string(), case));
        }
    }
    assert!(cases.len() > 300, "{}", cases.len());
    cases
}

#[test]
fn every_case_is_decided_as_written() {
    for (path, case) in cases() {
        let (mut got, lookups) = answer(&case, &fields::table);
        // Why something could not be read is the host's word.
        let message = got["message"].as_str().unwrap_or_default();
        if message.contains("no state:") || message.contains("cannot be read: not read") {
            got["message"] = case["answer"]["message"].clone();
            got["warnings"] = case["answer"]["warnings"].clone();
        }
        assert_eq!(got, case["answer"], "{path}");
        assert_eq!(json!(lookups), case["lookups"], "{path}");
    }
}

/// A row that says pods or speed must be worth something: taken to say nothing, some case
/// is answered otherwise. Holds and sources are held to the same.
#[test]
fn every_row_with_an_effect_decides_a_case() {
    let cases = cases();
    let accepted = |case: &Value, tables: &dyn Fn(Kind) -> Option<Table>| {
        answer(case, tables).0["accepted"].clone()
    };
    let mut worthless = Vec::new();
    for table in fields::TABLES {
        let of_kind: Vec<&Value> = cases
            .iter()
            .map(|(_, case)| case)
            .filter(|case| case["request"]["kind"]["kind"] == table.kind)
            .collect();
        for row in table.rows().filter(|row| row.effect != Effect::Nothing) {
            let without = |kind: Kind| {
                let found = fields::table(kind)?;
                Some(if found.kind == table.kind { found.without(row.path) } else { found })
            };
            let decides = |case: &&&Value| accepted(case, &without) != case["answer"]["accepted"];
            if !of_kind.iter().any(|case| decides(&case)) {
                worthless.push(format!("{}: {}", table.kind, row.path));
            }
        }
    }
    assert!(worthless.is_empty(), "rows that decide no case:\n{}", worthless.join("\n"));
}
