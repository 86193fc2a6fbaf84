"""Makes the CloudFormation template's stack on a moto server, and prints what came out as JSON.

moto makes no user pools and no secrets from a template; it passes over them without a word, and with them over whatever names
them. So these are made through their own API, with the properties that the template gives them, and the stack gets them as
parameters of the same names. Everything else that moto passes over is left to cfn-lint.

Usage: moto_stack.py ENDPOINT TEMPLATE COMPUTE
"""

import json
import sys

import boto3
from cfnlint.decode import decode

ENDPOINT, TEMPLATE, COMPUTE = sys.argv[1:]
REGION = "eu-west-1"
GIVEN = {
    "Fqdn": "login.example.com",
    "CognitoDomainPrefix": "living-room",
    "TestUserEmail": "alice@example.com",
    "ImageUri": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/device-grant@sha256:" + "0" * 64,
    "Compute": COMPUTE,
    "DeletionProtection": "false",
}


def client(service):
    return boto3.client(
        service, endpoint_url=ENDPOINT, region_name=REGION, aws_access_key_id="test", aws_secret_access_key="test"
    )


def resolved(value, known):
    """`value` without its references to what is known."""
    if isinstance(value, list):
        return [resolved(item, known) for item in value]
    if not isinstance(value, dict):
        return value
    match list(value.items()):
        case [("Ref", name)]:
            return known[name]
        case [("Fn::GetAtt", [name, attribute])]:
            return known[f"{name}.{attribute}"]
        case [("Fn::Sub", str(text))]:
            for name, found in known.items():
                text = text.replace("${%s}" % name, str(found))
            return text
        case [("Fn::If", ["IsProtected", _, otherwise])]:
            return resolved(otherwise, known)
    return {key: resolved(item, known) for key, item in value.items()}


def make_pool(resources, known):
    """The user pool, its domain, its clients and its user."""
    pools = client("cognito-idp")

    def properties(name):
        return resolved(resources[name]["Properties"], known)

    pool = properties("UserPool")
    pool["PoolName"] = pool.pop("UserPoolName")
    multi_factor = {"Enabled": "SOFTWARE_TOKEN_MFA" in pool.pop("EnabledMfas")}
    made = pools.create_user_pool(**{name: value for name, value in pool.items() if name != "MfaConfiguration"})["UserPool"]
    known["UserPool"], known["UserPool.Arn"] = made["Id"], made["Arn"]
    pools.set_user_pool_mfa_config(
        UserPoolId=made["Id"], SoftwareTokenMfaConfiguration=multi_factor, MfaConfiguration=pool["MfaConfiguration"]
    )
    domain = properties("UserPoolDomain")
    pools.create_user_pool_domain(**domain)
    known["UserPoolDomain"] = domain["Domain"]
    for name in clients_of(resources):
        made = pools.create_user_pool_client(**properties(name))["UserPoolClient"]
        known[name], known[f"{name}.ClientSecret"] = made["ClientId"], made["ClientSecret"]
    user = properties("TestUser")
    pools.admin_create_user(**user)


def clients_of(resources):
    return [name for name, resource in resources.items() if resource["Type"] == "AWS::Cognito::UserPoolClient"]


def make_secret(resources, known):
    """The secret that the service reads its pool client's secret from."""
    properties = resolved(resources["SignInClientSecret"]["Properties"] | {"KmsKeyId": "alias/aws/secretsmanager"}, known)
    known["SignInClientSecret"] = client("secretsmanager").create_secret(Name="SignInClientSecret", **properties)["ARN"]


def without_what_is_made(template, known):
    """The template with parameters in the place of what was made."""
    made = [
        name
        for name, resource in template["Resources"].items()
        if resource["Type"].startswith("AWS::Cognito::") or name == "SignInClientSecret"
    ]
    for name in made:
        del template["Resources"][name]
    for name in [name for name in known if name.split(".")[0] in made]:
        template["Parameters"][name.replace(".", "")] = {"Type": "String", "Default": known[name]}

    def renamed(value):
        if isinstance(value, list):
            return [renamed(item) for item in value]
        if not isinstance(value, dict):
            return value
        match list(value.items()):
            case [("Fn::GetAtt", [name, attribute])] if name in made:
                return {"Ref": name + attribute}
        return {key: renamed(item) for key, item in value.items()}

    return renamed(template)


def pool_clients(known, names):
    """What the service would read of each app client."""
    pools = client("cognito-idp")
    return {
        name: pools.describe_user_pool_client(UserPoolId=known["UserPool"], ClientId=known[name])["UserPoolClient"]
        for name in names
    }


def environment(resources):
    """The variables that the service would be started with."""
    if COMPUTE == "Lambda":
        return function_environment(resources["Function"])
    task = client("ecs").describe_task_definition(taskDefinition=resources["TaskDefinition"])["taskDefinition"]
    container = next(found for found in task["containerDefinitions"] if found["name"] == "device-grant")
    return {variable["name"]: variable["value"] for variable in container["environment"]}


def function_environment(name):
    function = client("lambda").get_function_configuration(FunctionName=name)
    return {name: str(value) for name, value in function["Environment"]["Variables"].items()}


def main():
    template, problems = decode(TEMPLATE)
    assert not problems, problems
    defaults = {name: parameter.get("Default", "") for name, parameter in template["Parameters"].items()}
    certificate = client("acm").request_certificate(DomainName=GIVEN["Fqdn"])["CertificateArn"]
    parameters = GIVEN | {"CertificateArn": certificate}
    known = defaults | parameters | {"AWS::StackName": "device-grant", "AWS::Region": REGION}
    names = clients_of(template["Resources"])
    make_pool(template["Resources"], known)
    make_secret(template["Resources"], known)

    stacks = client("cloudformation")
    stacks.create_stack(
        StackName="device-grant",
        TemplateBody=json.dumps(without_what_is_made(template, known)),
        Capabilities=["CAPABILITY_IAM"],
        Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()],
    )
    stack = stacks.describe_stacks(StackName="device-grant")["Stacks"][0]
    listed = stacks.describe_stack_resources(StackName="device-grant")["StackResources"]
    # What moto passed over is listed without an id.
    resources = {made["LogicalResourceId"]: made["PhysicalResourceId"] for made in listed if "PhysicalResourceId" in made}
    print(
        json.dumps(
            {
                "status": stack["StackStatus"],
                "outputs": {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]},
                "resources": resources,
                "environment": environment(resources),
                "rotation": function_environment(resources["RotationFunction"]),
                "table": client("dynamodb").describe_table(TableName=resources["Table"])["Table"],
                "clients": pool_clients(known, names),
            },
            default=str,
        )
    )


main()
