//! A recording that was made by a known model gives it back.

use ambidex_core::draw::Draw;
use ambidex_wire::recording::{Answer, FieldValue};

use super::*;
use crate::scenario::Scenario;
use crate::service::{Service, exponential};
use crate::zipf::Zipf;

/// A minute at 100/s, then a minute at 200/s: four fifths `GET /items/KEY` of 5 ms, a fifth `POST /orders` of 50 ms, both
/// exponential; 1,000 keys by 1/k, 20 tenants by k^-1.2.
fn recorded() -> Vec<Exchange> {
    let mut draw = Draw::seeded(42);
    let (keys, tenants) = (Zipf::new(1_000, 1.0), Zipf::new(20, 1.2));
    let (mut now, mut exchanges) = (0.0, Vec::new());
    loop {
        now += exponential(&mut draw) / if now < 60.0 { 100.0 } else { 200.0 };
        if now >= 120.0 {
            return exchanges;
        }
        let (key, tenant) = (keys.draw(&mut draw), tenants.draw(&mut draw));
        let (method, target, mean) = if draw.unit() < 0.8 {
            ("GET", format!("/items/{key}?page=1"), 5)
        } else {
            ("POST", "/orders".to_owned(), 50)
        };
        let took = Service::exponential(Span::from_millis(mean)).draw(&mut draw);
        let body = (method == "POST").then(|| Body { length: 300, ..Body::default() });
        let answer_body = Body { length: 1_000, ..Body::default() };
        exchanges.push(Exchange {
            at: Span::from_secs_f64(now + 7.0),
            method: method.into(),
            target,
            host: "shop.example".into(),
            fields: vec![("x-tenant".into(), FieldValue::Plain(format!("t{tenant}").into_bytes()))],
            body,
            answer: Some(Answer { status: 200, took, body: answer_body, ..Answer::default() }),
            ..Exchange::default()
        });
    }
}

fn model(sample: Share) -> Model {
    let source = Source { exchanges: recorded(), samples: vec![sample, sample], torn: Vec::new() };
    let options = FitOptions { key: None, tenant: Some("header:x-tenant".parse().expect("a part")) };
    fit(&source, &options).expect("a model")
}

fn near(found: f64, wanted: f64, tolerance: f64) -> bool {
    (found / wanted - 1.0).abs() <= tolerance
}

#[test]
fn a_recording_of_a_known_model_gives_it_back() {
    let model = model(Share::ALL);
    let [first, second] = &model.arrivals.steps[..] else { panic!("{:?}", model.arrivals) };
    assert!(near(first.rate, 100.0, 0.06) && near(second.rate, 200.0, 0.06), "{:?}", model.arrivals);
    assert!((second.at_s - 60.0).abs() < 2.0, "{:?}", model.arrivals);
    assert!(near(model.arrivals.dispersion, 1.0, 0.3), "{:?}", model.arrivals);
    let [items, orders] = &model.classes[..] else { panic!("{:?}", model.classes) };
    assert_eq!((&*items.name, &*items.template, &*items.path), ("get-items", "/items/*", "/items/{key}"));
    assert_eq!((&*orders.name, &*orders.path, &*orders.method), ("post-orders", "/orders", "POST"));
    assert!((items.share - 0.8).abs() < 0.02 && near(orders.cost, 10.0, 0.1), "{:?}", model.classes);
    let keys = model.keys.expect("keys");
    assert!(near(keys.exponent, 1.0, 0.08) && near(keys.count as f64, 1_000.0, 0.25), "{keys:?}");
    let tenants = model.tenants.expect("tenants");
    assert!(near(tenants.exponent, 1.2, 0.08) && tenants.count == 20, "{tenants:?}");
    let times = model.times.expect("times");
    assert_eq!(times.service.shape, crate::service::Shape::Exponential);
    assert!(near(times.service.mean.as_secs_f64(), 0.005, 0.06), "{times:?}");
    assert_eq!(model.request_bytes.map(|sizes| (sizes.p50, sizes.max)), Some((300, 300)));
    assert_eq!(model.answer_bytes.map(|sizes| sizes.p99), Some(1_000));
    assert!(model.failed_share.abs() < 1e-9);
}

