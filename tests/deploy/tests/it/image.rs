//! `deploy/image/`: the image that `cargo xtask image` makes, taken apart and run.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use deploy_tests::{Settings, fetched, moved, program, read, root, run, scratch, stdout};
use device_grant_testkit::parts::{Process, free_port};
use serde_json::Value;

/// In bytes, packed and unpacked alike.
const MOST: u64 = 25 * 1024 * 1024;
const PROGRAM: &str = "usr/bin/device-grant";
const SBOM: &str = "usr/share/doc/device-grant/sbom.cdx.json";
const USER: u32 = 65532;
const PATIENCE: Duration = Duration::from_secs(30);
/// Runs the program of an image as its user, on a root that cannot be written to, with a directory for its data.
const ENTER: &str = r#"
root=$1 data=$2; shift 2
mount --bind "$root" "$root" && mount --bind "$data" "$root/data" && mount -o remount,bind,ro "$root" || exit 99
exec setpriv --clear-groups unshare --root="$root" --wd=/data --setgid=65532 --setuid=65532 /usr/bin/device-grant "$@"
"#;

/// An image, taken apart.
pub(crate) struct Image {
    output: PathBuf,
    /// The digest of its manifest.
    digest: String,
    /// What is sent when it is pulled.
    packed: u64,
    root: PathBuf,
    config: Value,
}

impl Image {
    /// The one that all tests look at; making it builds the program first, which takes its time where it is not built yet.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<Image> = OnceLock::new();
        SHARED.get_or_init(|| Self::make("image"))
    }

    fn make(name: &str) -> Self {
        assert_eq!(
            fs::metadata("/proc/self").unwrap().uid(),
            0,
            "taking an image apart keeps owners: run as root"
        );
        let output = scratch(name).unwrap();
        let mut xtask = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        xtask.current_dir(root()).args(["xtask", "image", "--output"]).arg(&output);
        let (made, said) = run(&mut xtask).unwrap();
        assert!(made, "{said}");
        let layout = unpacked(&output.join("device-grant.oci.tar"), &output.join("layout"));
        let blob = |descriptor: &Value| {
            let digest = descriptor["digest"].as_str().unwrap();
            layout.join("blobs").join(digest.replace(':', "/"))
        };
        let index = json(&layout.join("index.json"));
        let manifest = json(&blob(&index["manifests"][0]));
        let layers = manifest["layers"].as_array().unwrap();
        let root = output.join("image");
        for layer in layers {
            unpacked(&blob(layer), &root);
        }
        Self {
            digest: index["manifests"][0]["digest"].as_str().unwrap().to_owned(),
            packed: layers.iter().map(|layer| layer["size"].as_u64().unwrap()).sum(),
            root,
            config: json(&blob(&manifest["config"])),
            output,
        }
    }

    /// The files, with their owners and permissions.
    fn files(&self) -> BTreeMap<String, (u32, u32)> {
        let mut files = BTreeMap::new();
        let mut waiting = vec![self.root.clone()];
        while let Some(directory) = waiting.pop() {
            for entry in fs::read_dir(&directory).unwrap() {
                let path = entry.unwrap().path();
                let of = fs::symlink_metadata(&path).unwrap();
                if of.is_dir() {
                    waiting.push(path.clone());
                }
                let name = path.strip_prefix(&self.root).unwrap().to_string_lossy().into_owned();
                files.insert(name, (of.uid(), of.permissions().mode() & 0o7777));
            }
        }
        files
    }

    /// The program in the image, with its data in `data`.
    pub(crate) fn command(&self, data: &Path, arguments: &[&str], environment: &[(&str, String)]) -> Command {
        let mut command = program("unshare");
        command.args(["--mount", "sh", "-c", ENTER, "enter"]).arg(&self.root).arg(data).args(arguments);
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        command
    }
}

fn unpacked(archive: &Path, directory: &Path) -> PathBuf {
    fs::create_dir_all(directory).unwrap();
    let mut tar = program("tar");
    tar.args(["--extract", "--numeric-owner", "--same-owner", "--same-permissions", "--file"]);
    stdout(tar.arg(archive).arg("--directory").arg(directory)).unwrap();
    directory.to_owned()
}

fn json(file: &Path) -> Value {
    serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
}

#[test]
fn two_images_of_the_same_sources_are_the_same() {
    let (one, other) = (Image::shared(), Image::make("image-again"));
    assert_eq!(one.digest, other.digest);
    assert_eq!(json(&one.output.join("sbom.cdx.json")), json(&other.output.join("sbom.cdx.json")));
}

