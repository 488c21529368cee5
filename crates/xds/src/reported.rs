//! One stream of load reports: we say how often and how finely, then take what comes.

use std::sync::Arc;

use tonic::body::Body;
use tonic::{Status, Streaming};

use crate::admit::{Answers, admit};
use crate::encode::span;
use crate::proto::load::{LoadStatsRequest, LoadStatsResponse};
use crate::server::Shared;
use crate::status::Speaks;
use crate::stream::Fault;

/// Serves one stream of load reports.
pub(crate) async fn reported(shared: Arc<Shared>, request: http::Request<Body>) -> http::Response<Body> {
    admit(shared, Speaks::LoadReports, request, hold).await
}

/// Holds the stream until it ends, and counts nothing of it any more then.
async fn hold(
    shared: Arc<Shared>,
    id: u64,
    told: Streaming<LoadStatsRequest>,
    answers: Answers<LoadStatsResponse>,
) -> Option<Status> {
    let ended = take(&shared, id, told, &answers).await;
    shared.loads().forget(id);
    ended
}

async fn take(
    shared: &Shared,
    id: u64,
    mut told: Streaming<LoadStatsRequest>,
    answers: &Answers<LoadStatsResponse>,
) -> Option<Status> {
    let mut catalogs = shared.catalogs.clone();
    let mut known = false;
    loop {
        let report = tokio::select! {
            message = told.message() => match message {
                Ok(Some(message)) => message,
                Ok(None) | Err(_) => return None,
            },
            changed = catalogs.changed() => match changed {
                Ok(()) => continue,
                Err(_) => return Some(Status::unavailable("the coordinator ends; come back")),
            },
        };
        if !known {
            match introduced(shared, id, &report) {
                Ok(()) => known = true,
                Err(fault) => {
                    shared.board.cut();
                    return Some(Status::invalid_argument(fault.to_string()));
                }
            }
            // All clusters: an Envoy may know ours by other names, and tells both.
            let wanted = LoadStatsResponse {
                clusters: Vec::new(),
                load_reporting_interval: Some(span(shared.options.report_every)),
                report_endpoint_granularity: true,
                send_all_clusters: true,
            };
            if answers.send(Ok(wanted)).await.is_err() {
                return None;
            }
        }
        if !report.cluster_stats.is_empty() {
            let catalog = Arc::clone(&catalogs.borrow());
            shared.board.reported(id);
            let known = |name: &str| catalog.cluster(name).is_some();
            shared.loads().take(shared.outside.now(), id, report.cluster_stats, known);
        }
    }
}

fn introduced(shared: &Shared, id: u64, report: &LoadStatsRequest) -> Result<(), Fault> {
    let node = report.node.as_ref().filter(|node| !node.id.is_empty()).ok_or(Fault::NoNode)?;
    let (length, most) = (node.id.len().max(node.cluster.len()), shared.options.limits.most_node_bytes);
    if length > most {
        return Err(Fault::LongNode { length, most });
    }
    shared.board.introduce(id, node);
    Ok(())
}
