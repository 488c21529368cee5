//! The admin API as an OpenAPI 3.1 document, for who generates clients or checks. A test holds it against the routes.

use axum::Json;
use axum::response::{IntoResponse as _, Response};
use schemars::schema_for;
use serde_json::{Map, Value, json};

use super::feed::Feed;

/// One thing that may be asked or ordered.
struct Operation {
    path: &'static str,
    /// A change: by POST, with the token.
    changes: bool,
    summary: &'static str,
    /// Name, what it takes, what it means.
    query: &'static [(&'static str, Takes, &'static str)],
    answer: Answer,
}

/// What a parameter takes.
#[derive(Clone, Copy)]
enum Takes {
    Text,
    Count,
    Truth,
    /// A length of time that is waited, at most 55 s.
    Wait,
    /// A point in the past.
    Moment,
    /// A number of a map of slices.
    Hex,
    /// The number of a review.
    Review,
    /// One of these words.
    Word(&'static [&'static str]),
}

/// What comes back.
#[derive(Clone, Copy)]
enum Answer {
    Json,
    Feed,
    Events,
    Text,
    /// Text also where the answer is no.
    Probe,
    Metrics,
}

const fn read(path: &'static str, summary: &'static str) -> Operation {
    Operation { path, changes: false, summary, query: &[], answer: Answer::Json }
}

const fn change(path: &'static str, summary: &'static str) -> Operation {
    Operation { path, changes: true, summary, query: &[], answer: Answer::Json }
}

const POOL: (&str, Takes, &str) = ("pool", Takes::Text, "Only of this pool.");
const WORKER: (&str, Takes, &str) = ("worker", Takes::Text, "Only of this worker.");
const SINCE: (&str, Takes, &str) = (
    "since",
    Takes::Moment,
    "What came after: an item's number, milliseconds since 1970, or how long ago, such as `10m`.",
);

