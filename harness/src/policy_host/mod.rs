//! A Kubewarden host: the policy on waPC, its look-ups answered by the cluster.

mod provider;

use crate::clock::Clock;
use crate::cluster::Cluster;
use crate::module::CompiledModule;
use anyhow::{anyhow, Result};
use provider::Provider;
use serde::Deserialize;
use serde_json::{json, Value};
use std::sync::{Arc, Mutex, PoisonError};
use wapc::WapcHost;

/// What the policy answers to `validate`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Verdict {
    pub accepted: bool,
    #[serde(default)]
    pub message: Option<String>,
    #[serde(default)]
    pub code: Option<u16>,
    #[serde(default)]
    pub mutated_object: Option<Value>,
    #[serde(default)]
    pub warnings: Option<Vec<String>>,
}

impl Verdict {
    /// The rule that a rejection names; empty where none does.
    pub fn rule(&self) -> &str {
        let message = self.message.as_deref().unwrap_or_default();
        message.split_once(':').map_or("", |(rule, _)| rule)
    }
}

/// One instance of the policy.
pub struct PolicyHost {
    host: WapcHost,
}

impl PolicyHost {
    /// # Errors
    /// The module is no waPC policy.
    pub fn start(
        policy: &CompiledModule,
        clock: Clock,
        cluster: Arc<Mutex<Cluster>>,
    ) -> Result<Self> {
        let provider = Provider::new(policy, clock)?;
        let host = WapcHost::new(
            Box::new(provider),
            Some(Box::new(move |_, binding, namespace, operation, payload| {
                match (binding, namespace) {
                    ("kubewarden", "kubernetes") => cluster
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .lookup(operation, payload)
                        .map_err(Into::into),
                    _ => Err(format!("unknown namespace: {namespace}").into()),
                }
            })),
        )
        .map_err(|e| anyhow!("the policy does not start: {e}"))?;
        Ok(Self { host })
    }

    /// # Errors
    /// The policy trapped or answered something that is no verdict.
    pub fn validate(&self, settings: &Value, request: &Value) -> Result<Verdict> {
        let payload = serde_json::to_vec(&json!({ "settings": settings, "request": request }))?;
        self.validate_bytes(&payload)
    }

    /// # Errors
    /// The policy trapped or answered something that is no verdict.
    pub fn validate_bytes(&self, payload: &[u8]) -> Result<Verdict> {
        Ok(serde_json::from_slice(&self.call("validate", payload)?)?)
    }

    /// Whether settings are valid, else why not.
    ///
    /// # Errors
    /// The policy trapped.
    pub fn validate_settings(&self, settings: &[u8]) -> Result<Result<(), String>> {
        let answer: Value = serde_json::from_slice(&self.call("validate_settings", settings)?)?;
        Ok(if answer["valid"] == json!(true) {
            Ok(())
        } else {
            Err(answer["message"].as_str().unwrap_or_default().to_owned())
        })
    }

    /// # Errors
    /// The policy trapped or refused the operation.
    pub fn call(&self, operation: &str, payload: &[u8]) -> Result<Vec<u8>> {
        self.host
            .call(operation, payload)
            .map_err(|e| anyhow!("the policy failed in {operation}: {e}"))
    }
}
