//! A Grafana dashboard of the recorded series: what [`rules`](super::rules) makes, with the same limits drawn in.

use serde_json::{Value, json};

use super::{is_left, loads, recorded};
use crate::analysis::headroom;
use crate::doctor::limits::{CRITICAL_SPREAD, HOT, TWICE, WARN_SPREAD};
use crate::sources::prometheus::Exported;

/// The dashboard of these sets, as Grafana imports it.
#[must_use]
pub fn dashboard(sets: &[Exported]) -> Value {
    let mut panels = Vec::new();
    for set in sets {
        panels
            .push(json!({"type": "row", "title": format!("Ambidex: {}", set.name), "collapsed": false, "panels": []}));
        for (metric, _) in loads(set) {
            let name = recorded(metric);
            let of = |kind: &str| format!("{name}{kind}{{set=\"{}\"}}", set.name);
            let node = format!("{{{{{}}}}}", set.node);
            panels.push(panel(
                &format!("{metric}: beside a fair part"),
                &of(":relative"),
                &node,
                &limits(&[HOT, TWICE]),
                "none",
            ));
            let spread = limits(&[WARN_SPREAD, CRITICAL_SPREAD]);
            panels.push(panel(&format!("{metric}: spread"), &of(":spread"), "", &spread, "none"));
            if is_left(metric) {
                let steps = json!([
                    {"color": "red", "value": null},
                    {"color": "orange", "value": headroom::CRITICAL},
                    {"color": "green", "value": headroom::WARN},
                ]);
                panels.push(panel(
                    &format!("{metric}: left of what may be used"),
                    &of(":left"),
                    &node,
                    &steps,
                    "percentunit",
                ));
            }
        }
    }
    placed(&mut panels);
    json!({
        "title": "Ambidex: imbalance",
        "uid": "ambidex-imbalance",
        "tags": ["ambidex"],
        "schemaVersion": 39,
        "editable": true,
        "refresh": "1m",
        "time": {"from": "now-24h", "to": "now"},
        "templating": {"list": [{
            "name": "datasource", "type": "datasource", "query": "prometheus", "label": "Prometheus", "hide": 0, "refresh": 1,
        }]},
        "panels": panels,
    })
}

fn panel(title: &str, expr: &str, legend: &str, steps: &Value, unit: &str) -> Value {
    let source = json!({"type": "prometheus", "uid": "${datasource}"});
    json!({
        "type": "timeseries",
        "title": title,
        "datasource": source,
        "targets": [{"refId": "A", "expr": expr, "legendFormat": legend, "datasource": source}],
        "fieldConfig": {
            "defaults": {
                "unit": unit,
                "custom": {"thresholdsStyle": {"mode": "line"}, "lineWidth": 1, "fillOpacity": 0},
                "thresholds": {"mode": "absolute", "steps": steps},
            },
            "overrides": [],
        },
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi", "sort": "desc"}},
    })
}

fn limits(over: &[f64; 2]) -> Value {
    json!([
        {"color": "green", "value": null},
        {"color": "orange", "value": over[0]},
        {"color": "red", "value": over[1]},
    ])
}

/// Rows over the whole width, panels by three.
fn placed(panels: &mut [Value]) {
    let (mut x, mut y) = (0, 0);
    for (id, panel) in panels.iter_mut().enumerate() {
        let row = panel["type"] == "row";
        let (width, height) = if row { (24, 1) } else { (8, 8) };
        if row && x > 0 || x + width > 24 {
            (x, y) = (0, y + 8);
        }
        panel["id"] = json!(id + 1);
        panel["gridPos"] = json!({"x": x, "y": y, "w": width, "h": height});
        (x, y) = if row { (0, y + 1) } else { (x + width, y) };
    }
}
