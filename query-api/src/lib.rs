//! The edge: read models, and HTTP over any driver.
//!
//! - [`views`]: the read models, processors without outputs. They run in the engine beside all other nodes; this crate
//!   reads their committed state through [`tributary_flow::Platform`] and knows no driver.
//! - [`router`] and [`serve`]: the routes. Reads never touch anything but a view; writes become commands, and the answer
//!   is what a view later says about them. `/openapi.json` describes them all, `/` lets one try them.
//! - [`encode_command`] and [`command`]: JSON to a framed command, also for the command line.
//!
//! Deliberately absent: authentication (the actor is what `X-Actor` says, so put a gateway in front), and forwarding: a
//! process answers for the partitions it owns, and 421 for the others.

pub mod answer;
mod api;
pub mod command;
pub mod json;
mod ledger;
mod metrics;
pub mod problem;
mod routes;
pub mod token;
pub mod views;

use std::future::Future;
use std::sync::Arc;

use axum::Router;
use tokio::sync::watch;
use tributary_flow::Platform;
use tributary_flow::task::Registry;

pub use command::{Command, encode_command};
pub use problem::Problem;
pub use views::{AccountView, TransactionView};

/// All routes over a running driver; `closing` turns true when waits are to end.
pub fn router(platform: Arc<dyn Platform>, registry: Arc<dyn Registry>, closing: watch::Receiver<bool>) -> Router {
    routes::router(api::Api::new(platform, registry, closing))
}

/// Serves until `shutdown`, then answers what is under way and returns: waits end at once, with what is known.
///
/// # Errors
/// The listener fails.
pub async fn serve(
    listener: tokio::net::TcpListener,
    platform: Arc<dyn Platform>,
    registry: Arc<dyn Registry>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let (close, closing) = watch::channel(false);
    let router = router(platform, registry, closing);
    let shutdown = async move {
        shutdown.await;
        close.send_replace(true);
    };
    axum::serve(listener, router).with_graceful_shutdown(shutdown).await
}
