use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use device_grant_dev_pool::{DevClient, DevPoolConfig, LoopbackPool};
use device_grant_testkit::LambdaFunction;
use serde_json::{Value, json};

use crate::support::{Directory, NOBODY, configuration, stderr};

const ALB: &str = include_str!("alb.json");
const ALB_MULTI_VALUE: &str = include_str!("alb-multi-value.json");
const HEALTH_CHECK: &str = include_str!("alb-health-check.json");
const FUNCTION_URL: &str = include_str!("function-url.json");

const GRANT: &str = "urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code";
const FORM: &str = "application/x-www-form-urlencoded";

/// A copy of the function that `serve` is in `directory`.
async fn serving(directory: &Directory, environment: &[(&str, &str)]) -> LambdaFunction {
    let mut serve = directory.command(&["serve"]);
    serve.envs(environment.iter().copied());
    let started = LambdaFunction::start("lambda", &serve, Duration::from_secs(90)).await;
    started.unwrap_or_else(|said| panic!("{said}"))
}

async fn answered(function: &mut LambdaFunction, event: &Value) -> Value {
    function.invoke(&event.to_string()).await.unwrap()
}

/// `event` with another request in it: method, path, query, body.
fn changed(event: &str, [method, path, query, body]: [&str; 4]) -> Value {
    let mut event: Value = serde_json::from_str(event).unwrap();
    let pairs: Vec<_> = query.split('&').filter_map(|pair| pair.split_once('=')).collect();
    if event["version"] == "2.0" {
        event["requestContext"]["http"]["method"] = json!(method);
        (event["rawPath"], event["rawQueryString"]) = (json!(path), json!(query));
    } else {
        (event["httpMethod"], event["path"]) = (json!(method), json!(path));
        if event.get("multiValueHeaders").is_some() {
            event["multiValueQueryStringParameters"] = pairs.iter().map(|(n, v)| (*n, json!([v]))).collect();
        } else {
            event["queryStringParameters"] = pairs.iter().map(|(n, v)| (*n, json!(v))).collect();
        }
    }
    event["body"] = json!(body);
    set(&mut event, "content-type", FORM);
    event
}

/// Sets a header in the form that `event` has.
fn set(event: &mut Value, name: &str, value: &str) {
    if event.get("multiValueHeaders").is_some() {
        event["multiValueHeaders"][name] = json!([value]);
    } else {
        event["headers"][name] = json!(value);
    }
}

fn body(answer: &Value) -> Value {
    serde_json::from_str(answer["body"].as_str().unwrap()).unwrap_or_else(|_| panic!("{answer}"))
}

