"use strict";

const find = (id) => document.getElementById(id);
const others = "others";

// An element with attributes and children; nothing from outside is ever read as markup.
function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== false) element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

const percent = (share) => (share * 100).toFixed(share < 0.9995 && share > 0.99 ? 1 : 0) + "%";
const clock = (seconds) => new Date(seconds * 1000).toLocaleTimeString();
const count = (number) => number.toLocaleString("en");

async function ask(path, options) {
  const response = await fetch(path, { cache: "no-store", ...options });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error || response.statusText);
  return answer;
}

// Rows of name, bar and number; their elements stay, so that bars move.
function showBars(table, rows) {
  const body = table.tBodies[0];
  const most = Math.max(...rows.map((row) => row.value), 1e-9);
  while (body.rows.length > rows.length) body.lastChild.remove();
  rows.forEach((row, i) => {
    const line = body.rows[i] || body.appendChild(make("tr", {}, make("th", { scope: "row" }),
      make("td", {}, make("div", { class: "bar" }, make("div"))), make("td")));
    line.cells[0].textContent = row.name;
    line.cells[1].firstChild.firstChild.style.width = (100 * row.value) / most + "%";
    line.cells[2].textContent = row.text;
  });
}

// Live picture: a stream, or single frames where that fails or is not wanted (?picture=still).

const picture = find("picture");
const stillsOnly = new URLSearchParams(location.search).get("picture") === "still";
let stillTimer = 0;

function showPicture(source) {
  if (picture.src.startsWith("blob:")) URL.revokeObjectURL(picture.src);
  picture.src = source;
}

function startStream() {
  clearTimeout(stillTimer);
  if (stillsOnly) return void showStills(Infinity);
  showPicture("stream.mjpg?" + Date.now());
}

function stopPicture() {
  clearTimeout(stillTimer);
  picture.removeAttribute("src");
}

async function showStills(left) {
  if (left <= 0) return startStream();
  try {
    const response = await fetch("frame.jpg", { cache: "no-store" });
    if (response.ok) showPicture(URL.createObjectURL(await response.blob()));
  } catch {
    // Asked again below.
  }
  stillTimer = setTimeout(showStills, 500, left - 1);
}

picture.addEventListener("load", () => {
  picture.hidden = false;
  find("no-picture").hidden = true;
});
picture.addEventListener("error", () => {
  if (picture.getAttribute("src")) showStills(20);
});

// State: verdict, counts, items, alarms.

function kindOf(item) {
  if (item.missed) return "bad";
  return item.recognised ? "good" : "warn";
}

function showVerdict(item) {
  if (!item) return;
  const label = find("verdict-label");
  label.textContent = item.label;
  label.classList.toggle("long", item.label.length > 12);
  find("verdict").className = "card verdict " + kindOf(item);
  find("verdict-bar").style.width = 100 * item.probability + "%";
  find("verdict-probability").textContent = item.recognised ? percent(item.probability) : "not recognised";
  find("verdict-bin").textContent = item.missed ? "too late to eject" : item.bin && "→ " + item.bin;
  find("verdict-details").textContent =
    `No. ${item.number} at ${clock(item.time)}, seen in ${item.frames} ${item.frames === 1 ? "frame" : "frames"}`;
}

function itemElement(item) {
  const image = make("img", { src: "api/thumbnails/" + item.serial, alt: "", loading: "lazy" });
  const details = (item.recognised ? percent(item.probability) : "?") + (item.bin ? " → " + item.bin : "");
  return make("li", { class: kindOf(item), "data-serial": item.serial, title: clock(item.time) }, image,
    make("strong", {}, item.label), item.missed ? "missed" : details);
}

// Only what is new is added: thumbnails are loaded once.
function showItems(items) {
  const list = find("items");
  const newest = Number(list.firstElementChild?.dataset.serial || 0);
  if (items.length > 0 && items[0].serial < newest) list.replaceChildren();
  const fresh = items.filter((item) => item.serial > Number(list.firstElementChild?.dataset.serial || 0));
  list.prepend(...fresh.map(itemElement));
  while (list.children.length > items.length) list.lastElementChild.remove();
}

function showFrame(frame) {
  const overlay = find("frame-verdict");
  overlay.hidden = !frame;
  if (!frame) return;
  if (!frame.something) overlay.textContent = "Nothing there";
  else overlay.textContent = frame.recognised ? `${frame.label} ${percent(frame.probability)}` : others;
}

function showCounts(counts) {
  find("count-items").textContent = count(counts.items);
  find("count-dropped").textContent = count(counts.dropped);
  find("count-missed").textContent = count(counts.missed);
  find("count-missed").classList.toggle("bad", counts.missed > 0);
  find("count-alarms").textContent = counts.alarms > 0 ? count(counts.alarms) : "";
  const rows = (sums, nameOf) => Object.entries(sums).sort((a, b) => b[1] - a[1])
    .map(([name, value]) => ({ name: nameOf(name), value, text: count(value) }));
  showBars(find("by-class"), rows(counts.by_class, (name) => name));
  showBars(find("by-bin"), rows(counts.by_bin, (name) => name || "stays on the belt"));
}

