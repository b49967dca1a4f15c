"use strict";
// The page of an archive: filters, two reports compared, a cell over time. Its state is in the address.
// Names come from files and command lines: they become text, never markup (textContent alone).
addEventListener("DOMContentLoaded", () => {
  const NOTHING = "-";
  const byId = (id) => document.getElementById(id);
  const data = JSON.parse(byId("data").textContent);
  const { reports, texts, kinds, facts, spreads, cells, figures, rules, metrics } = data;
  const places = new Map(reports.map((report, place) => [report.id, place]));
  const FILTERS = ["words", "model", "backend", "host", "from", "to"];

  function element(name, text, attributes = {}) {
    const made = document.createElement(name);
    made.textContent = text;
    for (const [key, value] of Object.entries(attributes)) {
      made.setAttribute(key, value);
    }
    return made;
  }

  // --- figures as text: as runner/render/numbers.py writes them
  const PREFIXES = [[1, ""], [1e-3, "m"], [1e-6, "u"], [1e-9, "n"]];

  function digits(value, half) {
    if (value === 0) {
      return "0";
    }
    const leading = Math.floor(Math.log10(Math.abs(value)));
    let wanted = 2 - leading;
    if (half) {
      wanted = Math.max(1 - leading, Math.min(-Math.floor(Math.log10(half)), wanted + 1));
    }
    return value.toFixed(Math.min(Math.max(wanted, 0), 9));
  }

  function scaleOf(value) {
    return PREFIXES.find(([base]) => Math.abs(value) >= base) || PREFIXES.at(-1);
  }

  function quantity(value, unit) {
    const [base, prefix] = scaleOf(value);
    return `${digits(value / base)} ${prefix}${unit}`;
  }

  function interval(mean, low, high, unit) {
    const [base, prefix] = scaleOf(mean);
    const shown = digits(mean / base, (high - low) / 2 / base);
    const decimals = shown.split(".")[1]?.length || 0;
    const limits = [low, high].map((limit) => (limit / base).toFixed(decimals));
    return `${shown} [${limits.join(", ")}] ${prefix}${unit}`;
  }

  function ratioText({ ratio, low, high }) {
    let decimals = (high - low) / 2 < 0.005 || ratio < 0.1 ? 3 : 2;
    if (ratio >= 10) {
      decimals = ratio < 100 ? 1 : 0;
    }
    const [shown, ...limits] = [ratio, low, high].map((each) => (each > 1000 ? ">1000" : each.toFixed(decimals)));
    return `${shown}x [${limits.join(", ")}]`;
  }

  // --- statistics: as runner/stats/unpaired.py has them
  function quantile(freedom) {
    const steps = data.log_t.length - 1;
    const at = steps / freedom;
    const first = Math.min(Math.max(Math.floor(at) - 1, 0), steps - 3);
    let log = 0;
    for (let i = first; i < first + 4; i += 1) {
      let weight = 1;
      for (let j = first; j < first + 4; j += 1) {
        weight *= i === j ? 1 : (at - j) / (i - j);
      }
      log += weight * data.log_t[i];
    }
    return Math.exp(log);
  }

  function known(cell, metric) {
    const columns = figures[metric];
    if (columns.mean[cell] === null) {
      return null;
    }
    const spread = columns.spread[cell];
    return {
      mean: columns.mean[cell],
      logMean: columns.log_mean[cell],
      variance: columns.log_variance[cell],
      freedom: columns.freedom[cell],
      spread: spread === null ? null : spreads[spread],
    };
  }

  function difference(fresh, reference) {
    let parts = [fresh, reference].map((side) => [side.variance, side.freedom]);
    if (reference.spread) {
      const [variance, freedom, within] = reference.spread;
      parts = parts.map(([own, of]) => [Math.max(0, own - within), of]);
      parts.push([2 * variance, freedom]);
    }
    const variance = parts.reduce((sum, [part]) => sum + part, 0);
    const uncertain = parts.reduce((sum, [part, freedom]) => sum + (part * part) / freedom, 0);
    const freedom = Math.max(1, uncertain ? (variance * variance) / uncertain : 1);
    const reach = quantile(freedom) * Math.sqrt(variance);
    const log = fresh.logMean - reference.logMean;
    return { ratio: Math.exp(log), low: Math.exp(log - reach), high: Math.exp(log + reach) };
  }

  function ownLimits(figure) {
    const reach = quantile(Math.max(1, figure.freedom)) * Math.sqrt(figure.variance);
    return [figure.mean * Math.exp(-reach), figure.mean * Math.exp(reach)];
  }

  // --- cells and rules
  function cellsOf(place) {
    const [begin, end] = reports[place].cells;
    return new Map(Array.from({ length: end - begin }, (_, i) => [cells.kind[begin + i], begin + i]));
  }

  function breaches(reference, fresh) {
    const [old, now] = [facts[cells.facts[reference]], facts[cells.facts[fresh]]];
    return rules
      .map(([name, action, , remedy, of], i) => ({ name, action, remedy, of, old: texts[old[i]], now: texts[now[i]] }))
      .filter((each) => each.old && each.now && each.old !== each.now);
  }

  function compared(referencePlace, freshPlace) {
    const [old, now] = [cellsOf(referencePlace), cellsOf(freshPlace)];
    const found = { figures: [], breaches: new Map(), excluded: [], alone: [[], []] };
    found.alone = [[...old.keys()].filter((kind) => !now.has(kind)), [...now.keys()].filter((kind) => !old.has(kind))];
    for (const [kind, reference] of [...old].filter(([each]) => now.has(each))) {
      const fresh = now.get(kind);
      const broken = breaches(reference, fresh);
      for (const breach of broken) {
        const all = found.breaches.get(breach.name) || { ...breach, count: 0, values: new Set() };
        all.count += 1;
        all.values.add(`${breach.old} -> ${breach.now}`);
        found.breaches.set(breach.name, all);
      }
      const whys = [["the reference", reference], ["the new run", fresh]].map(([side, cell]) => [side, texts[cells.excluded[cell]]]);
      if (whys.some(([, why]) => why)) {
        found.excluded.push([kind, whys.filter(([, why]) => why).map(([side, why]) => `in ${side} ${why}`).join(" and ")]);
      }
      const refused = broken.filter((each) => each.action === "refuse");
      if (whys.some(([, why]) => why) || refused.some((each) => each.of.length === metrics.length)) {
        continue;
      }
      // A spread says how runs of one machine differ; of several, the command has to be asked.
      const apart = broken.some((each) => each.name === "host");
      metrics.forEach(([metric], i) => {
        const [one, other] = [reference, fresh].map((cell) => {
          const figure = known(cell, metric);
          return figure && apart ? { ...figure, spread: null } : figure;
        });
        if (one && other && !refused.some((each) => each.of.includes(i))) {
          const occupancy = metric === "cpu" && Boolean(cells.occupancy[reference] || cells.occupancy[fresh]);
          found.figures.push({ kind, metric: i, occupancy, one, other, ...difference(other, one) });
        }
      });
    }
    return found;
  }

  // --- tables
  function sortKey(cell, kind) {
    const text = cell.dataset.value ?? cell.textContent;
    const value = kind === "time" ? Date.parse(text) : kind === "number" ? parseFloat(text) : text;
    return { value, none: text === "" || text === NOTHING || Number.isNaN(value) };
  }

  function sort(table, head, direction) {
    const heads = [...table.tHead.rows[0].cells];
    heads.filter((each) => each.hasAttribute("aria-sort")).forEach((each) => each.setAttribute("aria-sort", "none"));
    head.setAttribute("aria-sort", direction > 0 ? "ascending" : "descending");
    const { kind } = head.dataset;
    const index = heads.indexOf(head);
    const order = new Intl.Collator("en", { numeric: true });
    const rows = [...table.tBodies[0].rows].map((row) => ({ row, key: sortKey(row.cells[index], kind) }));
    rows.sort(({ key: a }, { key: b }) => {
      if (a.none || b.none) {
        return Number(a.none) - Number(b.none); // what has none comes last both ways
      }
      return direction * (kind ? a.value - b.value : order.compare(a.value, b.value));
    });
    table.tBodies[0].append(...rows.map((each) => each.row));
  }

  function sortable(table, told = () => {}) {
    for (const head of table.querySelectorAll("th[data-sort]")) {
      const button = element("button", "", { type: "button" });
      button.append(...head.childNodes);
      head.append(button);
      head.setAttribute("aria-sort", "none");
      button.addEventListener("click", () => {
        const direction = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
        sort(table, head, direction);
        told(`${direction < 0 ? "-" : ""}${head.dataset.sort}`);
      });
    }
  }

  function makeTable(label, columns, rows) {
    const scroll = element("div", "", { class: "scroll tall", tabindex: "0", role: "region", "aria-label": label });
    const table = document.createElement("table");
    const head = table.createTHead().insertRow();
    for (const [name, kind] of columns) {
      const made = element("th", name, { scope: "col", "data-sort": name });
      if (kind) {
        made.dataset.kind = kind;
      }
      head.append(made);
    }
    table.createTBody().append(...rows);
    sortable(table);
    scroll.append(table);
    return scroll;
  }

  function linked(report) {
    return report.address ? element("a", report.id, { href: report.address }) : element("span", report.id);
  }

  function lines(items) {
    const list = element("ul", "", { class: "lines" });
    list.append(...items.map((item) => element("li", item)));
    return list;
  }

  function named([, model, contender, load]) {
    return `${model} on ${contender} ${load}`;
  }

  function aloneLines(alone, where) {
    const loads = new Map();
    for (const [, model, contender, load] of alone.map((kind) => kinds[kind])) {
      const whose = `${model} on ${contender}`;
      loads.set(whose, [...(loads.get(whose) || []), load]);
    }
    return [...loads].map(([whose, own]) => `only in ${where}: ${whose}, ${own.join(", ")}`);
  }

  // --- state: all of it is in the address, so that what one sees can be sent
  const state = { sort: "", ref: "", new: "", cell: "", metric: "", ...Object.fromEntries(FILTERS.map((id) => [id, ""])) };

  function remember() {
    const said = Object.entries(state).filter(([, value]) => value);
    history.replaceState(null, "", `#${new URLSearchParams(said)}`);
  }

  function recall(event) {
    const hash = location.hash.slice(1);
    const isPlace = hash && !hash.includes("=");
    if (event && isPlace) {
      return; // a reader went to a section: what is shown stays
    }
    const given = new URLSearchParams(isPlace ? "" : hash);
    Object.keys(state).forEach((key) => (state[key] = given.get(key) || ""));
    FILTERS.forEach((id) => (byId(id).value = state[id]));
    showFilters();
    showSort();
    showPicks();
    showComparison();
    showTrend();
  }

  // --- reports
  const rows = [...document.querySelectorAll("#list tbody tr")];
  const hay = reports.map((each, place) => `${rows[place].textContent} ${each.id}`.toLowerCase());

  function matches(report, place) {
    const words = state.words.toLowerCase().split(/\s+/).filter(Boolean);
    const day = report.started.slice(0, 10);
    return (
      words.every((word) => hay[place].includes(word)) &&
      (!state.model || report.models.includes(state.model)) &&
      (!state.backend || report.backends.includes(state.backend)) &&
      (!state.host || report.host === state.host) &&
      (!state.from || (day && day >= state.from)) &&
      (!state.to || (day && day <= state.to))
    );
  }

  function showFilters() {
    let shown = 0;
    reports.forEach((report, place) => {
      const fits = matches(report, place);
      rows[place].hidden = !fits;
      shown += fits ? 1 : 0;
    });
    byId("count").textContent = `${shown} of ${reports.length} reports`;
  }

  function showSort() {
    const head = document.querySelector(`#list th[data-sort="${CSS.escape(state.sort.replace(/^-/, ""))}"]`);
    if (head) {
      sort(byId("list"), head, state.sort.startsWith("-") ? -1 : 1);
    }
  }

  function pickable() {
    rows.forEach((row, place) => {
      const report = reports[place];
      ["ref", "new"].forEach((side, i) => {
        const label = `${side === "ref" ? "Reference" : "New run"}: ${report.id}`;
        const input = element("input", "", { type: "radio", name: side, value: report.id, "aria-label": label });
        input.disabled = report.status === "unreadable";
        input.addEventListener("change", () => {
          state[side] = report.id;
          remember();
          showPicks();
          showComparison();
        });
        row.cells[i].append(input);
      });
    });
    document.querySelectorAll(".pick, .picking").forEach((each) => (each.hidden = false));
  }

  function showPicks() {
    rows.forEach((row, place) => {
      const { id } = reports[place];
      ["ref", "new"].forEach((side, i) => (row.cells[i].firstChild.checked = state[side] === id));
      row.classList.toggle("picked", state.ref === id || state.new === id);
    });
  }

  // --- two reports compared
  function reading(figure) {
    if (figure.low <= 1 && figure.high >= 1) {
      return ["no difference seen", ""];
    }
    const latency = metrics[figure.metric][0] === "latency";
    return figure.ratio > 1 ? [latency ? "slower" : "more", "worse"] : [latency ? "faster" : "less", "better"];
  }

  function figureRow(figure) {
    const [metric, name, unit] = metrics[figure.metric];
    const [key, model, contender, load] = kinds[figure.kind];
    const [said, mood] = figure.occupancy ? ["threads x latency, no cost", ""] : reading(figure);
    const row = element("tr", "");
    Object.assign(row.dataset, { key, metric, ratio: figure.ratio, low: figure.low, high: figure.high });
    const show = element("button", `${contender} ${load}`, { type: "button", class: "cell", title: "Show its trend" });
    show.addEventListener("click", () => {
      Object.assign(state, { cell: key, metric });
      remember();
      showTrend();
      byId("trend").scrollIntoView();
    });
    const cell = document.createElement("td");
    cell.append(show);
    row.append(
      element("td", model),
      cell,
      element("td", figure.occupancy ? "CPU occupancy" : name),
      element("td", quantity(figure.one.mean, unit), { "data-value": figure.one.mean }),
      element("td", quantity(figure.other.mean, unit), { "data-value": figure.other.mean }),
      element("td", ratioText(figure), { "data-value": figure.ratio }),
      element("td", said, { class: mood }),
    );
    return row;
  }

  function breachLine(all) {
    const values = [...all.values];
    const more = values.length > 2 ? ` and ${values.length - 2} others` : "";
    const which = all.of.length < metrics.length ? `${all.of.map((i) => metrics[i][1]).join(", ")} of ` : "";
    const done = all.action === "refuse" ? "not compared" : "compared all the same";
    const count = `${all.count} cell${all.count > 1 ? "s" : ""}`;
    return `${all.name}: ${which}${count} ${done}: ${values.slice(0, 2).join("; ")}${more}. ${all.remedy}`;
  }

  function sides(reference, fresh) {
    const list = element("dl", "", { class: "sides" });
    for (const [name, report] of [["Reference", reference], ["New", fresh]]) {
      const value = element("dd", "");
      value.append(linked(report), ` ${[report.name, report.host, report.shown].filter(Boolean).join(", ")}`);
      if (report.status !== "complete") {
        value.append(" ", element("span", report.status, { class: "badge warn" }));
      }
      list.append(element("dt", name), value);
    }
    return list;
  }

  function sideButtons() {
    const bar = element("p", "");
    const swap = element("button", "Swap", { type: "button" });
    swap.addEventListener("click", () => {
      pick(state.new, state.ref);
      byId("pair").querySelector("button").focus(); // it was made anew
    });
    const none = element("button", "Pick none", { type: "button" });
    none.addEventListener("click", () => pick("", ""));
    bar.append(swap, " ", none);
    return bar;
  }

  function pick(ref, fresh) {
    Object.assign(state, { ref, new: fresh });
    remember();
    showPicks();
    showComparison();
  }

  function limitsNote(found) {
    const judged = found.figures.filter((each) => !each.occupancy);
    if (judged.every((each) => each.one.spread)) {
      return element("p", "95 % limits hold the spread of repeated runs: they are those of later runs, too.", { class: "soft" });
    }
    const text =
      "95 % limits are those of these very runs: repeated runs of one thing may lie farther apart than they say. " +
      "To know, run the same thing five times or more, then: joulebatch reports compare --calibrate";
    return element("p", text, { class: "callout" });
  }

  function showComparison() {
    const [said, box] = [byId("said"), byId("pair")];
    const asked = [state.ref, state.new];
    const [one, other] = asked.map((id) => places.get(id));
    const lost = asked.filter((id) => id && (!places.has(id) || reports[places.get(id)].status === "unreadable"));
    box.replaceChildren();
    if (lost.length) {
      said.textContent = `Not in this page, or unreadable: ${lost.join(", ")}.`;
      return;
    }
    if (!state.ref || !state.new) {
      const missing = [state.ref ? "" : "a reference", state.new ? "" : "a new run"].filter(Boolean);
      said.textContent = `Pick ${missing.join(" and ")} above.`;
      return;
    }
    if (one === other) {
      said.textContent = "A report cannot be compared with itself: pick two.";
      return;
    }
    const found = compared(one, other);
    const judged = found.figures.filter((each) => !each.occupancy);
    const apart = judged.filter((each) => reading(each)[1]);
    const same = judged.length - apart.length;
    said.textContent = judged.length
      ? `${apart.length} of ${judged.length} figures differ${same ? `; no difference seen in ${same}` : ""}.`
      : "Nothing could be compared.";
    box.append(sides(reports[one], reports[other]), sideButtons());
    if (found.figures.length) {
      const columns = [["model"], ["cell"], ["figure"], ["reference", "number"], ["new", "number"], ["ratio, 95 % limits", "number"], ["reading"]];
      box.append(limitsNote(found), makeTable("Figures compared", columns, found.figures.map(figureRow)));
    }
    const broken = [...found.breaches.values()].sort((a, b) => a.action.localeCompare(b.action));
    const apartFrom = [
      ...aloneLines(found.alone[0], "the reference"),
      ...aloneLines(found.alone[1], "the new run"),
      ...found.excluded.map(([kind, why]) => `${named(kinds[kind])}: ${why}`),
    ];
    for (const [title, told] of [["What differs between the runs", broken.map(breachLine)], ["Not compared", apartFrom]]) {
      if (told.length) {
        box.append(element("h3", title), lines(told));
      }
    }
  }

  // --- a cell over time
  const byModel = new Map();
  kinds.forEach(([key, model, contender, load]) => {
    byModel.set(model, [...(byModel.get(model) || []), { key, text: `${contender} ${load}` }]);
  });
  const held = kinds.map(() => 0);
  cells.kind.forEach((kind) => (held[kind] += 1));
  const usual = kinds[held.indexOf(Math.max(...held))]?.[0]; // the cell that most reports hold
  const kindOf = new Map(kinds.map(([key], kind) => [key, kind]));

  function options(select, values, chosen) {
    select.replaceChildren(...values.map(([value, text]) => element("option", text, { value })));
    select.value = chosen;
  }

  function pointsOf(kind, metric) {
    const found = [];
    reports.forEach((report, place) => {
      const cell = cellsOf(place).get(kind);
      const figure = cell === undefined ? null : known(cell, metric);
      if (figure) {
        const [low, high] = ownLimits(figure);
        found.push({ report, cell, mean: figure.mean, low, high, at: Date.parse(report.started) });
      }
    });
    return found.filter((each) => !Number.isNaN(each.at)).sort((a, b) => a.at - b.at);
  }

  function fact(cell, name) {
    const place = rules.findIndex(([rule]) => rule === name);
    return place < 0 ? "" : texts[facts[cells.facts[cell]][place]];
  }

  function versions(cell) {
    const parts = [["joulebatch", "joulebatch-version"], ["runtime", "onnxruntime-version"], ["Python", "interpreter"], ["model", "model-hash"]];
    return parts.map(([name, rule]) => [name, fact(cell, rule)]).filter(([, value]) => value).map((pair) => pair.join(" "));
  }

  const escaped = (text) => text.replace(/[&<>]/g, (char) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;" })[char]);
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const SYMBOLS = ["circle", "square", "diamond", "triangle-up", "pentagon", "star", "hexagon", "cross"];

  function trace(host, slot, points, [unit, base]) {
    const shade = colour(`--c${slot % 8}`);
    const hover = points.map((each) =>
      [each.report.id, interval(each.mean, each.low, each.high, unit), ...versions(each.cell)].map(escaped).join("<br>"),
    );
    return {
      type: "scatter",
      mode: "lines+markers",
      name: escaped(host),
      x: points.map((each) => new Date(each.at).toISOString().slice(0, -1)),
      y: points.map((each) => each.mean / base),
      error_y: {
        type: "data",
        symmetric: false,
        array: points.map((each) => (each.high - each.mean) / base),
        arrayminus: points.map((each) => (each.mean - each.low) / base),
        color: shade,
        thickness: 1.2,
      },
      customdata: points.map((each) => each.report.address),
      text: hover,
      hovertemplate: "%{text}<extra>%{fullData.name}</extra>",
      hoverlabel: { bgcolor: colour("--card"), bordercolor: shade, font: { color: colour("--text") } },
      marker: { color: shade, symbol: SYMBOLS[slot % SYMBOLS.length], size: 8 },
      line: { color: shade, width: 1 },
    };
  }

  const hosts = [...new Set(reports.filter((each) => each.status !== "unreadable").map((each) => each.host))].sort();

  function drawTrend(points, metric) {
    const place = byId("trend-plot");
    if (typeof Plotly === "undefined") {
      byId("no-plot").hidden = false;
      return;
    }
    place.hidden = points.length === 0;
    if (!points.length) {
      return;
    }
    const [, name, unit] = metric;
    const [base, prefix] = scaleOf(Math.min(...points.map((each) => each.mean)));
    const traces = hosts
      .map((host, slot) => [host, slot, points.filter((each) => each.report.host === host)])
      .filter(([, , own]) => own.length)
      .map(([host, slot, own]) => trace(host, slot, own, [unit, base]));
    const [text, line, card] = ["--text", "--line", "--card"].map(colour);
    const axis = { gridcolor: line, linecolor: line, zerolinecolor: line, automargin: true };
    const layout = {
      autosize: true,
      margin: { t: 16, r: 16, b: 48, l: 64 },
      font: { family: getComputedStyle(document.body).fontFamily, size: 13, color: text },
      paper_bgcolor: card,
      plot_bgcolor: card,
      showlegend: true,
      legend: { orientation: "h", y: 1.02, yanchor: "bottom" },
      hovermode: "closest",
      xaxis: { ...axis, type: "date", title: { text: "started (UTC)" } },
      yaxis: { ...axis, title: { text: `${name} (${prefix}${unit})` }, rangemode: "tozero" },
    };
    Plotly.react(place, traces, layout, { displaylogo: false, responsive: true, showSendToCloud: false });
    place.removeAllListeners("plotly_click");
    place.on("plotly_click", ({ points: [point] }) => point.customdata && location.assign(point.customdata));
  }

  function changes(point, before) {
    if (!before) {
      return "";
    }
    return breaches(before.cell, point.cell).map((each) => `${each.name}: ${each.old} -> ${each.now}`).join("\n");
  }

  function trendTable(points, [, name, unit]) {
    const last = new Map();
    const made = points.map((point) => {
      const row = element("tr", "");
      const link = document.createElement("td");
      link.append(linked(point.report));
      const change = changes(point, last.get(point.report.host));
      last.set(point.report.host, point);
      row.append(
        link,
        element("td", point.report.shown, { "data-value": point.report.started }),
        element("td", point.report.host),
        element("td", interval(point.mean, point.low, point.high, unit), { "data-value": point.mean }),
        element("td", change || NOTHING, { class: "names" }),
      );
      return row;
    });
    const columns = [["report"], ["started", "time"], ["host"], [`${name}, 95 % limits`, "number"], ["differs from the run before it on that host"]];
    return makeTable("The cell over time", columns, made.reverse());
  }

  function showTrend() {
    if (!kinds.length) {
      return;
    }
    byId("trend-choices").hidden = false;
    const lost = state.cell && !kindOf.has(state.cell);
    const key = lost || !state.cell ? usual : state.cell;
    const kind = kindOf.get(key);
    const model = kinds[kind][1];
    const metric = metrics.find(([id]) => id === state.metric) || metrics[0];
    options(byId("trend-model"), [...byModel.keys()].sort().map((each) => [each, each]), model);
    options(byId("trend-cell"), byModel.get(model).map((each) => [each.key, each.text]), key);
    options(byId("trend-metric"), metrics.map(([id, name]) => [id, name]), metric[0]);
    const points = pointsOf(kind, metric[0]);
    drawTrend(points, metric);
    const all = held[kind];
    const without = all - points.length;
    const said = [
      lost ? `Not in this page: ${state.cell}.` : "",
      `${points.length} of the ${all} reports that hold this cell have a figure${without ? "; the others failed, were excluded or had no such meter" : ""}.`,
      points.length ? "Limits are those of each run alone. Runs differ by more than that: compare two to tell." : "",
    ];
    byId("trend-table").replaceChildren(element("p", said.filter(Boolean).join(" "), { class: "soft" }));
    if (points.length) {
      byId("trend-table").append(trendTable(points, metric));
    }
  }

  // --- begin
  byId("filters").hidden = false;
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  for (const id of FILTERS) {
    byId(id).addEventListener("input", () => {
      state[id] = byId(id).value;
      remember();
      showFilters();
    });
  }
  byId("all").addEventListener("click", () => {
    FILTERS.forEach((id) => (state[id] = byId(id).value = ""));
    remember();
    showFilters();
  });
  for (const [id, change] of [
    ["trend-model", (value) => ({ cell: byModel.get(value)[0].key })],
    ["trend-cell", (value) => ({ cell: value })],
    ["trend-metric", (value) => ({ metric: value })],
  ]) {
    byId(id).addEventListener("change", (event) => {
      Object.assign(state, change(event.target.value));
      remember();
      showTrend();
    });
  }
  if (rows.length) {
    sortable(byId("list"), (said) => {
      state.sort = said;
      remember();
    });
  }
  pickable();
  recall();
  addEventListener("hashchange", recall);
  new MutationObserver(showTrend).observe(document.documentElement, { attributeFilter: ["data-theme"] });
});
