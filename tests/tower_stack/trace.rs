//! `TraceLayer`, at either end.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::routing::get;
use http::StatusCode;
use tower::ServiceBuilder;
use tower_http::trace::TraceLayer;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

use super::*;

#[derive(Clone, Debug, Default)]
struct Seen {
    fields: HashMap<String, String>,
    /// The spans around this one, the innermost first.
    around: Vec<&'static str>,
    entered: usize,
    /// The messages of the events inside.
    said: Vec<String>,
}

impl Visit for Seen {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.fields
            .insert(field.name().into(), format!("{value:?}"));
    }
}

/// Records the spans that `TraceLayer` makes.
#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<HashMap<u64, Seen>>>);

impl Recorder {
    /// The spans of this path.
    fn of(&self, uri: &str) -> Vec<Seen> {
        let seen = self.0.lock().unwrap();
        seen.values()
            .filter(|span| span.fields.get("uri").is_some_and(|seen| seen == uri))
            .cloned()
            .collect()
    }
}

impl<S> Layer<S> for Recorder
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if attributes.metadata().name() != "request" {
            return;
        }
        let mut seen = Seen::default();
        attributes.record(&mut seen);
        let span = context.span(id).unwrap();
        seen.around = span.scope().skip(1).map(|span| span.name()).collect();
        self.0.lock().unwrap().insert(id.into_u64(), seen);
    }

    fn on_enter(&self, id: &Id, _: Context<'_, S>) {
        if let Some(seen) = self.0.lock().unwrap().get_mut(&id.into_u64()) {
            seen.entered += 1;
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let Some(span) = context.event_span(event) else {
            return;
        };
        if let Some(seen) = self.0.lock().unwrap().get_mut(&span.id().into_u64()) {
            let mut fields = Seen::default();
            event.record(&mut fields);
            seen.said.extend(fields.fields.remove("message"));
        }
    }
}

/// Runs a test with its own subscriber. The thread is its own too, and nothing leaves it.
fn recording(test: impl AsyncFnOnce()) -> Recorder {
    let recorder = Recorder::default();
    let subscriber = tracing_subscriber::registry().with(recorder.clone());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    tracing::subscriber::with_default(subscriber, || runtime.block_on(test()));
    recorder
}

fn app() -> Router {
    Router::new()
        .route("/good", get(|| async { "good" }).post(|| async { "made" }))
        .route("/bad", get(|| async { StatusCode::INTERNAL_SERVER_ERROR }))
}

/// The one span of this path, which was entered.
#[track_caller]
fn the_span(recorder: &Recorder, uri: &str, method: &str) -> Seen {
    let spans = recorder.of(uri);
    assert_eq!(spans.len(), 1, "{:?}", recorder.0.lock().unwrap());
    let span = spans[0].clone();
    assert_eq!(span.fields["method"], method);
    assert_eq!(span.fields["version"], "HTTP/1.1");
    assert!(span.entered > 0, "never entered");
    span
}

#[test]
fn a_span_at_the_server_is_inside_that_of_its_stream() {
    let recorder = recording(async || {
        let mut send = serve(app().layer(TraceLayer::new_for_http())).await;
        let request = Request::post("http://a/good?x=1").body(empty()).unwrap();
        let (_, body) = whole(call(&mut send, request).await.unwrap()).await;
        assert_eq!(body, "made");
        let request = to("/bad").body(empty()).unwrap();
        whole(call(&mut send, request).await.unwrap()).await;
    });
    let good = the_span(&recorder, "http://a/good?x=1", "POST");
    assert_eq!(good.around[..2], ["stream", "connection"]);
    let said = |span: &Seen, what: &str| span.said.iter().any(|message| message == what);
    assert!(said(&good, "started processing request"), "{good:?}");
    assert!(said(&good, "finished processing request"), "{good:?}");
    assert!(!said(&good, "response failed"), "{good:?}");
    let bad = the_span(&recorder, "http://a/bad", "GET");
    assert!(said(&bad, "response failed"), "{bad:?}");
}

#[test]
fn a_span_at_the_client_ends_with_its_response() {
    let recorder = recording(async || {
        let send = serve(app()).await;
        let mut client = ServiceBuilder::new()
            .layer(TraceLayer::new_for_http())
            .service(send);
        let request = to("/good").body(empty()).unwrap();
        let (_, body) = whole(call(&mut client, request).await.unwrap()).await;
        assert_eq!(body, "good");
    });
    let span = the_span(&recorder, "http://a/good", "GET");
    assert!(!span.around.contains(&"stream"), "{span:?}");
    let finished = "finished processing request";
    assert!(span.said.iter().any(|said| said == finished), "{span:?}");
}
