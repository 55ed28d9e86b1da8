//! An HTTPS AdmissionReview v1 webhook around the policy, for development
//! clusters and tests. Production is Kubewarden's policy-server.
//!
//! Real look-ups through a real API server, real clock, Kubewarden's own waPC
//! engine; a pool of instances, each on a thread of its own, and a time-out
//! after which an evaluation is interrupted, as the policy server does.

mod certificates;
mod instances;
mod lookups;
mod review;

use anyhow::{Context, Result};
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use axum_server::tls_rustls::RustlsConfig;
use axum_server::Handle;
use instances::Instances;
use lookups::Lookups;
use serde_json::Value;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// What to serve, and where.
pub struct Options {
    pub policy: PathBuf,
    /// The policy's settings, as in a ClusterAdmissionPolicy.
    pub settings: Value,
    pub listen: SocketAddr,
    /// `ca.pem`, `tls.pem` and `tls.key` are made here where they are absent.
    pub certificates: PathBuf,
    pub kubeconfig: Option<PathBuf>,
    pub instances: usize,
    pub timeout: Duration,
}

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
    let lookups = Arc::new(Lookups::new(client, runtime));
    let policy = std::fs::read(&options.policy)
        .with_context(|| format!("{}: build it first", options.policy.display()))?;
    let instances = Instances::start(&policy, lookups, options.instances, options.timeout)?;
    instances.check_settings(&options.settings).await?;
    let shared = Arc::new(Webhook { instances, settings: options.settings.clone() });
    let app = Router::new()
        .route("/validate", post(validate))
        .route("/mutate", post(mutate))
        .route("/readiness", get(|| async { StatusCode::OK }))
        .with_state(shared);
    let tls = certificates::load_or_make(&options.certificates)?;
    let tls = RustlsConfig::from_pem_file(&tls.certificate, &tls.key).await?;
    let listener = TcpListener::bind(options.listen)
        .with_context(|| format!("{} cannot be listened on", options.listen))?;
    listener.set_nonblocking(true)?;
    println!("serving https://{}", listener.local_addr()?);
    let handle = Handle::new();
    tokio::spawn(end_on_signal(handle.clone()));
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

async fn end_on_signal(handle: Handle<SocketAddr>) {
    let interrupted = tokio::signal::ctrl_c();
    let mut told = match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        Ok(told) => told,
        Err(_) => return,
    };
    let mut interrupted = std::pin::pin!(interrupted);
    std::future::poll_fn(|cx| {
        use std::future::Future;
        let ends = interrupted.as_mut().poll(cx).is_ready() || told.poll_recv(cx).is_ready();
        if ends {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    handle.graceful_shutdown(Some(GRACE));
}

struct Webhook {
    instances: Instances,
    settings: Value,
}

async fn validate(
    State(webhook): State<Arc<Webhook>>,
    Json(body): Json<Value>,
) -> (StatusCode, Json<Value>) {
    answer(&webhook, &body, false).await
}

async fn mutate(
    State(webhook): State<Arc<Webhook>>,
    Json(body): Json<Value>,
) -> (StatusCode, Json<Value>) {
    answer(&webhook, &body, true).await
}

async fn answer(webhook: &Webhook, body: &Value, mutates: bool) -> (StatusCode, Json<Value>) {
    let Some(request) = review::request(body) else {
        let why = "an AdmissionReview admission.k8s.io/v1 with a request and its uid is needed";
        return (StatusCode::BAD_REQUEST, Json(Value::String(why.into())));
    };
    let verdict = webhook.instances.validate(&webhook.settings, request).await;
    (StatusCode::OK, Json(review::response(request, verdict, mutates)))
}
