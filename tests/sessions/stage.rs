//! PostgreSQL and pgusher in front of it, with fewer servers than clients.

use std::path::Path;

use pgusher_testkit::{Cluster, Pgusher, RawClient, TRUSTING};

/// Roles that the clients' user may take.
pub(crate) const ROLES: [&str; 2] = ["alice", "bob"];

/// Both of them.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) cluster: Cluster,
    pub(crate) pgusher: Pgusher,
}

impl Stage {
    /// Sets it up; `settings` are lines of the database's section.
    pub(crate) fn set(settings: &str) -> Self {
        let cluster = Cluster::builder().max_connections(200).build();
        cluster.psql("create role app login createdb; create database app owner app");
        for role in ROLES {
            cluster.psql(&format!("create role {role}; grant {role} to app"));
        }
        cluster.psql_in("app", "set role app; create table t (a int); insert into t values (1); grant select on t to public");
        for schema in ["one", "two", "three"] {
            cluster.psql_in("app", &format!("set role app; create schema {schema}"));
        }
        let settings = settings.replace("{server}", &cluster.port().to_string());
        let text = format!(
            "{TRUSTING}admin_users = [\"admin\"]\nlog_level = \"debug\"\n[databases.app]\nhost = \"127.0.0.1\"\n\
             port = {}\n{settings}\n[databases.postgres]\nhost = \"127.0.0.1\"\nport = {0}\n",
            cluster.port()
        );
        let pgusher = Pgusher::start(Path::new(env!("CARGO_BIN_EXE_pgusher")), &text);
        Stage { cluster, pgusher }
    }

    /// Logs in directly, or through pgusher.
    pub(crate) async fn login(&self, pooled: bool, startup: &[(&str, &str)]) -> RawClient {
        let port = if pooled { self.pgusher.port() } else { self.cluster.port() };
        let mut client = RawClient::connect(port).await;
        let mut params = vec![("user", "app"), ("database", "app")];
        params.extend_from_slice(startup);
        client.startup(0, &params).await;
        client.authenticate("app", "").await.expect("let in");
        client
    }
}
