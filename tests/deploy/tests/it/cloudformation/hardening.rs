//! What checkov does not look at.

use deploy_tests::Template;
use serde_json::{Value, json};

use super::{list, text};

/// A port other than those of remote logins could be open to all without a word of checkov.
#[test]
fn nobody_but_the_balancer_reaches_a_task() {
    let template = Template::get();
    for rule in list(&template.properties("LoadBalancerGroup")["SecurityGroupIngress"]) {
        assert_eq!(rule["CidrIp"], json!({ "Ref": "AllowedCidr" }), "{rule}");
        assert!(
            rule["FromPort"] == rule["ToPort"] && [json!(80), json!(443)].contains(&rule["ToPort"]),
            "{rule}"
        );
    }
    let [rule] = list(&template.properties("TaskGroup")["SecurityGroupIngress"]) else {
        panic!("more than one way to a task");
    };
    assert_eq!(rule["SourceSecurityGroupId"], json!({ "Ref": "LoadBalancerGroup" }));
    assert_eq!([&rule["FromPort"], &rule["ToPort"]], [8080, 8080]);
    assert!(rule.get("CidrIp").is_none() && rule.get("CidrIpv6").is_none(), "{rule}");

    let network = &template.properties("Service")["NetworkConfiguration"]["AwsvpcConfiguration"];
    assert_eq!(network["AssignPublicIp"], "DISABLED");
    assert_eq!(network["Subnets"], json!([{ "Ref": "PrivateSubnetA" }, { "Ref": "PrivateSubnetB" }]));
    let of_resources = template.at("/Resources").as_object().expect("resources by name").values();
    let groups = of_resources.filter(|resource| resource["Type"] == "AWS::EC2::SecurityGroup");
    assert_eq!(groups.count(), 2, "a group that this test does not know");
}

#[test]
fn containers_have_no_privileges() {
    let template = Template::get();
    for container in list(&template.properties("TaskDefinition")["ContainerDefinitions"]) {
        let name = text(&container["Name"]);
        assert_eq!(container["ReadonlyRootFilesystem"], json!(true), "{name}");
        assert_eq!(container["User"], "65532:65532", "{name}");
        assert_eq!(container["LinuxParameters"], json!({ "Capabilities": { "Drop": ["ALL"] } }), "{name}");
        assert!(container.get("Privileged").is_none(), "{name}");
    }
}

/// And it may end: a container that must go on would take the task with it.
#[test]
fn serve_waits_for_migrate() {
    let template = Template::get();
    let [migrate, serve] = list(&template.properties("TaskDefinition")["ContainerDefinitions"]) else {
        panic!("two containers");
    };
    assert_eq!([&migrate["Command"], &serve["Command"]], [&json!(["migrate"]), &json!(["serve"])]);
    assert_eq!(serve["DependsOn"], json!([{ "ContainerName": migrate["Name"], "Condition": "SUCCESS" }]));
    assert_eq!(migrate["Essential"], json!(false));
    assert_eq!(migrate["Image"], serve["Image"]);
}

/// What is lost with them is lost for good.
#[test]
fn state_outlives_the_stack() {
    let template = Template::get();
    let kept = ["Table", "KeyringKey", "DataKey", "UserPool", "SignInClient", "DeviceClient", "AccessLogs"];
    for name in kept {
        let resource = template.at(&format!("/Resources/{name}"));
        let policy = if name == "AccessLogs" { "Retain" } else { "RetainExceptOnCreate" };
        assert_eq!(resource["DeletionPolicy"], policy, "{name}");
        assert_eq!(resource["UpdateReplacePolicy"], "Retain", "{name}");
    }
    let table = template.properties("Table");
    assert_eq!(table["DeletionProtectionEnabled"], json!({ "Fn::If": ["IsProtected", true, false] }));
}

/// A device that hears 403 gives up; RFC 8628 section 3.5 has a word for "not so fast".
#[test]
fn the_firewall_slows_devices_down_and_logs_no_code() {
    let template = Template::get();
    let rules = list(&template.properties("WebAcl")["Rules"]);
    let devices = rules.iter().find(|rule| rule["Name"] == "Devices").expect("a rule for devices");
    let answer = &devices["Action"]["Block"]["CustomResponse"];
    assert_eq!(answer["ResponseCode"], json!(400));
    let body = text(&answer["CustomResponseBodyKey"]);
    let body = template.at(&format!("/Resources/WebAcl/Properties/CustomResponseBodies/{body}"));
    let error: Value = serde_json::from_str(text(&body["Content"])).expect("the body is JSON");
    assert_eq!((&error["error"], &body["ContentType"]), (&json!("slow_down"), &json!("APPLICATION_JSON")));

    let own = &template.properties("WebAcl")["VisibilityConfig"];
    for visibility in rules.iter().map(|rule| &rule["VisibilityConfig"]).chain([own]) {
        assert_eq!(visibility["SampledRequestsEnabled"], json!(false), "{visibility}");
    }
    let redacted = list(&template.properties("WebAclLogging")["RedactedFields"]);
    assert!(redacted.contains(&json!({ "QueryString": {} })));
    for header in ["authorization", "cookie", "dpop"] {
        assert!(redacted.contains(&json!({ "SingleHeader": { "Name": header } })), "{header} is logged");
    }
}