// A minute back, or as far as the latest items reach.
function itemsPerMinute(items) {
  const now = Date.now() / 1000;
  const recent = items.filter((item) => item.time > now - 60);
  if (recent.length === 0) return "0";
  const span = recent.length < items.length ? 60 : Math.max(now - items[items.length - 1].time, 1);
  return count(Math.round((60 * recent.length) / span));
}

function showAlarms(alarms) {
  const entries = alarms.map((alarm) => make("li", {}, make("time", {}, clock(alarm.time)), alarm.text));
  find("alarms").replaceChildren(...(entries.length ? entries : [make("li", { class: "quiet" }, "None")]));
}

function showStatus(text, kind) {
  find("status").textContent = text;
  find("status").className = "pill " + kind;
}

let classes = [];
let lastFrame = { index: -1, at: 0 };

function showWhetherLive(state) {
  const index = state.frame ? state.frame.index : -1;
  if (index !== lastFrame.index) lastFrame = { index, at: Date.now() };
  if (state.ended) showStatus("Ended", "");
  else if (index < 0) showStatus("Waiting for frames", "");
  else if (Date.now() - lastFrame.at > 5000) showStatus("No frames", "bad");
  else showStatus("Live", "good");
}

function showState(state) {
  classes = state.classes;
  find("model").textContent = state.model;
  find("try-link").hidden = !state.classifies;
  find("relabel-link").hidden = !state.stores;
  showWhetherLive(state);
  showFrame(state.frame);
  showVerdict(state.items[0]);
  showItems(state.items);
  showCounts(state.counts);
  find("count-rate").textContent = itemsPerMinute(state.items);
  showAlarms(state.alarms);
}

async function keepState() {
  try {
    showState(await ask("api/state?limit=60"));
  } catch {
    showStatus("No connection", "bad");
  }
  setTimeout(keepState, document.hidden ? 5000 : 500);
}

// Latency chart.

function svg(name, attributes, text = "") {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.textContent = text;
  return element;
}

// 1, 2 or 5 times a power of ten, at least `value`.
function roundUp(value) {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 0.1)));
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= value);
}

function drawChart(seconds) {
  const chart = find("chart");
  const width = chart.clientWidth || 600, height = 170, left = 44, bottom = 22, top = 8, span = 180;
  chart.setAttribute("viewBox", `0 0 ${width} ${height}`);
  chart.replaceChildren();
  const end = seconds.length ? seconds[seconds.length - 1].time : 0;
  const most = roundUp(Math.max(...seconds.map((second) => second.max), 1));
  const x = (time) => width - ((end - time) / span) * (width - left);
  const y = (ms) => top + (1 - ms / most) * (height - bottom - top);
  for (const ms of [0, most / 2, most]) {
    chart.append(svg("line", { x1: left, x2: width, y1: y(ms), y2: y(ms) }),
      svg("text", { x: left - 8, y: y(ms) + 4, "text-anchor": "end" }, `${ms}`));
  }
  chart.append(svg("text", { x: left, y: height - 4 }, "3 min ago"),
    svg("text", { x: width, y: height - 4, "text-anchor": "end" }, "now"));
  for (const kind of ["max", "median"]) {
    const points = seconds.map((second) => `${x(second.time).toFixed(1)},${y(second[kind]).toFixed(1)}`);
    chart.append(svg("polyline", { class: kind, points: points.join(" ") }));
  }
}

function showStages(stages) {
  const cells = (times) => [times.median, times.p95, times.p99, times.max]
    .map((ms) => make("td", {}, ms.toFixed(ms < 10 ? 2 : 1)));
  const names = { latency: "all, from arrival to verdict" };
  find("stages").tBodies[0].replaceChildren(...Object.entries(stages).map(([name, times]) =>
    make("tr", {}, make("th", { scope: "row" }, names[name] || name), ...cells(times))));
}

async function keepStatistics() {
  try {
    const { seconds, stages } = await ask("api/statistics");
    const recent = seconds.slice(-5);
    const frames = recent.reduce((sum, second) => sum + second.frames, 0);
    find("count-fps").textContent = recent.length ? (frames / recent.length).toFixed(0) : "–";
    if (!find("live").hidden) drawChart(seconds);
    showStages(stages);
  } catch {
    // The state says that there is no connection.
  }
  setTimeout(keepStatistics, document.hidden ? 10000 : 2000);
}

// A picture to try.

let tried = { plain: "", heat: "" };

function showTried() {
  find("tried").src = find("show-heat").checked && tried.heat ? tried.heat : tried.plain;
}

function showAnswer(file, answer) {
  URL.revokeObjectURL(tried.plain);
  tried = { plain: URL.createObjectURL(file), heat: answer.heat_map };
  find("answer").hidden = false;
  find("show-heat").parentElement.hidden = !answer.heat_map;
  find("tried-label").textContent = answer.label;
  find("tried-label").classList.toggle("long", answer.label.length > 12);
  const doubt = `not recognised; nearest is ${answer.most_probable} with ${percent(answer.probability)}`;
  find("tried-details").textContent =
    [answer.recognised ? percent(answer.probability) : doubt, answer.warning].filter(Boolean).join("; ");
  const best = answer.probabilities.sort((a, b) => b.probability - a.probability).slice(0, 8);
  showBars(find("tried-classes"), best.map((entry) =>
    ({ name: entry.class, value: entry.probability, text: percent(entry.probability) })));
  showTried();
}

