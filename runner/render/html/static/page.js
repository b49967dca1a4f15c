"use strict";
// Sorting, filtering, the theme and the plots of a page. Without it the page is complete text.
(() => {
  const root = document.documentElement;
  const THEME_KEY = "joulebatch-theme";
  const MARKS = /^[\s*~(+?]*/;
  const NUMBER = /^(-?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?)\s*(?:([numkMG]?)(?:s|J|W|B|Hz|%)\b|([kMG])\b)?/;
  const PREFIXES = { n: 1e-9, u: 1e-6, m: 1e-3, "": 1, k: 1e3, M: 1e6, G: 1e9 };
  const NOTHING = new Set(["", "-"]);

  // --- theme: the system's until a reader chooses; nothing is kept where storage is closed to pages from disk
  function stored() {
    try {
      return localStorage.getItem(THEME_KEY);
    } catch {
      return null;
    }
  }

  function system() {
    return matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  }

  function show(theme) {
    root.dataset.theme = theme;
    const button = document.querySelector("button.theme");
    if (button) {
      button.hidden = false;
      button.textContent = theme === "dark" ? "Light theme" : "Dark theme";
    }
    recolour();
  }

  function toggle() {
    const theme = root.dataset.theme === "dark" ? "light" : "dark";
    try {
      localStorage.setItem(THEME_KEY, theme);
    } catch {
      // it holds for this visit
    }
    show(theme);
  }

  // --- tables
  function number(text) {
    if (text === "baseline") {
      return 1; // a ratio to itself
    }
    const found = NUMBER.exec(text.replace(MARKS, ""));
    return found && Number(found[1].replaceAll(",", "")) * PREFIXES[found[2] || found[3] || ""];
  }

  function value(cell) {
    const text = cell.textContent.trim();
    return { text, number: number(text), nothing: NOTHING.has(text) };
  }

  function compare(one, other, numeric) {
    return numeric ? one.number - other.number : one.text.localeCompare(other.text, "en", { numeric: true });
  }

  function sort(table, index, direction) {
    const body = table.tBodies[0];
    const rows = [...body.rows].map((row) => ({ row, key: value(row.cells[index]) }));
    const said = rows.filter((each) => !each.key.nothing);
    // A column of names may begin with digits in a cell or two: it is one of numbers where most are.
    const numeric = said.filter((each) => each.key.number !== null).length * 2 > said.length;
    const last = (each) => each.key.nothing || (numeric && each.key.number === null);
    rows.sort((a, b) =>
      last(a) || last(b) ? Number(last(a)) - Number(last(b)) : direction * compare(a.key, b.key, numeric),
    );
    body.append(...rows.map((each) => each.row));
  }

  function sortable(table) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, index) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      head.setAttribute("aria-sort", "none");
      button.addEventListener("click", () => {
        const direction = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
        heads.forEach((each) => each.setAttribute("aria-sort", "none"));
        head.setAttribute("aria-sort", direction > 0 ? "ascending" : "descending");
        sort(table, index, direction);
      });
    });
  }

  function filterable(sheet, table) {
    const bar = sheet.querySelector(".bar");
    if (!bar) {
      return;
    }
    const [input, count] = [bar.querySelector("input"), bar.querySelector("output")];
    const rows = [...table.tBodies[0].rows];
    bar.hidden = false;
    input.addEventListener("input", () => {
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const row of rows) {
        const text = [...row.cells].map((cell) => cell.textContent).join(" ").toLowerCase();
        row.hidden = !words.every((word) => text.includes(word));
        shown += row.hidden ? 0 : 1;
      }
      count.textContent = words.length ? `${shown} of ${rows.length} rows` : "";
    });
  }

  // --- plots: figures are data in the page; colours come from the style sheet, so that they follow the theme
  const figures = [];

  function colour(name) {
    return getComputedStyle(root).getPropertyValue(name).trim();
  }

  function themed(figure) {
    const [text, line, card] = ["--text", "--line", "--card"].map(colour);
    const data = figure.data.map((trace) => {
      const shade = colour(`--c${trace.meta.slot}`);
      const copy = { ...trace, hoverlabel: { bgcolor: card, bordercolor: shade, font: { color: text } } };
      copy.marker = { ...trace.marker, color: shade };
      copy.line = trace.line && { ...trace.line, color: shade };
      for (const name of ["error_x", "error_y"]) {
        copy[name] = trace[name] && { ...trace[name], color: shade };
      }
      return copy;
    });
    const layout = structuredClone(figure.layout);
    for (const name of Object.keys(layout).filter((key) => /^[xy]axis/.test(key))) {
      Object.assign(layout[name], { gridcolor: line, linecolor: line, zerolinecolor: line });
    }
    for (const shape of layout.shapes || []) {
      shape.line = { ...shape.line, color: text };
    }
    const font = { family: getComputedStyle(document.body).fontFamily, size: 13, color: text };
    Object.assign(layout, { paper_bgcolor: card, plot_bgcolor: card, font, autosize: true });
    return [data, layout];
  }

  const CONFIG = { displaylogo: false, responsive: true, showSendToCloud: false, modeBarButtonsToRemove: ["lasso2d", "select2d"] };

  function recolour() {
    for (const { place, figure } of figures) {
      Plotly.react(place, ...themed(figure), CONFIG);
    }
  }

  function draw(place) {
    const data = place.querySelector('script[type="application/json"]');
    if (!data) {
      return; // it is drawn
    }
    const figure = JSON.parse(data.textContent);
    place.replaceChildren();
    Plotly.newPlot(place, ...themed(figure), CONFIG);
    figures.push({ place, figure });
  }

  function drawAll() {
    if (typeof Plotly !== "undefined") {
      document.querySelectorAll(".plot").forEach(draw);
    }
  }

  function drawWhenNear() {
    const places = document.querySelectorAll(".plot");
    if (places.length && typeof Plotly === "undefined") {
      root.classList.add("no-plots");
      document.querySelectorAll(".without-plots").forEach((each) => (each.hidden = false));
      return;
    }
    // A report of many models has many plots, and each takes its time: only what is about to be seen is drawn.
    const observer = new IntersectionObserver(
      (entries) => {
        for (const { target } of entries.filter((entry) => entry.isIntersecting)) {
          observer.unobserve(target);
          draw(target);
        }
      },
      { rootMargin: "800px" },
    );
    places.forEach((place) => observer.observe(place));
  }

  // --- print: everything is open, light, and as wide as the sheet
  let folded = [];
  addEventListener("beforeprint", () => {
    folded = [...document.querySelectorAll("details:not([open])")];
    folded.forEach((each) => (each.open = true));
    drawAll();
    show("light");
  });
  addEventListener("afterprint", () => {
    folded.forEach((each) => (each.open = false));
    show(stored() || system());
  });

  root.dataset.theme = stored() || system();
  document.addEventListener("DOMContentLoaded", () => {
    for (const sheet of document.querySelectorAll(".sheet")) {
      const table = sheet.querySelector("table");
      sortable(table);
      filterable(sheet, table);
    }
    show(root.dataset.theme);
    drawWhenNear();
    document.querySelector("button.theme")?.addEventListener("click", toggle);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => stored() || show(system()));
  });
})();