const OPERATIONS: [Operation; 35] = [
    Operation { answer: Answer::Text, ..read("/healthz", "The process runs.") },
    Operation { answer: Answer::Probe, ..read("/readyz", "200 once every pool had a worker, else 503.") },
    Operation { answer: Answer::Metrics, ..read("/metrics", "Metrics, as OpenMetrics text.") },
    read("/api/v1/status", "The process as a whole."),
    read("/api/v1/pools", "All pools and their workers, with weights and why."),
    Operation {
        query: &[
            POOL,
            ("after", Takes::Count, "Answer once the revision is another than this."),
            ("wait", Takes::Wait, "But at the latest after this long: at most 55s, 30s where nothing is said."),
        ],
        answer: Answer::Feed,
        ..read("/api/v1/feed", "The weights in force; with `after`, as soon as they are others.")
    },
    Operation {
        query: &[POOL],
        answer: Answer::Events,
        ..read("/api/v1/feed/stream", "The weights in force, now and with each change: events `feed`.")
    },
    Operation {
        query: &[POOL, ("since", Takes::Count, "Points after this second.")],
        ..read("/api/v1/series", "A point a second of each worker: weight, rate, latency, errors.")
    },
    read("/api/v1/publishers", "What carries the weights to other proxies, and how far it got."),
    Operation {
        query: &[
            SINCE,
            POOL,
            WORKER,
            ("all", Takes::Truth, "Everything that happened, not only decisions."),
            ("limit", Takes::Count, "At most so many, the newest: 200 where nothing is said."),
        ],
        ..read("/api/v1/decisions", "What was decided, with reasons.")
    },
    Operation {
        query: &[SINCE, POOL, WORKER],
        answer: Answer::Events,
        ..read("/api/v1/decisions/stream", "Decisions as they are made: events `decision`.")
    },
    Operation {
        query: &[("records", Takes::Count, "At most so many of the newest records: 100,000 where nothing is said.")],
        ..read("/api/v1/decisions/verify", "Makes the recorded decisions again and compares.")
    },
    Operation {
        query: &[SINCE],
        answer: Answer::Events,
        ..read("/api/v1/events", "All news, and each second the state of all pools.")
    },
    Operation {
        query: &[("at", Takes::Moment, "A date in milliseconds since 1970, or how long ago. Absent: now.")],
        ..read("/api/v1/explain/weight/{pool}/{worker}", "Why a weight is, or was, what it is.")
    },
    read("/api/v1/drills", "Drills that run and that ended."),
    read("/api/v1/keyspaces", "Keyspaces that are decided about here: workers, moves, what waits and why."),
    read("/api/v1/keyspaces/{keyspace}", "One of them."),
    Operation {
        query: &[
            ("after", Takes::Count, "Answer once the table has another revision than this."),
            ("wait", Takes::Wait, "But at the latest after this long: at most 55s, 30s where nothing is said."),
        ],
        ..read(
            "/api/v1/keyspaces/{keyspace}/slices",
            "The table: which slices there are, who owns them, in which epoch.",
        )
    },
    Operation {
        query: &[("slice", Takes::Hex, "A slice's number."), ("key", Takes::Text, "A key, instead of that.")],
        ..read("/api/v1/keyspaces/{keyspace}/explain", "Where a slice or a key is, and why.")
    },
    read(
        "/api/v1/keyspaces/{keyspace}/plan",
        "How hot its workers, slices and keys are, what the planner does or would do about it, and why not; what waits for approval.",
    ),
    read(
        "/api/v1/keyspaces/{keyspace}/moves/{move}",
        "A move as the metadata store has it at this moment; 503 where it does not answer.",
    ),
    change(
        "/api/v1/keyspaces/{keyspace}/{order}",
        "move, split, merge, isolate or abort a move of slices, presplit, drain and undrain a worker, approve or reject a proposal.",
    ),
    read("/api/v1/trials", "The newest canary, switch or experiment of each pool."),
    read(
        "/api/v1/doctor",
        "What the doctor found: findings, who has how much of what, what is left, and the board of reviews.",
    ),
    read("/api/v1/reviews", "What became of the doctor's findings."),
    read("/api/v1/reviews/{review}", "What became of one of them."),
    read("/api/v1/config", "The configuration in force."),
    read("/api/v1/config/history", "The configurations that were in force."),
    change("/api/v1/pools/{pool}/workers/{worker}/{order}", "drain, undrain, pin, unpin or drill a worker."),
    change("/api/v1/pools/{pool}/{order}", "freeze or unfreeze a pool's weights, or undrill it."),
    change(
        "/api/v1/pools/{pool}/trial/{order}",
        "start, pause, resume, promote or abort a canary, switch or experiment.",
    ),
    change("/api/v1/pools/{pool}/approve/{number}", "Lets a runbook do what it proposed."),
    change("/api/v1/config/{order}", "reload, rollback or accept the configuration."),
    change(
        "/api/v1/reviews/{review}/{order}",
        "approve or reject the change that a review proposes, or abort it while it is in force; by whom and why stays in the record.",
    ),
    read("/api/v1/openapi", "This document."),
];

pub(crate) async fn answer() -> Response {
    Json(document()).into_response()
}

/// The document.
#[must_use]
pub fn document() -> Value {
    let mut paths = Map::new();
    for operation in &OPERATIONS {
        let method = if operation.changes { "post" } else { "get" };
        paths.insert(operation.path.to_owned(), json!({ method: operation.described() }));
    }
    let mut feed = schema_for!(Feed).to_value();
    let definitions = feed.as_object_mut().and_then(|feed| feed.remove("$defs")).unwrap_or_default();
    // Definitions within a schema become components of the document.
    let text =
        json!({"feed": feed, "definitions": definitions}).to_string().replace("#/$defs/", "#/components/schemas/");
    let moved: Value = serde_json::from_str(&text).unwrap_or_default();
    let mut schemas = moved["definitions"].as_object().cloned().unwrap_or_default();
    schemas.insert("Feed".to_owned(), moved["feed"].clone());
    schemas.insert("Error".to_owned(), error());
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Ambidex admin API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "JSON answers carry `schema_version`, which grows when a field changes its meaning or goes. \
                            Off loopback reads need the token, too, but for probes and metrics.",
        },
        "servers": [{"url": "http://127.0.0.1:9901"}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    })
}

