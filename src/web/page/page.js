// The page: asks for JSON again and again and shows it. Names come from outside, so text is only ever set as text.
"use strict";

const POLL = 1000;
const $ = (id) => document.getElementById(id);
const view = { hold: false, session: {}, snapshot: null, history: null, cursor: null, marks: {}, seen: 0, era: 0 };

// ---- numbers as people read them

function duration(s) {
  if (s === null || s === undefined) return "–";
  if (s < 5e-7) return "0";
  if (s < 1e-3) return Math.round(s * 1e6) + " µs";
  if (s < 1e-2) return (s * 1e3).toFixed(1) + " ms";
  if (s < 0.9995) return Math.round(s * 1e3) + " ms";
  if (s < 10) return s.toFixed(1) + " s";
  if (s < 60) return Math.round(s) + " s";
  if (s < 3600) return pair(s, 60, "min", 1, "s");
  if (s < 86400) return pair(s, 3600, "h", 60, "min");
  return pair(s, 86400, "d", 3600, "h");
}

function pair(s, large, name, small, rest) {
  const left = Math.floor((s % large) / small);
  return Math.floor(s / large) + " " + name + (left > 0 ? " " + left + " " + rest : "");
}

function count(n) {
  if (n === null || n === undefined) return "–";
  if (n === 0) return "0";
  return n < 9.95 ? n.toFixed(1) : Math.round(n).toLocaleString("en");
}

const percent = (share) => (share === null || share === undefined ? "–" : Math.round(share * 100) + " %");
const clock = (at) => new Date(at * 1000).toLocaleTimeString();
const words = (text) => String(text ?? "").replaceAll("_", " ");

// ---- the network

async function ask(path, keep) {
  const headers = keep && view.marks[path] ? { "If-None-Match": view.marks[path] } : {};
  const response = await fetch(path, { headers, credentials: "same-origin", cache: "no-store" });
  if (response.status === 304) return null;
  if (!response.ok) throw Object.assign(new Error(response.statusText), { status: response.status });
  view.marks[path] = response.headers.get("ETag");
  return response.json();
}

async function tell(path, body) {
  const headers = { "Content-Type": "application/json" };
  if (view.session.guard) headers["X-Pgusher-Guard"] = view.session.guard;
  const response = await fetch(path, { method: "POST", headers, credentials: "same-origin", body: JSON.stringify(body) });
  const answer = response.status === 204 ? {} : await response.json();
  if (!response.ok) throw new Error(answer.error || response.statusText);
  return answer;
}

// ---- tables: rows keep their elements while their key stays, so focus and selection stay, too

const text = (title, value, more) => ({ title, show: (cell, row) => put(cell, value(row)), ...more });
const number = (title, value, more) => text(title, value, { kind: "number", ...more });

function put(cell, value) {
  const shown = String(value ?? "–");
  if (cell.textContent !== shown) cell.textContent = shown;
}

function tone(cell, name) {
  cell.classList.toggle("warn", name === "warn");
  cell.classList.toggle("bad", name === "bad");
}

function fill(table, columns, rows, key, none) {
  if (table.tHead === null) {
    const head = table.createTHead().insertRow();
    for (const column of columns) {
      const cell = document.createElement("th");
      cell.scope = "col";
      cell.textContent = column.title;
      cell.className = [column.kind, column.wide && "wide"].filter(Boolean).join(" ");
      head.append(cell);
    }
    table.createTBody();
  }
  const body = table.tBodies[0];
  const old = new Map([...body.rows].map((row) => [row.dataset.key, row]));
  const wanted = rows.map((data, at) => {
    const name = String(key(data, at));
    let row = old.get(name);
    if (row === undefined) {
      row = document.createElement("tr");
      row.dataset.key = name;
      for (const column of columns) {
        const cell = row.insertCell();
        cell.className = [column.kind, column.wide && "wide"].filter(Boolean).join(" ");
      }
    }
    columns.forEach((column, place) => column.show(row.cells[place], data));
    return row;
  });
  if (wanted.length === 0) {
    const row = document.createElement("tr");
    const cell = row.insertCell();
    cell.colSpan = columns.length;
    cell.className = "empty";
    cell.textContent = none;
    wanted.push(row);
  }
  const same = wanted.length === body.rows.length && wanted.every((row, at) => body.rows[at] === row);
  if (!same) body.replaceChildren(...wanted);
}

