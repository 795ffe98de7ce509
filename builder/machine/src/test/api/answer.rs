//! Answers: JSON, whole or as the events of a watch.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use serde_json::{Value, json};
use tokio::sync::mpsc;

pub(super) fn status_object(status: &str, reason: &str, code: u16) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Status", "metadata": {},
        "status": status, "reason": reason, "message": reason, "code": code,
    })
}

pub(super) fn failure(code: StatusCode, reason: &str) -> Response<Answer> {
    json_answer(code, &status_object("Failure", reason, code.as_u16()))
}

pub(super) fn json_answer(code: StatusCode, value: &Value) -> Response<Answer> {
    whole(code, "application/json", value.to_string())
}

pub(super) fn whole(code: StatusCode, kind: &'static str, text: String) -> Response<Answer> {
    response(code, kind, Answer::Whole(Some(text.into())))
}

pub(super) fn response(code: StatusCode, kind: &'static str, answer: Answer) -> Response<Answer> {
    let mut response = Response::new(answer);
    *response.status_mut() = code;
    let kind = HeaderValue::from_static(kind);
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

/// The body of an answer.
pub(super) enum Answer {
    Whole(Option<Bytes>),
    /// Until the sender is dropped.
    Watch(mpsc::Receiver<Bytes>),
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let frame = match &mut *self {
            Answer::Whole(bytes) => Poll::Ready(bytes.take()),
            Answer::Watch(events) => events.poll_recv(context),
        };
        frame.map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Answer::Whole(Some(bytes)) => SizeHint::with_exact(bytes.len() as u64),
            Answer::Whole(None) => SizeHint::with_exact(0),
            Answer::Watch(_) => SizeHint::default(),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Answer::Whole(None))
    }
}
