//! The gateway's own ConfigMap: read once at the start, written by merge
//! PATCH, created by POST where it is absent.
//!
//! The PATCH carries the `resourceVersion` that was read last, so that two
//! processes of one gateway (a hot restart) cannot overwrite each other
//! unseen; on 409 it is read again, and a higher epoch there ends this
//! process' publishing for good.

use super::{describe, resource_version, Call, Reply};
use crate::config::Config;
use gate::document::Merged;
use gate::judge::Judge;
use gate::time::Timestamp;
use gate::verdict::{config_map_name, Verdict, LANE_LABEL, MERGED_KEY, STATE_KEY, VERDICT_KEY};
use serde_json::{json, Value};

/// Owner of the fields of a created object.
const FIELD_MANAGER: &str = "canary-gate";

fn collection(config: &Config) -> String {
    format!("/api/v1/namespaces/{}/configmaps", config.lane.namespace)
}

fn path(config: &Config) -> String {
    format!("{}/{}", collection(config), config_map_name(&config.gateway.id))
}

pub fn get(config: &Config) -> Call {
    Call { method: "GET", path: path(config), content_type: "application/json", body: vec![] }
}

/// What is published.
pub struct Publication<'a> {
    pub verdict: &'a Verdict,
    pub merged: &'a Merged,
    pub judge: &'a Judge,
}

impl Publication<'_> {
    fn object(&self, config: &Config) -> Result<Value, String> {
        let text = |v: Result<String, serde_json::Error>| v.map_err(|e| e.to_string());
        Ok(json!({
            "metadata": { "labels": { LANE_LABEL: config.lane.name } },
            "data": {
                VERDICT_KEY: text(serde_json::to_string(self.verdict))?,
                MERGED_KEY: text(serde_json::to_string_pretty(self.merged))?,
                STATE_KEY: self.judge.to_json()?,
            },
        }))
    }

    /// Merge PATCH of the existing ConfigMap.
    ///
    /// # Errors
    /// The codec's word; never for these types.
    pub fn patch(&self, config: &Config, resource_version: &str) -> Result<Call, String> {
        let mut object = self.object(config)?;
        if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.insert("resourceVersion".to_owned(), resource_version.into());
        }
        Ok(Call {
            method: "PATCH",
            path: path(config),
            content_type: "application/merge-patch+json",
            body: object.to_string().into_bytes(),
        })
    }

    /// Creates the ConfigMap; of two processes that find none, one does.
    ///
    /// # Errors
    /// The codec's word; never for these types.
    pub fn create(&self, config: &Config) -> Result<Call, String> {
        let mut object = self.object(config)?;
        if let Some(root) = object.as_object_mut() {
            root.insert("apiVersion".to_owned(), "v1".into());
            root.insert("kind".to_owned(), "ConfigMap".into());
        }
        if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.insert("name".to_owned(), config_map_name(&config.gateway.id).into());
            metadata.insert("namespace".to_owned(), config.lane.namespace.clone().into());
        }
        Ok(Call {
            method: "POST",
            path: format!("{}?fieldManager={FIELD_MANAGER}", collection(config)),
            content_type: "application/json",
            body: object.to_string().into_bytes(),
        })
    }
}

/// What a GET of the own ConfigMap says.
#[derive(Debug)]
pub enum Recovered {
    /// State of an earlier process; `epoch` is the one it published under.
    State { judge: Box<Judge>, epoch: u64, resource_version: String },
    /// There, but it says nothing: the past is unknown.
    Malformed { why: String, epoch: u64, resource_version: String },
    /// Not there: the past is unknown.
    Absent,
    /// Not read; to be tried again.
    Failed(String),
}

pub fn read(reply: &Reply, now: Timestamp) -> Recovered {
    match reply.status {
        Some(404) => return Recovered::Absent,
        Some(200) => {}
        _ => return Recovered::Failed(describe(reply)),
    }
    let Ok(object) = serde_json::from_slice::<Value>(&reply.body) else {
        return Recovered::Failed("the API server's answer is no JSON".to_owned());
    };
    let Some(resource_version) = resource_version(&object) else {
        return Recovered::Failed("the API server's answer has no resourceVersion".to_owned());
    };
    let text = |key: &str| object.pointer(&format!("/data/{key}")).and_then(Value::as_str);
    // Not through the whole type: a newer version may have published it.
    let epoch = text(VERDICT_KEY)
        .and_then(|v| serde_json::from_str::<Value>(v).ok())
        .and_then(|v| v.get("epoch").and_then(Value::as_u64))
        .unwrap_or(0);
    match text(STATE_KEY)
        .ok_or_else(|| format!("data.{STATE_KEY} is not there"))
        .and_then(|s| Judge::recover(s, now))
    {
        Ok(mut judge) => {
            judge.epoch = judge.epoch.max(epoch.saturating_add(1));
            Recovered::State { judge: Box::new(judge), epoch, resource_version }
        }
        Err(why) => Recovered::Malformed { why, epoch, resource_version },
    }
}

