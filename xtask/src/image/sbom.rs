//! The software bill of materials (CycloneDX 1.5): each crate that is linked into the program, with its version, its
//! licence and the checksum that `Cargo.lock` pins.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::Context as _;
use serde_json::{Value, json};

use super::FEATURES;
use crate::{command, workspace};

/// Name and version.
type Crate = (String, String);

/// The authorities in the image are this crate's; it is not linked.
const AUTHORITIES: &str = "webpki-root-certs";

/// The document for `package` as it is built for `target`. It holds no time and no random number: the same sources give
/// the same document.
pub(super) fn of(package: &str, target: &str) -> anyhow::Result<String> {
    let tree = [
        "tree",
        "--locked",
        "-p",
        package,
        "--features",
        FEATURES,
        "--target",
        target,
        "-e",
        "normal,no-proc-macro",
    ];
    let tree = command::output("cargo", tree.into_iter().chain(["--prefix", "none", "--format", "{p}"]))?;
    let metadata = command::output(
        "cargo",
        ["metadata", "--locked", "--all-features", "--format-version", "1", "--filter-platform", target],
    )?;
    let metadata = serde_json::from_str(&metadata).context("cargo metadata is not JSON")?;
    let lock = fs::read_to_string(workspace::root().join("Cargo.lock")).context("cannot read Cargo.lock")?;
    let document = document(package, &linked(&tree), &metadata, &checksums(&lock)?)?;
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}

/// The crates of `cargo tree`, whose lines begin with `name vVERSION`.
fn linked(tree: &str) -> BTreeSet<Crate> {
    let name_and_version = |line: &str| {
        let (name, rest) = line.split_once(" v")?;
        Some((name.to_owned(), rest.split(' ').next()?.to_owned()))
    };
    tree.lines().filter_map(name_and_version).collect()
}

fn checksums(lock: &str) -> anyhow::Result<BTreeMap<Crate, String>> {
    let lock: toml::Table = lock.parse().context("Cargo.lock is not TOML")?;
    let packages = lock["package"].as_array().context("Cargo.lock has no packages")?;
    let text = |package: &toml::Value, key: &str| Some(package.get(key)?.as_str()?.to_owned());
    let with_checksum = |package| {
        let name = (text(package, "name")?, text(package, "version")?);
        Some((name, text(package, "checksum")?))
    };
    Ok(packages.iter().filter_map(with_checksum).collect())
}

fn document(
    package: &str,
    linked: &BTreeSet<Crate>,
    metadata: &Value,
    checksums: &BTreeMap<Crate, String>,
) -> anyhow::Result<Value> {
    let packages = metadata["packages"].as_array().context("cargo metadata names no packages")?;
    let is_meant = |found: &&Value| linked.contains(&name(found)) || found["name"] == AUTHORITIES;
    let (own, others): (Vec<_>, Vec<_>) =
        packages.iter().filter(is_meant).partition(|found| found["name"] == package);
    let own = *own.first().with_context(|| format!("{package} is no package of the workspace"))?;
    let mut application = component(own, checksums);
    application["type"] = json!("application");
    let nodes = metadata["resolve"]["nodes"].as_array().context("cargo metadata resolves nothing")?;
    let ids = [own].into_iter().chain(others.iter().copied());
    let references = ids.map(|found| (text(found, "id"), reference(found))).collect();
    Ok(json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": { "component": application },
        "components": others.iter().map(|found| component(found, checksums)).collect::<Vec<_>>(),
        "dependencies": nodes.iter().filter_map(|node| dependencies(node, &references)).collect::<Vec<_>>(),
    }))
}

fn component(package: &Value, checksums: &BTreeMap<Crate, String>) -> Value {
    let (name, version) = name(package);
    let mut component = json!({
        "type": "library",
        "bom-ref": reference(package),
        "purl": reference(package),
        "name": name,
        "version": version,
    });
    if let Some(licence) = package["license"].as_str() {
        // Cargo takes the slash of old for an "or"; SPDX does not.
        component["licenses"] = json!([{ "expression": licence.replace('/', " OR ") }]);
    }
    if let Some(checksum) = checksums.get(&(name, version)) {
        component["hashes"] = json!([{ "alg": "SHA-256", "content": checksum }]);
    }
    component
}

/// What a crate is linked with, if it is part of the program itself.
fn dependencies(node: &Value, references: &BTreeMap<&str, String>) -> Option<Value> {
    let own = references.get(text(node, "id"))?;
    let is_normal = |dependency: &&Value| {
        dependency["dep_kinds"]
            .as_array()
            .is_some_and(|kinds| kinds.iter().any(|kind| kind["kind"].is_null()))
    };
    let on: BTreeSet<_> = node["deps"]
        .as_array()?
        .iter()
        .filter(is_normal)
        .filter_map(|dependency| references.get(text(dependency, "pkg")))
        .collect();
    Some(json!({ "ref": own, "dependsOn": on }))
}

fn name(package: &Value) -> Crate {
    (text(package, "name").to_owned(), text(package, "version").to_owned())
}

/// The package URL.
fn reference(package: &Value) -> String {
    format!("pkg:cargo/{}@{}", text(package, "name"), text(package, "version"))
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, licence: &str) -> Value {
        json!({ "id": format!("id-{name}"), "name": name, "version": "1.0.0", "license": licence })
    }

    fn node(name: &str, on: &[(&str, Option<&str>)]) -> Value {
        let deps = on
            .iter()
            .map(|(name, kind)| json!({ "pkg": format!("id-{name}"), "dep_kinds": [{ "kind": kind }] }));
        json!({ "id": format!("id-{name}"), "deps": deps.collect::<Vec<_>>() })
    }

    #[test]
    fn the_document_names_what_is_linked_and_nothing_else() {
        let metadata = json!({
            "packages": [package("app", "Apache-2.0"), package("in", "MIT/Apache-2.0"), package("tool", "MIT")],
            "resolve": { "nodes": [
                node("app", &[("in", None), ("tool", Some("dev"))]), node("in", &[("tool", Some("build"))]), node("tool", &[]),
            ] },
        });
        let tree = linked("app v1.0.0 (/src)\nin v1.0.0\nin v1.0.0 (*)\n\n");
        let lock = "[[package]]\nname = \"in\"\nversion = \"1.0.0\"\nchecksum = \"ab\"\n";
        let made = document("app", &tree, &metadata, &checksums(lock).unwrap()).unwrap();
        assert_eq!(made["metadata"]["component"]["bom-ref"], "pkg:cargo/app@1.0.0");
        let library = json!({
            "type": "library", "name": "in", "version": "1.0.0",
            "bom-ref": "pkg:cargo/in@1.0.0", "purl": "pkg:cargo/in@1.0.0",
            "licenses": [{ "expression": "MIT OR Apache-2.0" }],
            "hashes": [{ "alg": "SHA-256", "content": "ab" }],
        });
        assert_eq!(made["components"], json!([library]));
        let edges = json!([
            { "ref": "pkg:cargo/app@1.0.0", "dependsOn": ["pkg:cargo/in@1.0.0"] },
            { "ref": "pkg:cargo/in@1.0.0", "dependsOn": [] },
        ]);
        assert_eq!(made["dependencies"], edges);
    }
}
