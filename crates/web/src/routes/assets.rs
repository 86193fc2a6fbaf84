//! What pages load. Everything comes from here; nothing from anybody else (SEC-03).

use axum::http::header;
use axum::response::IntoResponse;

/// The URL of the style sheet carries a version, so it may be kept.
const KEEP: (header::HeaderName, &str) = (header::CACHE_CONTROL, "public, max-age=86400");

pub(crate) async fn style() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8"), KEEP], include_str!("../../assets/style.css"))
}

pub(crate) async fn icon() -> impl IntoResponse {
    let policy = (header::CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'");
    (
        [(header::CONTENT_TYPE, "image/svg+xml; charset=utf-8"), KEEP, policy],
        include_str!("../../assets/icon.svg"),
    )
}
