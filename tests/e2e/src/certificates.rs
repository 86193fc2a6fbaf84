//! A certificate authority that only these tests trust.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, PublicKeyData as _};

/// The authority, and the one certificate that the balancer shows for all names.
pub struct Certificates {
    /// The authority's certificate (PEM): what the servers trust through `SSL_CERT_FILE`.
    pub authority: PathBuf,
    /// Key and certificate (PEM) as haproxy wants them.
    pub bundle: PathBuf,
    /// What Chromium is told to trust: the SHA-256 of the certificate's public key, in base64.
    pub public_key_hash: String,
}

impl Certificates {
    /// Makes both for these names, in `directory`.
    pub fn make(directory: &Path, names: &[&str]) -> anyhow::Result<Self> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "test authority");
        let authority_key = KeyPair::generate()?;
        let authority = params.self_signed(&authority_key)?;
        let issuer = Issuer::new(params, authority_key);

        let key = KeyPair::generate()?;
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let certificate = CertificateParams::new(names)?.signed_by(&key, &issuer)?;
        let hash = digest::digest(&digest::SHA256, &key.subject_public_key_info());

        let made = Self {
            authority: directory.join("authority.pem"),
            bundle: directory.join("balancer.pem"),
            public_key_hash: STANDARD.encode(hash),
        };
        fs::write(&made.authority, authority.pem()).context("the authority's certificate")?;
        let bundle = format!("{}{}{}", certificate.pem(), authority.pem(), key.serialize_pem());
        fs::write(&made.bundle, bundle).context("the balancer's certificate")?;
        Ok(made)
    }
}