/// What a PATCH was answered.
#[derive(Debug, PartialEq, Eq)]
pub enum Published {
    Done {
        resource_version: Option<String>,
    },
    /// Somebody wrote since: read again.
    Conflict,
    /// Deleted since: create.
    Gone,
    Refused(String),
}

pub fn published(reply: &Reply) -> Published {
    match reply.status {
        Some(200 | 201) => Published::Done {
            resource_version: serde_json::from_slice::<Value>(&reply.body)
                .ok()
                .and_then(|o| resource_version(&o)),
        },
        Some(404) => Published::Gone,
        Some(409) => Published::Conflict,
        _ => Published::Refused(describe(reply)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::sample;
    use gate::document::Observer;
    use gate::window::Window;
    use rstest::rstest;

    const NOW: Timestamp = Timestamp::from_secs(1_795_510_800);

    fn config() -> Config {
        Config::parse(sample().to_string().as_bytes()).unwrap()
    }

    fn reply(status: Option<u16>, body: Value) -> Reply {
        crate::outbound::tests::reply(status, body.to_string())
    }

    #[test]
    fn what_is_patched_reads_back() {
        let c = config();
        let judge = Judge::unknown(NOW);
        let verdict = judge.verdict(&c.judge_config(), NOW);
        let merged =
            judge.document(&Window::default(), &c.judge_config(), Observer::default(), NOW);
        let call = Publication { verdict: &verdict, merged: &merged, judge: &judge }
            .patch(&c, "41")
            .unwrap();
        assert_eq!(call.path, "/api/v1/namespaces/builds/configmaps/canary-gate.gw-a1");
        let mut object: Value = serde_json::from_slice(&call.body).unwrap();
        assert_eq!(object["metadata"]["resourceVersion"], "41");
        assert_eq!(object["metadata"]["labels"]["canary-gate.dev/lane"], "openclaw-build-lane");
        object["metadata"]["resourceVersion"] = "42".into();
        match read(&reply(Some(200), object), NOW) {
            Recovered::State { judge: j, epoch, resource_version } => {
                assert_eq!(resource_version, "42");
                assert_eq!(epoch, judge.epoch);
                assert!(j.epoch > judge.epoch);
                assert_eq!(j.hold, judge.hold);
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn create_names_the_object() {
        let c = config();
        let judge = Judge::unknown(NOW);
        let verdict = judge.verdict(&c.judge_config(), NOW);
        let merged =
            judge.document(&Window::default(), &c.judge_config(), Observer::default(), NOW);
        let call =
            Publication { verdict: &verdict, merged: &merged, judge: &judge }.create(&c).unwrap();
        let object: Value = serde_json::from_slice(&call.body).unwrap();
        assert_eq!(object["metadata"]["name"], "canary-gate.gw-a1");
        assert_eq!(object["kind"], "ConfigMap");
    }

    #[test]
    fn the_epoch_of_a_newer_version_is_read() {
        let verdict = json!({ "schema": "verdict.v9", "epoch": 77 }).to_string();
        let object =
            json!({ "metadata": { "resourceVersion": "1" }, "data": { "verdict": verdict } });
        assert!(matches!(
            read(&reply(Some(200), object), NOW),
            Recovered::Malformed { epoch: 77, .. }
        ));
    }

    #[rstest]
    #[case(reply(Some(404), json!({})), "Absent")]
    #[case(reply(None, json!({})), "Failed")]
    #[case(reply(Some(403), json!({"message": "forbidden"})), "Failed")]
    #[case(reply(Some(200), json!({})), "Failed")]
    #[case(reply(Some(200), json!({"metadata": {"resourceVersion": "1"}})), "Malformed")]
    #[case(reply(Some(200), json!({"metadata": {"resourceVersion": "1"}, "data": {"state": "{}"}})), "Malformed")]
    fn reads(#[case] r: Reply, #[case] expected: &str) {
        assert!(format!("{:?}", read(&r, NOW)).starts_with(expected));
    }

    #[rstest]
    #[case(reply(Some(200), json!({"metadata": {"resourceVersion": "7"}})), Published::Done { resource_version: Some("7".into()) })]
    #[case(reply(Some(201), json!({})), Published::Done { resource_version: None })]
    #[case(reply(Some(409), json!({})), Published::Conflict)]
    #[case(reply(Some(404), json!({})), Published::Gone)]
    fn replies(#[case] r: Reply, #[case] expected: Published) {
        assert_eq!(published(&r), expected);
    }

    #[rstest]
    #[case(Some(401))]
    #[case(Some(422))]
    #[case(Some(429))]
    #[case(Some(500))]
    #[case(None)]
    fn refusals(#[case] status: Option<u16>) {
        assert!(matches!(published(&reply(status, json!({}))), Published::Refused(_)));
    }
}
