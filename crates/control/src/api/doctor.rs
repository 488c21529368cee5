//! The doctor through the API: what it told, what became of its findings, and the orders that a review takes.
//!
//! What a review is told is written to a folder, off the loop. Whether the order fits is the review's own to say.

use ambidex_core::review::Number;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::Api;
use super::answer::{Refused, json};
use super::question::{Named, Sent};
use super::read::off_loop;
use crate::doctor::{ReviewFault, ReviewOrder, Said};

/// Who orders it, and why.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    by: String,
    why: String,
}

impl From<ReviewFault> for Refused {
    fn from(fault: ReviewFault) -> Self {
        match fault {
            ReviewFault::NotKept | ReviewFault::Unknown(_) => Self::missing(fault.to_string()),
            ReviewFault::Refused(_) => Self::new(StatusCode::CONFLICT, "review", fault.to_string()),
            ReviewFault::Folder(_) => Self::new(StatusCode::SERVICE_UNAVAILABLE, "reviews", fault.to_string()),
        }
    }
}

pub(crate) async fn told(State(api): State<Api>) -> Response {
    json(&*api.shared.desk.told())
}

pub(crate) async fn reviews(State(api): State<Api>) -> Result<Response, Refused> {
    let told = api.shared.desk.told();
    let board = told.board.as_ref().ok_or(ReviewFault::NotKept)?;
    Ok(json(board))
}

pub(crate) async fn review(State(api): State<Api>, Named(review): Named<String>) -> Result<Response, Refused> {
    let (number, told) = (number(&review)?.to_string(), api.shared.desk.told());
    let board = told.board.as_ref().ok_or(ReviewFault::NotKept)?;
    let line = board.reviews.iter().find(|line| line.number == number);
    Ok(json(line.ok_or_else(|| ReviewFault::Unknown(format!("the board has no review {number}")))?))
}

pub(crate) async fn order(
    State(api): State<Api>,
    Named((review, order)): Named<(String, String)>,
    Sent(body): Sent,
) -> Result<Response, Refused> {
    let number = number(&review)?;
    let order = ReviewOrder::of(&order)
        .ok_or_else(|| Refused::missing(format!("there is no order `{order}`: use approve, reject or abort")))?;
    let said = said(&body)?;
    let host = api.shared.desk.reviews().ok_or(ReviewFault::NotKept)?;
    let ordered = off_loop(move || host.order(number, order, said)).await?;
    Ok(json(ordered?))
}

/// `R3`, or `3`.
fn number(text: &str) -> Result<Number, Refused> {
    let digits = text.strip_prefix(['R', 'r']).unwrap_or(text);
    let number = digits.parse().ok().filter(|number| *number > 0).map(Number);
    number.ok_or_else(|| Refused::wrong(format!("`{text}` is no review: write its number, such as R3")))
}

/// A name and a reason: who reads the record later needs both.
fn said(body: &[u8]) -> Result<Said, Refused> {
    let form = "send {\"by\": \"ada\", \"why\": \"b is as large as the others\"}";
    let Asked { by, why } = serde_json::from_slice(body).map_err(|error| Refused::wrong(format!("{error}: {form}")))?;
    let said = Said { by: by.trim().to_owned(), why: why.trim().to_owned() };
    if said.by.is_empty() || said.why.is_empty() {
        return Err(Refused::wrong(format!("`by` and `why` stay in the record, and one of them is empty: {form}")));
    }
    if said.by.chars().count() > MOST_NAME {
        return Err(Refused::wrong(format!("`by` has more than {MOST_NAME} letters: it is a name")));
    }
    Ok(said)
}

/// Source: ours; longer than names are.
const MOST_NAME: usize = 100;
