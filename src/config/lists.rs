//! Kinds of settings that hold several values, and addresses.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::kinds::{Int, Kind, Reading};
use super::mistake::Place;
use super::resolved_http::MetricsCompat;
use super::tree::{Node, Value};
use super::units;
use crate::types::Name;

/// Reads one text or an array of texts; `each` may refuse one. An empty text is an empty list.
fn texts<T>(
    node: &Node,
    cx: &mut Reading<'_>,
    each: impl Fn(&str, Place, &mut Reading<'_>) -> Option<T>,
) -> Option<Vec<T>> {
    let expected = "a string or an array of strings";
    let items = match &node.value {
        Value::Text { text, .. } if text.is_empty() => return Some(Vec::new()),
        Value::List(items) => items.iter().collect(),
        _ => vec![node],
    };
    let mut out = Vec::new();
    // No early return: every element's mistake is reported.
    let mut whole = true;
    for item in items {
        let value = cx.text(item, expected).and_then(|text| {
            if text.is_empty() {
                cx.wrong(item.at, "the text is empty", None);
                return None;
            }
            each(text, item.at, cx)
        });
        whole &= value.is_some();
        out.extend(value);
    }
    whole.then_some(out)
}

/// The same for lists in which nothing may stand twice.
fn distinct_texts<T>(
    node: &Node,
    cx: &mut Reading<'_>,
    each: impl Fn(&str, Place, &mut Reading<'_>) -> Option<T>,
) -> Option<Vec<T>> {
    let seen = RefCell::new(BTreeSet::new());
    texts(node, cx, |text, at, cx| {
        if !seen.borrow_mut().insert(text.to_owned()) {
            cx.wrong(at, &format!("\"{text}\" is listed twice"), None);
            return None;
        }
        each(text, at, cx)
    })
}

/// User names.
pub(super) struct Names;

impl Kind for Names {
    type Value = Vec<Name>;

    const UNIT: &'static str = "list of names";

    fn unset() -> Option<Self::Value> {
        Some(Vec::new())
    }

    fn read(node: &Node, cx: &mut Reading<'_>) -> Option<Vec<Name>> {
        distinct_texts(node, cx, |text, _, _| Some(Name::from(text)))
    }

    fn show(value: &Vec<Name>) -> String {
        value.join(", ")
    }
}

/// Families of metrics.
pub(super) struct MetricsNames;

const PGBOUNCER_EXPORTER: &str = "pgbouncer_exporter";

impl Kind for MetricsNames {
    type Value = Vec<MetricsCompat>;

    fn unset() -> Option<Self::Value> {
        Some(Vec::new())
    }

    fn read(node: &Node, cx: &mut Reading<'_>) -> Option<Vec<MetricsCompat>> {
        distinct_texts(node, cx, |text, at, cx| {
            if text == PGBOUNCER_EXPORTER {
                return Some(MetricsCompat::PgbouncerExporter);
            }
            let help = Some(format!("write \"{PGBOUNCER_EXPORTER}\""));
            cx.wrong(at, &format!("\"{text}\" is no known family of metrics"), help);
            None
        })
    }

    fn show(value: &Vec<MetricsCompat>) -> String {
        let name = |compat: &MetricsCompat| match compat {
            MetricsCompat::PgbouncerExporter => PGBOUNCER_EXPORTER,
        };
        value.iter().map(name).collect::<Vec<_>>().join(", ")
    }
}

/// Addresses to listen on, without port.
pub(super) struct ListenAddrs;

impl Kind for ListenAddrs {
    type Value = Vec<String>;

    const UNIT: &'static str = "list of addresses";

    fn unset() -> Option<Self::Value> {
        Some(Vec::new())
    }

    fn read(node: &Node, cx: &mut Reading<'_>) -> Option<Vec<String>> {
        distinct_texts(node, cx, |text, at, cx| {
            host_only(text, at, "listen_port", cx)?;
            if text.starts_with('/') {
                let help = "a socket folder belongs in `unix_socket_dir`".into();
                cx.wrong(at, &format!("\"{text}\" is not an address"), Some(help));
                return None;
            }
            Some(text.to_owned())
        })
    }

    fn show(value: &Vec<String>) -> String {
        value.join(", ")
    }
}

/// Refuses what is more than a host: brackets, a port, spaces.
fn host_only(text: &str, at: Place, port_key: &str, cx: &mut Reading<'_>) -> Option<()> {
    if text.starts_with('/') || text.starts_with('@') || text.parse::<IpAddr>().is_ok() {
        return Some(());
    }
    let help = match split_port(text) {
        Some((host, true)) => Some(format!("write \"{host}\" and put the port in `{port_key}`")),
        Some((host, false)) => Some(format!("write \"{host}\"")),
        None => None,
    };
    let odd = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '[' | ']' | '/' | ',');
    // A zone (`fe80::1%eth0`) makes an address that IpAddr does not read.
    let colons = text.contains(':') && !text.contains('%');
    if text.contains(odd) || colons {
        cx.wrong(at, &format!("\"{text}\" is not an address or a host name"), help);
        return None;
    }
    Some(())
}

/// The host in `host:port`, `[address]:port` or `[address]`, and whether there is a port.
fn split_port(text: &str) -> Option<(&str, bool)> {
    if let Some(rest) = text.strip_prefix('[') {
        return rest.split_once(']').map(|(host, port)| (host, !port.is_empty()));
    }
    let (host, port) = text.split_once(':')?;
    port.parse::<u16>().is_ok().then_some((host, true))
}

/// Servers: host names, addresses, or socket folders.
pub(super) struct Hosts;

impl Kind for Hosts {
    type Value = Vec<String>;

    const UNIT: &'static str = "list of hosts";

    fn read(node: &Node, cx: &mut Reading<'_>) -> Option<Vec<String>> {
        let hosts = texts(node, cx, |text, at, cx| {
            host_only(text, at, "port", cx)?;
            Some(text.to_owned())
        })?;
        if hosts.is_empty() {
            cx.wrong(node.at, "there is no host", Some("remove the key for the default".into()));
            return None;
        }
        Some(hosts)
    }

    fn show(value: &Vec<String>) -> String {
        value.join(", ")
    }
}

/// One port, or one for each host.
pub(super) struct Ports;

impl Kind for Ports {
    type Value = Vec<u16>;

    const UNIT: &'static str = "number, or list of numbers";

    fn read(node: &Node, cx: &mut Reading<'_>) -> Option<Vec<u16>> {
        type Port = Int<u16, 1, 65535>;
        let Value::List(items) = &node.value else {
            return Port::read(node, cx).map(|port| vec![port]);
        };
        let ports: Vec<_> = items.iter().map(|item| Port::read(item, cx)).collect();
        if ports.is_empty() {
            cx.wrong(node.at, "there is no port", Some("remove the key for the default".into()));
            return None;
        }
        ports.into_iter().collect()
    }

    fn show(value: &Vec<u16>) -> String {
        value.iter().map(u16::to_string).collect::<Vec<_>>().join(", ")
    }
}

/// An address with a port.
pub(super) struct Socket;

impl Kind for Socket {
    type Value = SocketAddr;

    const UNIT: &'static str = "address and port";

    fn read(node: &Node, cx: &mut Reading<'_>) -> Option<SocketAddr> {
        let expected = "an address and a port such as \"127.0.0.1:9127\"";
        let text = cx.text(node, expected)?;
        let read = text.parse().ok();
        if read.is_none() {
            let port = text.strip_prefix("*:").or(text.strip_prefix(':'));
            let help = port.map(|port| format!("write \"0.0.0.0:{port}\" or \"[::]:{port}\""));
            cx.wrong(node.at, &format!("expected {expected}, found \"{text}\""), help);
        }
        read
    }

    fn show(value: &SocketAddr) -> String {
        value.to_string()
    }
}

/// Bounds of the queue-time histogram in microseconds. Below 100 us a wait is scheduler noise; steps of
/// at most 2.5 bound what a quantile between two bounds can be off by.
const QUEUE_BUCKETS: [u64; 16] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_500_000, 10_000_000, 60_000_000,
];

