//! `deploy/compose.yaml` and its files: checked by the reference implementation, and started as plain processes, since no
//! container engine is needed to find out whether they fit together.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use deploy_tests::{binary, fetched, moved, program, read, root, run, scratch, stdout, variables};
use device_grant_testkit::parts::{self, DynamoDbLocal, Process, free_port};
use serde_json::Value;

use crate::visitor::Visitor;

const FILE: &str = "deploy/compose.yaml";
const PATIENCE: Duration = Duration::from_mins(4);

fn compose(file: &Path) -> Command {
    let mut command = fetched("bin", "compose-spec");
    // It takes the paths in the file from where it is started; `docker compose` takes them from where the file is.
    command.args(["-format", "json"]).arg(file).current_dir(file.parent().unwrap());
    command
}

fn model(file: &Path) -> Value {
    serde_json::from_str(&stdout(compose(file).env("COMPOSE_PROFILES", "*")).unwrap()).unwrap()
}

/// The file with one thing said otherwise.
fn altered(right: &str, wrong: &str) -> PathBuf {
    let name: String = wrong.chars().filter(char::is_ascii_alphanumeric).collect();
    let file = scratch(&format!("compose-{name}")).unwrap().join("compose.yaml");
    fs::write(&file, moved(&read(FILE).unwrap(), &[(right, wrong)]).unwrap()).unwrap();
    file
}

#[test]
fn the_file_follows_the_compose_specification() {
    assert!(stdout(&mut compose(&root().join(FILE))).is_ok());
    for (right, wrong) in [
        ("stop_grace_period:", "stop_grace_perod:"),
        ("condition: service_completed_successfully", "condition: service_completed"),
    ] {
        assert!(!run(&mut compose(&altered(right, wrong))).unwrap().0, "{wrong} is taken");
    }
}

#[test]
fn the_file_names_what_there_is() {
    assert_eq!(dangling(&model(&root().join(FILE))), [""; 0]);
    for (right, wrong) in [
        ("network_mode: service:edge", "network_mode: service:egde"),
        ("- keys:/data:ro", "- kesy:/data:ro"),
        ("      dynamodb:\n        condition", "      dynmodb:\n        condition"),
        ("DEVICE_GRANT__LISTEN: 127.0.0.1:8082", "DEVICE_GRANT__LISTN: 127.0.0.1:8082"),
    ] {
        assert_ne!(dangling(&model(&altered(right, wrong))), [""; 0], "{wrong} is taken");
    }
}

/// Only the balancer is on the machine's network, and only for this machine.
#[test]
fn nobody_else_reaches_what_the_file_starts() {
    for (service, facts) in model(&root().join(FILE))["services"].as_object().unwrap() {
        let network = facts["network_mode"].as_str();
        let ports = facts["ports"].as_array().into_iter().flatten();
        if service == "edge" {
            assert_eq!(
                ports.map(|port| port["host_ip"].as_str().unwrap()).collect::<Vec<_>>(),
                ["127.0.0.1"; 2]
            );
        } else {
            assert_eq!(
                (network.is_some_and(|mode| mode == "none" || mode == "service:edge"), ports.count()),
                (true, 0)
            );
        }
    }
}

/// Services, volumes, files and settings that are named and are not there.
fn dangling(model: &Value) -> Vec<String> {
    let known = variables().unwrap();
    let services = model["services"].as_object().unwrap();
    let shipped = root().join("deploy");
    let mut missing = Vec::new();
    for (service, facts) in services {
        let entries = |key: &str| facts[key].as_object().into_iter().flatten().map(|(name, _)| name.clone());
        let settings = entries("environment").filter(|name| name.starts_with("DEVICE_GRANT"));
        missing.extend(settings.filter(|name| !known.contains(name)));
        let network = facts["network_mode"].as_str().and_then(|mode| mode.strip_prefix("service:"));
        let others = entries("depends_on").chain(network.map(str::to_owned));
        missing.extend(others.filter(|other| !services.contains_key(other)));
        for volume in facts["volumes"].as_array().into_iter().flatten() {
            let source = Path::new(volume["source"].as_str().unwrap());
            let is_there = if volume["type"] == "bind" {
                // Whatever directory the file itself is in.
                shipped.join("compose").join(source.file_name().unwrap()).is_file()
                    && source.parent().unwrap().ends_with("compose")
            } else {
                model["volumes"].as_object().unwrap().contains_key(source.to_str().unwrap())
            };
            missing.extend((!is_there).then(|| format!("{service}: {}", source.display())));
        }
    }
    missing
}

