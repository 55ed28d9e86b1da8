//! A private root and a certificate of it, for a webhook on loopback.

use anyhow::{Context, Result};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use std::fs;
use std::path::{Path, PathBuf};

/// Files of the server.
pub struct Files {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// Makes `ca.pem`, `tls.pem` and `tls.key` where they are absent. The root's key
/// is not kept.
///
/// # Errors
/// The folder cannot be written.
pub fn load_or_make(folder: &Path) -> Result<Files> {
    let files = Files { certificate: folder.join("tls.pem"), key: folder.join("tls.key") };
    if files.certificate.exists() && files.key.exists() {
        return Ok(files);
    }
    fs::create_dir_all(folder)?;
    let mut root = CertificateParams::new(Vec::<String>::new())?;
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    root.distinguished_name.push(rcgen::DnType::CommonName, "canary-gate development root");
    let root_key = KeyPair::generate()?;
    let root_certificate = root.self_signed(&root_key)?;
    let key = KeyPair::generate()?;
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let issuer = Issuer::new(root, root_key);
    let certificate = CertificateParams::new(names)?.signed_by(&key, &issuer)?;
    for (file, text) in [
        (folder.join("ca.pem"), root_certificate.pem()),
        (files.certificate.clone(), certificate.pem()),
        (files.key.clone(), key.serialize_pem()),
    ] {
        fs::write(&file, text).with_context(|| file.display().to_string())?;
    }
    Ok(files)
}
