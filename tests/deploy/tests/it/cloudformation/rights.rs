//! `docs/reference/aws-rights.md` against the program and the template.

use std::collections::{BTreeMap, BTreeSet};

use deploy_tests::{Template, read, root};

use super::program::{allowed, dynamodb_calls, sources};

/// What the page says of each action: what stands in the column of each command.
fn page() -> BTreeMap<String, BTreeMap<String, String>> {
    let page = read("docs/reference/aws-rights.md").expect("the page is there");
    let rows = page.lines().filter(|line| line.starts_with('|'));
    let mut rows =
        rows.map(|row| row.trim_matches('|').split('|').map(|cell| cell.trim().trim_matches('`').to_owned()));
    let commands = rows.next().expect("a table").skip(2).collect::<Vec<_>>();
    let actions = rows.map(Iterator::collect::<Vec<_>>).filter(|row| row[0].contains(':'));
    actions.map(|row| (row[0].clone(), commands.iter().cloned().zip(row[2..].to_vec()).collect())).collect()
}

/// The actions that the page gives to `command`, those for what is there already.
fn actions(command: &str) -> BTreeSet<String> {
    let is_called = |row: &BTreeMap<String, String>| !["", "makes it"].contains(&&*row[command]);
    page().into_iter().filter(|(_, row)| is_called(row)).map(|(action, _)| action).collect()
}

#[test]
fn the_page_of_rights_has_every_call_of_the_program() {
    let mut called = dynamodb_calls(&sources(&root().join("crates/store-dynamodb/src")));
    let aws = sources(&root().join("crates/aws/src"));
    let is_action = |text: &&str| {
        ["kms:", "secretsmanager:", "cognito-idp:"].iter().any(|service| text.starts_with(service))
    };
    called.extend(aws.split('"').filter(is_action).map(str::to_owned));
    assert_eq!(page().into_keys().collect::<BTreeSet<_>>(), called);
}

#[test]
fn the_page_of_rights_says_what_the_template_allows() {
    let template = Template::get();
    let service = actions("serve").union(&actions("migrate")).cloned().collect::<BTreeSet<_>>();
    assert_eq!(service, allowed(template, "ServiceRole", "Service"));
    let mut rotation = allowed(template, "RotationRole", "Rotation");
    // What Lambda and Secrets Manager do on its behalf.
    rotation.retain(|action| !action.starts_with("logs:") && !action.starts_with("kms:"));
    assert_eq!(actions("rotate-pool-secret"), rotation);
}