/// More bounds cost memory in every pool and say nothing more.
const MOST_BUCKETS: usize = 32;

/// Bounds of a histogram, or `"default"`.
pub(super) struct Buckets;

impl Buckets {
    fn standard() -> Vec<Duration> {
        QUEUE_BUCKETS.iter().map(|us| Duration::from_micros(*us)).collect()
    }
}

impl Kind for Buckets {
    type Value = Vec<Duration>;

    const UNIT: &'static str = "list of durations";

    fn read(node: &Node, cx: &mut Reading<'_>) -> Option<Vec<Duration>> {
        let expected = "\"default\" or an array of durations such as [\"1ms\", \"10ms\"]";
        let items = match &node.value {
            Value::Text { text, .. } if text == "default" => return Some(Buckets::standard()),
            Value::List(items) => items,
            _ => return cx.mismatch(node, expected, None),
        };
        if items.is_empty() || items.len() > MOST_BUCKETS {
            let message = format!("expected 1 to {MOST_BUCKETS} bounds, found {}", items.len());
            cx.wrong(node.at, &message, None);
            return None;
        }
        let bounds: Vec<_> = items.iter().map(|item| super::kinds::Pause::read(item, cx)).collect();
        let bounds: Vec<Duration> = bounds.into_iter().collect::<Option<_>>()?;
        let fall = bounds.windows(2).position(|pair| pair[0] >= pair[1]);
        if let Some(i) = fall {
            let at = items.get(i + 1).map_or(node.at, |item| item.at);
            cx.wrong(at, "bounds must rise from one to the next", None);
            return None;
        }
        Some(bounds)
    }

