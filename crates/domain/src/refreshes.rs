//! Refreshes at the pool: one call for all who ask at once with one token (RT-07).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use device_grant_protocol::{RefreshToken, Scope, TokenResponse};
use tokio::sync::watch;

use crate::ids::labelled_hash;
use crate::pool::{PoolClient, RefreshError};
use crate::service::DeviceGrant;

type Answer = Result<TokenResponse, RefreshError>;
/// What is asked for: hashed, so that no token lies about.
type Question = [u8; 32];

/// The calls under way, on this replica.
#[derive(Debug, Default)]
pub(crate) struct Refreshes(Mutex<HashMap<Question, watch::Receiver<Option<Answer>>>>);

impl Refreshes {
    fn lock(&self) -> MutexGuard<'_, HashMap<Question, watch::Receiver<Option<Answer>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes the question off the list, however its call ends.
struct UnderWay(Arc<DeviceGrant>, Question);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.refreshes.lock().remove(&self.1);
    }
}

impl DeviceGrant {
    /// Asks the pool once for everybody who asks the same at once; all hear that answer. The call goes on although the
    /// device goes away: half-way through, nobody could say whether the token is still good.
    pub(crate) async fn refresh_at_pool(
        self: &Arc<Self>,
        client: &PoolClient,
        token: &RefreshToken,
        scope: Option<&Scope>,
    ) -> Answer {
        let question = question(client, token, scope);
        let mut answer = {
            let mut under_way = self.refreshes.lock();
            let joined = under_way.get(&question).cloned();
            joined.unwrap_or_else(|| {
                let (told, answer) = watch::channel(None);
                under_way.insert(question, answer.clone());
                let (service, client) = (Arc::clone(self), client.clone());
                let (token, scope) = (token.clone(), scope.cloned());
                self.tasks.spawn(async move {
                    let listed = UnderWay(Arc::clone(&service), question);
                    let answered = service.pool.refresh(&client, &token, scope.as_ref()).await;
                    drop(listed);
                    told.send_replace(Some(answered));
                });
                answer
            })
        };
        let answered = answer.wait_for(Option::is_some).await.ok().and_then(|answer| answer.clone());
        answered
            .unwrap_or_else(|| Err(RefreshError::Unavailable("the call ended without an answer".to_owned())))
    }
}

fn question(client: &PoolClient, token: &RefreshToken, scope: Option<&Scope>) -> Question {
    let parts = (&client.client_id, token.expose(), scope);
    let text = serde_json::to_string(&parts).expect("strings always serialize");
    labelled_hash("device-grant/refresh/1", &text).as_ref().try_into().expect("SHA-256 gives 32 bytes")
}
