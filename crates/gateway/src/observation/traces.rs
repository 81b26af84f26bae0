//! OpenTelemetry traces over OTLP/HTTP: a span for each request, and in it those of the component
//! and of its calls of the store.

use std::{
    fmt,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::Context as _;
use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use opentelemetry::{
    Context, KeyValue,
    propagation::TextMapPropagator as _,
    trace::{
        SpanBuilder, SpanKind, Status, TraceContextExt as _, Tracer as _, TracerProvider as _,
    },
};
use opentelemetry_http::{HeaderExtractor, HttpClient, HttpError};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::{
    Resource,
    propagation::TraceContextPropagator,
    trace::{Sampler, SdkTracer, SdkTracerProvider},
};
use ureq::tls::{RootCerts, TlsConfig};

use super::{
    metrics::{Operation, StoreOutcome},
    request_id::RequestId,
};

/// How long the collector may take for a batch of spans, and the last one at the end.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The path of traces below the URL of a collector.
const TRACES: &str = "/v1/traces";

/// Sends traces to a collector. Clones share it.
#[derive(Clone)]
pub struct Traces {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

impl fmt::Debug for Traces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Traces").finish_non_exhaustive()
    }
}

impl Traces {
    /// Sends to the collector at this URL, such as `http://localhost:4318`, this part (0 to 1) of
    /// the traces that begin here. Those that a client began are sent if it says so.
    ///
    /// The environment may say more, as OpenTelemetry has it: `OTEL_SERVICE_NAME`,
    /// `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_BSP_SCHEDULE_DELAY`.
    ///
    /// # Errors
    ///
    /// If the URL is none.
    pub fn new(endpoint: &str, sample_ratio: f64) -> anyhow::Result<Self> {
        let endpoint = endpoint.trim_end_matches('/');
        let endpoint = match endpoint.ends_with(TRACES) {
            true => endpoint.to_owned(),
            false => format!("{endpoint}{TRACES}"),
        };
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Client::new())
            .with_endpoint(&endpoint)
            .with_timeout(TIMEOUT)
            .build()
            .context("--otlp-endpoint is no URL such as http://localhost:4318")?;
        let mut resource = Resource::builder()
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
        if std::env::var_os("OTEL_SERVICE_NAME").is_none() {
            resource = resource.with_service_name("anonymous-domains");
        }
        let root = Sampler::TraceIdRatioBased(sample_ratio);
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_sampler(Sampler::ParentBased(Box::new(root)))
            .with_resource(resource.build())
            .build();
        let tracer = provider.tracer("anonymous-domains-gateway");
        Ok(Self { provider, tracer })
    }

    /// A request begins: its span, in the trace that its `traceparent` names (W3C Trace Context), or
    /// in a new one.
    pub fn begin(
        &self,
        headers: &HeaderMap,
        method: &'static str,
        route: &'static str,
        path: &str,
        id: &RequestId,
    ) -> Trace {
        let parent = TraceContextPropagator::new()
            .extract_with_context(&Context::new(), &HeaderExtractor(headers));
        let builder = SpanBuilder::from_name(format!("{method} {route}"))
            .with_kind(SpanKind::Server)
            .with_attributes([
                KeyValue::new("http.request.method", method),
                KeyValue::new("http.route", route),
                KeyValue::new("url.path", path.to_owned()),
                KeyValue::new("url.scheme", "http"),
                KeyValue::new("request_id", id.as_str().to_owned()),
            ]);
        let span = self.tracer.build_with_context(builder, &parent);
        Trace {
            tracer: self.tracer.clone(),
            server: parent.with_span(span),
            component: Mutex::new(None),
        }
    }

    /// Sends what is left. Blocks.
    pub fn end(&self) {
        if let Err(error) = self.provider.shutdown_with_timeout(TIMEOUT) {
            tracing::warn!(reason = %error, "the last traces were not sent");
        }
    }
}

/// The part of a trace that is a request.
pub struct Trace {
    tracer: SdkTracer,
    server: Context,
    /// The component's call, while there is one.
    component: Mutex<Option<Context>>,
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trace").finish_non_exhaustive()
    }
}

