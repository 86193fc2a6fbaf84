//! What the linters say, and that they would say something.

use std::collections::BTreeSet;
use std::fs;

use deploy_tests::{Template, cfn_lint, checkov, read, root};

use super::scratch;

/// What the command line takes by itself; a larger template goes through a bucket, up to a size that is far away.
const INLINE_BYTES: usize = 51_200;

#[test]
fn cfn_lint_finds_nothing() {
    let verdict = cfn_lint(&Template::get().path);
    assert!(verdict.clean && verdict.output.trim().is_empty(), "{}", verdict.output);
}

/// checkov leaves out what the default parameters leave out, so the other form is a scan of its own.
#[test]
fn checkov_finds_nothing_in_either_form() {
    let template = Template::get();
    let lambda = scratch("lambda.yaml", &lambda_by_default(&template.text));
    for path in [&template.path, &lambda] {
        let verdict = checkov(path);
        assert!(verdict.clean && verdict.output.contains("Passed checks: "), "{}", verdict.output);
    }
}

#[test]
fn cfn_lint_sees_a_misspelt_property() {
    let template = Template::get();
    let misspelt = template.with("PointInTimeRecoverySpecification:", "PointInTimeRecoverySpecificaton:");
    let verdict = cfn_lint(&scratch("misspelt.yaml", &misspelt));
    assert!(
        !verdict.clean && verdict.output.contains("PointInTimeRecoverySpecificaton"),
        "{}",
        verdict.output
    );
}

#[test]
fn cfn_lint_sees_a_value_that_nothing_has() {
    let template = Template::get();
    let wrong = template.with("!GetAtt LoadBalancer.DNSName", "!GetAtt LoadBalancer.DnsName");
    let verdict = cfn_lint(&scratch("wrong-attribute.yaml", &wrong));
    assert!(!verdict.clean && verdict.output.contains("DnsName"), "{}", verdict.output);
}

#[test]
fn checkov_sees_an_open_door() {
    let template = Template::get();
    let ours = "FromPort: 8080, ToPort: 8080, SourceSecurityGroupId: !Ref LoadBalancerGroup";
    let open = template.with(ours, "FromPort: 22, ToPort: 22, CidrIp: 0.0.0.0/0");
    let verdict = checkov(&scratch("open.yaml", &open));
    assert!(!verdict.clean && verdict.output.contains("CKV_AWS_24:"), "{}", verdict.output);
}

#[test]
fn checkov_sees_a_table_that_cannot_be_restored() {
    let template = Template::get();
    let lost = template.with("PointInTimeRecoveryEnabled: true", "PointInTimeRecoveryEnabled: false");
    let verdict = checkov(&scratch("lost.yaml", &lost));
    assert!(!verdict.clean && verdict.output.contains("CKV_AWS_28:"), "{}", verdict.output);
}

/// What is suppressed would be found, and the README says why it may stay.
#[test]
fn each_suppression_is_needed_and_explained() {
    let template = Template::get();
    let bare = template.with("{id: CKV_", "{id: NOT_CKV_");
    let fargate = checkov(&scratch("bare.yaml", &bare));
    let lambda = checkov(&scratch("bare-lambda.yaml", &lambda_by_default(&bare)));
    let found = ids(&fargate.output).chain(ids(&lambda.output)).collect::<BTreeSet<_>>();

    let suppressed = template.text.split("{id: ").skip(1).filter_map(|rest| ids(rest).next());
    assert_eq!(found, suppressed.collect::<BTreeSet<_>>());
    let readme = fs::read_to_string(root().join("deploy/cloudformation/README.md"));
    let readme = readme.expect("deploy/cloudformation has its README");
    assert_eq!(found, ids(&readme).collect::<BTreeSet<_>>());
}

#[test]
fn the_guide_hands_the_template_over_through_a_bucket() {
    assert!(Template::get().text.len() > INLINE_BYTES, "it needs no bucket any more");
    let guide = read("docs/deploy/cloudformation.md").expect("the guide is there");
    let deployments: Vec<_> = guide.split("aws cloudformation deploy").skip(1).collect();
    assert!(deployments.len() > 3);
    for deployment in deployments {
        let command = deployment.split("```").next().unwrap_or_default();
        assert!(command.contains("--s3-bucket \"$BUCKET\""), "{command}");
    }
}

fn lambda_by_default(template: &str) -> String {
    assert!(template.contains("Default: Fargate"), "Fargate is no longer the default");
    template.replace("Default: Fargate", "Default: Lambda")
}

/// The ids of checks, such as `CKV_AWS_18`, in the order in which they stand there.
fn ids(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    words.filter(|word| word.starts_with("CKV"))
}