fn error() -> Value {
    json!({
        "type": "object",
        "required": ["schema_version", "code", "error"],
        "properties": {
            "schema_version": {"type": "integer"},
            "code": {"type": "string", "description": "In one word, for programs."},
            "error": {"type": "string", "description": "What is wrong and what to do, for people."},
        },
    })
}

impl Operation {
    fn described(&self) -> Value {
        let of_path = self.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
        let of_path = of_path
            .map(|name| json!({"name": name, "in": "path", "required": true, "schema": self.named(name).schema()}));
        let of_query = self.query.iter().map(|(name, takes, means)| {
            json!({"name": name, "in": "query", "required": false, "description": means, "schema": takes.schema()})
        });
        let parameters: Vec<Value> = of_path.chain(of_query).collect();
        let refused = json!({
            "description": "Why not, and what to do.",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
        });
        let mut described = json!({
            "summary": self.summary,
            "parameters": parameters,
            "responses": {"200": self.answer.described(), "default": refused},
        });
        if let Answer::Probe = self.answer {
            described["responses"]["503"] = self.answer.described();
        }
        if self.changes {
            described["security"] = json!([{"token": []}]);
            described["requestBody"] = json!({
                "required": false,
                "description": "`pin` takes {\"weight\": 0.5}, in fair shares; `drill` a fault; `trial` {\"kind\": \"canary\"}; \
                                `move` {\"slice\": \"5\", \"to\": \"w2\"}; approve and reject of a keyspace {\"proposal\": \"100000001\"}; a review \
                                {\"by\": \"ada\", \"why\": \"..\"}; the others nothing.",
                "content": {"application/json": {"schema": {}}},
            });
        }
        described
    }

    /// What a part of the path takes.
    fn named(&self, name: &str) -> Takes {
        match (name, self.path) {
            ("number", _) => Takes::Count,
            ("review", _) => Takes::Review,
            ("move", _) => Takes::Hex,
            ("order", "/api/v1/reviews/{review}/{order}") => Takes::Word(&["approve", "reject", "abort"]),
            ("order", "/api/v1/config/{order}") => Takes::Word(&["reload", "rollback"]),
            ("order", "/api/v1/pools/{pool}/{order}") => Takes::Word(&["freeze", "unfreeze", "undrill"]),
            ("order", "/api/v1/pools/{pool}/trial/{order}") => {
                Takes::Word(&["start", "pause", "resume", "promote", "abort"])
            }
            ("order", "/api/v1/keyspaces/{keyspace}/{order}") => Takes::Word(&[
                "move", "split", "merge", "isolate", "presplit", "drain", "undrain", "abort", "approve", "reject",
            ]),
            ("order", _) => Takes::Word(&["drain", "undrain", "pin", "unpin", "drill"]),
            (_, _) => Takes::Text,
        }
    }
}

impl Takes {
    fn schema(self) -> Value {
        match self {
            Self::Text => json!({"type": "string"}),
            Self::Count => json!({"type": "integer", "minimum": 0, "maximum": u64::MAX}),
            Self::Truth => json!({"type": "boolean"}),
            Self::Wait => json!({"type": "string", "pattern": "^([0-9]|[1-4][0-9]|5[0-5])s$|^[0-9]{1,4}ms$"}),
            Self::Moment => json!({"type": "string", "pattern": "^[0-9]{1,15}$|^[0-9]{1,6}(ms|s|m|h)$"}),
            Self::Hex => json!({"type": "string", "pattern": "^[0-9a-fA-F]{1,16}$"}),
            Self::Review => json!({"type": "string", "pattern": "^R?[1-9][0-9]{0,8}$"}),
            Self::Word(words) => json!({"type": "string", "enum": words}),
        }
    }
}

impl Answer {
    fn described(self) -> Value {
        let (media, schema) = match self {
            Self::Json => ("application/json", json!({"type": "object", "required": ["schema_version"]})),
            Self::Feed => ("application/json", json!({"$ref": "#/components/schemas/Feed"})),
            Self::Events => ("text/event-stream", json!({"type": "string"})),
            Self::Text | Self::Probe => ("text/plain", json!({"type": "string"})),
            Self::Metrics => ("application/openmetrics-text", json!({"type": "string"})),
        };
        json!({"description": "As asked.", "content": {media: {"schema": schema}}})
    }
}