function bar(cell, pool) {
  const states = [
    [pool.sv_active, "at work"],
    [pool.sv_idle_in_transaction, "idle in transaction"],
    [pool.sv_pinned, "pinned"],
    [pool.sv_other, "being prepared"],
    [pool.sv_idle, "free"],
  ];
  const whole = Math.max(pool.size, states.reduce((sum, [servers]) => sum + servers, 0), 1);
  if (cell.firstChild === null) {
    const line = document.createElement("div");
    line.className = "bar";
    line.setAttribute("role", "img");
    states.forEach((_, at) => line.append(Object.assign(document.createElement("i"), { className: "s" + at })));
    cell.append(line);
  }
  const said = states.filter(([servers]) => servers > 0).map(([servers, name]) => servers + " " + name);
  cell.firstChild.setAttribute("aria-label", said.join(", ") || "none open");
  cell.firstChild.title = said.join(", ") || "none open";
  states.forEach(([servers], at) => { cell.firstChild.children[at].style.width = (100 * servers) / whole + "%"; });
}

const used = (pool) => pool.sv_active + pool.sv_idle_in_transaction + pool.sv_pinned + pool.sv_other;
const rate = (name, show) => (pool) => (pool.rates ? show(pool.rates[name]) : "–");

const POOLS = [
  { title: "Database", kind: "name", show: (cell, pool) => {
    if (cell.firstChild === null) cell.append(document.createElement("b"), document.createElement("small"));
    put(cell.firstChild, pool.database);
    put(cell.lastChild, pool.paused ? "paused" : pool.user);
    tone(cell.lastChild, pool.paused ? "warn" : "");
  } },
  { title: "Servers", show: bar },
  number("In use", (pool) => used(pool) + " / " + pool.size),
  { title: "Waiting", kind: "number", show: (cell, pool) => {
    put(cell, pool.waiting);
    tone(cell, pool.waiting === 0 ? "" : pool.oldest_wait_seconds >= 1 ? "bad" : "warn");
  } },
  { title: "Oldest wait", kind: "number", show: (cell, pool) => {
    put(cell, pool.waiting === 0 ? "–" : duration(pool.oldest_wait_seconds));
    tone(cell, pool.waiting === 0 ? "" : pool.oldest_wait_seconds >= 1 ? "bad" : "warn");
  } },
  number("Wait p50", rate("wait_p50_seconds", duration)),
  number("p99", rate("wait_p99_seconds", duration)),
  number("Tx/s", rate("transactions_per_second", count)),
  number("Saturated", rate("saturated", percent)),
  number("Clients", (pool) => (pool.cl_idle + pool.cl_active + pool.waiting).toLocaleString("en")),
  { title: "", kind: "number", show: (cell, pool) => poolOrders(cell, pool) },
];

const held = (row) => duration(row.held_seconds);
const BLOCKERS = [
  { title: "State", show: (cell, row) => {
    put(cell, words(row.state) + (row.pinned_by ? ": " + words(row.pinned_by) : ""));
    tone(cell, row.state === "active" ? "" : "warn");
  } },
  number("For", held),
  text("Database", (row) => row.database, { kind: "name" }),
  text("Application", (row) => row.application_name),
  text("User", (row) => row.user),
  text("Last statement", (row) => row.statement, { kind: "statement" }),
  number("Process", (row) => row.remote_pid),
  text("From", (row) => row.addr),
  { title: "", kind: "number", show: (cell, row) => killButton(cell, row) },
];
const WAITERS = [
  text("Database", (row) => row.database, { kind: "name" }),
  text("Application", (row) => row.application_name),
  text("User", (row) => row.user),
  number("Waits for", (row) => duration(row.waited_seconds)),
  number("Likely yet", (row) => duration(row.expected_seconds)),
  number("Place", (row) => row.place),
  text("Class", (row) => row.class),
  text("From", (row) => row.addr),
];
const PINS = [
  text("Database", (row) => row.database, { kind: "name" }),
  text("Application", (row) => row.application_name),
  text("User", (row) => row.user),
  text("Cause", (row) => words(row.cause)),
  number("For", (row) => duration(row.seconds)),
  text("Statement", (row) => row.statement, { kind: "statement" }),
];
const AUDIT = [
  text("Database", (row) => row.database, { kind: "name" }),
  text("Application", (row) => row.application_name),
  text("Cause", (row) => words(row.cause)),
  number("Times", (row) => row.count),
  text("Statement", (row) => row.statement, { kind: "statement" }),
];
const SETTINGS = [
  text("Setting", (row) => row.key),
  text("Value", (row) => row.value || "–", { kind: "long" }),
  text("Origin", (row) => row.origin, { kind: "long" }),
  text("Default", (row) => row.default || "–", { kind: "long" }),
  text("Changed by", (row) => (row.changeable === "yes" ? "reload" : "restart")),
];

