//! The servers around a gateway that are not the API server: a notifier that
//! keeps what it was told, and a queue.

use crate::cluster::HttpAnswer;
use crate::proxy_host::http::OutCall;
use anyhow::Result;
use serde_json::Value;

#[derive(Debug)]
pub struct Neighbours {
    /// Names of their clusters.
    pub notifier: String,
    pub queue: String,
    /// Digests that the notifier took.
    pub digests: Vec<Value>,
    /// What the notifier answers.
    pub notifier_status: u16,
    /// What the queue answers; 503 where there is nothing.
    pub queue_body: Option<Value>,
    /// Method and path of each request to either.
    pub asked: Vec<String>,
}

impl Neighbours {
    pub fn new(notifier: String, queue: String) -> Self {
        Self {
            notifier,
            queue,
            digests: vec![],
            notifier_status: 200,
            queue_body: None,
            asked: vec![],
        }
    }

    /// The answer to a call; `None` where it is to neither.
    ///
    /// # Errors
    /// A digest that is no JSON.
    pub fn answer(&mut self, call: &OutCall) -> Result<Option<HttpAnswer>> {
        let answer = if call.cluster == self.notifier {
            if self.notifier_status == 200 {
                self.digests.push(serde_json::from_slice(&call.body)?);
            }
            HttpAnswer { status: self.notifier_status, body: Value::Null }
        } else if call.cluster == self.queue {
            let status = if self.queue_body.is_some() { 200 } else { 503 };
            HttpAnswer { status, body: self.queue_body.clone().unwrap_or_default() }
        } else {
            return Ok(None);
        };
        self.asked.push(format!("{} {}", call.header(":method"), call.header(":path")));
        Ok(Some(answer))
    }
}
