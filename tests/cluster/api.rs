//! The API server over HTTPS, as one user.

use anyhow::{bail, Context, Result};
use serde_json::{json, Value};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use ureq::tls::TlsConfig;

#[derive(Clone)]
pub struct Api {
    agent: ureq::Agent,
    url: String,
    token: String,
    /// Kinds by API, as the server listed them.
    kinds: Arc<Mutex<BTreeMap<String, Value>>>,
}

impl Api {
    pub fn new(port: u16, token: &str) -> Self {
        // Its certificate is one that it made for itself a moment ago.
        let tls = TlsConfig::builder().disable_verification(true).build();
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(20)))
            .tls_config(tls)
            .build()
            .new_agent();
        Self {
            agent,
            url: format!("https://127.0.0.1:{port}"),
            token: token.to_owned(),
            kinds: Arc::default(),
        }
    }

    /// The same server, as somebody else.
    pub fn as_user(&self, token: &str) -> Self {
        Self { token: token.to_owned(), ..self.clone() }
    }

    /// # Errors
    /// There was no answer.
    pub fn call(
        &self,
        method: &str,
        path: &str,
        content_type: &str,
        body: Option<&Value>,
    ) -> Result<(u16, Value)> {
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url))
            .header("authorization", format!("Bearer {}", self.token))
            .header("content-type", content_type)
            .body(body.map(Value::to_string).unwrap_or_default())?;
        let mut answer = self.agent.run(request)?;
        let status = answer.status().as_u16();
        let text = answer.body_mut().read_to_string()?;
        Ok((status, serde_json::from_str(&text).unwrap_or(Value::String(text))))
    }

    /// # Errors
    /// There is no such object, or no answer.
    pub fn get(&self, path: &str) -> Result<Value> {
        match self.call("GET", path, "application/json", None)? {
            (200, object) => Ok(object),
            (status, answer) => bail!("GET {path}: {status} {answer}"),
        }
    }

    /// A merge patch; the status and the answer.
    ///
    /// # Errors
    /// There was no answer.
    pub fn patch(&self, path: &str, patch: &Value) -> Result<(u16, Value)> {
        self.call("PATCH", path, "application/merge-patch+json", Some(patch))
    }

    /// Server-side apply of an object, whatever it is.
    ///
    /// # Errors
    /// It was not taken.
    pub fn apply(&self, object: &Value) -> Result<()> {
        let path = self.path_of(object)?;
        let query = format!("{path}?fieldManager=cluster&force=true");
        match self.call("PATCH", &query, "application/apply-patch+yaml", Some(object))? {
            (200 | 201, _) => Ok(()),
            (status, answer) => bail!("apply {path}: {status} {answer}"),
        }
    }

    /// Applies every document of a YAML text.
    ///
    /// # Errors
    /// One was not taken.
    pub fn apply_yaml(&self, text: &str, change: impl Fn(&mut Value)) -> Result<()> {
        for document in serde_yaml_ng::Deserializer::from_str(text) {
            let mut object: Value = serde::Deserialize::deserialize(document)?;
            if object.is_null() {
                continue;
            }
            change(&mut object);
            self.apply(&object)?;
        }
        Ok(())
    }

    /// The kinds of an API; asked again where one is not among them, since
    /// CRDs come while this runs.
    fn kinds(&self, base: &str, kind: &str) -> Result<Value> {
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        let has = |list: &Value| {
            list["resources"].as_array().is_some_and(|r| r.iter().any(|r| r["kind"] == kind))
        };
        if let Some(known) = kinds.get(base).filter(|list| has(list)) {
            return Ok(known.clone());
        }
        let asked = self.get(base)?;
        kinds.insert(base.to_owned(), asked.clone());
        Ok(asked)
    }

    fn path_of(&self, object: &Value) -> Result<String> {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
        let (api, kind) =
            (text("/apiVersion").context("apiVersion")?, text("/kind").context("kind")?);
        let name = text("/metadata/name").context("metadata.name")?;
        let base = if api.contains('/') { format!("/apis/{api}") } else { format!("/api/{api}") };
        let known = self.kinds(&base, kind)?;
        let resource = known["resources"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|r| r["kind"] == kind && !r["name"].as_str().unwrap_or("/").contains('/'))
            .with_context(|| format!("{api} has no {kind}"))?;
        let plural = resource["name"].as_str().context("a plural")?;
        Ok(match text("/metadata/namespace").filter(|_| resource["namespaced"] == true) {
            Some(namespace) => format!("{base}/namespaces/{namespace}/{plural}/{name}"),
            None => format!("{base}/{plural}/{name}"),
        })
    }

    /// A token of a service account, made by the API server itself.
    ///
    /// # Errors
    /// There is no such account.
    pub fn token_of(&self, namespace: &str, account: &str) -> Result<String> {
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token");
        let body = json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": { "expirationSeconds": 7200 } });
        let (status, answer) = self.call("POST", &path, "application/json", Some(&body))?;
        let token = answer.pointer("/status/token").and_then(Value::as_str);
        token.map(str::to_owned).with_context(|| format!("{path}: {status} {answer}"))
    }

    /// Asks for a value until it satisfies a condition.
    ///
    /// # Errors
    /// It does not in time; with the last one.
    pub fn wait_for(
        &self,
        seconds: u64,
        what: &str,
        path: &str,
        holds: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        let begun = Instant::now();
        loop {
            let last = self.call("GET", path, "application/json", None);
            if let Ok((200, object)) = &last {
                if holds(object) {
                    return Ok(object.clone());
                }
            }
            if begun.elapsed() > Duration::from_secs(seconds) {
                let last = last.map(|(status, object)| (status, object["spec"].clone()));
                bail!("{what} did not come within {seconds} s: {last:?}");
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    pub fn is_ready(&self) -> bool {
        self.call("GET", "/readyz", "application/json", None).is_ok_and(|a| a.0 == 200)
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// A kubeconfig for a program that runs as this user.
    pub fn kubeconfig(&self) -> Value {
        json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{ "name": "c", "cluster": { "server": self.url, "insecure-skip-tls-verify": true } }],
            "users": [{ "name": "u", "user": { "token": self.token } }],
            "contexts": [{ "name": "c", "context": { "cluster": "c", "user": "u" } }],
        })
    }
}
