//! The template against the program that it starts.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use deploy_tests::{Settings, Template, root};
use serde_json::{Value, json};

use super::{list, text};

/// The calls of the commands that operators run with rights of their own: `client`, `key`, and `migrate` without a table.
const OPERATORS_CALLS: [&str; 3] = ["dynamodb:CreateTable", "dynamodb:Scan", "dynamodb:UpdateTimeToLive"];

#[test]
fn the_program_knows_every_setting_that_it_is_given() {
    let (template, settings) = (Template::get(), Settings::read());
    let given = [
        container(template, "migrate"),
        container(template, "device-grant"),
        function(template, "Function"),
        function(template, "RotationFunction"),
    ];
    let given = given.iter().flat_map(BTreeMap::keys).map(String::as_str);
    let unknown = given.filter(|name| !settings.knows(name)).collect::<BTreeSet<_>>();
    assert_eq!(unknown, BTreeSet::new());
}

/// All but what a function has no use for.
#[test]
fn both_forms_are_given_the_same_settings() {
    let template = Template::get();
    let mut task = container(template, "device-grant");
    for of_tasks in ["DEVICE_GRANT__LISTEN", "DEVICE_GRANT__NETWORK__DRAIN_DELAY_S"] {
        assert!(task.remove(of_tasks).is_some(), "{of_tasks} is not set");
    }
    assert_eq!(task, function(template, "Function"));
}

#[test]
fn the_role_allows_what_the_program_calls_and_nothing_else() {
    let calls = sources(&root().join("crates"));
    let called = |action: &str| calls.contains(&format!(".{}(", method(action)));
    let allowed = allowed(Template::get(), "ServiceRole", "Service");

    let uncalled = allowed.iter().map(String::as_str).filter(|action| !called(action));
    assert_eq!(uncalled.collect::<Vec<_>>(), [""; 0]);
    let store = sources(&root().join("crates/store-dynamodb/src"));
    let of_the_store = dynamodb_calls(&store);
    let of_the_role = allowed.into_iter().filter(|action| action.starts_with("dynamodb:"));
    let of_the_role = of_the_role.chain(OPERATORS_CALLS.map(str::to_owned)).collect::<BTreeSet<_>>();
    assert_eq!(of_the_store, of_the_role);
}

/// What the service may not do is the rotation's: together they may do what the program knows of in Cognito and Secrets
/// Manager.
#[test]
fn the_rotation_may_do_what_it_does_and_nothing_else() {
    let of_the_two =
        |action: &String| action.starts_with("secretsmanager:") || action.starts_with("cognito-idp:");
    let rotation = allowed(Template::get(), "RotationRole", "Rotation");
    let service = allowed(Template::get(), "ServiceRole", "Service");
    let known = sources(&root().join("crates/aws/src"));
    let known = known.split('"').map(str::to_owned).filter(of_the_two).collect::<BTreeSet<_>>();

    let together =
        rotation.union(&service).filter(|action| of_the_two(action)).cloned().collect::<BTreeSet<_>>();
    assert_eq!(together, known);
    let both = rotation.intersection(&service).filter(|action| of_the_two(action)).collect::<Vec<_>>();
    assert_eq!(both, ["secretsmanager:GetSecretValue"]);
}

/// The role of tasks that operators start: the service's, and a look through the table for `key`.
#[test]
fn an_operator_may_do_what_the_service_does_and_look_through_the_table() {
    let mut service = allowed(Template::get(), "ServiceRole", "Service");
    service.insert("dynamodb:Scan".to_owned());
    assert_eq!(allowed(Template::get(), "OperatorRole", "Operator"), service);
}

/// Every statement names things of this stack.
#[test]
fn the_roles_reach_nothing_beyond_the_stack() {
    let template = Template::get();
    let roles = ["ServiceRole", "RotationRole", "OperatorRole"];
    let policies = roles.map(|role| list(&template.properties(role)["Policies"]));
    for policy in policies.into_iter().flatten() {
        for statement in list(&policy["PolicyDocument"]["Statement"]) {
            let resource = &statement["Resource"];
            let named = resource.get("Ref").or_else(|| resource["Fn::GetAtt"].get(0));
            let named =
                named.and_then(Value::as_str).unwrap_or_else(|| panic!("{statement} names {resource}"));
            template.properties(named);
        }
    }
}

/// The schema's number is written down on its word.
#[test]
fn the_table_is_the_one_that_migrate_makes() {
    let template = Template::get();
    let table = template.properties("Table");
    let step = |name: &str| {
        let read = fs::read_to_string(root().join("migrations").join(name)).expect("the migration is there");
        serde_json::from_str::<Value>(&read).expect("a migration is JSON")["input"].clone()
    };
    let (create, expire) = (step("0001-create-table.json"), step("0002-time-to-live.json"));
    for part in ["AttributeDefinitions", "KeySchema", "BillingMode"] {
        assert_eq!(table[part], create[part], "{part}");
    }
    assert_eq!(table["TimeToLiveSpecification"], expire["TimeToLiveSpecification"]);
    let steps = fs::read_dir(root().join("migrations")).expect("the migrations are there");
    let json = steps.filter(|step| {
        step.as_ref().is_ok_and(|step| step.path().extension().is_some_and(|end| end == "json"))
    });
    assert_eq!(json.count(), 2, "a step that the template does not follow");
}

