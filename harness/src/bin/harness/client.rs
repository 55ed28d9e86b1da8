//! An HTTP client for the management endpoints of a gateway.

use anyhow::{bail, Context, Result};
use std::collections::BTreeMap;
use std::time::Duration;
use ureq::http::Request;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig};

/// Longer than a gateway lets a caller wait for its verdict.
const TIMEOUT: Duration = Duration::from_secs(20);

pub struct Client {
    agent: ureq::Agent,
    token: String,
}

/// What a gateway answered.
pub struct Answer {
    pub status: u16,
    pub body: String,
}

impl Client {
    /// # Errors
    /// No token, or a file that cannot be read.
    pub fn new(options: &BTreeMap<&str, &str>) -> Result<Self> {
        let token = match options.get("token-file") {
            Some(file) => std::fs::read_to_string(file).with_context(|| (*file).to_owned())?,
            None => std::env::var("CANARY_GATE_TOKEN")
                .context("a token is needed: --token-file FILE, or CANARY_GATE_TOKEN")?,
        };
        let mut config =
            ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(TIMEOUT));
        if let Some(file) = options.get("ca") {
            let pem = std::fs::read(file).with_context(|| (*file).to_owned())?;
            let mut certificates: Vec<Certificate<'static>> = Vec::new();
            for item in ureq::tls::parse_pem(&pem) {
                if let PemItem::Certificate(certificate) = item? {
                    certificates.push(certificate);
                }
            }
            if certificates.is_empty() {
                bail!("{file}: no certificate in it");
            }
            let roots = RootCerts::Specific(certificates.into());
            config = config.tls_config(TlsConfig::builder().root_certs(roots).build());
        }
        Ok(Self { agent: config.build().new_agent(), token: token.trim().to_owned() })
    }

    /// # Errors
    /// No answer came.
    pub fn send(&self, method: &str, gateway: &str, path: &str, body: &str) -> Result<Answer> {
        let url = format!("{}{path}", gateway.trim_end_matches('/'));
        let request = Request::builder()
            .method(method)
            .uri(&url)
            .header("authorization", format!("Bearer {}", self.token))
            .header("content-type", "application/json")
            .body(body.to_owned())?;
        let mut response = self.agent.run(request).with_context(|| url)?;
        let status = response.status().as_u16();
        Ok(Answer { status, body: response.body_mut().read_to_string().unwrap_or_default() })
    }
}
