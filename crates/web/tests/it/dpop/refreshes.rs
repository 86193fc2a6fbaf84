//! Refresh tokens of devices that proved a key (RFC 9449 section 5).

use super::*;

/// The refresh token of a device of `client` that proved `signer`'s key.
async fn refresh_token(app: &TestApp, client: &str, signer: &Signer) -> String {
    let codes = started(app, client, signer).await;
    assert_eq!(outcome(&Browser::alice(app).approve(&codes).await), "approved");
    token(&poll(app, client, &codes, signer).await)
}

fn token(answer: &Answer) -> String {
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    answer.json()["refresh_token"].as_str().unwrap().to_owned()
}

async fn refresh(app: &TestApp, client: &str, token: &str, signer: Option<&Signer>) -> Answer {
    let form = [("grant_type", "refresh_token"), ("client_id", client), ("refresh_token", token)];
    let request = post("/token", &form);
    match signer {
        Some(signer) => app.send(carrying(request, &fresh(app, signer, "/token"))).await,
        None => app.send(request).await,
    }
}

/// DP-10: a public client's refresh token is good with proofs of its key only, also after it was rotated; nobody can cut
/// the key out of it.
#[tokio::test]
async fn a_public_clients_refresh_token_is_bound() {
    let (app, signer, stranger) = (app().await, Signer::es256(), Signer::es256());
    let mut current = refresh_token(&app, TV, &signer).await;
    for _ in 0..3 {
        for wrong in [None, Some(&stranger)] {
            assert_eq!(refresh(&app, TV, &current, wrong).await.error(), "invalid_grant");
        }
        let [prefix, key, sealed] = <[&str; 3]>::try_from(current.split('.').collect::<Vec<_>>()).unwrap();
        let stripped = format!("{prefix}.{sealed}");
        let others = refresh_token(&app, TV, &stranger).await;
        let swapped = format!("{prefix}.{}.{sealed}", others.split('.').nth(1).unwrap());
        for forged in
            [stripped, swapped, format!("{prefix}.{key}.{key}.{sealed}"), format!("{prefix}..{sealed}")]
        {
            for signer in [None, Some(&signer), Some(&stranger)] {
                assert_eq!(refresh(&app, TV, &forged, signer).await.error(), "invalid_grant", "{forged}");
            }
        }
        current = token(&refresh(&app, TV, &current, Some(&signer)).await);
    }
}

/// DP-10, DP-06: the pool is asked only for a proof that is fresh, and once for each.
#[tokio::test]
async fn a_refresh_takes_a_fresh_proof() {
    let (app, signer) = (app().await, Signer::es256());
    let current = refresh_token(&app, TV, &signer).await;
    let form = [("grant_type", "refresh_token"), ("client_id", TV), ("refresh_token", current.as_str())];
    assert_refused(&app.send(carrying(post("/token", &form), "no proof")).await, "a broken one");
    app.store.fail(Call::Spend, StoreFault::Before, u32::MAX);
    let answer = refresh(&app, TV, &current, Some(&signer)).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "nobody knows");
    app.store.heal();
    let proof = fresh(&app, &signer, "/token");
    let next = token(&app.send(carrying(post("/token", &form), &proof)).await);
    let form = [("grant_type", "refresh_token"), ("client_id", TV), ("refresh_token", next.as_str())];
    assert_refused(&app.send_to(1, carrying(post("/token", &form), &proof)).await, "a replay");
    token(&refresh(&app, TV, &next, Some(&signer)).await);
}

/// DP-10: a refresh token from before the device proved a key is bound by the first proof.
#[tokio::test]
async fn the_first_proof_binds() {
    let (app, signer) = (app().await, Signer::es256());
    let codes = app.start(TV).await;
    assert_eq!(outcome(&Browser::alice(&app).approve(&codes).await), "approved");
    let unbound = token(&app.poll(TV, &codes).await);
    let bound = token(&refresh(&app, TV, &unbound, Some(&signer)).await);
    assert_eq!(refresh(&app, TV, &bound, None).await.error(), "invalid_grant");
    token(&refresh(&app, TV, &bound, Some(&signer)).await);
}

/// DP-10: a confidential client proves itself, so it may change its key; with a pool client of its own as well as without.
#[tokio::test]
async fn a_confidential_client_may_change_its_key() {
    let (app, old, new) = (app().await, Signer::es256(), Signer::es256());
    for client in [SPEAKER, CONSOLE] {
        let send = async |form: &[(&str, &str)], path: &str, signer: &Signer| {
            app.send(carrying(with_basic(post(path, form), client, SECRET), &fresh(&app, signer, path))).await
        };
        let codes = codes(&send(&[], START, &old).await);
        assert_eq!(outcome(&Browser::alice(&app).approve(&codes).await), "approved");
        assert_eq!(send(&device_code_form(&codes), "/token", &new).await.error(), "invalid_grant");
        let refresh_token = token(&send(&device_code_form(&codes), "/token", &old).await);
        let form = [("grant_type", "refresh_token"), ("refresh_token", refresh_token.as_str())];
        token(&send(&form, "/token", &new).await);
    }
}

/// DP-10: whoever gives a bound token up need not show its key.
#[tokio::test]
async fn a_bound_token_can_be_revoked() {
    let (app, signer) = (app().await, Signer::es256());
    let current = refresh_token(&app, TV, &signer).await;
    let revoked = app.post("/revoke", &[("client_id", TV), ("token", &current)]).await;
    assert_eq!(revoked.status, StatusCode::OK);
    assert_eq!(refresh(&app, TV, &current, Some(&signer)).await.error(), "invalid_grant");
}
