//! Real drivers and frameworks, from their registries: each does with several clients on two servers what it does on
//! connections of its own, and leaves nothing.
//!
//! The first run fetches them into the build folder, at the versions in `requirements.txt` and `package.json`.

mod registry;
mod stage;

use stage::Stage;

#[test]
fn psycopg() {
    Stage::set().play(&registry::python(), "psycopg_.py");
}

#[test]
fn asyncpg() {
    Stage::set().play(&registry::python(), "asyncpg_.py");
}

#[test]
fn sqlalchemy() {
    Stage::set().play(&registry::python(), "sqlalchemy_.py");
}

#[test]
fn django() {
    Stage::set().play(&registry::python(), "django_.py");
}

#[test]
fn node_postgres() {
    Stage::set().play(&registry::node(), "node_postgres.js");
}
