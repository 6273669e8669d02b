//! The page in a real browser.

use serde_json::json;

use crate::browser::Browser;
use crate::stage::{Jam, start};

const HTTP: &str = "[http]\nlisten = \"127.0.0.1:{http_port}\"\npage = \"admin\"";

fn pool(name: &str) -> String {
    format!("document.querySelector('#{name}-table tbody')?.innerText ?? ''")
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
    tab_to(&mut browser, "#blockers button");
    browser.press("Enter");
    browser.wait("document.querySelector('#confirm').open");
    browser.picture("confirm");
    tab_to(&mut browser, "#confirm-yes");
    browser.press("Enter");
    browser.wait(&format!("/Nobody holds/.test({})", pool("blockers")));
    assert_eq!(browser.complaints(), Vec::<serde_json::Value>::new());
    drop(jam);
}
