//! Answers as real servers gave them, and as others do.

use proptest::prelude::*;

use super::*;

fn answer(status: u16, kind: &str, body: &str) -> Answer {
    Answer { status, kind: kind.into(), location: None, body: body.into() }
}

#[test]
fn a_matrix_is_rows_of_values_without_those_that_are_no_numbers() {
    let body = r#"{"status":"success","data":{"resultType":"matrix","result":[
        {"metric":{"instance":"a:9100","job":"node"},"values":[[1700000000,"0.5"],[1700000030.5,"NaN"],[1700000060,"+Inf"]]},
        {"metric":{},"values":[]}]},"warnings":["one store did not answer"]}"#;
    let told = read(&answer(200, "application/json", body)).expect("rows");
    assert_eq!(told.rows[0].labels["job"], "node");
    assert_eq!(told.rows[0].values, [(At(1_700_000_000_000), 0.5), (At(1_700_000_060_000), f64::INFINITY)]);
    assert_eq!((told.rows.len(), told.histograms), (2, 1));
    assert_eq!(told.warnings, ["one store did not answer"]);
}

#[test]
fn a_vector_and_a_scalar_are_rows_of_one_value() {
    for (body, value) in [
        (r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{"a":"b"},"value":[1,"2"]}]}}"#, 2.0),
        (r#"{"status":"success","data":{"resultType":"scalar","result":[1,"3"]}}"#, 3.0),
    ] {
        let told = read(&answer(200, "application/json", body)).expect("rows");
        assert_eq!(told.rows[0].values, [(At(1_000), value)]);
    }
}

#[test]
fn what_is_not_the_query_api_is_told_apart() {
    let json = "application/json";
    let table = [
        (
            answer(400, json, r#"{"status":"error","errorType":"bad_data","error":"parse error"}"#),
            "parse error (bad_data)",
        ),
        (
            answer(503, json, r#"{"status":"error","errorType":"timeout","error":"query timed out"}"#),
            "timed out (timeout)",
        ),
        (answer(401, "text/plain", "who are you"), "refuses us with 401: who are you"),
        (answer(403, json, r#"{"errors":["Forbidden"]}"#), "refuses us with 403"),
        (answer(403, json, r#"{"status":"error","error":"no scope"}"#), "refuses us with 403: no scope"),
        (answer(429, json, r#"{"code":8}"#), "too much to do (429)"),
        (answer(502, "text/html", "<html>bad gateway</html>"), "too much to do (502)"),
        (answer(200, "text/html; charset=utf-8", "<!doctype html><title>Grafana</title>"), "a page of HTML: <!doctype"),
        (answer(404, "text/plain", "404 page not found"), "answers 404 with `404 page not found`"),
        (answer(200, json, r#"{"series":[]}"#), "JSON that is not the query API's"),
        (answer(200, json, r#"{"status":"success"}"#), "answers 200 without data"),
        (answer(200, json, r#"{"status":"success","data":{"resultType":"streams","result":[]}}"#), "JSON that is not"),
        (answer(200, json, ""), "with nothing"),
        (
            Answer { location: Some("https://login/x?token=1".into()), ..answer(302, "", "") },
            "sends us to https://login/x (302)",
        ),
    ];
    for (answer, part) in table {
        let said = read(&answer).expect_err(part).to_string();
        assert!(said.contains(part), "{said}");
    }
}

#[test]
fn a_smaller_question_may_help_against_a_timeout_and_not_against_a_mistake() {
    let of = |kind: &str, error: &str| {
        let body = format!(r#"{{"status":"error","errorType":"{kind}","error":"{error}"}}"#);
        read(&answer(422, "application/json", &body)).expect_err("an error").passes()
    };
    assert!(of("timeout", "query timed out in expression evaluation"));
    assert!(of("execution", "query processing would load too many samples into memory"));
    assert!(!of("bad_data", "parse error") && !of("execution", "many-to-many matching not allowed"));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(body in proptest::collection::vec(any::<u8>(), 0..400), status in 100_u16..600) {
        let _ = read(&Answer { status, kind: "application/json".into(), location: None, body });
    }

    #[test]
    fn no_points_make_it_panic(seconds in any::<f64>(), value in "\\PC{0,12}") {
        let point = serde_json::json!([if seconds.is_finite() { seconds } else { 1e300 }, value]);
        let body = serde_json::json!({"status": "success",
            "data": {"resultType": "matrix", "result": [{"metric": {"a": "b"}, "values": [point]}]}});
        prop_assert!(read(&answer(200, "application/json", &body.to_string())).is_ok());
    }
}
