//! Clients that others wrote complete a login, as they come.

mod go;
mod oauth2_crate;
mod quick_start;
mod readme;
mod secrecy;

use interop::{Demo, Person};

/// Approves at the demo, as its own user.
async fn approve(demo: &Demo, address: &str, user_code: &str) -> anyhow::Result<()> {
    let mut person = Person::new(demo.fact("username")?, demo.fact("password")?)?;
    let outcome = person.approve(address, user_code).await?;
    anyhow::ensure!(outcome == "approved", "{outcome}");
    Ok(())
}
