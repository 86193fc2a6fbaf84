//! `device-grant init`.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;

use anyhow::{Context, bail};
use device_grant_domain::SystemEntropy;

use crate::cli::{self, Init};
use crate::config;
use crate::keyring_home::file as keyring_file;

const TEMPLATE: &str = include_str!("init.toml");

pub(crate) fn run(args: &Init) -> anyhow::Result<()> {
    let page = args.reference.then(config::reference).or_else(|| args.commands.then(cli::reference));
    if let Some(page) = page {
        io::stdout().write_all(page.as_bytes())?;
        return Ok(());
    }
    if let Some(file) = &args.keyring {
        new(file, keyring_file::create(file, &SystemEntropy))?;
        println!("Wrote {}: keep it secret, do not lose it, and give it to every replica.", file.display());
    } else {
        let file = args.file.display();
        new(&args.file, write(&args.file))?;
        println!("Wrote {file}. Fill it in, then: device-grant doctor --config {file}");
    }
    Ok(())
}

fn write(file: &Path) -> io::Result<()> {
    OpenOptions::new().write(true).create_new(true).open(file)?.write_all(TEMPLATE.as_bytes())
}

fn new(file: &Path, written: io::Result<()>) -> anyhow::Result<()> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            bail!("{} is there already and stays as it is", file.display())
        }
        other => other.with_context(|| format!("cannot write {}", file.display())),
    }
}