// ---- orders

function button(label, name, act) {
  const made = document.createElement("button");
  made.type = "button";
  made.className = "small";
  made.textContent = label;
  made.setAttribute("aria-label", name);
  made.addEventListener("click", act);
  return made;
}

async function sure(title, why, verb) {
  $("confirm-title").textContent = title;
  $("confirm-text").textContent = why;
  $("confirm-yes").textContent = verb;
  const dialog = $("confirm");
  dialog.returnValue = "no";
  dialog.showModal();
  await new Promise((done) => dialog.addEventListener("close", done, { once: true }));
  return dialog.returnValue === "yes";
}

async function give(body, title, why, verb) {
  if (!(await sure(title, why, verb))) return;
  try {
    const answer = await tell("/api/order", body);
    notice(answer.done ? title + ": done" : title + ": waiting for servers to be free; Resume takes it back");
  } catch (error) {
    notice(title + ": " + error.message);
  }
  poll();
}

function notice(said) {
  const place = $("notice");
  place.textContent = said;
  place.hidden = false;
  clearTimeout(notice.timer);
  notice.timer = setTimeout(() => { place.hidden = true; }, 8000);
}

const isAdmin = () => view.session.is_admin === true;

function poolOrders(cell, pool) {
  const wanted = isAdmin() ? (pool.paused ? "resume" : "pause") : "";
  if (cell.dataset.order === wanted) return;
  cell.dataset.order = wanted;
  const database = pool.database;
  if (wanted === "") return cell.replaceChildren();
  const act = wanted === "pause"
    ? button("Pause", "Pause " + database, () => give({ order: "pause", database }, "Pause " + database,
      "Transactions finish, then nobody gets a server of this database until Resume.", "Pause"))
    : button("Resume", "Resume " + database, () => give({ order: "resume", database }, "Resume " + database,
      "Clients get servers again.", "Resume"));
  const again = button("Reconnect", "Reconnect " + database, () => give({ order: "reconnect", database },
    "Reconnect " + database, "Each server connection is replaced as soon as it is free.", "Reconnect"));
  cell.replaceChildren(act, " ", again);
}

function killButton(cell, row) {
  const wanted = isAdmin() && row.client ? String(row.client) : "";
  if (cell.dataset.client === wanted) return;
  cell.dataset.client = wanted;
  if (wanted === "") return cell.replaceChildren();
  const who = (row.application_name || "client") + " (" + row.user + ")";
  cell.replaceChildren(button("Disconnect", "Disconnect " + who, () => give({ order: "kill_client", client: row.client },
    "Disconnect " + who, "The client's connection is closed at once and its transaction is rolled back.", "Disconnect")));
}

function showOrders() {
  const place = $("orders");
  place.hidden = !isAdmin();
  if (place.childElementCount > 0) return;
  place.append(
    button("Pause all", "Pause all databases", () => give({ order: "pause" }, "Pause all databases",
      "Transactions finish, then nobody gets a server until Resume.", "Pause")),
    button("Resume all", "Resume all databases", () => give({ order: "resume" }, "Resume all databases",
      "Clients get servers again.", "Resume")),
    button("Reload", "Reload the configuration", () => give({ order: "reload" }, "Reload the configuration",
      "The files are read again; what is wrong in them changes nothing.", "Reload")),
  );
}

// ---- what is shown