#[test]
fn rates_are_of_what_came_and_not_of_what_was_drawn() {
    let model = model(Share::percent(10));
    assert!(near(model.arrivals.steps[0].rate, 1_000.0, 0.06), "{:?}", model.arrivals);
}

#[test]
fn the_section_says_what_the_model_does() {
    let text = model(Share::ALL).scenario(None);
    for line in ["load:\n  rate: ", "  rates: [{at: ", "  arrivals: poisson\n", "  tenants: {count: 20, zipf: 1."] {
        assert!(text.contains(line), "{line}: {text}");
    }
    assert!(text.contains("- {name: post-orders, share: ") && text.contains(", path: \"/orders\", cost: "), "{text}");
    assert!(text.contains("# Workers of this speed: service: exponential:"), "{text}");
}

#[test]
fn the_section_is_one_that_a_scenario_takes() {
    let model = model(Share::ALL);
    let times = model.times.as_ref().expect("times").service.clone();
    let start = format!(
        "scenario: F\ntitle: fitted\nduration: 120s\nworkers: [{{name: w, count: 8, slots: 4, service: \"{times}\"}}]\n"
    );
    let scenario = Scenario::read("fitted", start + &model.scenario(None)).map_err(|findings| findings.render(false));
    let scenario = scenario.expect("a scenario");
    let rates: Vec<f64> = scenario.rates().iter().map(|(_, rate)| rate.round()).collect();
    let steps: Vec<f64> = model.arrivals.steps.iter().map(|step| step.rate.round()).collect();
    assert_eq!(rates, steps);
    assert_eq!(scenario.load.tenants.map(|tenants| tenants.count), Some(20));
    let cost = model.classes.iter().map(|class| class.share * class.cost).sum();
    assert!(near(scenario.load.mean_cost(), cost, 0.01), "{:?}", scenario.load);
}

#[test]
fn a_trace_has_the_times_and_a_part_is_none() {
    let at = |millis| Exchange { at: Span::from_millis(millis), ..Exchange::default() };
    let source = Source { exchanges: vec![at(5_000), at(5_000), at(6_250)], ..Source::default() };
    assert_eq!(trace(&source).expect("a trace"), "0.000000\n0.000000\n1.250000\n");
    let part = Source { samples: vec![Share::percent(10)], ..source };
    assert_eq!(trace(&part), Err(FitError::Part(Share::percent(10))));
    let text = model(Share::ALL).scenario(Some("a.trace"));
    assert!(text.contains("load:\n  arrivals: {trace: \"a.trace\"}\n  classes:") && !text.contains("rate:"), "{text}");
}

#[test]
fn what_is_rare_is_one_class() {
    let exchange = |at: u64| Exchange {
        at: Span::from_millis(at),
        method: "GET".into(),
        target: format!("/{}/x", char::from(b'a' + u8::try_from(at % 15).expect("small"))),
        ..Exchange::default()
    };
    let source = Source { exchanges: (0..150).map(exchange).collect(), ..Source::default() };
    let model = fit(&source, &FitOptions::default()).expect("a model");
    assert_eq!((model.classes.len(), &*model.classes[11].name), (12, "rest"));
    let all: f64 = model.classes.iter().map(|class| class.share).sum();
    assert!((all - 1.0).abs() < 1e-9 && near(model.classes[11].share, 4.0 / 15.0, 1e-6), "{:?}", model.classes);
    assert!(model.keys.is_none() && model.times.is_none());
}

#[test]
fn parts_of_several_shares_are_no_load() {
    let source = Source { exchanges: recorded(), samples: vec![Share::ALL, Share::percent(10)], torn: Vec::new() };
    assert_eq!(fit(&source, &FitOptions::default()), Err(FitError::Samples(Share::ALL, Share::percent(10))));
}

#[test]
fn one_request_is_no_load() {
    let source = Source { exchanges: vec![Exchange::default()], ..Source::default() };
    let said = fit(&source, &FitOptions::default()).expect_err("refused").to_string();
    assert_eq!(said, "1 requests are too few for a model: record at least 2");
    assert!("cookie:a".parse::<Part>().is_err() && "header:".parse::<Part>().is_err());
}
