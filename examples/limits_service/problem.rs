//! What is wrong, as HTTP says it: a status, and a sentence.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use millstream::embed::{AskError, SendError};
use millstream::job::StateReadError;
use millstream::journal::JournalError;
use serde::Serialize;

#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    error: String,
}

impl Problem {
    pub fn new(status: StatusCode, error: impl ToString) -> Self {
        Problem { status, error: error.to_string() }
    }

    /// What was sent is readable, and makes no sense.
    pub fn input(error: String) -> Self {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, error)
    }

    pub fn unknown_card(card: &str) -> Self {
        Problem::new(
            StatusCode::NOT_FOUND,
            format!("there is no rule for card `{card}`; make one with PUT /rules/{card}"),
        )
    }

    pub fn try_again(error: impl ToString) -> Self {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, error)
    }
}

#[derive(Serialize)]
struct Body {
    error: String,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        (self.status, Json(Body { error: self.error })).into_response()
    }
}

impl From<JsonRejection> for Problem {
    fn from(rejection: JsonRejection) -> Self {
        Problem::new(rejection.status(), rejection.body_text())
    }
}

impl From<AskError> for Problem {
    fn from(error: AskError) -> Self {
        // Whether it took effect is not known then; asked again under its number, it does once.
        let again = format!("{error}; send it again with the same request_id");
        match error {
            AskError::Deadline { sent: true } => Problem::new(StatusCode::GATEWAY_TIMEOUT, again),
            AskError::Interrupted => Problem::try_again(again),
            AskError::Overloaded => {
                Problem::try_again("as many requests wait for their answers as can; try again in a moment")
            }
            _ => Problem::try_again(error),
        }
    }
}

impl<T> From<SendError<T>> for Problem {
    fn from(error: SendError<T>) -> Self {
        Problem::try_again(error)
    }
}

impl From<JournalError> for Problem {
    fn from(error: JournalError) -> Self {
        Problem::try_again(error)
    }
}

impl From<StateReadError> for Problem {
    fn from(error: StateReadError) -> Self {
        Problem::try_again(error)
    }
}

impl From<tokio::task::JoinError> for Problem {
    fn from(error: tokio::task::JoinError) -> Self {
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error)
    }
}