/// The services of the file on ports that are free here.
struct Here {
    services: Value,
    directory: PathBuf,
    /// Each port of the file, and the one instead.
    ports: [(u16, u16); 5],
}

impl Here {
    fn prepare() -> Self {
        let table = DynamoDbLocal::shared().endpoint_url().rsplit(':').next().unwrap().parse().unwrap();
        let ports = [
            (8000, table),
            (8080, free_port()),
            (8081, free_port()),
            (8082, free_port()),
            (8180, free_port()),
        ];
        Self {
            services: model(&root().join(FILE))["services"].clone(),
            directory: scratch("compose").unwrap(),
            ports,
        }
    }

    fn port(&self, shipped: u16) -> u16 {
        self.ports.iter().find(|(port, _)| *port == shipped).unwrap().1
    }

    /// A shipped file with the given ports, and further places, exchanged; under its own name.
    fn file(&self, name: &str, ports: &[u16], places: &[(&str, &str)]) -> PathBuf {
        let exchanged: Vec<_> =
            ports.iter().map(|port| (format!(":{port}"), format!(":{}", self.port(*port)))).collect();
        let mut all = places.to_vec();
        all.extend(exchanged.iter().map(|(shipped, here)| (shipped.as_str(), here.as_str())));
        let file = self.directory.join(name);
        fs::write(&file, moved(&read(&format!("deploy/compose/{name}")).unwrap(), &all).unwrap()).unwrap();
        file
    }

    /// The command of a service, with its places and ports exchanged, in its environment.
    fn command(&self, service: &str, program: &mut Command, places: &[(&str, &Path)]) {
        let facts = &self.services[service];
        let here = |text: &str| {
            let mut text = text.to_owned();
            for (shipped, here) in places {
                text = text.replace(shipped, &here.display().to_string());
            }
            for (shipped, here) in self.ports {
                text = text.replace(&format!(":{shipped}"), &format!(":{here}"));
                text = text.replace(&format!("-port={shipped}"), &format!("-port={here}"));
            }
            text
        };
        let words =
            facts["command"].as_array().unwrap_or_else(|| panic!("{service} has no command: {facts}"));
        program.args(words.iter().map(|word| here(word.as_str().unwrap())));
        for (name, value) in facts["environment"].as_object().into_iter().flatten() {
            program.env(name, here(value.as_str().unwrap()));
        }
    }

    fn device_grant(&self, service: &str, places: &[(&str, &Path)]) -> Command {
        let mut command = Command::new(binary().unwrap());
        self.command(service, &mut command, places);
        command
    }
}

/// Keycloak as its image starts it. It gets a copy of what it rebuilds and of where it keeps its data.
fn keycloak(here: &Here) -> Process {
    let home = here.directory.join("keycloak");
    let fetched = parts::directory("keycloak").join("home");
    stdout(program("cp").args(["--archive", "--link"]).arg(&fetched).arg(&home)).unwrap();
    for own in ["data", "lib/quarkus"] {
        fs::remove_dir_all(home.join(own)).unwrap();
    }
    stdout(program("cp").arg("--archive").arg(fetched.join("lib/quarkus")).arg(home.join("lib"))).unwrap();
    let import = home.join("data/import");
    fs::create_dir_all(&import).unwrap();
    let realm = here.file("realm.json", &[8080], &[]);
    fs::copy(realm, import.join("realm.json")).unwrap();

    let mut command = program("bash");
    command.arg(home.join("bin/kc.sh"));
    here.command("keycloak", &mut command, &[]);
    command.arg("--http-host=127.0.0.1").env("JAVA_OPTS_KC_HEAP", "-Xms64m -Xmx512m");
    Process::start("compose-keycloak", &command)
}

