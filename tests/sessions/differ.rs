//! The same script, directly and through pgusher, by many clients at a time: every answer must be the same.

use std::collections::BTreeMap;
use std::sync::Arc;

use pgusher_testkit::{QueryResult, RawClient, frontend};
use tokio::task::JoinSet;

use crate::stage::Stage;

/// Clients that run a script at the same time, on two servers.
const CLIENTS: usize = 16;

/// One request. `{n}` in its texts is the client's number.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// A simple query.
    Query(&'static str),
    /// Through the unnamed statement.
    Extended(&'static str, &'static [&'static str]),
    /// Parse of a statement with this name, and nothing else.
    Prepare(&'static str, &'static str),
    /// Bind and Execute of a statement with this name.
    Execute(&'static str, &'static [&'static str]),
    /// Executes of a statement with this name, one for each value and with a Sync of its own, in one send.
    Pipeline(&'static str, &'static [&'static str]),
    /// Close of a statement with this name.
    Close(&'static str),
    /// A simple query in front of a statement of the extended protocol, in one send.
    Ahead(&'static str, &'static str),
}

/// What came of a request, as far as it must be the same.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    columns: Vec<String>,
    rows: Vec<Vec<Option<String>>>,
    tags: Vec<String>,
    error: Option<(String, String)>,
    status: u8,
    reported: BTreeMap<String, String>,
}

impl Answer {
    fn new(result: QueryResult, client: &RawClient) -> Self {
        let QueryResult { columns, rows, tags, error, status, .. } = result;
        let error = error.map(|error| (error.code().to_owned(), error.message().to_owned()));
        Answer { columns, rows, tags, error, status, reported: client.params().clone() }
    }
}

async fn take(client: &mut RawClient, step: &Step, number: usize) -> Answer {
    let own = |text: &str| text.replace("{n}", &number.to_string());
    let bytes = match step {
        Step::Query(sql) => frontend::query(&own(sql)).to_vec(),
        Step::Extended(sql, values) => {
            let parse = frontend::parse("", &own(sql), &[]).to_vec();
            [parse, run("", &own, values)].concat()
        }
        Step::Prepare(name, sql) => {
            [frontend::parse(name, &own(sql), &[]).to_vec(), frontend::sync().to_vec()].concat()
        }
        Step::Execute(name, values) => run(name, &own, values),
        Step::Pipeline(name, values) => {
            values.iter().flat_map(|value| run(name, &own, &[value])).collect()
        }
        Step::Close(name) => {
            [frontend::close(b'S', &own(name)).to_vec(), frontend::sync().to_vec()].concat()
        }
        Step::Ahead(clearing, sql) => {
            let parse = frontend::parse("", &own(sql), &[]).to_vec();
            [frontend::query(clearing).to_vec(), parse, run("", &own, &[])].concat()
        }
    };
    client.send(&bytes).await;
    if let Step::Ahead(..) = step {
        let ahead = client.read_result().await;
        assert_eq!(ahead.error, None, "{step:?}");
    }
    let mut earlier = Vec::new();
    if let Step::Pipeline(_, values) = step {
        for _ in 1..values.len() {
            let answer = client.read_result().await;
            assert_eq!(answer.error, None, "{step:?}");
            earlier.extend(answer.rows);
        }
    }
    let mut result = client.read_result().await;
    result.rows.splice(0..0, earlier);
    Answer::new(result, client)
}

fn run(name: &str, own: &dyn Fn(&str) -> String, values: &[&str]) -> Vec<u8> {
    let values: Vec<String> = values.iter().map(|value| own(value)).collect();
    let values: Vec<_> = values.iter().map(|value| Some(value.as_str())).collect();
    let messages = [
        frontend::bind("", name, &values),
        frontend::describe(b'P', ""),
        frontend::execute("", 0),
        frontend::sync(),
    ];
    messages.concat()
}

/// Runs a script directly and through pgusher, and fails on the first difference.
pub(crate) async fn differ(
    stage: &Arc<Stage>,
    startup: &'static [(&'static str, &'static str)],
    script: &'static [Step],
) {
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        let stage = Arc::clone(stage);
        clients.spawn(async move {
            let mut direct = stage.login(false, startup).await;
            let mut pooled = stage.login(true, startup).await;
            assert_eq!(pooled.params(), direct.params(), "at the login");
            for (at, step) in script.iter().enumerate() {
                let expected = take(&mut direct, step, number).await;
                let found = take(&mut pooled, step, number).await;
                assert_eq!(found, expected, "client {number}, step {at}: {step:?}");
            }
        });
    }
    while let Some(ended) = clients.join_next().await {
        ended.expect("the same as on a private connection");
    }
}
