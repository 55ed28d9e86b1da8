//! What is true of a row's HPA in the end, where nobody guards.

use crate::api::Api;
use anyhow::Result;
use serde_json::Value;

#[derive(Clone, Copy, Debug)]
pub enum Leaves {
    NoHpa,
    /// `scaleUp.selectPolicy` is `Disabled`, or is not.
    Disabled,
    Free,
    Named(&'static str),
    /// Minimum and maximum.
    Bounds(i64, i64),
}

impl Leaves {
    /// # Errors
    /// The API server did not answer.
    pub fn holds(self, api: &Api, namespace: &str, row: &str) -> Result<bool> {
        let name = match self {
            Leaves::Named(name) => name.replace("NAME", row),
            _ => format!("keda-hpa-{row}"),
        };
        let path =
            format!("/apis/autoscaling/v2/namespaces/{namespace}/horizontalpodautoscalers/{name}");
        let (status, hpa): (u16, Value) = api.call("GET", &path, "application/json", None)?;
        let spec = &hpa["spec"];
        let is_disabled = spec["behavior"]["scaleUp"]["selectPolicy"] == "Disabled";
        Ok(match self {
            Leaves::NoHpa => status == 404,
            Leaves::Named(_) => status == 200,
            Leaves::Disabled => status == 200 && is_disabled,
            Leaves::Free => status == 200 && !is_disabled,
            Leaves::Bounds(min, max) => spec["minReplicas"] == min && spec["maxReplicas"] == max,
        })
    }
}
