use axum::body::to_bytes;
use serde_json::json;

use super::*;

/// As a target group with single or multiple values sends it.
fn balancer(change: impl FnOnce(&mut Value)) -> Event {
    let mut event = json!({
        "requestContext": { "elb": { "targetGroupArn": "arn:aws:elasticloadbalancing:…" } },
        "httpMethod": "POST",
        "path": "/token",
        "queryStringParameters": {},
        "headers": { "host": "login.example.com" },
        "body": "",
        "isBase64Encoded": false
    });
    change(&mut event);
    Event::read(event).unwrap()
}

fn url(change: impl FnOnce(&mut Value)) -> Event {
    let mut event = json!({
        "version": "2.0",
        "rawPath": "/device",
        "rawQueryString": "",
        "headers": { "host": "abc.lambda-url.eu-west-1.on.aws" },
        "requestContext": { "http": { "method": "GET", "sourceIp": "203.0.113.9" } },
        "isBase64Encoded": false
    });
    change(&mut event);
    Event::read(event).unwrap()
}

fn values(request: &Request<Body>, name: &str) -> Vec<String> {
    request.headers().get_all(name).iter().map(|value| value.to_str().unwrap().to_owned()).collect()
}

/// The query reaches us as it stood in the URL: nothing is decoded, nothing is decoded twice, what was sent twice is there
/// twice.
#[test]
fn a_query_stays_as_it_was_sent() {
    let sent = balancer(|event| {
        event["queryStringParameters"] =
            json!({ "code": "a%2Bb+c%26d%253D", "state": "x=y%00", "flag": "", "user%5Fcode": "" });
    });
    let request = sent.into_request().unwrap();
    let query = request.uri().query().unwrap();
    assert_eq!(query, "code=a%2Bb+c%26d%253D&flag=&state=x=y%00&user%5Fcode=");

    let twice = balancer(|event| {
        event.as_object_mut().unwrap().remove("queryStringParameters");
        event["multiValueQueryStringParameters"] = json!({ "scope": ["openid", "a%20b"], "x": ["1"] });
    });
    assert_eq!(twice.into_request().unwrap().uri().query(), Some("scope=openid&scope=a%20b&x=1"));

    let raw = url(|event| event["rawQueryString"] = json!("code=a%2Bb+c%26d%253D&code=2&iss"));
    assert_eq!(raw.into_request().unwrap().uri().query(), Some("code=a%2Bb+c%26d%253D&code=2&iss"));
    assert_eq!(url(|_| ()).into_request().unwrap().uri(), "/device");
}

/// HI-10: headers that came twice are there twice where the balancer hands them over, so that they can be refused.
#[test]
fn headers_are_all_there() {
    let single = balancer(|_| ());
    assert_eq!(single.form(), Form::SingleValue);
    assert_eq!(values(&single.into_request().unwrap(), "host"), ["login.example.com"]);
    let multi = balancer(|event| {
        event.as_object_mut().unwrap().remove("headers");
        event["multiValueHeaders"] = json!({ "authorization": ["Basic YQ==", "Basic Yg=="], "x-forwarded-for": ["192.0.2.1, 198.51.100.7"] });
    });
    assert_eq!(multi.form(), Form::MultiValue);
    let request = multi.into_request().unwrap();
    assert_eq!(values(&request, "authorization"), ["Basic YQ==", "Basic Yg=="]);
    assert_eq!(values(&request, "x-forwarded-for"), ["192.0.2.1, 198.51.100.7"]);
}

/// SEC-11: of a function URL's request the address that AWS saw is the last hop, whatever the client wrote.
#[test]
fn the_sender_at_a_function_url_is_whom_aws_saw() {
    let event = url(|event| {
        event["headers"] = json!({ "x-forwarded-for": "192.0.2.66", "x-forwarded-proto": "http" });
        event["cookies"] = json!(["a=1", "b=2"]);
    });
    assert_eq!(event.form(), Form::Url);
    let request = event.into_request().unwrap();
    assert_eq!(values(&request, "x-forwarded-for"), ["192.0.2.66", "203.0.113.9"]);
    assert_eq!(values(&request, "x-forwarded-proto"), ["https"]);
    assert_eq!(values(&request, "cookie"), ["a=1; b=2"]);
}

#[tokio::test]
async fn a_body_may_be_base64() {
    let body = async |event: Event| to_bytes(event.into_request().unwrap().into_body(), 99).await.unwrap();
    let plain = balancer(|event| event["body"] = json!("grant_type=x&a=ü"));
    assert_eq!(body(plain).await, "grant_type=x&a=ü");
    let encoded = balancer(|event| {
        event["body"] = json!("Z3JhbnRfdHlwZT14");
        event["isBase64Encoded"] = json!(true);
    });
    assert_eq!(body(encoded).await, "grant_type=x");
    assert!(body(url(|_| ())).await.is_empty());
}

/// HI-03: what cannot be a request is refused, and not taken for another.
#[test]
fn what_cannot_be_read_is_said() {
    let refused = |change: fn(&mut Value)| balancer(change).into_request().unwrap_err().0;
    assert_eq!(refused(|event| event["httpMethod"] = json!("GE T")), "its method");
    assert_eq!(refused(|event| event["path"] = json!("/a b")), "its path or its query");
    assert_eq!(
        refused(|event| event["queryStringParameters"] = json!({ "a": "b\n" })),
        "its path or its query"
    );
    assert_eq!(refused(|event| event["headers"] = json!({ "x": "a\nb" })), "a header");
    let body = |event: &mut Value| (event["body"], event["isBase64Encoded"]) = (json!("?"), json!(true));
    assert_eq!(refused(body), "its body");
}

/// Other events are no requests, and what is said of them quotes nothing.
#[test]
fn other_events_are_no_requests() {
    for event in [
        json!({}),
        json!("s3cret"),
        json!({ "httpMethod": "GET", "path": "/s3cret", "isBase64Encoded": false, "requestContext": {} }),
    ] {
        let told = Event::read(event).err().unwrap().to_string();
        assert!(told.contains("Application Load Balancer") && !told.contains("s3cret"), "{told}");
    }
}
