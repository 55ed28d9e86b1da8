//! A private root and a certificate of it, for a webhook on loopback.

use anyhow::{Context, Result};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Files of the server.
pub struct Files {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// Makes `ca.pem`, `tls.pem` and `tls.key` unless all are there. The root's key is
/// not kept; the server's is its owner's to read.
///
/// # Errors
/// The folder cannot be written.
pub fn load_or_make(folder: &Path) -> Result<Files> {
    let files = Files { certificate: folder.join("tls.pem"), key: folder.join("tls.key") };
    let root_file = folder.join("ca.pem");
    if files.certificate.exists() && files.key.exists() && root_file.exists() {
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
        (root_file, root_certificate.pem()),
        (files.certificate.clone(), certificate.pem()),
        (files.key.clone(), key.serialize_pem()),
    ] {
        let mut open = fs::OpenOptions::new();
        open.write(true).create(true).truncate(true).mode(0o600);
        let mut opened = open.open(&file).with_context(|| file.display().to_string())?;
        opened.write_all(text.as_bytes())?;
    }
    Ok(files)
}