/// The commands, environments and files of the compose file, from the keys to the television that is signed in.
#[tokio::test]
async fn a_television_logs_in_through_what_the_file_starts() {
    let here = Here::prepare();
    let mut keycloak = keycloak(&here);
    let data = here.directory.join("data");
    fs::create_dir(&data).unwrap();
    stdout(&mut here.device_grant("keys", &[("/data", &data)])).unwrap();
    let config =
        here.file("device-grant.toml", &[8000, 8080, 8180], &[("/data/", &format!("{}/", data.display()))]);
    let places = [("/etc/device-grant/device-grant.toml", config.as_path())];
    stdout(&mut here.device_grant("migrate", &places)).unwrap();
    let mut replicas = Vec::new();
    for (service, port) in [("replica-a", 8081), ("replica-b", 8082)] {
        let mut replica = Process::start(service, &here.device_grant(service, &places));
        replica.wait_for_http(here.port(port), "/readyz", PATIENCE).unwrap();
        let health = here.services[service]["healthcheck"]["test"].as_array().unwrap();
        assert_eq!(health[1..], ["/usr/bin/device-grant", "health"]);
        let mut asked = Command::new(binary().unwrap());
        asked.arg("health").env("DEVICE_GRANT__LISTEN", format!("127.0.0.1:{}", here.port(port)));
        assert!(run(&mut asked).unwrap().0);
        replicas.push(replica);
    }
    let bind = format!("bind 127.0.0.1:{}", here.port(8080));
    let balancer = here.file("haproxy.cfg", &[8081, 8082], &[("bind :8080", &bind)]);
    let words = here.services["edge"]["command"].as_array().unwrap();
    assert_eq!(words[0], "haproxy");
    let mut edge = program("haproxy");
    let balancer = balancer.display().to_string();
    edge.args(
        words[1..]
            .iter()
            .map(|word| word.as_str().unwrap().replace("/usr/local/etc/haproxy/haproxy.cfg", &balancer)),
    );
    let mut edge = Process::start("compose-edge", &edge);
    edge.wait_for_http(here.port(8080), "/.well-known/oauth-authorization-server", PATIENCE).unwrap();
    keycloak.wait_for_http(here.port(8180), "/realms/living-room", PATIENCE).unwrap();

    for port in [8081, 8082] {
        knows_the_pool(here.port(port)).await;
    }

    let mut television = Process::start("compose-television", &here.device_grant("television", &[]));
    let line = television.wait_for_line(PATIENCE, |line| line.contains("user_code=")).unwrap();
    let code = line.trim().rsplit("user_code=").next().unwrap().to_owned();
    approve(&format!("http://127.0.0.1:{}", here.port(8080)), &code).await;
    let logged_in = television.wait(PATIENCE, || false).unwrap_err();
    assert!(logged_in.contains("exit status: 0"), "{logged_in}");
}

/// A replica that was there before the pool finds it by itself.
async fn knows_the_pool(port: u16) {
    for _ in 0..600 {
        let health = Visitor::new().open(&format!("http://127.0.0.1:{port}/readyz")).await;
        if !health.text.contains("degraded") {
            return;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    panic!("the replica on port {port} does not find the pool");
}

/// A person signs in as `alice`, enters the code and authorizes.
async fn approve(origin: &str, code: &str) {
    let page = format!("{origin}/device");
    let mut person = Visitor::new();
    let form = person.open(&page).await;
    let action = form.attribute("action=\"").unwrap_or_else(|| panic!("no form: {form:?}"));
    let enter = person.send(&action, &[("username", "alice"), ("password", "alice")]).await;
    let csrf = enter.hidden("csrf");
    let confirm = person.send(&page, &[("csrf", &csrf), ("intent", "lookup"), ("user_code", code)]).await;
    assert!(confirm.text.contains("Living Room TV"), "{confirm:?}");
    let (csrf, token) = (confirm.hidden("csrf"), confirm.hidden("confirm"));
    let done = person.send(&page, &[("csrf", &csrf), ("confirm", &token), ("intent", "authorize")]).await;
    assert!(done.url.contains("/device/done") && done.text.contains("data-outcome=\"approved\""), "{done:?}");
}
