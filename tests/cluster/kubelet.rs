//! What a kubelet would say: every pod runs and is ready. There is no node; HPAs
//! and rollouts look at the pods' status alone.

use crate::api::Api;
use anyhow::Result;
use serde_json::{json, Value};
use std::thread;
use std::time::Duration;
use tests::now;

const EVERY: Duration = Duration::from_millis(300);

/// Keeps the pods of these namespaces ready, until the process ends.
pub fn start(api: &Api, namespaces: &'static [&'static str]) {
    let api = api.clone();
    thread::spawn(move || loop {
        for namespace in namespaces {
            make_ready(&api, namespace);
        }
        thread::sleep(EVERY);
    });
}

fn make_ready(api: &Api, namespace: &str) {
    let pods = format!("/api/v1/namespaces/{namespace}/pods");
    // While the API server is away nothing is said.
    let Ok((200, list)) = api.call("GET", &pods, "application/json", None) else { return };
    let waits = |pod: &&Value| pod["status"]["phase"] == "Pending";
    for pod in list["items"].as_array().into_iter().flatten().filter(waits) {
        let name = pod["metadata"]["name"].as_str().unwrap_or_default();
        let _ = say_ready(api, namespace, name);
    }
}

/// # Errors
/// The API server does not answer.
pub fn say_ready(api: &Api, namespace: &str, pod: &str) -> Result<()> {
    let since = now().to_string();
    let status = json!({ "status": { "phase": "Running", "startTime": since, "conditions": [
        { "type": "Ready", "status": "True", "lastTransitionTime": since },
    ] } });
    api.patch(&format!("/api/v1/namespaces/{namespace}/pods/{pod}/status"), &status)?;
    Ok(())
}