/// What AWS documents as events is answered as AWS documents answers; what is no request is an error of the function.
#[tokio::test]
async fn documented_events_are_answered_in_their_form() {
    let directory = Directory::new();
    directory.write("device-grant.toml", &configuration(NOBODY));
    let mut function = serving(&directory, &[]).await;
    let answer = function.invoke(ALB).await.unwrap();
    assert_eq!((&answer["statusCode"], &answer["statusDescription"]), (&json!(404), &json!("404 Not Found")));
    assert!(answer["headers"]["content-type"].as_str().unwrap().starts_with("text/html"));
    assert!(answer["body"].as_str().unwrap().contains("<html"));
    assert_eq!((&answer["isBase64Encoded"], answer.get("multiValueHeaders")), (&json!(false), None));
    let answer = function.invoke(ALB_MULTI_VALUE).await.unwrap();
    assert_eq!((&answer["statusCode"], answer.get("headers")), (&json!(404), None));
    assert_eq!(answer["multiValueHeaders"]["x-content-type-options"], json!(["nosniff"]));
    let answer = function.invoke(FUNCTION_URL).await.unwrap();
    assert_eq!((&answer["statusCode"], &answer["cookies"]), (&json!(404), &json!([])));
    assert_eq!(answer.get("statusDescription"), None);
    // A health check names no host.
    let answer = function.invoke(HEALTH_CHECK).await.unwrap();
    assert_eq!(answer["statusCode"], 200, "{answer}");

    let error = function.invoke(r#"{"detail":{"secret":"s3cret"}}"#).await.unwrap_err();
    let words = error["errorMessage"].as_str().unwrap();
    assert!(words.contains("Application Load Balancer") && !words.contains("s3cret"), "{error}");
    assert_eq!(function.invoke(HEALTH_CHECK).await.unwrap()["statusCode"], 200, "it goes on");
}

/// DA-01, TP-02, TP-03: a device starts and polls, in each form of event, with its body in clear and in base64; the pace is
/// kept in the store unless the configuration says otherwise.
#[tokio::test]
async fn a_device_starts_and_polls() {
    for event in [ALB, ALB_MULTI_VALUE, FUNCTION_URL] {
        let directory = Directory::new();
        directory.write(
            "device-grant.toml",
            &configuration(NOBODY).replace("[network]", "[codes]\ninterval_s = 60\n[network]"),
        );
        let mut function = serving(&directory, &[]).await;
        let start = changed(event, ["POST", "/device_authorization", "", "client_id=tv&scope=openid"]);
        let codes = body(&answered(&mut function, &start).await);
        let code = codes["device_code"].as_str().unwrap_or_else(|| panic!("{codes}"));
        let form = format!("grant_type={GRANT}&client_id=tv&device_code={code}");
        let mut poll = changed(event, ["POST", "/token", "", &BASE64_STANDARD.encode(form)]);
        poll["isBase64Encoded"] = json!(true);
        assert_eq!(body(&answered(&mut function, &poll).await)["error"], "authorization_pending");
        // Another copy of the function, with nothing in its memory.
        drop(function);
        let mut function = serving(&directory, &[]).await;
        assert_eq!(body(&answered(&mut function, &poll).await)["error"], "slow_down");
        drop(function);
        let memory = [("DEVICE_GRANT__POLLS__POLL_PACE", "memory")];
        let mut function = serving(&directory, &memory).await;
        assert_eq!(body(&answered(&mut function, &poll).await)["error"], "authorization_pending");
        // The sample's way: in the query, as the client has encoded it.
        let query = format!("grant_type={GRANT}&client_id=%74v&device_code={code}");
        let poll = changed(event, ["POST", "/token", &query, ""]);
        assert_eq!(body(&answered(&mut function, &poll).await)["error"], "slow_down");
    }
}

/// SEC-11: limits count the address that the balancer or the URL saw, whatever the client wrote before it, and whichever
/// proxies the configuration trusts.
#[tokio::test]
async fn the_sender_is_whom_aws_saw() {
    let limits = [
        ("DEVICE_GRANT__NETWORK__TRUSTED_PROXIES", "10.0.0.0/8"),
        ("DEVICE_GRANT__LIMITS__STARTS_PER_MINUTE_PER_NETWORK", "1"),
    ];
    for event in [ALB, ALB_MULTI_VALUE, FUNCTION_URL] {
        let directory = Directory::new();
        directory.write("device-grant.toml", &configuration(NOBODY));
        let mut function = serving(&directory, &limits).await;
        let (mut same, mut others) = (Vec::new(), Vec::new());
        // A minute may end in between, but only one.
        for n in 1..4 {
            for (heard, left, seen) in [
                (&mut same, format!("192.0.2.{n}"), "198.51.100.7".to_owned()),
                (&mut others, "192.0.2.66".to_owned(), format!("203.0.113.{n}")),
            ] {
                let mut start = changed(event, ["POST", "/device_authorization", "", "client_id=tv"]);
                if event == FUNCTION_URL {
                    start["requestContext"]["http"]["sourceIp"] = json!(seen);
                    set(&mut start, "x-forwarded-for", &left);
                } else {
                    set(&mut start, "x-forwarded-for", &format!("{left}, {seen}"));
                }
                heard.push(answered(&mut function, &start).await["statusCode"].clone());
            }
        }
        assert_eq!(others, [200; 3]);
        assert!(same.contains(&json!(429)), "{same:?}");
    }
}

/// CB-01: a person is sent to the pool with cookies and comes back with them, in a query that is encoded as the pool's
/// redirect had it.
#[tokio::test]
async fn a_person_goes_to_the_pool_and_comes_back() {
    let callback = "http://127.0.0.1:8080/callback";
    let pool = LoopbackPool::spawn(|issuer| {
        let mut config = DevPoolConfig::new(issuer);
        config.clients = vec![DevClient::public("device-grant", callback)];
        config
    });
    let pool = pool.await.unwrap();
    for event in [ALB_MULTI_VALUE, FUNCTION_URL] {
        let directory = Directory::new();
        directory.write("device-grant.toml", &configuration(pool.issuer()));
        let mut function = serving(&directory, &[]).await;
        let sent =
            answered(&mut function, &changed(event, ["GET", "/device", "user_code=WDJB-MJHT", ""])).await;
        assert_eq!(sent["statusCode"], 303, "{sent}");
        let mut jar = Jar::default();
        jar.take(&sent);
        let mut page = changed(event, ["GET", "/device", "", ""]);
        jar.show(&mut page);
        let sent = answered(&mut function, &page).await;
        jar.take(&sent);
        let state = state_in(&sent.to_string());
        let encoded = format!("%{:02X}{}", state.as_bytes()[0], &state[1..]);
        for (state, told) in [(encoded, "You did not sign in"), (format!("x{state}"), "does not belong here")]
        {
            let query = format!("error=access%5Fdenied&error_description=a%20b%2Bc+d%26e&state={state}");
            let mut back = changed(event, ["GET", "/callback", &query, ""]);
            jar.show(&mut back);
            let answer = answered(&mut function, &back).await;
            assert!(answer["body"].as_str().unwrap().contains(told), "{answer}");
        }
    }
}

/// Where each copy of a function would have its own file, it does not start.
#[test]
fn the_embedded_store_is_for_trials_only() {
    let directory = Directory::new();
    let elsewhere =
        configuration("https://pool.example.com").replace("http://127.0.0.1:8080", "https://a.example");
    directory.write("device-grant.toml", &elsewhere);
    let refused =
        directory.command(&["serve"]).env("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:1").output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("store.kind = \"dynamodb\""), "{}", stderr(&refused));
    assert!(!directory.path("device-grant.db").exists(), "nothing was opened");
}

/// A browser's cookies.
#[derive(Default)]
struct Jar(Vec<String>);

impl Jar {
    fn take(&mut self, answer: &Value) {
        let multi = answer.pointer("/multiValueHeaders/set-cookie");
        let cookies = multi.or_else(|| answer.get("cookies")).and_then(Value::as_array);
        for cookie in cookies.into_iter().flatten() {
            self.0.push(cookie.as_str().unwrap().split(';').next().unwrap().to_owned());
        }
    }

    fn show(&self, event: &mut Value) {
        if event["version"] == "2.0" {
            event["cookies"] = json!(self.0);
        } else {
            set(event, "cookie", &self.0.join("; "));
        }
    }
}

/// The `state` that a redirect to the pool holds.
fn state_in(answer: &str) -> String {
    let (_, after) = answer.split_once("state=").unwrap_or_else(|| panic!("{answer}"));
    after.chars().take_while(|c| c.is_ascii_alphanumeric() || "-_.".contains(*c)).collect()
}