#[test]
fn the_image_is_one_program_without_a_shell() {
    let image = Image::shared();
    let files = image.files();
    let expected = [
        ("data", (USER, 0o755)),
        ("etc", (0, 0o755)),
        ("etc/group", (0, 0o644)),
        ("etc/passwd", (0, 0o644)),
        ("etc/ssl", (0, 0o755)),
        ("etc/ssl/certs", (0, 0o755)),
        ("etc/ssl/certs/ca-certificates.crt", (0, 0o644)),
        ("usr", (0, 0o755)),
        ("usr/bin", (0, 0o755)),
        (PROGRAM, (0, 0o755)),
        ("usr/share", (0, 0o755)),
        ("usr/share/doc", (0, 0o755)),
        ("usr/share/doc/device-grant", (0, 0o755)),
        (SBOM, (0, 0o644)),
    ];
    let expected: BTreeMap<_, _> = expected.map(|(name, of)| (name.to_owned(), of)).into();
    assert_eq!(files, expected);
}

#[test]
fn the_image_is_small() {
    let image = Image::shared();
    let unpacked: u64 = image
        .files()
        .keys()
        .map(|name| fs::metadata(image.root.join(name)).unwrap())
        .filter(fs::Metadata::is_file)
        .map(|of| of.len())
        .sum();
    assert!(image.packed < MOST && unpacked < MOST, "{} bytes packed, {unpacked} unpacked", image.packed);
    println!("{} kB packed, {} kB unpacked", image.packed / 1000, unpacked / 1000);
}

#[test]
fn the_program_does_not_tell_where_it_was_built() {
    let program = fs::read(Image::shared().root.join(PROGRAM)).unwrap();
    let home = env::home_dir().unwrap().join(".cargo");
    let cargo = env::var_os("CARGO_HOME").map_or(home, PathBuf::from);
    for place in [root(), &cargo] {
        let place = place.to_str().unwrap().as_bytes();
        assert!(
            !program.windows(place.len()).any(|part| part == place),
            "{}",
            String::from_utf8_lossy(place)
        );
    }
    let inside = b"/cargo/registry/";
    assert!(program.windows(inside.len()).any(|part| part == inside), "this looks for nothing");
}

#[test]
fn the_image_says_what_it_is_and_runs_as_nobody_in_particular() {
    let image = Image::shared();
    let config = &image.config["config"];
    assert_eq!(config["User"], "65532:65532");
    assert_eq!(config["Entrypoint"], serde_json::json!(["/usr/bin/device-grant"]));
    assert_eq!(config["Cmd"], serde_json::json!(["serve"]));
    let label = |name: &str| config["Labels"][format!("org.opencontainers.image.{name}")].as_str().unwrap();
    assert_eq!((label("title"), label("licenses")), ("device-grant", "Apache-2.0"));
    let revision = stdout(program("git").args(["rev-parse", "HEAD"]).current_dir(root())).unwrap();
    assert_eq!(label("revision"), revision.trim());
    assert_eq!(label("version"), env!("CARGO_PKG_VERSION"));

    // Docker's own form has the health check, which the standard one does not know.
    let docker = unpacked(&image.output.join("device-grant.docker.tar"), &image.output.join("docker"));
    let manifest = json(&docker.join("manifest.json"));
    let config = json(&docker.join(manifest[0]["Config"].as_str().unwrap()));
    assert_eq!(
        config["config"]["Healthcheck"]["Test"],
        serde_json::json!(["CMD", "/usr/bin/device-grant", "health"])
    );
}

#[test]
fn the_image_lists_what_it_is_made_of() {
    let image = Image::shared();
    let beside = image.output.join("sbom.cdx.json");
    assert_eq!(fs::read(image.root.join(SBOM)).unwrap(), fs::read(&beside).unwrap());
    let sbom = json(&beside);
    let components = sbom["components"].as_array().unwrap();
    let has = |name: &str| components.iter().any(|component| component["name"] == name);
    for linked in ["rustls", "libsqlite3-sys", "aws-lc-sys", "device-grant-domain", "webpki-root-certs"] {
        assert!(has(linked), "{linked}");
    }
    for other in ["proptest", "device-grant-testkit", "thirtyfour", "clap_derive"] {
        assert!(!has(other), "{other} is not in the program");
    }
    assert!(is_sbom(&beside), "it is no CycloneDX");
    let broken = image.output.join("broken.cdx.json");
    fs::write(
        &broken,
        moved(&fs::read_to_string(&beside).unwrap(), &[("\"library\"", "\"libary\"")]).unwrap(),
    )
    .unwrap();
    assert!(!is_sbom(&broken), "the check takes anything");
}