function figures(snapshot) {
  const pools = snapshot.pools;
  const sum = (of) => pools.reduce((all, pool) => all + of(pool), 0);
  const waiting = sum((pool) => pool.waiting);
  const oldest = Math.max(0, ...pools.map((pool) => pool.oldest_wait_seconds));
  const p99 = Math.max(...pools.map((pool) => pool.rates?.wait_p99_seconds ?? -1));
  const shown = [
    ["Clients", sum((pool) => pool.cl_idle + pool.cl_active + pool.waiting).toLocaleString("en"), ""],
    ["Servers in use", sum(used).toLocaleString("en"), "of " + sum((pool) => pool.size).toLocaleString("en")],
    ["Waiting", waiting.toLocaleString("en"), waiting > 0 ? "oldest " + duration(oldest) : "nobody",
      waiting === 0 ? "" : oldest >= 1 ? "bad" : "warn"],
    ["Queue time p99", p99 < 0 ? "–" : duration(p99), pools.length > 1 ? "worst pool" : ""],
    ["Transactions", count(sum((pool) => pool.rates?.transactions_per_second ?? 0)), "a second"],
  ];
  const list = $("figures");
  shown.forEach(([name, value, more, mood], at) => {
    let box = list.children[at];
    if (box === undefined) {
      box = document.createElement("div");
      const figure = document.createElement("dd");
      figure.append(document.createElement("span"), document.createElement("small"));
      box.append(document.createElement("dt"), figure);
      list.append(box);
    }
    put(box.firstChild, name);
    put(box.lastChild.firstChild, value);
    put(box.lastChild.lastChild, more);
    tone(box.lastChild.firstChild, mood);
  });
}

function showState(name, mood) {
  const place = $("state");
  put(place, name);
  place.className = "badge " + mood;
}

function show(snapshot) {
  view.snapshot = snapshot;
  showState(snapshot.state === "active" ? "running" : snapshot.state, snapshot.state === "active" ? "good" : "warn");
  put($("clock"), snapshot.version.replace("pgusher ", "version ") + ", " + clock(snapshot.at));
  const pools = [...snapshot.pools].sort((a, b) => b.oldest_wait_seconds - a.oldest_wait_seconds
    || used(b) - used(a) || a.database.localeCompare(b.database) || a.user.localeCompare(b.user));
  figures(snapshot);
  put($("pools-count"), pools.length > 1 ? pools.length + ", the longest queues first" : "");
  fill($("pools-table"), POOLS, pools, (pool) => pool.database + "\n" + pool.user, "No pool yet: nobody has asked for a server.");
  const sees = view.session.sees_everything !== false;
  const pick = (columns, ...titles) => (sees ? columns : columns.filter((column) => titles.includes(column.title)));
  const tables = [
    ["blockers-table", pick(BLOCKERS, "State", "For", "Database"), snapshot.blockers, (row, at) => row.server ?? "n" + at, "Nobody holds a server."],
    ["waiters-table", pick(WAITERS, "Database", "Waits for"), snapshot.waiters, (row, at) => row.client ?? "n" + at, "Nobody waits."],
    ["pins-table", pick(PINS, "Database", "Cause", "For"), snapshot.pins, (row, at) => row.client ?? "n" + at, "No client keeps its server."],
    ["audit-table", pick(AUDIT, "Database", "Cause", "Times"), snapshot.audit, (_, at) => at, "Nothing found."],
  ];
  for (const [id, columns, rows, key, none] of tables) fill($(id), columns, rows, key, none);
}

// ---- the heat map

function lanes(history) {
  const bounds = history.wait_bounds_us || [];
  const chosen = $("heat-pool").value;
  return history.samples.map((sample) => {
    const sum = new Array(bounds.length + 1).fill(0);
    for (const pool of sample.pools) {
      if (chosen !== "" && pool.database + "/" + pool.user !== chosen) continue;
      pool.waits.forEach((waits, at) => { sum[at] += waits; });
    }
    return { at: sample.at, sum };
  });
}

function bound(us) { return duration(us / 1e6); }