#[test]
fn a_task_has_time_to_drain_and_the_balancer_lets_go_first() {
    let (template, settings) = (Template::get(), Settings::read());
    let containers = list(&template.properties("TaskDefinition")["ContainerDefinitions"]);
    let stop =
        containers.iter().find_map(|container| container["StopTimeout"].as_u64()).expect("a StopTimeout");
    let delay = &container(template, "device-grant")["DEVICE_GRANT__NETWORK__DRAIN_DELAY_S"];
    let delay = text(delay).parse::<u64>().expect("a number of seconds");
    assert!(stop > delay + settings.number("network.drain_timeout_s"), "stopped after {stop} s");

    let idle = attribute(
        list(&template.properties("LoadBalancer")["LoadBalancerAttributes"]),
        "idle_timeout.timeout_seconds",
    );
    assert!(text(&idle).parse::<u64>().expect("a number") < settings.number("network.header_timeout_s"));
}

#[test]
fn the_balancer_is_a_proxy_and_no_more() {
    let template = Template::get();
    let balancer = list(&template.properties("LoadBalancer")["LoadBalancerAttributes"]);
    assert_eq!(attribute(balancer, "routing.http.drop_invalid_header_fields.enabled"), json!("true"));
    assert_eq!(attribute(balancer, "access_logs.s3.enabled"), json!("true"));
    let https = template.properties("HttpsListener");
    assert!(text(&https["SslPolicy"]).starts_with("ELBSecurityPolicy-TLS13-1-2-"));
    assert_eq!(https["DefaultActions"].as_array().map(Vec::len), Some(1));
    assert_eq!(https["DefaultActions"][0]["Type"], "forward");
    assert_eq!(
        template.properties("HttpListener")["DefaultActions"][0]["RedirectConfig"]["Protocol"],
        "HTTPS"
    );
    let function = list(&template.properties("FunctionTargets")["TargetGroupAttributes"]);
    assert_eq!(attribute(function, "lambda.multi_value_headers.enabled"), json!("true"));
    let hidden = &template.properties("HealthIsPrivate")["Conditions"][0]["PathPatternConfig"]["Values"];
    assert_eq!(*hidden, json!(["/livez", "/readyz"]));
}

/// The variables of a container, each with what the template sets it to.
fn container(template: &Template, name: &str) -> BTreeMap<String, Value> {
    let containers = list(&template.properties("TaskDefinition")["ContainerDefinitions"]);
    let container = containers.iter().find(|container| container["Name"] == name);
    let variables = list(&container.unwrap_or_else(|| panic!("no container {name}"))["Environment"]);
    variables.iter().map(|pair| (text(&pair["Name"]).to_owned(), pair["Value"].clone())).collect()
}

fn function(template: &Template, name: &str) -> BTreeMap<String, Value> {
    let variables = &template.properties(name)["Environment"]["Variables"];
    variables.as_object().expect("a table").clone().into_iter().collect()
}

fn attribute(attributes: &[Value], key: &str) -> Value {
    let found = attributes.iter().find(|attribute| attribute["Key"] == key);
    found.unwrap_or_else(|| panic!("{key} is not set"))["Value"].clone()
}

/// The actions of a role's policy. (The service has another one for what AWS does on its behalf.)
pub(super) fn allowed(template: &Template, role: &str, policy: &str) -> BTreeSet<String> {
    let policies = list(&template.properties(role)["Policies"]);
    let policy = policies.iter().find(|found| found["PolicyName"] == policy).expect("a policy of that name");
    let statements =
        list(&policy["PolicyDocument"]["Statement"]).iter().map(|statement| &statement["Action"]);
    let actions =
        statements.flat_map(|action| action.as_array().cloned().unwrap_or_else(|| vec![action.clone()]));
    actions.map(|action| text(&action).to_owned()).collect()
}

/// The method of the SDK that makes a call: `dynamodb:GetItem` is `get_item`.
fn method(action: &str) -> String {
    let name = action.split_once(':').map_or(action, |(_, name)| name);
    let mut method = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !method.is_empty() {
            method.push('_');
        }
        method.push(letter.to_ascii_lowercase());
    }
    method
}

/// The calls of DynamoDB that a source makes. All that there are for items and tables are looked for.
pub(super) fn dynamodb_calls(source: &str) -> BTreeSet<String> {
    const ALL: [&str; 16] = [
        "BatchGetItem",
        "BatchWriteItem",
        "CreateTable",
        "DeleteItem",
        "DeleteTable",
        "DescribeTable",
        "DescribeTimeToLive",
        "GetItem",
        "PutItem",
        "Query",
        "Scan",
        "TransactGetItems",
        "TransactWriteItems",
        "UpdateItem",
        "UpdateTable",
        "UpdateTimeToLive",
    ];
    let called = ALL.iter().filter(|name| source.contains(&format!(".{}(", method(name))));
    called.map(|name| format!("dynamodb:{name}")).collect()
}

/// The text of all Rust files below a directory, tests aside.
pub(super) fn sources(directory: &Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(directory).expect("the sources are there") {
        let path = entry.expect("the sources can be listed").path();
        if path.is_dir() && !path.ends_with("tests") {
            text += &sources(&path);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text += &fs::read_to_string(&path).expect("a source is text");
        }
    }
    text
}