/// Whether a document follows the schema of CycloneDX.
fn is_sbom(file: &Path) -> bool {
    const CHECK: &str = "import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
problem = JsonStrictValidator(SchemaVersion.V1_5).validate_str(open(sys.argv[1]).read())
print(problem or 'good')";
    stdout(fetched("image-tools", "bin/python").args(["-c", CHECK]).arg(file)).unwrap().trim() == "good"
}

#[test]
fn hadolint_has_no_word_against_the_containerfile() {
    let hadolint = |file: &Path| run(fetched("image-tools", "bin/hadolint").arg(file)).unwrap();
    let (good, said) = hadolint(&root().join("deploy/image/Containerfile"));
    assert!(good, "{said}");
    let broken = scratch("containerfile").unwrap().join("Containerfile");
    let text = read("deploy/image/Containerfile").unwrap();
    fs::write(&broken, moved(&text, &[("WORKDIR /src", "WORKDIR src")]).unwrap()).unwrap();
    assert!(!hadolint(&broken).0, "the check takes anything");
}

/// The whole of it: as an unknown user, on a root that is read only, with nothing else on the machine.
#[test]
fn the_image_serves_and_knows_how_it_is() {
    let image = Image::shared();
    let data = scratch("image-data").unwrap();
    std::os::unix::fs::chown(&data, Some(USER), Some(USER)).unwrap();
    let port = free_port();
    let listen = format!("127.0.0.1:{port}");
    let environment = [
        ("DEVICE_GRANT__LISTEN", listen.clone()),
        ("DEVICE_GRANT__PUBLIC_URL", format!("http://{listen}")),
        ("DEVICE_GRANT__UPSTREAM__ISSUER", "http://127.0.0.1:1".to_owned()),
        ("DEVICE_GRANT__UPSTREAM__CLIENT_ID", "device-grant".to_owned()),
        ("DEVICE_GRANT__CLIENT", "[{ id = \"tv\", auth_method = \"none\" }]".to_owned()),
    ];
    let health = || run(&mut image.command(&data, &["health"], &environment)).unwrap();
    let (alive, said) = health();
    assert!(!alive && said.contains("no answer"), "{said}");

    let mut server = Process::start("image", &image.command(&data, &["serve"], &environment));
    server.wait_for_http(port, "/readyz", PATIENCE).unwrap();
    let (alive, said) = health();
    assert!(alive, "{said}");
    assert_eq!(said, format!("{listen} lives\n"));
    for made in ["device-grant.db", "device-grant.db.keys"] {
        assert_eq!(fs::metadata(data.join(made)).unwrap().uid(), USER, "{made}");
    }
    assert!(server.stop().success(), "it ends by itself");
    assert!(!health().0);
}

/// Whom the program trusts: the authorities are those of the image, and not of the machine that built it.
#[test]
fn the_image_brings_its_authorities() {
    let pem = fs::read(Image::shared().root.join("etc/ssl/certs/ca-certificates.crt")).unwrap();
    let authorities = reqwest::Certificate::from_pem_bundle(&pem).unwrap();
    assert!(authorities.len() > 100, "{}", authorities.len());
}

/// Whoever is killed while it drains has lost the requests that it was about to answer.
#[test]
fn the_container_in_the_book_may_drain_and_has_what_its_configuration_names() {
    let (page, settings) = (read("docs/deploy/container.md").unwrap(), Settings::read());
    let run = page.split("docker run --name").nth(1).unwrap().split("```").next().unwrap();
    let patience = run.split("--stop-timeout ").nth(1).unwrap().split_whitespace().next().unwrap();
    let drain = settings.number("network.drain_delay_s") + settings.number("network.drain_timeout_s");
    assert!(patience.parse::<u64>().unwrap() > drain + 3, "{patience}");
    let secret = "client_secret_file = \"/run/secrets/device-grant\"";
    assert!(page.contains(secret) && read("docs/pools/keycloak.md").unwrap().contains(secret));
    assert!(run.contains(":/run/secrets/device-grant:ro"), "{run}");
}
