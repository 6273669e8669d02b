// node-postgres: named statements, pools, cursors, COPY, notifications, start-up parameters.
"use strict";

const assert = require("node:assert/strict");
const { once } = require("node:events");
const { pipeline } = require("node:stream/promises");
const { Readable } = require("node:stream");
const { Client, Pool } = require("pg");
const Cursor = require("pg-cursor");
const { from: copyFrom, to: copyTo } = require("pg-copy-streams");

const PLACE = { host: "127.0.0.1", port: Number(process.env.PGUSHER_PORT), user: "app", database: "app" };
// Three for each server.
const CLIENTS = 6;

async function value(client, text, values) {
  const { rows } = await client.query({ text, values, rowMode: "array" });
  return rows[0][0];
}

async function checkSession(client, n) {
  assert.equal(await value(client, "show statement_timeout"), `${50 + n}s`);
  assert.equal(await value(client, "show lock_timeout"), `${40 + n}s`);
  assert.equal(await value(client, "show idle_in_transaction_session_timeout"), "30s");
  assert.equal(await value(client, "show work_mem"), `${n + 1}MB`);
  assert.equal(await value(client, "show application_name"), `node ${n}`);
  assert.equal(await value(client, "select current_setting('TimeZone')"), `Etc/GMT+${n}`);
}

async function statements(client, n) {
  for (let turn = 0; turn < 20; turn++) {
    // One name, another text for each client.
    const one = await client.query({ name: "one", text: `select ${n} + $1::int as sum`, values: [turn] });
    assert.equal(one.rows[0].sum, n + turn);
    const many = await Promise.all([1, 2, 3].map((i) => value(client, "select $1::int * 2", [i])));
    assert.deepEqual(many, [2, 4, 6]);
  }
  await assert.rejects(client.query({ name: "bad", text: "select nothing from nowhere" }), { code: "42P01" });
  await assert.rejects(client.query("select 1/$1::int", [0]), { code: "22012" });
  for (let width = 1; width < 4; width++) {
    for (let turn = 0; turn < 2; turn++) {
      const { fields } = await client.query({ text: `select * from node${n}`, values: [] });
      assert.equal(fields.length, width);
    }
    await client.query(`alter table node${n} add column c${width} int`);
  }
}

async function transactions(client, n) {
  await client.query("BEGIN");
  await client.query("SET LOCAL lock_timeout = 1");
  await client.query("SET statement_timeout = '99s'");
  assert.equal(await value(client, "show statement_timeout"), "99s");
  await assert.rejects(client.query("select 1/0"), { code: "22012" });
  await assert.rejects(client.query("select 1"), { code: "25P02" });
  await client.query("ROLLBACK");
  const several = await client.query("select 1 as a; select 2 as b; select 3 as c");
  assert.deepEqual(several.map((result) => Object.values(result.rows[0])[0]), [1, 2, 3]);
}

async function cursors(client, n) {
  await client.query("BEGIN");
  const cursor = client.query(new Cursor("select g + $1::int as g from generate_series(1, 50) g", [n]));
  const read = [];
  for (let rows = await cursor.read(9); rows.length > 0; rows = await cursor.read(9)) read.push(...rows);
  await cursor.close();
  await client.query("COMMIT");
  assert.deepEqual(read.map((row) => row.g), Array.from({ length: 50 }, (_, i) => i + 1 + n));
}

async function copies(client, n) {
  const lines = Array.from({ length: 300 }, (_, i) => `${n}\t${i}\n`);
  await pipeline(Readable.from(lines), client.query(copyFrom("COPY filled FROM STDIN")));
  let text = "";
  const out = client.query(copyTo(`COPY (SELECT x FROM filled WHERE client = ${n} ORDER BY x) TO STDOUT`));
  for await (const chunk of out) text += chunk;
  assert.equal(text, lines.map((_, i) => `${i}\n`).join(""));
}

async function notifications(client, n) {
  await client.query(`LISTEN node${n}`);
  const told = once(client, "notification");
  await client.query("select pg_notify($1, $2)", [`node${n}`, String(n)]);
  assert.equal((await told)[0].payload, String(n));
  await client.query("UNLISTEN *");
}

async function locks(client, n) {
  await client.query("select pg_advisory_lock($1)", [n]);
  const held = "select count(*)::int from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()";
  assert.equal(await value(client, held), 1);
  assert.equal(await value(client, "select pg_advisory_unlock($1)", [n]), true);
  await client.query("create temp table mine (a int)");
  await client.query("insert into mine values ($1)", [n]);
  assert.equal(await value(client, "select a from mine"), n);
  await client.query("drop table mine");
}

async function one(n) {
  const client = new Client({
    ...PLACE,
    application_name: `node ${n}`,
    statement_timeout: (50 + n) * 1000,
    lock_timeout: (40 + n) * 1000,
    idle_in_transaction_session_timeout: 30000,
    options: `-c work_mem=${n + 1}MB`,
  });
  await client.connect();
  await client.query(`set timezone = 'Etc/GMT+${n}'`);
  for (const part of [statements, transactions, cursors, copies, notifications, locks]) {
    await part(client, n);
    await checkSession(client, n);
  }
  await client.end();
}

async function borrowers() {
  const pool = new Pool({ ...PLACE, max: 4 });
  const borrow = async (n) => {
    const client = await pool.connect();
    try {
      await client.query(`set search_path = node${n}, public`);
      assert.equal(await value(client, "show search_path"), `node${n}, public`);
    } finally {
      await client.query("discard all");
      client.release();
    }
    assert.equal(await value(pool, "show search_path"), '"$user", public');
  };
  // As many at a time as the pool has: what one sets before it discards is its own.
  for (let turn = 0; turn < 10; turn++) await borrow(turn);
  await Promise.all(Array.from({ length: 40 }, (_, n) => pool.query("select $1::int as n", [n]).then(({ rows }) => assert.equal(rows[0].n, n))));
  await pool.end();
}

async function main() {
  const client = new Client(PLACE);
  await client.connect();
  await client.query("drop table if exists filled; create table filled (client int, x int)");
  for (let n = 0; n < CLIENTS; n++) await client.query(`drop table if exists node${n}; create table node${n} (a int)`);
  await client.end();
  await Promise.all(Array.from({ length: CLIENTS }, (_, n) => one(n)));
  await borrowers();
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
