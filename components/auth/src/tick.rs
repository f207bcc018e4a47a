//! `POST /internal/auth/tick`: what falls due without anyone asking.

use crate::{
    SERVICE, audit, first_admin, identities, issuers, password_reset, provider, revocation, seen,
    spelling, throttle, told,
};
use http::StatusCode;
use wasmart_service::db::Db;
use wasmart_service::http::Problem;
use wasmart_service::outbox;

pub async fn tick() -> Result<StatusCode, Problem> {
    spelling::ensure().await?;
    first_admin::ensure().await?;
    outbox::drain(&SERVICE).await;
    let db = Db::open(&SERVICE).await?;
    told::check(&db).await?;
    revocation::sweep(&db).await?;
    password_reset::sweep(&db).await?;
    throttle::sweep(&db).await?;
    audit::sweep(&db).await?;
    provider::sweep(&db).await?;
    if issuers::any().await {
        seen::take_in(Db::open(&SERVICE).await?).await?;
        identities::apply_with_tokens(&db).await?;
        outbox::drain(&SERVICE).await;
        // Last, as others may take their time.
        issuers::refresh(&db).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}
