//! What `deploy/` holds, as the tests see it.

mod moto;
mod settings;
mod template;

use std::path::Path;

pub use moto::{Compute, Stack};
pub use settings::Settings;
pub use template::{Template, Verdict, cfn_lint, checkov};

/// The directory of the workspace.
pub fn root() -> &'static Path {
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
    above.expect("this package lies two directories below the workspace")
}
