//! Whether the process does its work, and whether to send it any.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::Shared;

/// The state of a process.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HealthAnswer {
    /// `ok`, or `degraded` where a task is halted or none runs.
    status: &'static str,
    /// The driver: `embedded`, `kafka`.
    driver: &'static str,
    /// Partitions of every topic.
    partitions: u32,
    /// Records that tasks have not applied yet.
    lag: u64,
    /// Records that the state kept ready for the tasks of other processes has not taken in yet; null where none is kept, or not yet.
    standby_lag: Option<u64>,
    /// The tasks of this process.
    tasks: Vec<TaskAnswer>,
}

/// The state of a task.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TaskAnswer {
    /// Node.
    node: &'static str,
    /// Partition.
    partition: u32,
    /// Since when it does not run, at which record or timer, and why; if it does not.
    halted: Option<String>,
    /// Whether it cannot be asked yet: a view that is still far behind, while those that write run.
    restoring: bool,
    /// Records that it has not applied yet.
    lag: u64,
    /// Records applied since the start.
    inputs: u64,
}

fn look(api: &Shared) -> HealthAnswer {
    let tasks = api.platform.tasks().into_iter().map(|task| TaskAnswer {
        node: task.node,
        partition: task.partition,
        halted: task.halted,
        restoring: task.restoring,
        lag: task.lag,
        inputs: task.counters.inputs,
    });
    let tasks: Vec<TaskAnswer> = tasks.collect();
    let well = !tasks.is_empty() && tasks.iter().all(|task| task.halted.is_none());
    HealthAnswer {
        status: if well { "ok" } else { "degraded" },
        driver: api.platform.driver(),
        partitions: api.platform.partitions(),
        lag: tasks.iter().map(|task| task.lag).sum(),
        standby_lag: api.platform.standby_lag(),
        tasks,
    }
}

/// Everything about the process; 503 where a task is halted or none runs.
#[utoipa::path(get, path = "/health", tag = "operation",
    responses((status = 200, body = HealthAnswer), (status = 503, body = HealthAnswer)))]
pub(crate) async fn health(State(api): State<Shared>) -> Response {
    let health = look(&api);
    let status = if health.status == "ok" { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(health)).into_response()
}

/// Whether to send requests here. A halted task is no reason against: the others do their work.
#[utoipa::path(get, path = "/readiness", tag = "operation", responses((status = 200, description = "Ready"), (status = 503, description = "Not ready")))]
pub(crate) async fn readiness(State(api): State<Shared>) -> Response {
    let ready = look(&api).tasks.iter().any(|task| task.halted.is_none());
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(serde_json::json!({ "ready": ready }))).into_response()
}