function drawHeat() {
  const history = view.history;
  const canvas = $("heat-map");
  const scale = window.devicePixelRatio || 1;
  const width = canvas.clientWidth, height = canvas.clientHeight;
  if (history === null || width === 0) return;
  canvas.width = width * scale;
  canvas.height = height * scale;
  const pen = canvas.getContext("2d");
  pen.scale(scale, scale);
  const style = getComputedStyle(document.documentElement);
  const colours = ["--heat", "--heat-warn", "--heat-bad"].map((name) => style.getPropertyValue(name).trim());
  // What people begin to feel, and what they complain of.
  const mood = (row) => (row === 0 || bounds[row - 1] < 5e4 ? 0 : bounds[row - 1] < 5e5 ? 1 : 2);
  const quiet = style.getPropertyValue("--quiet").trim();
  const columns = lanes(history), bounds = history.wait_bounds_us || [], rows = bounds.length + 1;
  const left = 58, bottom = 20, cell = (width - left) / history.kept, tall = (height - bottom) / rows;
  const most = Math.log1p(Math.max(1, ...columns.map((column) => Math.max(0, ...column.sum))));
  pen.fillStyle = style.getPropertyValue("--room").trim();
  pen.fillRect(left, 0, width - left, height - bottom);
  view.heat = { left, cell, columns };
  columns.forEach((column, at) => {
    const x = Math.round(left + (history.kept - columns.length + at) * cell);
    const wide = Math.max(1, Math.round(left + (history.kept - columns.length + at + 1) * cell) - x);
    column.sum.forEach((waits, row) => {
      if (waits === 0) return;
      pen.fillStyle = `rgba(${colours[mood(row)]}, ${0.25 + 0.75 * (Math.log1p(waits) / most)})`;
      const y = Math.round(height - bottom - (row + 1) * tall);
      pen.fillRect(x, y, wide, Math.round(height - bottom - row * tall) - y - 1);
    });
    if (view.cursor === at) {
      pen.fillStyle = quiet;
      pen.fillRect(x + Math.floor(wide / 2), 0, 1, height - bottom);
    }
  });
  pen.fillStyle = quiet;
  pen.font = "11px " + getComputedStyle(document.body).fontFamily;
  if (columns.every((column) => column.sum.every((waits) => waits === 0))) {
    pen.textAlign = "center";
    pen.fillText("No waits on record yet", left + (width - left) / 2, (height - bottom) / 2);
  }
  pen.textAlign = "right";
  pen.textBaseline = "middle";
  let last = Infinity;
  bounds.forEach((us, row) => {
    const y = height - bottom - (row + 1) * tall;
    if (last - y < 22 || y < 8) return;
    last = y;
    pen.fillText(bound(us), left - 8, y);
  });
  pen.textBaseline = "bottom";
  const marks = width < 500 ? [30, 15, 0] : [30, 25, 20, 15, 10, 5, 0];
  for (const minutes of marks) {
    pen.textAlign = minutes === 30 ? "left" : minutes === 0 ? "right" : "center";
    const x = width - (minutes / 30) * (width - left);
    pen.fillText(minutes === 0 ? "now" : "−" + minutes + " min", x, height - 2);
  }
}

function readHeat(at) {
  const columns = view.heat?.columns ?? [];
  if (columns.length === 0) return;
  view.cursor = Math.min(Math.max(at, 0), columns.length - 1);
  const column = columns[view.cursor], bounds = view.history.wait_bounds_us;
  const total = column.sum.reduce((all, waits) => all + waits, 0);
  const range = (row) => (row === bounds.length ? "over " + bound(bounds[row - 1]) : "up to " + bound(bounds[row]));
  const most = column.sum.map((waits, row) => [waits, row]).filter(([waits]) => waits > 0).reverse().slice(0, 4);
  put($("heat-read"), clock(column.at) + ": " + total.toLocaleString("en") + " waits"
    + most.map(([waits, row]) => "; " + waits.toLocaleString("en") + " " + range(row)).join(""));
  drawHeat();
}

function takeHistory(more) {
  const known = view.history?.samples ?? [];
  const last = known.at(-1)?.number ?? 0;
  const fresh = more.samples.filter((sample) => sample.number > last);
  if (view.cursor !== null && known.length + fresh.length > more.kept) view.cursor = Math.max(0, view.cursor - fresh.length);
  view.history = { ...more, wait_bounds_us: more.wait_bounds_us ?? view.history?.wait_bounds_us, samples: [...known, ...fresh].slice(-more.kept) };
  const select = $("heat-pool");
  const have = new Set([...select.options].map((option) => option.value));
  for (const sample of fresh) {
    for (const pool of sample.pools) {
      const name = pool.database + "/" + pool.user;
      if (have.has(name)) continue;
      have.add(name);
      select.append(new Option(pool.database === "" ? "(others)" : name, name));
    }
  }
  drawHeat();
}

// ---- settings, log, session

let settings = [];
function showSettings() {
  const all = $("settings-all").checked;
  fill($("settings-table"), SETTINGS, settings.filter((row) => all || row.origin !== "default"), (row) => row.key,
    "Everything is at its default.");
}

