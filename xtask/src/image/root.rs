//! The files of the image: the program, whom it trusts, and what it is made of. No shell, no other program.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::write;

/// Neither root nor anybody that a machine knows; the Containerfile names the same.
const PASSWD: &str = "device-grant:x:65532:65532::/data:/none\n";
const GROUP: &str = "device-grant:x:65532:\n";
const PROGRAM: &str = "usr/bin/device-grant";
/// How long a line of PEM is (RFC 7468 section 2).
const LINE: usize = 64;

/// Makes `root`, and the empty `data`, anew below `output`.
pub(super) fn make(output: &Path, binary: &Path, sbom: &str) -> anyhow::Result<()> {
    let (root, data) = (output.join("root"), output.join("data"));
    for directory in [&root, &data] {
        if directory.exists() {
            fs::remove_dir_all(directory)
                .with_context(|| format!("cannot remove {}", directory.display()))?;
        }
        fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
    }
    let program = fs::read(binary).with_context(|| format!("cannot read {}", binary.display()))?;
    write(&root.join(PROGRAM), &program)?;
    write(&root.join("usr/share/doc/device-grant/sbom.cdx.json"), sbom.as_bytes())?;
    write(&root.join("etc/ssl/certs/ca-certificates.crt"), authorities().as_bytes())?;
    write(&root.join("etc/passwd"), PASSWD.as_bytes())?;
    write(&root.join("etc/group"), GROUP.as_bytes())?;
    set_modes(&root)?;
    mode(&root.join(PROGRAM), 0o755)
}

/// The authorities that Mozilla trusts, as PEM. Their version is that of the crate, so it does not depend on who builds.
fn authorities() -> String {
    let mut pem = String::new();
    for certificate in webpki_root_certs::TLS_SERVER_ROOT_CERTS {
        let text = STANDARD.encode(certificate);
        pem.push_str("-----BEGIN CERTIFICATE-----\n");
        for line in text.as_bytes().chunks(LINE) {
            pem.extend(line.iter().copied().map(char::from));
            pem.push('\n');
        }
        pem.push_str("-----END CERTIFICATE-----\n");
    }
    pem
}

/// Whatever this user's umask is.
fn set_modes(directory: &Path) -> anyhow::Result<()> {
    mode(directory, 0o755)?;
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            set_modes(&path)?;
        } else {
            mode(&path, 0o644)?;
        }
    }
    Ok(())
}

fn mode(path: &Path, mode: u32) -> anyhow::Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
        .with_context(|| format!("cannot set the permissions of {}", path.display()))
}