    fn show(value: &Vec<Duration>) -> String {
        if *value == Buckets::standard() {
            return "default".into();
        }
        value.iter().map(|bound| units::show_duration(*bound)).collect::<Vec<_>>().join(", ")
    }
}

/// Start-up parameters of a server connection.
pub(super) struct Parameters;

impl Kind for Parameters {
    type Value = BTreeMap<String, String>;

    const UNIT: &'static str = "table";

    fn unset() -> Option<Self::Value> {
        Some(BTreeMap::new())
    }

    fn read(node: &Node, cx: &mut Reading<'_>) -> Option<BTreeMap<String, String>> {
        let Value::Table(table) = &node.value else {
            return cx.mismatch(node, "a table such as { timezone = \"UTC\" }", None);
        };
        let mut out = BTreeMap::new();
        let mut whole = true;
        for (name, entry) in &table.entries {
            let value = parameter_name(name, entry.at, cx)
                .and_then(|()| cx.text(&entry.node, &format!("a string for `{name}`")));
            whole &= value.is_some();
            out.extend(value.map(|value| (name.clone(), value.to_owned())));
        }
        whole.then_some(out)
    }

    fn show(value: &BTreeMap<String, String>) -> String {
        let pairs: Vec<_> =
            value.iter().map(|(name, value)| format!("{name} = {value:?}")).collect();
        if pairs.is_empty() { String::new() } else { format!("{{ {} }}", pairs.join(", ")) }
    }
}

/// Refuses what the start-up packet carries in another way.
fn parameter_name(name: &str, at: Place, cx: &mut Reading<'_>) -> Option<()> {
    let help = match name {
        "user" => "use the key `user`",
        "database" => "use the key `dbname`",
        "replication" => "replication connections cannot be pooled",
        name if name.is_empty() || name.contains('\0') => "name a parameter of the server",
        _ => return Some(()),
    };
    cx.wrong(at, &format!("`{}` cannot be set here", name.escape_debug()), Some(help.into()));
    None
}