async function readAside() {
  const era = view.era;
  const fresh = await ask("/api/settings", true).catch((error) => error);
  if (era !== view.era) return;
  if (fresh instanceof Error) {
    if (fresh.status === 403) {
      fill($("settings-table"), SETTINGS, [], () => "", "Sign in to see the settings.");
      put($("log-lines"), "Sign in to see the log.");
    }
    return;
  }
  if (fresh !== null) { settings = fresh.settings; showSettings(); }
  const log = await ask("/api/log?after=" + view.seen, false);
  if (era !== view.era) return;
  const place = $("log-lines");
  if (log.seen < view.seen || view.seen === 0) place.textContent = "";
  view.seen = log.seen;
  if (log.lines.length === 0) return;
  const atEnd = place.scrollTop + place.clientHeight >= place.scrollHeight - 8;
  const kept = (place.textContent + log.lines.join("\n") + "\n").split("\n").slice(-201);
  place.textContent = kept.join("\n");
  if (atEnd) place.scrollTop = place.scrollHeight;
}

async function readSession() {
  view.session = await ask("/api/session", false);
  const { user, may_sign_in: may } = view.session;
  $("sign").hidden = !may;
  $("sign").textContent = user ? "Sign out" : "Sign in";
  $("who").hidden = !user;
  put($("who"), user ?? "");
  showOrders();
}

// What a table had in it belongs to whoever was signed in.
async function startOver() {
  view.era += 1;
  view.marks = {};
  view.seen = 0;
  settings = [];
  for (const table of document.querySelectorAll("table")) table.replaceChildren();
  put($("log-lines"), "");
  await readSession();
  await Promise.all([poll(), readAside()]);
}

async function poll() {
  try {
    const snapshot = await ask("/api/snapshot", true);
    if (snapshot !== null) show(snapshot);
    view.lost = false;
  } catch {
    view.lost = true;
    showState("no answer", "bad");
  }
}

let turn = 0;
async function tick() {
  if (!view.hold && !document.hidden) {
    await poll();
    try {
      if (turn % 5 === 0) {
        const last = view.history?.samples.at(-1)?.number ?? 0;
        const user = view.session.user;
        await readSession();
        if (user && !view.session.user) { notice("You have been signed out."); await startOver(); }
        takeHistory(await ask("/api/history?after=" + last, false));
      }
      if (turn % 2 === 0) await readAside();
    } catch { /* The state says so. */ }
    turn += 1;
  }
  setTimeout(tick, POLL);
}

// ---- switches

const THEMES = ["auto", "light", "dark"];
const system = window.matchMedia("(prefers-color-scheme: dark)");
function stored() {
  try { return localStorage.getItem("pgusher-theme") || "auto"; } catch { return "auto"; }
}
function showTheme(choice) {
  const dark = choice === "dark" || (choice === "auto" && system.matches);
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  put($("theme").lastElementChild, choice);
  $("theme").setAttribute("aria-label", "Theme: " + (choice === "auto" ? "as the system" : choice));
  drawHeat();
}

let theme = stored();
showTheme(theme);
system.addEventListener("change", () => showTheme(theme));
$("theme").addEventListener("click", () => {
  theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
  try { localStorage.setItem("pgusher-theme", theme); } catch { /* It lasts as long as the page. */ }
  showTheme(theme);
});
$("hold").addEventListener("click", () => {
  view.hold = !view.hold;
  $("hold").setAttribute("aria-pressed", String(view.hold));
  if (view.hold) showState("frozen", "warn");
});
$("settings-all").addEventListener("change", showSettings);
$("heat-pool").addEventListener("change", () => { view.cursor = null; drawHeat(); });
$("heat-map").addEventListener("mousemove", (event) => {
  if (!view.heat) return;
  const gap = view.history.kept - view.heat.columns.length;
  readHeat(Math.floor((event.offsetX - view.heat.left) / view.heat.cell) - gap);
});
$("heat-map").addEventListener("keydown", (event) => {
  const last = (view.heat?.columns.length ?? 1) - 1, at = view.cursor ?? last + 1;
  const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: last }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  readHeat(to);
});
window.addEventListener("resize", drawHeat);

$("sign").addEventListener("click", async () => {
  if (!view.session.user) return $("sign-in").showModal();
  await tell("/api/sign-out", {}).catch((error) => notice(error.message));
  await startOver();
});
$("sign-in-cancel").addEventListener("click", () => $("sign-in").close());
$("sign-in-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  put($("sign-in-error"), "");
  try {
    await tell("/api/sign-in", { user: $("user").value, password: $("password").value });
    $("password").value = "";
    $("sign-in").close();
    await startOver();
  } catch (error) {
    put($("sign-in-error"), error.message);
    $("password").select();
  }
});

readSession().catch(() => {}).then(tick);