impl Trace {
    /// The trace's id, if it is recorded.
    pub fn id(&self) -> Option<String> {
        let span = self.server.span();
        let is_recording = span.is_recording();
        is_recording.then(|| span.span_context().trace_id().to_string())
    }

    /// The request ended, with this status.
    pub(super) fn end(&self, status: u16) {
        let span = self.server.span();
        span.set_attribute(KeyValue::new(
            "http.response.status_code",
            i64::from(status),
        ));
        if status >= 500 {
            span.set_attribute(KeyValue::new("error.type", status.to_string()));
            span.set_status(Status::error(""));
        }
        span.end();
    }

    /// The component gets the request.
    pub(super) fn begin_component(&self) {
        if self.server.span().is_recording() {
            let span = self.child("component", SpanKind::Internal, &self.server);
            *self.component() = Some(span);
        }
    }

    /// The component is done with the request.
    pub(super) fn end_component(&self) {
        if let Some(context) = self.component().take() {
            context.span().end();
        }
    }

    /// The component calls the store. `None` if the trace is not recorded.
    pub(super) fn begin_store_call(&self, operation: Operation) -> Option<StoreSpan> {
        let parent = self.component().clone()?;
        let name = match operation {
            Operation::Get => "store get",
            Operation::Set => "store set",
            Operation::Delete => "store delete",
            Operation::Exists => "store exists",
            Operation::ListKeys => "store list_keys",
            Operation::Increment => "store increment",
            Operation::CompareAndSwap => "store compare_and_swap",
        };
        let context = self.child(name, SpanKind::Client, &parent);
        let operation = KeyValue::new("db.operation.name", operation.name());
        context.span().set_attribute(operation);
        Some(StoreSpan(context))
    }

    fn child(&self, name: &'static str, kind: SpanKind, parent: &Context) -> Context {
        let builder = SpanBuilder::from_name(name).with_kind(kind);
        let span = self.tracer.build_with_context(builder, parent);
        parent.with_span(span)
    }

    fn component(&self) -> std::sync::MutexGuard<'_, Option<Context>> {
        self.component
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call of the store in a trace. It ends when this is dropped.
pub(super) struct StoreSpan(Context);

impl fmt::Debug for StoreSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreSpan").finish_non_exhaustive()
    }
}

impl StoreSpan {
    /// It ended.
    pub(super) fn end(self, outcome: StoreOutcome) {
        let span = self.0.span();
        span.set_attribute(KeyValue::new("outcome", outcome.name()));
        if outcome == StoreOutcome::Error {
            span.set_status(Status::error(""));
        }
        span.end();
    }
}

/// Sends spans to the collector, from the thread that gathers them.
#[derive(Debug)]
struct Client {
    agent: ureq::Agent,
    is_failing: AtomicBool,
}

impl Client {
    fn new() -> Self {
        let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier);
        let config = ureq::Agent::config_builder()
            .tls_config(tls.build())
            .timeout_global(Some(TIMEOUT))
            .http_status_as_error(false)
            .build();
        Self {
            agent: config.into(),
            is_failing: AtomicBool::new(false),
        }
    }

    fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, ureq::Error> {
        let request = request.map(|body| body.to_vec());
        let (head, mut body) = self.agent.run(request)?.into_parts();
        Ok(Response::from_parts(head, body.read_to_vec()?.into()))
    }

    /// Logs when it begins to fail, and when that ends.
    fn log(&self, failure: Option<String>) {
        let was_failing = self.is_failing.swap(failure.is_some(), Ordering::Relaxed);
        match failure {
            Some(reason) if !was_failing => {
                tracing::warn!(%reason, "traces cannot be sent to --otlp-endpoint");
            }
            None if was_failing => tracing::info!("traces are sent again"),
            _ => {}
        }
    }
}

#[async_trait::async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let result = self.send(request);
        self.log(match &result {
            Ok(response) if response.status().is_success() => None,
            Ok(response) => Some(format!("it answered {}", response.status().as_u16())),
            Err(error) => Some(error.to_string()),
        });
        Ok(result?)
    }
}

#[cfg(test)]
mod tests;