async function classify(file) {
  const error = find("try-error");
  error.hidden = true;
  find("drop").setAttribute("aria-busy", "true");
  try {
    const type = file.type.startsWith("image/") ? file.type : "application/octet-stream";
    showAnswer(file, await ask("api/classify",
      { method: "POST", body: file, headers: { "Content-Type": type } }));
  } catch (reason) {
    error.textContent = reason.message;
    error.hidden = false;
  }
  find("drop").removeAttribute("aria-busy");
}

function listenForPictures() {
  const drop = find("drop");
  find("show-heat").addEventListener("change", showTried);
  find("file").addEventListener("change", (event) => event.target.files[0] && classify(event.target.files[0]));
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    const file = event.dataTransfer.files[0];
    if (file && !find("try").hidden) classify(file);
  });
  drop.addEventListener("dragenter", () => drop.classList.add("over"));
  drop.addEventListener("dragleave", () => drop.classList.remove("over"));
  document.addEventListener("paste", (event) => {
    if (event.clipboardData.files[0] && !find("try").hidden) classify(event.clipboardData.files[0]);
  });
}

// Doubtful items.

// The two most probable classes, the decided one first.
function suggestions(item) {
  const order = item.probabilities.map((probability, i) => [probability, classes[i]]).filter((pair) => pair[1])
    .sort((a, b) => b[0] - a[0]).map((pair) => pair[1]);
  const decided = item.label === others ? [] : [item.label];
  return [...new Set([...decided, ...order])].slice(0, 3);
}

async function saveLabel(item, card, label) {
  const buttons = card.querySelectorAll("button");
  buttons.forEach((button) => (button.disabled = true));
  try {
    await ask(`api/items/${item.id}/label`,
      { method: "POST", body: JSON.stringify({ label }), headers: { "Content-Type": "application/json" } });
    card.remove();
    find("relabel-note").textContent = `No. ${item.id} is ${label}.`;
  } catch (reason) {
    find("relabel-note").textContent = reason.message;
    buttons.forEach((button) => (button.disabled = false));
  }
}

function doubtfulElement(item) {
  const choices = suggestions(item).map((label, i) =>
    make("button", { type: "button", class: i === 0 && "first", "data-label": label }, label));
  const field = make("input", { list: "labels", "aria-label": "Another label", placeholder: "Something else" });
  const own = make("form", { class: "own" }, field, make("button", {}, "Save"));
  const decided = item.label === others ? "not recognised" : `${item.label}, ${percent(item.probability)}`;
  const when = new Date(item.time * 1000).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
  const card = make("li", { class: "card", "data-id": item.id },
    item.has_picture ? make("img", { src: `api/items/${item.id}/picture`, alt: "", loading: "lazy" }) : "",
    make("p", {}, make("strong", {}, `No. ${item.id} `), make("span", { class: "quiet" }, `${decided}, ${when}`)),
    make("div", { class: "choices" }, ...choices), own);
  choices.forEach((button) => button.addEventListener("click", () => saveLabel(item, card, button.dataset.label)));
  own.addEventListener("submit", (event) => {
    event.preventDefault();
    if (field.value.trim()) saveLabel(item, card, field.value.trim());
  });
  return card;
}

async function loadDoubtful(before) {
  try {
    const { items, labels } = await ask("api/items?doubtful=1&limit=24" + (before ? `&before=${before}` : ""));
    find("labels").replaceChildren(...labels.map((label) => make("option", { value: label })));
    if (!before) find("doubtful").replaceChildren();
    find("doubtful").append(...items.map(doubtfulElement));
    find("more").hidden = items.length < 24;
    find("more").onclick = () => loadDoubtful(items[items.length - 1].id);
    if (!before) find("relabel-note").textContent = items.length ? "" : "None: all are clear or have been looked at.";
  } catch (reason) {
    find("relabel-note").textContent = reason.message;
  }
}

// Views.

function showView() {
  const name = ["live", "try", "relabel"].find((view) => location.hash === "#" + view) || "live";
  for (const view of document.querySelectorAll(".view")) view.hidden = view.id !== name;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === "#" + name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  scrollTo(0, 0);
  watchOrNot();
  if (name === "relabel") loadDoubtful();
}

// A picture that nobody sees is not sent.
function watchOrNot() {
  const seen = !document.hidden && !find("live").hidden;
  if (seen && !picture.getAttribute("src")) startStream();
  else if (!seen) stopPicture();
}

addEventListener("hashchange", showView);
document.addEventListener("visibilitychange", watchOrNot);
addEventListener("load", () => {
  listenForPictures();
  keepState().then(showView);
  keepStatistics();
});
