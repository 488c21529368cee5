//! What classes of a pool's requests cost beside its mean request, and how old that is.

use ambidex_core::time::Span;
use maud::{Markup, html};

use super::text;
use super::view::PoolPanel;
use crate::status::CostStatus;

/// The section of one pool; nothing where all requests count alike.
pub(super) fn section(pool: &PoolPanel) -> Markup {
    if pool.costs.is_empty() {
        return html! {};
    }
    let mut dearest: Vec<&CostStatus> = pool.costs.iter().collect();
    dearest.sort_by(|a, b| b.cost.total_cmp(&a.cost).then_with(|| a.class.cmp(&b.class)));
    let more = dearest.len().saturating_sub(MOST_ROWS);
    html! {
        div .costs {
            h3 { "What requests cost" }
            table .workers {
                thead { tr { th { "Class" } th .number { "Of a mean request" } th .number { "Answers" } th { "Measured" } } }
                tbody { @for class in dearest.iter().take(MOST_ROWS) { (row(class)) } }
            }
            @if more > 0 { p { "and " (more) " cheaper ones, by the API" } }
        }
    }
}

fn row(class: &CostStatus) -> Markup {
    let measured = match class.age_ms {
        Some(age) => format!("{} ago", text::age(Span::from_secs_f64(age / 1e3))),
        None => "not yet: it counts as a mean one".to_owned(),
    };
    html! {
        tr {
            td { (class.class) }
            td .number data-label="Of a mean request" { (text::three_digits(class.cost)) }
            td .number data-label="Answers" { (class.answers) }
            td data-label="Measured" { (measured) }
        }
    }
}

/// Source: ours; a table that is read at a glance.
const MOST_ROWS: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn class(name: &str, cost: f64, age_ms: Option<f64>) -> CostStatus {
        CostStatus { class: name.to_owned(), cost, answers: 40, age_ms }
    }

    #[test]
    fn the_dearest_class_is_first_and_each_says_how_old_its_cost_is() {
        let costs = vec![class("GET /", 0.4, Some(500.0)), class("<b>", 9.5, None)];
        let shown = section(&PoolPanel { costs, ..PoolPanel::default() }).into_string();
        let (dear, cheap) = (shown.find("&lt;b&gt;").expect("escaped"), shown.find("GET /").expect("there"));
        assert!(
            dear < cheap && shown.contains("9.50") && shown.contains("not yet: it counts as a mean one"),
            "{shown}"
        );
        assert_eq!(section(&PoolPanel::default()).into_string(), "");
        let many = (0..30).map(|at| class(&format!("c{at}"), 1.0, None)).collect();
        assert!(section(&PoolPanel { costs: many, ..PoolPanel::default() }).into_string().contains("and 10 cheaper"));
    }
}
