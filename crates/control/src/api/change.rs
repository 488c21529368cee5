//! What may be changed. The token was checked before.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Api;
use super::answer::{Refused, json};
use super::drill;
use super::question::{Named, Sent};
use super::read::off_loop;
use crate::orders::Order;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PinBody {
    /// In fair shares.
    weight: f64,
}

pub(crate) async fn worker(
    State(api): State<Api>,
    Named((pool, worker, order)): Named<(String, String, String)>,
    Sent(body): Sent,
) -> Result<Response, Refused> {
    let order = match order.as_str() {
        "drain" => Order::Drain,
        "undrain" => Order::Undrain,
        "unpin" => Order::Unpin,
        "pin" => {
            let asked: PinBody = serde_json::from_slice(&body)
                .map_err(|error| Refused::wrong(format!("{error}: send {{\"weight\": 0.5}}, in fair shares")))?;
            Order::Pin(asked.weight)
        }
        "drill" => return drill::begin(&api, &pool, &worker, &body),
        other => {
            return Err(Refused::missing(format!(
                "there is no order `{other}`: use drain, undrain, pin, unpin or drill"
            )));
        }
    };
    let obeyed = api.shared.room().order(api.shared.clock.now(), &pool, &worker, order)?;
    api.shared.changed.notify_one();
    Ok(json(obeyed))
}

pub(crate) async fn pool(
    State(api): State<Api>,
    Named((pool, order)): Named<(String, String)>,
) -> Result<Response, Refused> {
    let frozen = match order.as_str() {
        "freeze" => true,
        "unfreeze" => false,
        "undrill" => return drill::end(&api, &pool),
        other => return Err(Refused::missing(format!("there is no order `{other}`: use freeze, unfreeze or undrill"))),
    };
    Ok(json(api.shared.room().freeze(api.shared.clock.now(), &pool, frozen)?))
}

pub(crate) async fn approve(
    State(api): State<Api>,
    Named((pool, number)): Named<(String, String)>,
) -> Result<Response, Refused> {
    let number = number.parse().map_err(|_| Refused::wrong(format!("`{number}` is no number of a proposal")))?;
    let approved = api.shared.room().approve(api.shared.clock.now(), &pool, number)?;
    api.shared.changed.notify_one();
    Ok(json(approved))
}

#[derive(Serialize)]
struct Changed {
    changed: Value,
}

pub(crate) async fn config(State(api): State<Api>, Named(order): Named<String>) -> Result<Response, Refused> {
    let host = Arc::clone(&api.shared.config);
    let changed = match order.as_str() {
        "reload" => off_loop(move || host.reload()).await?,
        "rollback" => off_loop(move || host.rollback()).await?,
        "accept" => off_loop(move || host.accept()).await?,
        other => return Err(Refused::missing(format!("there is no order `{other}`: use reload, rollback or accept"))),
    };
    let refused = |why| Refused::new(StatusCode::UNPROCESSABLE_ENTITY, "configuration", why);
    Ok(json(Changed { changed: changed.map_err(refused)? }))
}
