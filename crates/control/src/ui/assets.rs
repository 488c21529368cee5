//! The files that the page loads, within the program: the dashboard works without a network.

/// One file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asset {
    /// Its bytes.
    pub bytes: &'static [u8],
    /// Its media type.
    pub content_type: &'static str,
}

/// The file of this name, as in `/ui/NAME`.
#[must_use]
pub fn asset(name: &str) -> Option<Asset> {
    let (bytes, content_type): (&[u8], _) = match name {
        "dashboard.js" => (include_bytes!("assets/dashboard.js"), SCRIPT),
        "charts.js" => (include_bytes!("assets/charts.js"), SCRIPT),
        "morph.js" => (include_bytes!("assets/morph.js"), SCRIPT),
        "dashboard.css" => (include_bytes!("assets/dashboard.css"), STYLE),
        "doctor.css" => (include_bytes!("assets/doctor.css"), STYLE),
        "shards.css" => (include_bytes!("assets/shards.css"), STYLE),
        "icon.svg" => (include_bytes!("assets/icon.svg"), "image/svg+xml"),
        // uPlot 1.6.32, MIT; its licence lies beside it and is served too.
        "uplot.js" => (include_bytes!("assets/uplot.js"), SCRIPT),
        "uplot.css" => (include_bytes!("assets/uplot.css"), STYLE),
        "uplot.LICENSE" => (include_bytes!("assets/uplot.LICENSE"), "text/plain; charset=utf-8"),
        _ => return None,
    };
    Some(Asset { bytes, content_type })
}

const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
