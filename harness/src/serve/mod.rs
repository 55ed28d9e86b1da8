//! An HTTPS AdmissionReview v1 webhook around the policy, for development
//! clusters and tests. Production is Kubewarden's policy-server.
//!
//! Real look-ups through a real API server, real clock, Kubewarden's own waPC
//! engine. Each ClusterAdmissionPolicy has a path of its own, with its settings,
//! the resources that it grants and its time-out, after which an evaluation is
//! interrupted, as the policy server does.

pub mod certificates;
mod instances;
mod lookups;
mod review;

use crate::doctor::policies::DEFAULT_EVAL_S;
use anyhow::{Context, Result};
use axum::extract::{DefaultBodyLimit, Path as UrlPath, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use axum_server::tls_rustls::RustlsConfig;
use axum_server::Handle;
use instances::Instances;
use lookups::Lookups;
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{signal, SignalKind};

/// What to serve, and where.
pub struct Options {
    pub policy: PathBuf,
    pub deployments: Vec<Deployment>,
    pub listen: SocketAddr,
    /// `ca.pem`, `tls.pem` and `tls.key` are made here unless all three are there.
    pub certificates: PathBuf,
    pub kubeconfig: Option<PathBuf>,
    /// Instances of each deployment.
    pub instances: usize,
}

/// What the policy server takes from a ClusterAdmissionPolicy.
pub struct Deployment {
    pub name: String,
    pub settings: Value,
    /// API version and kind of what its look-ups may read.
    pub granted: Vec<(String, String)>,
    pub mutating: bool,
    pub timeout: Duration,
}

impl Deployment {
    /// # Errors
    /// What of a ClusterAdmissionPolicy is missing.
    pub fn read(policy: &Value) -> Result<Self> {
        let text = |value: &Value, key: &str| value[key].as_str().map(str::to_owned);
        let spec = policy.get("spec").context("spec: a ClusterAdmissionPolicy is needed")?;
        let resources = spec["contextAwareResources"].as_array().into_iter().flatten();
        let granted = resources.map(|r| Some((text(r, "apiVersion")?, text(r, "kind")?)));
        let granted: Option<Vec<_>> = granted.collect();
        let seconds = spec["timeoutEvalSeconds"].as_u64().unwrap_or(DEFAULT_EVAL_S);
        Ok(Self {
            name: text(&policy["metadata"], "name").context("metadata.name is missing")?,
            settings: spec.get("settings").context("spec.settings is missing")?.clone(),
            granted: granted.context("spec.contextAwareResources: apiVersion and kind each")?,
            mutating: spec["mutating"] == true,
            timeout: Duration::from_secs(seconds),
        })
    }
}

/// Longest review, bytes: the old and the new object, each as long as etcd takes.
const MAX_REVIEW: usize = 8 * 1024 * 1024;
/// Time that requests in flight have after a signal to end.
const GRACE: Duration = Duration::from_secs(5);

/// Serves until the process is told to end (SIGINT, SIGTERM).
///
/// # Errors
/// The policy or its settings are none, the address is taken, the API server
/// is unknown.
pub fn serve(options: &Options) -> Result<()> {
    // Two crates below bring a provider of their own; one is the process's.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(run(options, runtime.handle().clone()))
}

async fn run(options: &Options, runtime: tokio::runtime::Handle) -> Result<()> {
    let client = client(options.kubeconfig.as_deref()).await?;
    let policy = std::fs::read(&options.policy)
        .with_context(|| format!("{}: build it first", options.policy.display()))?;
    let mut webhooks = BTreeMap::new();
    for deployment in &options.deployments {
        let granted = deployment.granted.clone();
        // Half of the time is the policy's, to say why.
        let lookups =
            Lookups::new(client.clone(), runtime.clone(), granted, deployment.timeout / 2);
        let instances =
            Instances::start(&policy, Arc::new(lookups), options.instances, deployment.timeout)?;
        let checked = instances.check_settings(&deployment.settings).await;
        checked.with_context(|| deployment.name.clone())?;
        let (settings, mutating) = (deployment.settings.clone(), deployment.mutating);
        webhooks.insert(deployment.name.clone(), Webhook { instances, settings, mutating });
    }
    let app = Router::new()
        .route("/validate/{policy}", post(validate))
        .route("/readiness", get(|| async { StatusCode::OK }))
        .layer(DefaultBodyLimit::max(MAX_REVIEW))
        .with_state(Arc::new(webhooks));
    let tls = certificates::load_or_make(&options.certificates)?;
    let tls = RustlsConfig::from_pem_file(&tls.certificate, &tls.key).await?;
    let listener = TcpListener::bind(options.listen)
        .with_context(|| format!("{} cannot be listened on", options.listen))?;
    listener.set_nonblocking(true)?;
    println!("serving https://{}", listener.local_addr()?);
    let handle = Handle::new();
    end_on_signals(&handle)?;
    axum_server::from_tcp_rustls(listener, tls)?
        .handle(handle)
        .serve(app.into_make_service())
        .await?;
    Ok(())
}

async fn client(kubeconfig: Option<&Path>) -> Result<kube::Client> {
    let config = match kubeconfig {
        Some(path) => {
            let read = kube::config::Kubeconfig::read_from(path)?;
            kube::Config::from_custom_kubeconfig(read, &Default::default()).await?
        }
        None => kube::Config::infer().await?,
    };
    Ok(kube::Client::try_from(config)?)
}

/// SIGINT and SIGTERM, whichever comes first.
fn end_on_signals(handle: &Handle<SocketAddr>) -> Result<()> {
    for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
        let (mut told, handle) = (signal(kind)?, handle.clone());
        tokio::spawn(async move {
            told.recv().await;
            handle.graceful_shutdown(Some(GRACE));
        });
    }
    Ok(())
}

struct Webhook {
    instances: Instances,
    settings: Value,
    mutating: bool,
}

async fn validate(
    State(webhooks): State<Arc<BTreeMap<String, Webhook>>>,
    UrlPath(policy): UrlPath<String>,
    Json(body): Json<Value>,
) -> (StatusCode, Json<Value>) {
    let Some(webhook) = webhooks.get(&policy) else {
        let known: Vec<&String> = webhooks.keys().collect();
        let why = format!("no policy {policy} is served here, but {known:?}");
        return (StatusCode::NOT_FOUND, Json(why.into()));
    };
    let Some(request) = review::request(&body) else {
        let why = "an AdmissionReview admission.k8s.io/v1 with a request and its uid is needed";
        return (StatusCode::BAD_REQUEST, Json(why.into()));
    };
    let verdict = webhook.instances.validate(&webhook.settings, request).await;
    (StatusCode::OK, Json(review::response(request, verdict, webhook.mutating)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_cluster_admission_policy_says() {
        let text = include_str!("../../../deploy/kubewarden/scale-freeze.yaml");
        let policy: Value = serde_yaml_ng::from_str(text).unwrap();
        let deployment = Deployment::read(&policy).unwrap();
        assert_eq!(deployment.name, "canary-gate-scale-freeze");
        let granted = [("v1", "ConfigMap"), ("argoproj.io/v1alpha1", "Rollout")];
        assert_eq!(deployment.granted, granted.map(|(v, k)| (v.to_owned(), k.to_owned())));
        assert_eq!((deployment.mutating, deployment.timeout), (false, Duration::from_secs(2)));
        assert!(Deployment::read(&policy["spec"]["settings"]).is_err());
    }
}
