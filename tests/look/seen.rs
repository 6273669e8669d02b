//! The page in a real browser.

use pgusher_testkit::{Cluster, RawClient};
use serde_json::json;

use crate::browser::Browser;
use crate::stage::{Jam, start};

const HTTP: &str = "[http]\nlisten = \"127.0.0.1:{http_port}\"\npage = \"admin\"";

fn pool(name: &str) -> String {
    format!("(document.querySelector('#{name}-table tbody')?.innerText ?? '')")
}

/// Goes on with Tab until something has the focus; panics when it has been everywhere.
fn tab_to(browser: &mut Browser, selector: &str) {
    for _ in 0..80 {
        browser.press("Tab");
        let matches = format!("document.activeElement.matches({selector:?})");
        if browser.value(&matches) == true {
            return;
        }
    }
    panic!("{selector} cannot be reached by keyboard");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_shows_the_jam_and_is_used_without_a_mouse() {
    let pgusher = start("look_seen", HTTP);
    let jam = Jam::make(&pgusher).await;
    let mut browser = Browser::start();
    browser.resize(1280, 900);
    let scheme =
        |of: &str| json!({ "features": [{ "name": "prefers-color-scheme", "value": of }] });
    browser.call("Emulation.setEmulatedMedia", scheme("light"));
    browser.open(&format!("http://127.0.0.1:{}/", pgusher.http_port()));
    browser.wait(&format!("/app[^]*1 \\/ 1\\s+1\\s/.test({})", pool("pools")));
    browser.wait(&format!("/idle in transaction[^]*billing/.test({})", pool("blockers")));
    browser.wait(&format!("/bob/.test({})", pool("waiters")));
    browser.wait("document.querySelector('#log-lines').textContent.includes('pgusher is ready')");
    browser.wait("document.querySelector('#settings-table').textContent.includes('admin_users')");
    browser.wait("document.querySelector('#state').textContent === 'running'");
    browser.picture("light");

    assert_eq!(browser.value("document.documentElement.dataset.theme"), "light");
    browser.call("Emulation.setEmulatedMedia", scheme("dark"));
    browser.wait("document.documentElement.dataset.theme === 'dark'");
    browser.picture("dark");
    tab_to(&mut browser, "#theme");
    assert_eq!(browser.value("getComputedStyle(document.activeElement).outlineStyle"), "solid");
    browser.press("Enter");
    browser.wait("document.documentElement.dataset.theme === 'light'");

    for selector in
        ["nav a[href='#heat']", "#pools .scroll", "#heat-pool", "#heat-map", "#log-lines"]
    {
        tab_to(&mut browser, selector);
    }
    browser.resize(390, 844);
    browser.wait("document.documentElement.scrollWidth <= innerWidth");
    browser.picture("phone");

    browser.resize(1280, 900);
    tab_to(&mut browser, "#sign");
    browser.press("Enter");
    browser.wait("document.activeElement.id === 'user'");
    browser.write("boss");
    browser.press("Tab");
    browser.write("boss-word");
    browser.press("Enter");
    browser.wait("document.querySelector('#who').textContent === 'boss'");
    browser.wait("!document.querySelector('#orders').hidden");
    browser.picture("administrator");
    browser.wait("document.querySelector('#blockers button') !== null");
    tab_to(&mut browser, "#blockers button");
    browser.press("Enter");
    browser.wait("document.querySelector('#confirm').open");
    browser.picture("confirm");
    tab_to(&mut browser, "#confirm-yes");
    browser.press("Enter");
    browser.wait(&format!("/Nobody holds/.test({})", pool("blockers")));

    browser.wait(
        "view.history.samples.some((sample) => sample.pools.some((pool) => pool.waits.length > 0))",
    );
    tab_to(&mut browser, "#heat-map");
    // One column is five seconds.
    let reads =
        "/: [1-9][0-9]* waits; [1-9]/.test(document.querySelector('#heat-read').textContent)";
    let found = (0..30).any(|_| {
        browser.press("ArrowLeft");
        browser.value(reads) == true
    });
    assert!(found, "the wait cannot be read: {}", browser.value("document.body.innerText"));
    browser.picture("heat");
    assert_eq!(browser.complaints(), Vec::<serde_json::Value>::new());
    drop(jam);
}

/// Nothing sticks out of the page: what is wide scrolls in a place of its own.
fn fits(browser: &mut Browser, picture: &str) {
    browser.wait("document.documentElement.scrollWidth <= innerWidth");
    browser.picture(picture);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_pool_and_many_pools_fit_the_page() {
    const MANY: usize = 24;
    let names =
        (0..MANY).map(|number| format!("a_database_with_a_rather_long_name_for_the_{number:02}"));
    let names: Vec<_> = names.collect();
    let section = |name: &String| {
        let cluster = Cluster::shared();
        let (host, port, user) = (cluster.host(), cluster.port(), cluster.superuser());
        format!(
            "[databases.{name}]\nhost = \"{host}\"\nport = {port}\ndbname = \"look_many\"\nuser = \"{user}\"\npool_size = 9\n"
        )
    };
    let sections: String = names.iter().map(section).collect();
    let pgusher = start("look_many", &format!("{HTTP}\n{sections}"));
    let mut browser = Browser::start();
    browser.resize(1280, 900);
    browser.open(&format!("http://127.0.0.1:{}/", pgusher.http_port()));
    browser.wait(&format!("/No pool yet/.test({})", pool("pools")));
    browser.wait("document.querySelector('#settings-table').textContent.includes('admin_users')");
    fits(&mut browser, "empty");
    browser.value("document.querySelector('#settings-all').click()");
    browser.wait("document.querySelectorAll('#settings-table tbody tr').length > 60");
    fits(&mut browser, "settings");
    browser.value("document.querySelector('#settings-all').click()");

    let mut clients = Vec::new();
    for name in &names {
        let mut client = RawClient::login(pgusher.port(), name, "alice", "alice-word").await;
        assert_eq!(client.query("begin").await.error, None);
        assert_eq!(client.query(&format!("select {}", "1, ".repeat(40) + "1")).await.error, None);
        clients.push(client);
    }
    let all = format!("document.querySelectorAll('#pools-table tbody tr').length === {MANY}");
    browser.wait(&all);
    browser.wait(&format!("{}.includes({:?})", pool("blockers"), names[MANY - 1]));
    fits(&mut browser, "many");
    browser.resize(390, 844);
    fits(&mut browser, "many-phone");
    // The last pool can be reached without a mouse: the table scrolls where it has the focus.
    tab_to(&mut browser, "#pools .scroll");
    browser.press("End");
    browser.wait("document.activeElement.scrollTop > 0");
    assert_eq!(browser.complaints(), Vec::<serde_json::Value>::new());
}
