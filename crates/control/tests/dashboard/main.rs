//! The dashboard in a real browser: that it is drawn, stays up to date, breaks no policy, and works without JavaScript,
//! in the dark and on a narrow screen. Pictures of what was seen are left in `target/tmp`.

mod browser;
mod doctor;
mod running;
mod sample;
mod shards;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::Path;
use axum::http::HeaderMap;
use axum::routing::post;
use browser::{Browser, Tab};
use running::Running;
use sample::Sample;

/// Serves the sample on a thread of its own until the test ends.
fn served() -> (SocketAddr, Arc<Sample>) {
    let sample = Arc::new(Sample::default());
    let router: Router = ambidex_control::ui::router(Arc::clone(&sample) as Arc<dyn ambidex_control::ui::PageSource>);
    let heard = Arc::clone(&sample);
    let hear = move |Path((review, order)): Path<(String, String)>, headers: HeaderMap, body: String| async move {
        let token = headers.get("authorization").and_then(|token| token.to_str().ok()).unwrap_or_default();
        heard.order(format!("{review} {order} {token} {body}"));
        "{}"
    };
    let router = router.route("/api/v1/reviews/{review}/{order}", post(hear.clone()));
    let router = router.route("/api/v1/keyspaces/{keyspace}/{order}", post(hear));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("non-blocking");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
            axum::serve(listener, router).await.expect("served");
        });
    });
    (address, sample)
}

fn open(browser: &mut Browser) -> (Tab<'_>, Arc<Sample>) {
    let (address, sample) = served();
    let mut tab = browser.tab();
    tab.go(&format!("http://{address}/"));
    (tab, sample)
}

const DRAWN: &str = "document.querySelectorAll('.charts[data-drawn=\"2\"] canvas').length === 2";

#[test]
fn the_page_is_drawn_live_and_within_its_policy() {
    let mut browser = Browser::start();
    let (mut tab, sample) = open(&mut browser);
    tab.wait_for(DRAWN);
    tab.wait_for("document.getElementById('state').textContent.startsWith('live, ')");
    tab.is("document.querySelectorAll('.workers tbody tr[id]').length === 6");
    for chart in [".weights", ".latencies"] {
        let pixels = format!(
            "(() => {{ const c = document.querySelector('{chart} canvas'); const d = c.getContext('2d')\
             .getImageData(0, 0, c.width, c.height).data; let n = 0; for (let i = 3; i < d.length; i += 4) n += d[i] > 0; \
             return n; }})()"
        );
        assert!(tab.number(&pixels) > 2_000.0, "{chart} is blank");
    }
    tab.is("document.title === '(4) Ambidex'");

    // A name from outside is text.
    tab.is("document.images.length === 0");
    tab.is("document.body.textContent.includes('<img src=x onerror=')");

    // What a reader opened stays open when the page is renewed.
    tab.run("document.querySelector('details').open = true");
    let renewed = sample.rendered() + 2;
    tab.wait_for_outside("the page to be renewed", || sample.rendered() > renewed);
    tab.is("document.querySelector('details').open");

    tab.picture("dashboard-light.png");
    tab.is("document.documentElement.dataset.violations === '0'");
    assert_eq!(tab.complaints(), Vec::<String>::new());
}

#[test]
fn both_charts_share_one_cursor_and_the_keys_tell_what_is_under_it() {
    let mut browser = Browser::start();
    let (mut tab, _sample) = open(&mut browser);
    tab.wait_for(DRAWN);
    tab.run("document.querySelector('.weights').scrollIntoView({block: 'center'})");
    let middle = |axis: &str| {
        format!(
            "(() => {{ const r = document.querySelector('.weights .u-over')\
         .getBoundingClientRect(); return {axis}; }})()"
        )
    };
    let (x, y) = (tab.number(&middle("r.x + r.width / 2")), tab.number(&middle("r.y + r.height / 2")));
    tab.point_at(x, y);
    let at = |chart: &str| format!("document.querySelector('{chart} .u-cursor-x').style.transform");
    tab.wait_for(&format!("{} !== '' && {} === {}", at(".weights"), at(".weights"), at(".latencies")));
    tab.wait_for("/^\\d+\\.\\d\\d \\/ .* ms$/.test(document.querySelector('.chart-keys span').textContent)");
}

#[test]
fn without_javascript_the_tables_are_there_and_the_page_asks_to_be_fetched_again() {
    let mut browser = Browser::start();
    let (address, sample) = served();
    let mut tab = browser.tab();
    tab.without_scripts();
    tab.go(&format!("http://{address}/"));
    tab.wait_for("document.querySelectorAll('.workers tbody tr[id]').length === 6");
    tab.is("document.querySelectorAll('#attention li').length === 6");
    for shown in ["Its requests go to", "What requests cost", "canary of green", "is not there: connection refused"] {
        tab.is(&format!("document.body.textContent.includes('{shown}')"));
    }
    tab.is("document.querySelector('.charts').offsetHeight === 0");
    tab.is("document.querySelectorAll('.decisions li').length === 4");
    let rendered = sample.rendered();
    tab.wait_for_outside("the page to fetch itself again", || sample.rendered() > rendered);
}

#[test]
fn a_narrow_screen_shows_all_of_it_without_scrolling_sideways() {
    let mut browser = Browser::start();
    let (address, _sample) = served();
    let mut tab = browser.tab();
    tab.screen(400, 800, false);
    tab.go(&format!("http://{address}/"));
    tab.wait_for(DRAWN);
    assert!(tab.number("document.documentElement.scrollWidth") <= 400.0);
    tab.is("[...document.querySelectorAll('.workers td, .sentence, .chart-keys button')]\
            .every((cell) => cell.getBoundingClientRect().right <= 400)");
    tab.picture("dashboard-narrow.png");
}

#[test]
fn in_the_dark_the_page_is_dark() {
    let mut browser = Browser::start();
    let (address, _sample) = served();
    let mut tab = browser.tab();
    tab.screen(1_280, 900, true);
    tab.go(&format!("http://{address}/"));
    tab.wait_for(DRAWN);
    tab.is("getComputedStyle(document.body).backgroundColor === 'rgb(20, 23, 27)'");
    tab.picture("dashboard-dark.png");
}

#[test]
fn a_running_coordinator_shows_who_is_overloaded_and_what_it_decided() {
    let running = Running::start();
    let mut browser = Browser::start();
    let mut tab = browser.tab();
    tab.go(&format!("http://{}/", running.address));
    tab.wait_for(DRAWN);
    tab.wait_for("document.querySelector('#attention li.warning').textContent.includes('is overloaded: 10 of 10')");
    tab.wait_for("document.querySelectorAll('.workers tbody tr[id]').length === 2");
    tab.wait_for("parseFloat(document.querySelector('td[data-label=\"Requests/s\"]').textContent) > 100");
    tab.wait_for("document.querySelectorAll('.decisions details .values').length > 2");
    // Weights go apart, and the chart's newest values with them.
    tab.wait_for("parseFloat(document.querySelector('td[data-label=Weight]').textContent) > 1.2");
    tab.is("document.documentElement.dataset.violations === '0' && document.images.length === 0");
    assert_eq!(tab.complaints(), Vec::<String>::new());

    // When the process is gone, the page keeps what it knew and says so.
    drop(running);
    tab.wait_for("document.getElementById('state').textContent.startsWith('connection lost')");
    tab.is("document.querySelectorAll('.workers tbody tr[id]').length === 2");
}
