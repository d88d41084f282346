//! `/metrics`: what the tasks have counted, and the requests served here, as Prometheus text.

use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use prometheus::core::Collector;
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder};
use tributary_flow::platform::TaskStatus;

use crate::problem::Problem;
use crate::routes::Shared;

/// How long requests took, by route.
pub(crate) struct Requests(HistogramVec);

impl Requests {
    pub fn new() -> Self {
        let options = HistogramOpts::new("tributary_http_request_seconds", "Time to answer a request.");
        let buckets = vec![0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0];
        let seconds = HistogramVec::new(options.buckets(buckets), &["route", "method", "status"]);
        Requests(seconds.expect("invariant: a name, labels and buckets that Prometheus takes"))
    }
}

/// Measures a request.
pub(crate) async fn measure(State(api): State<Shared>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let route = request.extensions().get::<MatchedPath>().map_or("unmatched", MatchedPath::as_str).to_owned();
    let method = request.method().clone();
    let response = next.run(request).await;
    let status = response.status();
    let labels = [route.as_str(), method.as_str(), status.as_str()];
    api.requests.0.with_label_values(&labels).observe(began.elapsed().as_secs_f64());
    response
}

/// Everything counted, as Prometheus text.
#[utoipa::path(get, path = "/metrics", tag = "operation", responses((status = 200, description = "Prometheus text", content_type = "text/plain", body = String)))]
pub(crate) async fn metrics(State(api): State<Shared>) -> Result<Response, Problem> {
    let failed = |error: prometheus::Error| Problem::unavailable("metrics_failed", error.to_string());
    let registry = Registry::new();
    let register = |collector: Box<dyn Collector>| registry.register(collector).map_err(failed);
    register(Box::new(api.requests.0.clone()))?;
    let tasks = api.platform.tasks();
    for (name, help, value) in COUNTERS {
        let counter = IntCounterVec::new(Opts::new(*name, *help), &["node", "partition"]).map_err(failed)?;
        for task in &tasks {
            counter.with_label_values(&[task.node, &task.partition.to_string()]).inc_by(value(task));
        }
        register(Box::new(counter))?;
    }
    for (name, help, value) in GAUGES {
        let gauge = IntGaugeVec::new(Opts::new(*name, *help), &["node", "partition"]).map_err(failed)?;
        for task in &tasks {
            gauge.with_label_values(&[task.node, &task.partition.to_string()]).set(value(task));
        }
        register(Box::new(gauge))?;
    }
    if let Some(lag) = api.platform.standby_lag() {
        let help = "Records that the state kept ready for the tasks of other processes has not taken in yet.";
        let gauge = IntGauge::new("tributary_standby_lag", help).map_err(failed)?;
        gauge.set(i64::try_from(lag).unwrap_or(i64::MAX));
        register(Box::new(gauge))?;
    }
    let text = TextEncoder::new().encode_to_string(&registry.gather()).map_err(failed)?;
    Ok(([(CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response())
}

type Metric<T> = (&'static str, &'static str, fn(&TaskStatus) -> T);

const COUNTERS: &[Metric<u64>] = &[
    ("tributary_task_inputs_total", "Records applied.", |task| task.counters.inputs),
    ("tributary_task_timers_total", "Timers fired.", |task| task.counters.timers),
    ("tributary_task_outputs_total", "Records written.", |task| task.counters.outputs),
    ("tributary_task_duplicates_total", "Commands dropped because they were answered before.", |task| {
        task.counters.duplicates
    }),
    ("tributary_task_conflicts_total", "Commands refused because their id was used for another request.", |task| {
        task.counters.conflicts
    }),
    ("tributary_task_forwards_total", "Commands that arrived on a partition not their key's.", |task| {
        task.counters.forwards
    }),
    ("tributary_task_dead_letters_total", "Records that could not be taken.", |task| task.counters.dead_letters),
];

const GAUGES: &[Metric<i64>] = &[
    ("tributary_task_lag", "Records between positions and ends of inputs.", |task| {
        i64::try_from(task.lag).unwrap_or(i64::MAX)
    }),
    ("tributary_task_halted", "1 where the task does not run.", |task| i64::from(task.halted.is_some())),
];
