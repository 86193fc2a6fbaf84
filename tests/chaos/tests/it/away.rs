use std::time::Duration;

use anyhow::{Context as _, ensure};
use chaos::{Air, Device, End, Mood, Person, Seen, World};
use e2e::{Answer, Authorization, SCOPE, Television};
use interop::{Entries, Step};
use tokio::time::{Instant, sleep};
use url::Url;

/// A replica looks at its store every ten seconds, and haproxy takes one out that fails two checks of half a second.
const LONG_ENOUGH: Duration = Duration::from_secs(13);
/// Longer than a call of the pool may take.
const STANDSTILL: Duration = Duration::from_secs(6);
/// A login's first way back from the pool signs in, the second brings the grant.
const RETURNS: usize = 2;

/// The way of a person who does what pages ask, up to the first step that `is_enough` accepts; that is not taken.
async fn walk(
    person: &mut Person,
    device: &Authorization,
    mut is_enough: impl FnMut(&Step) -> bool,
) -> anyhow::Result<Step> {
    let mut step = Step::Follow(Url::parse(&device.verification_uri)?);
    while !is_enough(&step) {
        let page = person.browser.take(step).await?;
        let by_itself = page.leads_to()?.map(Step::Follow);
        let entries =
            Entries { username: person.name(), password: person.name(), user_code: &device.user_code };
        step = by_itself.or(page.filled_in(&entries)?).with_context(|| format!("no way on from {page:?}"))?;
    }
    Ok(step)
}

/// Whether a replica of ours has said it, not the balancer in its place, and when to come back.
fn is_ours(answer: &Answer, status: u16, error: &str) -> bool {
    let ours = !answer.replica.is_empty() && answer.retry_after.is_some();
    ours && answer.status == status && answer.error() == error
}

/// ST-12, TP-18: the store is away for longer than health checks need to act. They take no replica out: polls hear
/// `slow_down`, starts and pages 503, all from us and with `Retry-After`; refreshes need no store. Afterwards the same
/// device code brings tokens, and nothing was restarted.
#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_the_store_takes_nobody_out() -> anyhow::Result<()> {
    let world = World::alone().await?;
    let television = world.street.television("tv")?;
    let held = log_in_now(&world, &television).await?;
    let waiting = television.start(SCOPE).await?;
    let mut person = Person::new("person-0", world.street.http()?);
    let look_up = walk(&mut person, &waiting, is_form_of_the_code).await?;

    world.replicas.iter().for_each(|replica| replica.wire.set(Mood::Refuse));
    let began = Instant::now();
    while began.elapsed() < LONG_ENOUGH {
        let poll = television.poll(&waiting).await?;
        ensure!(is_ours(&poll, 400, "slow_down"), "{poll:?}");
        let start = television.ask(SCOPE).await?;
        ensure!(is_ours(&start, 503, "temporarily_unavailable"), "{start:?}");
        let refresh = television.refresh(&held).await?;
        ensure!(refresh.status == 200, "{refresh:?}");
        let page = person.browser.take(look_up.clone()).await?;
        ensure!(page.status == 503 && page.complaint()?.is_some(), "{page:?}");
        sleep(Duration::from_secs(1)).await;
    }
    world.replicas.iter().for_each(|replica| replica.wire.set(Mood::Calm));
    gets_tokens(&mut person, look_up, television, &waiting).await
}

/// TP-17, TP-18: the pool stands still while the person comes back with its code. Polls stay `authorization_pending`,
/// refreshes hear 503 from us, and afterwards the same device code brings tokens; nothing was restarted.
#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_the_pool_ends_no_login() -> anyhow::Result<()> {
    let mut world = World::alone().await?;
    let television = world.street.television("tv")?;
    let held = log_in_now(&world, &television).await?;
    let waiting = television.start(SCOPE).await?;
    let mut person = Person::new("person-0", world.street.http()?);
    let mut returns = 0;
    let way_back = walk(&mut person, &waiting, |step| {
        returns += usize::from(matches!(step, Step::Follow(address) if address.path() == "/callback"));
        returns == RETURNS
    });
    let way_back = way_back.await?;

    world.pool.pause();
    let (returned, polls) = tokio::join!(person.browser.take(way_back), polls(&television, &waiting));
    for poll in polls? {
        ensure!(poll.error() == "authorization_pending", "{poll:?}");
    }
    let refresh = television.refresh(&held).await?;
    ensure!(is_ours(&refresh, 503, "temporarily_unavailable"), "{refresh:?}");
    let outcome = returned?.leads_to()?.context("no way to the outcome")?;
    world.pool.resume();
    gets_tokens(&mut person, Step::Follow(outcome), television, &waiting).await
}

fn is_form_of_the_code(step: &Step) -> bool {
    matches!(step, Step::Submit { fields, .. } if fields.iter().any(|(name, _)| name == "user_code"))
}

/// What polls hear while the pool stands still.
async fn polls(television: &Television, authorization: &Authorization) -> anyhow::Result<Vec<Answer>> {
    let began = Instant::now();
    let mut answers = Vec::new();
    while began.elapsed() < STANDSTILL {
        answers.push(television.poll_later(authorization).await?);
    }
    Ok(answers)
}

/// The refresh token of a login without trouble.
async fn log_in_now(world: &World, television: &Television) -> anyhow::Result<String> {
    let authorization = television.start(SCOPE).await?;
    let mut person = Person::new("person-1", world.street.http()?);
    person.approve(&authorization, &mut Seen::default()).await?;
    let answer = television.wait(&authorization).await?;
    Ok(answer.body["refresh_token"].as_str().with_context(|| format!("no tokens: {answer:?}"))?.to_owned())
}

/// The person goes on from `step`, trying again as far as that is needed, and the device goes on polling.
async fn gets_tokens(
    person: &mut Person,
    step: Step,
    television: Television,
    authorization: &Authorization,
) -> anyhow::Result<()> {
    let mut seen = Seen::default();
    let mut device = Device::new(television, Air::still());
    let (approved, end) =
        tokio::join!(person.go_on(step, authorization, &mut seen), device.wait(authorization));
    approved?;
    println!("the person saw {:?}", seen.outcomes);
    ensure!(matches!(end, End::Tokens(_)), "{end:?}, and the person saw {seen:?}");
    Ok(())
}
