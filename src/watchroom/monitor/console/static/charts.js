// Draws a dashboard's panels: asks this monitor for the data of what can be seen, two
// panels at a time, and draws it with uPlot. Everything it inserts is text.
"use strict";
(() => {
  const page = document.getElementById("dashboard");
  const uid = page.dataset.uid;
  const live = page.dataset.live === "yes";
  const every = Math.max(5, Number(page.dataset.every) || 5) * 1000;
  const words = document.querySelector("#live span");
  const calm = words ? words.textContent : "";
  const narrow = matchMedia("(max-width: 560px)");
  const calmMotion = new Intl.DateTimeFormat([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
  const full = new Intl.DateTimeFormat([], { dateStyle: "medium", timeStyle: "medium", hour12: false });
  const DASHES = [[], [6, 4], [2, 3], [8, 3, 2, 3]];
  const COLOURS = 6;
  const HEIGHT = 200;
  const panels = new Map();
  let marks = [];
  let heard = Date.now();

  // ---- words -----------------------------------------------------------------------
  const digits = (value) => {
    if (value == null || Number.isNaN(value)) return "–";
    const size = Math.abs(value);
    let text;
    if (size === 0) text = "0";
    else if (size >= 100) text = Math.round(size).toString().replace(/\B(?=(\d{3})+(?!\d))/g, "\u202f");
    else text = size.toFixed(Math.min(12, Math.max(0, 2 - Math.floor(Math.log10(size)))));
    if (text.includes(".")) text = text.replace(/\.?0+$/, "");
    return value < 0 && text !== "0" ? `−${text}` : text;
  };
  const said = (panel, value) =>
    value == null ? "–" : `${digits(value)} ${panel.data.word}`.trim();
  const plain = (value) => (value == null ? "–" : digits(value));
  // A limit far above everything would press the lines flat: then words stand for it.
  const inSight = (body) => {
    if (body.limit == null) return false;
    const top = Math.max(...body.lines.flatMap((line) => line.values.filter((v) => v != null)));
    return !body.above || top === 0 || top > body.limit / 5;
  };
  const shade = (probe) => getComputedStyle(probe).color;
  // light-dark() in a custom property is resolved only where it is used as a colour.
  const probe = document.createElement("i");
  probe.hidden = true;
  page.append(probe);
  const token = (name) => { probe.className = `ink ${name}`; return shade(probe); };

  // ---- asking: two panels at a time -------------------------------------------------
  const waiting = [];
  let asking = 0;
  const next = () => {
    while (asking < 2 && waiting.length) {
      const job = waiting.shift();
      asking += 1;
      job().finally(() => { asking -= 1; next(); });
    }
  };
  const ask = async (path, more = "") => {
    const query = new URLSearchParams(location.search);
    for (const [name, value] of new URLSearchParams(more)) query.set(name, value);
    const answer = await fetch(`${uid}/${path}?${query}`, {
      cache: "no-store", signal: AbortSignal.timeout(30000), headers: { Accept: "application/json" },
    });
    if (answer.redirected) { location.reload(); throw new Error("logged out"); }
    const body = await answer.json().catch(() => ({ error: `the monitor answered ${answer.status}` }));
    heard = Date.now();
    return body;
  };

  // ---- one panel --------------------------------------------------------------------
  const state = (panel, kind, text) => {
    panel.root.dataset.state = kind;
    if (panel.said.textContent !== text) panel.said.textContent = text;
  };

  const load = (panel) => {
    if (panel.queued) return;
    panel.queued = true;
    waiting.push(async () => {
      panel.queued = false;
      const points = Math.min(300, Math.max(60, Math.round(panel.root.clientWidth / 3)));
      let body;
      try { body = await ask(`panels/${panel.id}`, `points=${points}`); }
      catch (error) {
        if (panel.data) panel.root.classList.add("old");
        else state(panel, "error", `No response from the monitor (${error.name}).`);
        return;
      }
      panel.root.classList.remove("old");
      panel.seen = Date.now();
      if (body.error) { drop(panel); state(panel, "error", body.error); return; }
      if (panel.kind === "number") { numbers(panel, body); return; }
      draw(panel, body);
    });
    next();
  };

  // Every panel's data, for paper: resolves when nothing waits any more.
  const all = async () => {
    for (const panel of panels.values()) if (!panel.seen) load(panel);
    while (asking || waiting.length) await new Promise((done) => setTimeout(done, 100));
  };

  const drop = (panel) => {
    if (panel.plot) panel.plot.destroy();
    panel.plot = panel.data = null;
    panel.root.querySelector(".plot").replaceChildren();
    panel.table.hidden = true;
  };

  const numbers = (panel, body) => {
    const room = panel.root.querySelector(".plot");
    if (!body.numbers.length) {
      room.replaceChildren();
      state(panel, "empty", body.none ? `No value: ${body.none}.` : "No data now.");
      return;
    }
    state(panel, "ok", "");
    room.replaceChildren(...body.numbers.slice(0, 6).map((one) => {
      const line = document.createElement("p");
      line.className = `value ${one.state}`;
      line.textContent = one.number;
      const unit = document.createElement("small");
      unit.textContent = [one.unit, body.numbers.length > 1 ? one.name : "", one.state === "over" ? "▲ past its limit" : ""].filter(Boolean).join(" · ");
      line.append(unit);
      return line;
    }));
    room.setAttribute("aria-label", `${panel.title}: ${room.textContent}`);
  };

  const times = (body) => Array.from({ length: body.count }, (_, i) => body.start + i * body.step);

  const draw = (panel, body) => {
    const any = body.lines.some((line) => line.values.some((v) => v != null));
    if (!any) { drop(panel); state(panel, "empty", "No data in this time range."); return; }
    // From here on in the unit that is shown, so that the axis has round numbers.
    const scaled = (v) => (v == null ? v : v / body.divisor);
    for (const line of body.lines) line.values = line.values.map(scaled);
    body.limit = scaled(body.limit);
    body.floor = scaled(body.floor);
    const shape = JSON.stringify([body.lines.map((line) => line.name), body.stacked, body.limit, body.word]);
    panel.data = body;
    panel.raw = body.lines.map((line) => line.values);
    const data = [times(body), ...(body.stacked ? stacked(panel.raw) : panel.raw)];
    if (body.total > body.lines.length) {
      state(panel, "many", `${body.total} series: the ${body.lines.length} largest are shown.`);
    } else state(panel, "ok", "");
    if (panel.plot && panel.shape === shape) panel.plot.setData(data);
    else { panel.shape = shape; build(panel, data); }
    legend(panel);
  };

  // Each line stands on those before it; a gap in one is no gap in the sum.
  const stacked = (rows) => {
    const sums = new Array(rows[0].length).fill(0);
    return rows.map((row) => row.map((v, i) => {
      if (v != null) sums[i] += v;
      return v == null ? null : sums[i];
    }));
  };

  const stroke = (i) => token(`s${(i % COLOURS) + 1}`);

  const build = (panel, data) => {
    const room = panel.root.querySelector(".plot");
    if (panel.plot) panel.plot.destroy();
    const body = panel.data;
    const ink = token("ink-3");
    const line = token("line");
    const fill = (i) => stroke(i).replace("rgb(", "rgba(").replace(")", body.stacked ? ", .22)" : ", .08)");
    const series = body.lines.map((one, i) => ({
      label: one.name, stroke: stroke(i), width: 1.6, dash: DASHES[Math.floor(i / COLOURS) % DASHES.length],
      fill: body.stacked || body.lines.length === 1 ? fill(i) : undefined,
      points: { show: lonely(panel.raw[i]) ? true : false, size: 4 },
    }));
    panel.plot = new uPlot({
      width: room.clientWidth, height: HEIGHT, padding: [10, 8, 0, 0],
      legend: { show: false }, series: [{}, ...series],
      // Each colour fills what is its own, down to the line below.
      bands: body.stacked ? body.lines.slice(1).map((_, i) => ({ series: [i + 2, i + 1] })) : [],
      cursor: {
        sync: { key: uid, setSeries: false }, y: false,
        drag: { x: true, y: false, setScale: false }, points: { size: 6 },
      },
      scales: { x: { time: true }, y: { range: (u, low, high) => bounds(body, low, high) } },
      axes: [
        { stroke: ink, grid: { stroke: line, width: 1 }, ticks: { show: false }, size: 28,
          space: narrow.matches ? 60 : 76, values: (u, splits, axis, space, incr) => splits.map((at) => moment(at, incr)) },
        { stroke: ink, grid: { stroke: line, width: 1 }, ticks: { show: false }, size: 56, space: 36,
          values: (u, splits) => splits.map((v) => `${digits(v)}${body.word === "%" ? " %" : ""}`) },
      ],
      hooks: {
        draw: [(u) => over(u, panel)],
        setCursor: [(u) => cursor(panel, u.cursor.idx)],
        setSelect: [(u) => zoom(u)],
      },
    }, data, room);
  };

  const lonely = (row) => row.filter((v) => v != null).length < 3;

  const bounds = (body, low, high) => {
    if (inSight(body)) { low = Math.min(low, body.limit); high = Math.max(high, body.limit); }
    if (low == null || high == null || !Number.isFinite(low)) return [0, 1];
    low = body.floor != null ? Math.min(body.floor, low) : Math.min(low, low - (high - low) * 0.08);
    return [low, high + ((high - low) * 0.08 || Math.abs(high) * 0.1 || 1)];
  };

  const pad = (n) => String(n).padStart(2, "0");
  const moment = (at, incr) => {
    const time = new Date(at * 1000);
    const clock = `${pad(time.getHours())}:${pad(time.getMinutes())}`;
    if (incr >= 86400) return `${time.getDate()}.${time.getMonth() + 1}.`;
    if (clock === "00:00") return `${time.getDate()}.${time.getMonth() + 1}.`;
    return incr < 60 ? `${clock}:${pad(time.getSeconds())}` : clock;
  };

  // Over the lines: the limit, and what happened.
  const over = (u, panel) => {
    const { ctx, bbox } = u;
    const ratio = devicePixelRatio || 1;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top - 8 * ratio, bbox.width, bbox.height + 8 * ratio);
    ctx.clip();
    if (inSight(panel.data)) {
      const y = Math.round(u.valToPos(panel.data.limit, "y", true)) + 0.5;
      ctx.strokeStyle = token("ink-2");
      ctx.lineWidth = ratio;
      ctx.setLineDash([4 * ratio, 4 * ratio]);
      ctx.beginPath(); ctx.moveTo(bbox.left, y); ctx.lineTo(bbox.left + bbox.width, y); ctx.stroke();
    }
    ctx.setLineDash([]);
    if (panel.data.limit != null && !inSight(panel.data)) {
      ctx.fillStyle = token("ink-2");
      ctx.font = `${12 * ratio}px system-ui, sans-serif`;
      ctx.textAlign = "left";
      ctx.fillText(`↑ ${panel.limit}`, bbox.left + 6 * ratio, bbox.top + 12 * ratio);
    }
    for (const mark of marks) {
      const x = u.valToPos(mark.at, "x", true);
      const end = u.valToPos(mark.until, "x", true);
      if (end < bbox.left || x > bbox.left + bbox.width) continue;
      ctx.fillStyle = ctx.strokeStyle = token({ alert: "fire", deploy: "accent", drill: "ink-3", watch: "ink-3" }[mark.kind] || "ink-3");
      if (end - x > 2 * ratio) {
        ctx.globalAlpha = 0.09;
        ctx.fillRect(x, bbox.top, end - x, bbox.height);
        ctx.globalAlpha = 1;
      }
      ctx.lineWidth = ratio;
      ctx.globalAlpha = mark.kind === "watch" ? 0.5 : 0.9;
      ctx.setLineDash(mark.kind === "deploy" ? [] : [2 * ratio, 3 * ratio]);
      ctx.beginPath(); ctx.moveTo(x, bbox.top - 2 * ratio); ctx.lineTo(x, bbox.top + bbox.height); ctx.stroke();
      ctx.setLineDash([]);
      ctx.beginPath();
      const s = 4 * ratio;
      const top = bbox.top - 7 * ratio;
      if (mark.kind === "deploy") { ctx.moveTo(x - s, top + s * 1.5); ctx.lineTo(x + s, top + s * 1.5); ctx.lineTo(x, top); }
      else { ctx.moveTo(x - s, top); ctx.lineTo(x + s, top); ctx.lineTo(x, top + s * 1.5); }
      ctx.fill();
      ctx.globalAlpha = 1;
    }
    ctx.restore();
  };

  // ---- the legend is a table: it can be read without seeing the lines ----------------
  const legend = (panel) => {
    const body = panel.data;
    // A line that ended earlier has no last value: what it had is not what it has.
    const end = body.lines.reduce((most, line) => Math.max(most, line.values.findLastIndex((v) => v != null)), -1);
    const rows = panel.table.tBodies[0];
    while (rows.rows.length > body.lines.length) rows.deleteRow(-1);
    body.lines.forEach((line, i) => {
      let row = rows.rows[i];
      if (!row) {
        row = rows.insertRow();
        const head = document.createElement("th");
        head.scope = "row";
        row.append(head);
        for (let k = 0; k < 3; k += 1) row.insertCell();
      }
      const head = row.cells[0];
      if (head.textContent !== line.name || !head.firstChild) {
        const key = document.createElement("i");
        key.className = `key s${(i % COLOURS) + 1} d${Math.floor(i / COLOURS) % DASHES.length}`;
        head.replaceChildren(key, line.name);
        head.title = line.name;
      }
      let top = null;
      for (const v of line.values) if (v != null && (top == null || v > top)) top = v;
      row.cells[2].textContent = plain(line.values[end]);
      row.cells[3].textContent = plain(top);
    });
    const room = panel.root.querySelector(".plot");
    const now = body.lines.slice(0, 4).map((line, i) => `${line.name} ${panel.table.tBodies[0].rows[i].cells[2].textContent} ${body.word}`.trim());
    const more = body.lines.length > 4 ? ` and ${body.lines.length - 4} more` : "";
    room.setAttribute("aria-label", `${panel.title}, last: ${now.join(", ")}${more}; arrow keys move through time`);
    const heads = panel.table.tHead.rows[0].cells;
    heads[0].textContent = body.word ? `Series, ${body.word}` : "Series";
    panel.table.hidden = false;
  };

  const cursor = (panel, at) => {
    if (!panel.data) return;
    const rows = panel.table.tBodies[0].rows;
    panel.raw.forEach((row, i) => {
      if (rows[i]) rows[i].cells[1].textContent = at == null ? "" : plain(row[at]);
    });
    panel.table.tHead.rows[0].cells[1].textContent =
      at == null ? "cursor" : calmMotion.format(new Date((panel.data.start + at * panel.data.step) * 1000));
  };

  const go = (from, to) => {
    const query = new URLSearchParams(location.search);
    query.set("from", Math.round(from));
    query.set("to", Math.round(to));
    location.search = query;
  };

  const zoom = (u) => {
    if (u.select.width < 8) return;
    go(u.posToVal(u.select.left, "x") * 1000, u.posToVal(u.select.left + u.select.width, "x") * 1000);
  };

  const keys = (panel, event) => {
    const u = panel.plot;
    if (!u) return;
    const last = u.data[0].length - 1;
    const now = u.cursor.idx == null ? last : u.cursor.idx;
    const to = { ArrowLeft: now - 1, ArrowRight: now + 1, Home: 0, End: last, PageUp: now - 10, PageDown: now + 10 }[event.key];
    if (event.key === "Escape") { u.setCursor({ left: -10, top: -10 }); return; }
    if (to == null) return;
    event.preventDefault();
    const at = Math.max(0, Math.min(last, to));
    u.setCursor({ left: u.valToPos(u.data[0][at], "x"), top: 10 });
    const values = panel.data.lines.slice(0, 4).map((line, i) => `${line.name} ${said(panel, panel.raw[i][at])}`);
    panel.said.textContent = `${full.format(new Date(u.data[0][at] * 1000))}: ${values.join(", ")}`;
  };

  // ---- what happened ------------------------------------------------------------------
  const SIGNS = { alert: ["▲", "fire"], deploy: ["⬆", "accent"], drill: ["✓", ""], watch: ["·", ""] };
  const history = async () => {
    let body;
    try { body = await ask("marks"); } catch { return; }
    if (!body.marks) return;
    marks = body.marks;
    const list = document.getElementById("marks");
    list.replaceChildren(...[...marks].reverse().slice(0, 20).map((mark) => {
      const item = document.createElement("li");
      const time = document.createElement("time");
      const at = new Date(mark.at * 1000);
      time.dateTime = at.toISOString();
      time.textContent = calmMotion.format(at);
      time.title = full.format(at);
      const [sign, css] = SIGNS[mark.kind] || ["·", ""];
      const tag = document.createElement("span");
      tag.className = `tag ${css}`;
      tag.textContent = `${sign} ${mark.kind}`;
      const text = document.createElement(mark.link ? "a" : "span");
      text.textContent = mark.text;
      if (mark.link) text.href = page.dataset.root + mark.link;
      const what = document.createElement("div");
      what.append(tag, " ", text);
      if (mark.until - mark.at >= 1) {
        const small = document.createElement("small");
        small.textContent = `until ${calmMotion.format(new Date(mark.until * 1000))}`;
        what.append(small);
      }
      item.append(time, what);
      return item;
    }));
    if (!marks.length) {
      const none = document.createElement("li");
      none.textContent = "No events.";
      list.replaceChildren(none);
    }
    for (const panel of panels.values()) if (panel.plot) panel.plot.redraw(false);
  };

  // ---- start ---------------------------------------------------------------------------
  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      const panel = panels.get(entry.target);
      panel.visible = entry.isIntersecting;
      if (entry.isIntersecting && !panel.seen) load(panel);
    }
  }, { rootMargin: "200px" });
  const sized = new ResizeObserver((entries) => {
    for (const entry of entries) {
      const panel = panels.get(entry.target.closest("[data-panel]"));
      if (panel.plot) panel.plot.setSize({ width: entry.contentRect.width, height: HEIGHT });
    }
  });
  for (const root of page.querySelectorAll("[data-panel]")) {
    const panel = {
      root, id: root.dataset.panel, kind: root.dataset.kind, title: root.querySelector("h3").firstChild.textContent.trim(),
      limit: (root.querySelector("h3 span") || { textContent: "" }).textContent,
      said: root.querySelector(".said"), table: root.querySelector(".legend"), plot: null, data: null, seen: 0,
    };
    panels.set(root, panel);
    const room = root.querySelector(".plot");
    room.addEventListener("keydown", (event) => keys(panel, event));
    if (panel.kind === "chart" && !window.uPlot) state(panel, "error", "The chart library is missing.");
    else { seen.observe(root); sized.observe(room); }
  }
  document.getElementById("range").addEventListener("submit", (event) => {
    event.preventDefault();
    const [from, to] = ["from", "to"].map((name) => new Date(event.target.elements[name].value).getTime());
    if (from < to) go(from, to);
    else event.target.elements.to.setCustomValidity("The end must be after the start.");
    event.target.reportValidity();
  });
  for (const name of ["start", "end"]) {
    const at = new Date(Number(page.dataset[name]));
    const field = document.getElementById("range").elements[name === "start" ? "from" : "to"];
    field.value = `${at.getFullYear()}-${pad(at.getMonth() + 1)}-${pad(at.getDate())}T${pad(at.getHours())}:${pad(at.getMinutes())}`;
    field.addEventListener("input", () => field.form.elements.to.setCustomValidity(""));
  }
  if (narrow.matches) document.getElementById("choose").open = false;
  const choices = document.getElementById("variables");
  if (choices) {
    choices.querySelector("button").hidden = true;
    choices.addEventListener("change", () => choices.requestSubmit());
  }
  const redraw = () => {
    for (const panel of panels.values()) if (panel.plot) { panel.shape = ""; build(panel, panel.plot.data); }
  };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  // A printer's paper is white: lines in the ink of a dark screen would be pale on it.
  const paper = (on) => () => { document.documentElement.classList.toggle("paper", on); redraw(); };
  addEventListener("beforeprint", paper(true));
  addEventListener("afterprint", paper(false));
  const print = document.getElementById("print");
  print.hidden = false;
  print.addEventListener("click", async () => {
    print.disabled = true;
    await all();
    print.disabled = false;
    window.print();
  });
  history();
  if (live) {
    setInterval(() => {
      if (document.hidden) return;
      for (const panel of panels.values()) if (panel.visible) load(panel);
      history();
      const silent = Math.round((Date.now() - heard) / 1000);
      const lost = silent * 1000 > every * 2 + 5000;
      document.body.classList.toggle("lost", lost);
      if (words) words.textContent = lost ? `no response for ${silent} s` : calm;
    }, every);
  }
})();
